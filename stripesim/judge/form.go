package judge

import (
	"fmt"
	"net/url"
	"sort"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// node is one parameter of a form: a text, or what stands in its brackets.
type node struct {
	text     string
	isText   bool
	children map[string]*node
}

// parseForm reads name[a][b]=c into a tree.
func parseForm(raw string) (*node, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, err
	}
	root := &node{children: map[string]*node{}}
	for _, name := range sortedKeys(values) {
		for i, text := range values[name] {
			if err := root.put(split(name), text, i); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return root, nil
}

// split gives the steps of name[a][b].
func split(name string) []string {
	root, rest, nested := strings.Cut(name, "[")
	if !nested {
		return []string{name}
	}
	return append([]string{root}, strings.Split(strings.TrimSuffix(rest, "]"), "][")...)
}

// put places a text; nth numbers the elements of a list written as name[].
func (n *node) put(steps []string, text string, nth int) error {
	if n.isText {
		return fmt.Errorf("is both a value and an object")
	}
	if len(steps) == 0 {
		if n.children != nil {
			return fmt.Errorf("is both a value and an object")
		}
		n.text, n.isText = text, true
		return nil
	}
	step := steps[0]
	if step == "" {
		step = strconv.Itoa(nth)
	}
	if n.children == nil {
		n.children = map[string]*node{}
	}
	if n.children[step] == nil {
		n.children[step] = &node{}
	}
	return n.children[step].put(steps[1:], text, nth)
}

// value gives the node as the JSON value that the schema makes of it: a form
// knows only texts, so whether "5" is a number is the schema's to say.
func (n *node) value(name string, schema *openapi3.Schema) (any, error) {
	if options := append(append([]*openapi3.SchemaRef{}, schema.AnyOf...), schema.OneOf...); len(options) > 0 {
		return n.firstValue(name, options)
	}
	if n.isText {
		return textValue(name, n.text, schema)
	}
	switch {
	case schema.Type.Is("array"):
		return n.listValue(name, schema)
	case schema.Type.Is("object"):
		return n.objectValue(name, schema)
	default:
		return nil, fmt.Errorf("%s: is an object, not a %v", name, schema.Type)
	}
}

// firstValue takes the first option that the node fits.
func (n *node) firstValue(name string, options []*openapi3.SchemaRef) (any, error) {
	var first error
	for _, option := range options {
		value, err := n.value(name, option.Value)
		if err == nil {
			err = shorten(option.Value.VisitJSON(value))
		}
		if err == nil {
			return value, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

func textValue(name, text string, schema *openapi3.Schema) (any, error) {
	var value any = text
	var err error
	switch {
	case schema.Type.Is("integer"):
		value, err = strconv.ParseInt(text, 10, 64)
	case schema.Type.Is("number"):
		value, err = strconv.ParseFloat(text, 64)
	case schema.Type.Is("boolean"):
		if text != "true" && text != "false" {
			err = fmt.Errorf("%q is not true or false", text)
		}
		value = text == "true"
	case !schema.Type.Is("string"):
		err = fmt.Errorf("%q is a text, not a %v", text, schema.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return value, nil
}

func (n *node) listValue(name string, schema *openapi3.Schema) (any, error) {
	list := make([]any, 0, len(n.children))
	for _, index := range sortedKeys(n.children) {
		if _, err := strconv.Atoi(index); err != nil {
			return nil, fmt.Errorf("%s: is a list, not an object", name)
		}
		value, err := n.children[index].value(name+"[]", schema.Items.Value)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	return list, nil
}

func (n *node) objectValue(name string, schema *openapi3.Schema) (any, error) {
	object := map[string]any{}
	for _, key := range sortedKeys(n.children) {
		full := key
		if name != "" {
			full = name + "[" + key + "]"
		}
		inner := schema.Properties[key]
		if inner == nil {
			inner = schema.AdditionalProperties.Schema
		}
		if inner == nil {
			return nil, fmt.Errorf("%s: Stripe has no such parameter", full)
		}
		value, err := n.children[key].value(full, inner.Value)
		if err != nil {
			return nil, err
		}
		object[key] = value
	}
	return object, nil
}

func sortedKeys[V any](from map[string]V) []string {
	keys := make([]string, 0, len(from))
	for key := range from {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
