package billing

import "slices"

// restrictedModel is a model that not every tier may use.
type restrictedModel struct {
	id      string
	minimum int // tier number
}

// catalogue lists the models with a minimum tier (R14). Models that are not in
// it have none. Nothing writes to it.
var catalogue = [...]restrictedModel{
	{"black-forest-labs/FLUX.1-canny", 1},
	{"black-forest-labs/FLUX.1-depth", 1},
	{"black-forest-labs/FLUX.1-dev", 1},
	{"black-forest-labs/FLUX.1-kontext-dev", 1},
	{"black-forest-labs/FLUX.1-redux", 1},
	{"black-forest-labs/FLUX.1-schnell", 1}, // the Turbo endpoint
	{"black-forest-labs/FLUX.1-schnell-Free", 1},
	{"black-forest-labs/FLUX.1-pro", 2},
	{"black-forest-labs/FLUX.1.1-pro", 2},
}

// ModelsFor gives the ids of the models with a minimum tier that a tier may use
// (R14), sorted. It is empty, never nil, where there are none, so that it is []
// in JSON. The slice is the caller's.
func ModelsFor(number int) []string {
	ids := make([]string, 0, len(catalogue))
	for _, m := range catalogue {
		if number >= m.minimum {
			ids = append(ids, m.id)
		}
	}
	slices.Sort(ids)
	return ids
}
