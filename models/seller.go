package models

// Seller is who sells, as documents name it.
type Seller struct {
	Name string
	// Details are the lines below the name: address, tax number, how to get in touch.
	Details []string
}
