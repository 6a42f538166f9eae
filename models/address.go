package models

// Address is a billing address. Country is ISO 3166-1 alpha-2.
type Address struct {
	Line1      string `json:"line1" gorm:"column:line1"`
	City       string `json:"city"`
	State      string `json:"state"`
	PostalCode string `json:"postal_code"`
	Country    string `json:"country"`
}
