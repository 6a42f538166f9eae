package api

import (
	"net/http"
	"reflect"
	"strings"
)

// checkText refuses a body with a zero byte in it. JSON can spell one in any
// string; it is no text, and the database would not take it.
func checkText(in any) error {
	body := reflect.ValueOf(in).Elem().FieldByName("Body")
	if body.IsValid() && holdsZeroByte(body) {
		return problem(http.StatusUnprocessableEntity, "invalid_text",
			`The body holds a zero byte (\u0000) in one of its texts. Send the text without it.`)
	}
	return nil
}

func holdsZeroByte(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		return strings.ContainsRune(v.String(), 0)
	case reflect.Pointer:
		return !v.IsNil() && holdsZeroByte(v.Elem())
	case reflect.Struct:
		for field, value := range v.Fields() {
			if field.IsExported() && holdsZeroByte(value) {
				return true
			}
		}
	}
	return false
}
