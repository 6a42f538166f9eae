package workflows_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paystage/paystage/workflows"
)

// inHistories is every field that travels through a history, by its JSON name. Who
// adds one answers for it: histories hold no secret and no personal data (I9, R43).
var inHistories = []string{
	"account_id", "accounts", "accounts_done", "accounts_per_second", "all", "amount_cents", "asked", "attempt", "authorization_id",
	"bank", "bank_started_at", "captured_cents", "charged_after", "close", "closed", "code", "complete", "customer", "detail",
	"due_micros", "ended", "expired", "force", "gateway", "gateway_queue", "gateways", "idempotency_key", "invoice_id",
	"invoices", "kind", "mandate", "next_page", "off_session", "order", "otherwise", "owing", "page", "pages", "payer",
	"payment", "payment_intent_id", "payment_method", "period", "periods", "purchase_id", "purpose", "round", "seconds_left",
	"setup_id", "state", "status", "steps", "subject_id", "wait_millis",
}

func TestI9HistoriesHoldNoSecretAndNoPersonalData(t *testing.T) {
	carried := map[string]bool{}
	for _, carrier := range []any{
		workflows.PurchaseInput{}, workflows.PurchaseResult{}, workflows.PropagationInput{}, workflows.PropagationRequest{}, workflows.RechargeInput{},
		workflows.InvoicePaymentInput{}, workflows.AuthorizationInput{}, workflows.CardSetupInput{},
		workflows.MonthlyCloseInput{}, workflows.MonthlyProgress{},
	} {
		fieldsOf(t, reflect.TypeOf(carrier), carried)
	}
	for _, acts := range []any{books, stripe, checkout, gateways, cards} {
		for method := range reflect.TypeOf(acts).Methods() {
			fieldsOf(t, method.Type.In(2), carried) // receiver, context, input
			fieldsOf(t, method.Type.Out(0), carried)
		}
	}
	var got []string
	for name := range carried {
		got = append(got, name)
	}
	slices.Sort(got)
	if !slices.Equal(got, inHistories) {
		t.Errorf("histories carry\n  %v\nwant\n  %v", got, inHistories)
	}
}

// The link to the bank is a secret: what notes it gives nothing back.
func TestI9NoteAuthorizationGivesNothingBack(t *testing.T) {
	answer := reflect.TypeOf(checkout.NoteAuthorization).Out(0)
	if answer.Kind() != reflect.Struct || answer.NumField() != 0 {
		t.Errorf("it gives back a %s", answer)
	}
}

// fieldsOf collects the JSON names of the fields of a type and of those inside it.
func fieldsOf(t *testing.T, typ reflect.Type, into map[string]bool) {
	t.Helper()
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[time.Time]() {
		return
	}
	for field := range typ.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" {
			t.Errorf("%s.%s has no JSON name: renaming it would break running workflows", typ, field.Name)
		}
		into[name] = true
		fieldsOf(t, field.Type, into)
	}
}
