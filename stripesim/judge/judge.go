package judge

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/paystage/paystage/stripesim/sim"
)

// Request judges what the caller sent: its route, and each parameter's name and type.
func Request(x sim.Exchange) error {
	operation, err := operationOf(x.Method, x.Path)
	if err != nil {
		return err
	}
	if err := judgeForm("query", x.Query, querySchema(operation)); err != nil {
		return err
	}
	form := openapi3.NewObjectSchema()
	if described := formSchema(operation); described != nil {
		form = described.Value
	}
	return judgeForm("body", x.Form, form)
}

// querySchema makes one object of the parameters that stand in the query.
func querySchema(operation *openapi3.Operation) *openapi3.Schema {
	query := openapi3.NewObjectSchema()
	for _, parameter := range operation.Parameters {
		if parameter.Value.In == openapi3.ParameterInQuery {
			query.WithPropertyRef(parameter.Value.Name, parameter.Value.Schema)
		}
		if parameter.Value.In == openapi3.ParameterInQuery && parameter.Value.Required {
			query.Required = append(query.Required, parameter.Value.Name)
		}
	}
	return query
}

func judgeForm(where, raw string, schema *openapi3.Schema) error {
	form, err := parseForm(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	value, err := form.value("", schema)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	if err := schema.VisitJSON(value); err != nil {
		return fmt.Errorf("%s: %w", where, shorten(err))
	}
	return nil
}

// shorten says what is wrong and where, without the schema and the whole value.
func shorten(err error) error {
	var wrong *openapi3.SchemaError
	if !errors.As(err, &wrong) {
		return err
	}
	return fmt.Errorf("/%s: %s", strings.Join(wrong.JSONPointer(), "/"), wrong.Reason)
}

// Answer judges what the double answered, errors included.
func Answer(x sim.Exchange) error {
	if x.Status == 0 {
		return nil // the connection was cut before anything was decided
	}
	operation, err := operationOf(x.Method, x.Path)
	if err != nil {
		return err
	}
	answer := operation.Responses.Default()
	if x.Status == http.StatusOK {
		answer = operation.Responses.Status(http.StatusOK)
	}
	var value any
	if err := json.Unmarshal(x.Answer, &value); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if err := answer.Value.Content.Get("application/json").Schema.Value.VisitJSON(value); err != nil {
		return fmt.Errorf("answer: %w", shorten(err))
	}
	return nil
}

// Event judges the body of a webhook: the event, and the object that it carries.
func Event(body []byte) error {
	doc, err := description()
	if err != nil {
		return err
	}
	var event struct {
		Type string `json:"type"`
		Data struct {
			Object map[string]any `json:"object"`
		} `json:"data"`
	}
	var whole any
	if err := json.Unmarshal(body, &event); err != nil {
		return fmt.Errorf("event: %w", err)
	}
	if err := json.Unmarshal(body, &whole); err != nil {
		return fmt.Errorf("event: %w", err)
	}
	if err := doc.Components.Schemas["event"].Value.VisitJSON(whole); err != nil {
		return fmt.Errorf("event: %w", shorten(err))
	}
	kind, _ := event.Data.Object["object"].(string)
	if _, modelled := resources[kind]; !modelled {
		return fmt.Errorf("event %s: carries an object of kind %q", event.Type, kind)
	}
	if err := doc.Components.Schemas[kind].Value.VisitJSON(event.Data.Object); err != nil {
		return fmt.Errorf("event %s: object: %w", event.Type, shorten(err))
	}
	return nil
}

// operationOf finds what the description says of a route.
func operationOf(method, path string) (*openapi3.Operation, error) {
	doc, err := description()
	if err != nil {
		return nil, err
	}
	// A literal segment comes before a name in braces.
	for _, template := range slices.Backward(doc.Paths.InMatchingOrder()) {
		if operation := doc.Paths.Value(template).GetOperation(method); operation != nil && matches(template, path) {
			return operation, nil
		}
	}
	return nil, fmt.Errorf("no route %s %s for a resource that the double models", method, path)
}

func matches(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && !strings.HasPrefix(want[i], "{") {
			return false
		}
	}
	return true
}
