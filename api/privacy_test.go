package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/stripesim/sim"
)

// I9: whatever is asked, and whatever fails, no log line says who it was.
func TestI9LogsHoldNoPersonalDataAndNoSecret(t *testing.T) {
	f := open(t)
	account := f.account()
	card := with(cardBody("pm_card_visa"), object{"tax_id": object{"type": "eu_vat", "value": taxID}})
	for _, method := range []string{"pm_card_chargeDeclined", "pm_card_mastercard_prepaid", "pm_unknown"} {
		f.putCard(account, with(card, object{"payment_method": method}))
	}
	for _, path := range []string{"/v1/payment_methods/*", "/v1/customers", "/v1/payment_methods/*/attach"} {
		for _, fault := range []sim.FaultKind{sim.FaultErrorBefore, sim.FaultCutBefore, sim.FaultRateLimit} {
			f.stripe.ResetFaults()
			done(t, f.stripe.OrderFault(sim.Fault{Path: path, Kind: fault}))
			f.putCard(account, card)
		}
	}
	f.stripe.ResetFaults()
	f.call(models.RoleCheckout, "POST", "/v1/accounts", object{"email": email, "name": name, "territory": street})
	f.call(models.RoleCheckout, "POST", "/v1/accounts", object{"email": email, "name": name + "\x00", "territory": "US"})
	other := f.customer()
	p := f.paid(other, 2500)
	f.putCard(other, card)
	done(t, f.stripe.OrderFault(sim.Fault{Path: "/v1/payment_intents/*", Kind: sim.FaultErrorBefore}))
	f.sync(syncBody(p.CreatedAt, nil))
	f.synced(syncBody(p.CreatedAt, nil))
	f.sync(syncBody(p.CreatedAt, object{"email": strings.ToUpper(email), "purchased_at": street}))
	f.call(models.RoleCheckout, "GET", "/v1/accounts/"+email+"/billing", nil).refused(404, "not_found")
	body := encode(t, stripeEvent("evt_1", p.ID))
	f.deliver(body, signature(body, "whsec_wrong", f.clock.now()))
	f.store.Close()
	f.call(models.RoleCheckout, "POST", "/v1/accounts", object{"email": email, "name": name, "territory": "US"})
	f.putCard(other, card)
	f.sync(syncBody(p.CreatedAt, nil))

	log := f.log.String()
	if strings.Count(log, "level=ERROR") < 3 || strings.Count(log, "msg=request") < 20 {
		t.Fatalf("the log is not what this test is about:\n%s", log)
	}
	words := []string{email, "ada.lovelace", name, "Lovelace", street, "James", taxID, webhookSecret, "ticket 7", "Bearer"}
	for _, key := range f.keys {
		words = append(words, key[strings.LastIndex(key, "_")+1:])
	}
	for line := range strings.Lines(log) {
		for _, word := range words {
			if strings.Contains(strings.ToLower(line), strings.ToLower(word)) {
				t.Errorf("%q stands in the log: %s", word, line)
			}
		}
	}
}

// The audit log tells of accounts by their ids. What a reason says is its author's.
func TestI9AuditLogNamesIDs(t *testing.T) {
	f := open(t)
	account := f.customer()
	f.grant(account, "k", 500, "sorry").into(201, &api.Grant{})
	f.clock.advance(time.Second)
	f.synced(syncBody(f.paid(account, 2500).CreatedAt, nil))
	for _, word := range []string{email, name, street} {
		if text := f.snapshot()["audit_log"]; strings.Contains(text, word) {
			t.Errorf("%q stands in the audit log: %s", word, text)
		}
	}
}
