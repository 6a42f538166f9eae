package sim

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// maxBodyBytes bounds a request's body; Stripe's forms are far smaller.
const maxBodyBytes = 1 << 20

// params are the parameters of one request, from query and form. Every element
// of a list stands under "name[]".
type params url.Values

// readForm reads the body of a request as it was sent, and tells whether all of it
// came. A caller who dies while sending has sent no request. Of a body that is too
// large it gives one byte more than is taken.
func readForm(r *http.Request) (form string, whole bool) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBodyBytes+1))
	return string(body), err == nil
}

// readParams reads query and form.
func readParams(query, form string) (params, *refusal) {
	p := make(params)
	for _, raw := range []string{query, form} {
		source, err := url.ParseQuery(raw)
		if err != nil {
			return nil, invalidParam("", "", "Invalid request: %v", err)
		}
		for _, name := range sortedNames(source) {
			canonical := canonicalName(name)
			p[canonical] = append(p[canonical], source[name]...)
		}
	}
	return p, nil
}

func sortedNames[V any](values map[string]V) []string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// canonicalName writes a list element's "name[0]" as "name[]", as Stripe takes both.
func canonicalName(name string) string {
	opening := strings.LastIndex(name, "[")
	if opening < 0 || strings.HasPrefix(name, "metadata[") {
		return name
	}
	if _, err := strconv.Atoi(strings.TrimSuffix(name[opening+1:], "]")); err != nil {
		return name
	}
	return name[:opening] + "[]"
}

// pattern is the name with a metadata key replaced by a star.
func pattern(name string) string {
	if strings.HasPrefix(name, "metadata[") && strings.HasSuffix(name, "]") {
		return "metadata[*]"
	}
	return name
}

// check refuses what the route does not take: as Stripe would when Stripe does
// not know it either, and as not modelled when only the double does not.
func (p params) check(rt *route) *refusal {
	for _, name := range sortedNames(p) {
		form := pattern(name)
		root, _, _ := strings.Cut(name, "[")
		switch {
		case slices.Contains(rt.takes, form):
			if p.get(name) == "" && !mayBeEmpty(form) {
				return invalidParam("parameter_invalid_empty", name,
					"You passed an empty string for '%s'. We assume empty values are an attempt to unset a parameter; however '%s' cannot be unset. You should remove '%s' from your request or supply a non-empty value.", name, name, name)
			}
		case slices.Contains(rt.lacks, form), slices.Contains(rt.lacks, root):
			return notModelled("the parameter %s of %s %s", name, rt.method, rt.path)
		default:
			return invalidParam("parameter_unknown", name, "Received unknown parameter: %s", name)
		}
	}
	for _, property := range p["expand[]"] {
		if !slices.Contains(rt.expands, property) {
			return notModelled("expand of %s on %s %s", property, rt.method, rt.path)
		}
	}
	return nil
}

func mayBeEmpty(form string) bool {
	return form == "metadata[*]" || strings.HasPrefix(form, "billing_details[") || strings.HasPrefix(form, "address[")
}

// get gives the last value under the name; the last one wins, as at Stripe.
func (p params) get(name string) string {
	values := p[name]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

func (p params) has(name string) bool { return len(p[name]) > 0 }

// hasBelow tells whether anything stands in the brackets of the name.
func (p params) hasBelow(name string) bool {
	for given := range p {
		if strings.HasPrefix(given, name+"[") {
			return true
		}
	}
	return false
}

func (p params) setText(field *text, name string) {
	if p.has(name) {
		*field = text(p.get(name))
	}
}

func (p params) boolean(name string) (bool, *refusal) {
	switch value := p.get(name); value {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, invalidParam("", name, "Invalid boolean: %s", value)
	}
}

// integer reads a whole number; absent gives fallback.
func (p params) integer(name string, fallback int64) (int64, *refusal) {
	if !p.has(name) {
		return fallback, nil
	}
	n, err := strconv.ParseInt(p.get(name), 10, 64)
	if err != nil {
		return 0, invalidParam("parameter_invalid_integer", name, "Invalid integer: %s", p.get(name))
	}
	return n, nil
}

// Stripe's limits on metadata.
const (
	maxMetadataKeys   = 50
	maxMetadataKey    = 40
	maxMetadataLength = 500
)

// mergeMetadata sets the keys given and removes those given as empty.
func (p params) mergeMetadata(into map[string]string) *refusal {
	for _, name := range sortedNames(p) {
		if pattern(name) != "metadata[*]" {
			continue
		}
		key, value := name[len("metadata["):len(name)-1], p.get(name)
		switch {
		case len(key) > maxMetadataKey:
			return invalidParam("", "metadata", "Metadata keys can have up to %d characters, but you passed in a key that is %d characters. Invalid key: %s", maxMetadataKey, len(key), key)
		case len([]rune(value)) > maxMetadataLength:
			return invalidParam("", name, "Metadata values can have up to %d characters, but you passed in a value that is %d characters.", maxMetadataLength, len([]rune(value)))
		case value == "":
			delete(into, key)
		default:
			into[key] = value
		}
	}
	if len(into) > maxMetadataKeys {
		return invalidParam("", "metadata", "You can have up to %d metadata keys.", maxMetadataKeys)
	}
	return nil
}

// encoded is the same for the same parameters in whatever order.
func (p params) encoded() string { return url.Values(p).Encode() }
