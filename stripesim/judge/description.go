package judge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stripe/stripe-mock/embedded"
)

// resources are those that the double models, by their name in the description
// and the first segment of their routes.
var resources = map[string]string{
	"balance_transaction": "balance_transactions",
	"charge":              "charges",
	"customer":            "customers",
	"dispute":             "disputes",
	"event":               "events",
	"mandate":             "mandates",
	"payment_intent":      "payment_intents",
	"payment_method":      "payment_methods",
	"refund":              "refunds",
	"setup_attempt":       "setup_attempts",
	"setup_intent":        "setup_intents",
}

// description gives Stripe's own, cut down to the resources of the double: whole
// it takes seven seconds to read under the race detector, and each test binary
// reads it once.
var description = sync.OnceValues(readDescription)

func readDescription() (*openapi3.T, error) {
	raw, err := cutDown(embedded.OpenAPISpec)
	if err != nil {
		return nil, fmt.Errorf("cut Stripe's description down: %w", err)
	}
	whole, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return nil, fmt.Errorf("read Stripe's description: %w", err)
	}
	closeObjects(whole)
	return whole, nil
}

// outline is the part of an OpenAPI document that is kept.
type outline struct {
	OpenAPI    string                     `json:"openapi"`
	Info       json.RawMessage            `json:"info"`
	Paths      map[string]json.RawMessage `json:"paths"`
	Components struct {
		Schemas map[string]json.RawMessage `json:"schemas"`
	} `json:"components"`
}

var (
	schemaReference = regexp.MustCompile(`"#/components/schemas/([^"]+)"`)
	resourceMark    = []byte(`"x-resourceId"`)
	// never is the schema that no value has.
	never = json.RawMessage(`{"not": {}}`)
)

// cutDown keeps the routes of the resources and every schema that they lead to. A
// resource that is not kept becomes one that no value has.
func cutDown(raw []byte) ([]byte, error) {
	var doc outline
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	var open [][]byte
	for path, item := range doc.Paths {
		if !hasResource(strings.Split(path, "/")[2]) {
			delete(doc.Paths, path)
			continue
		}
		open = append(open, item)
	}
	for name := range resources {
		open = append(open, fmt.Appendf(nil, `"#/components/schemas/%s"`, name))
	}
	all := doc.Components.Schemas
	doc.Components.Schemas = map[string]json.RawMessage{}
	for len(open) > 0 {
		text := open[len(open)-1]
		open = open[:len(open)-1]
		for _, found := range schemaReference.FindAllSubmatch(text, -1) {
			name := string(found[1])
			if _, taken := doc.Components.Schemas[name]; taken {
				continue
			}
			schema := all[name]
			if _, kept := resources[name]; !kept && bytes.Contains(schema, resourceMark) {
				schema = never
			}
			doc.Components.Schemas[name] = schema
			open = append(open, schema)
		}
	}
	return json.Marshal(doc)
}

func hasResource(segment string) bool {
	for _, route := range resources {
		if route == segment {
			return true
		}
	}
	return false
}

// closeObjects has every described object refuse what is not described of it.
func closeObjects(doc *openapi3.T) {
	seen := map[*openapi3.Schema]bool{}
	for _, schema := range doc.Components.Schemas {
		closeSchema(schema, seen)
	}
	for _, item := range doc.Paths.Map() {
		for _, operation := range item.Operations() {
			for _, schema := range operationSchemas(operation) {
				closeSchema(schema, seen)
			}
		}
	}
}

// operationSchemas are those of parameters, form and answers.
func operationSchemas(operation *openapi3.Operation) []*openapi3.SchemaRef {
	var all []*openapi3.SchemaRef
	for _, parameter := range operation.Parameters {
		all = append(all, parameter.Value.Schema)
	}
	if form := formSchema(operation); form != nil {
		all = append(all, form)
	}
	for _, answer := range operation.Responses.Map() {
		for _, media := range answer.Value.Content {
			all = append(all, media.Schema)
		}
	}
	return all
}

// formSchema is what the body of a request may be; nil where it has none.
func formSchema(operation *openapi3.Operation) *openapi3.SchemaRef {
	if operation.RequestBody == nil {
		return nil
	}
	media := operation.RequestBody.Value.Content.Get("application/x-www-form-urlencoded")
	if media == nil {
		return nil
	}
	return media.Schema
}

func closeSchema(schema *openapi3.SchemaRef, seen map[*openapi3.Schema]bool) {
	if schema == nil || schema.Value == nil || seen[schema.Value] {
		return
	}
	seen[schema.Value] = true
	object := schema.Value
	if len(object.Properties) > 0 && object.AdditionalProperties.Has == nil && object.AdditionalProperties.Schema == nil {
		open := false
		object.AdditionalProperties.Has = &open
	}
	for _, property := range object.Properties {
		closeSchema(property, seen)
	}
	for _, inner := range [][]*openapi3.SchemaRef{object.AnyOf, object.OneOf, object.AllOf, {object.Items, object.AdditionalProperties.Schema}} {
		for _, one := range inner {
			closeSchema(one, seen)
		}
	}
}
