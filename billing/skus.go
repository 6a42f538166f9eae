package billing

import "strings"

// ModelOf gives the model of a serverless SKU: of one by tokens without its last
// part, which says for what the tokens are; one by images is the model. Others have
// none.
func ModelOf(sku, unit string) string {
	switch unit {
	case "token":
		if dot := strings.LastIndexByte(sku, '.'); dot > 0 {
			return sku[:dot]
		}
		return sku
	case "image":
		return sku
	}
	return ""
}
