package sim_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paystage/paystage/stripesim/sim"
)

// control calls the control API and gives status and decoded answer.
func control(t *testing.T, d *double, method, path, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequest(method, d.url+"/_sim"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, raw)
	}
	return resp.StatusCode, answer
}

func mustControl(t *testing.T, d *double, method, path, body string) map[string]any {
	t.Helper()
	status, answer := control(t, d, method, path, body)
	if status != 200 {
		t.Fatalf("%s %s: %d %v", method, path, status, answer)
	}
	return answer
}

func TestControlsOverHTTP(t *testing.T) {
	hook := newReceiver(t)
	d := start(t, sim.Options{})
	mustControl(t, d, "PUT", "/webhooks", `{"url":"`+hook.url+`","hold":true,"copies":2}`)
	customer, method := d.customerWith(t, "pm_card_visa")
	if got := mustControl(t, d, "GET", "/webhooks", ""); got["held"] != 4.0 || got["url"] != hook.url || got["copies"] != 2.0 {
		t.Errorf("webhooks %v", got)
	}
	if got := mustControl(t, d, "POST", "/webhooks/release", ""); got["released"] != 4.0 || len(hook.taken(t)) != 4 {
		t.Errorf("released %v, taken %d", got, len(hook.taken(t)))
	}
	mustControl(t, d, "PUT", "/webhooks", `{}`)
	mustControl(t, d, "POST", "/events/"+hook.taken(t)[0].ID+"/resend", `{"times":3}`)
	d.quiet(t)
	if got := len(hook.taken(t)); got != 7 {
		t.Errorf("%d taken after resending, want 7", got)
	}

	mustControl(t, d, "POST", "/faults", `{"method":"POST","path":"/v1/payment_intents","kind":"error_after","times":2,"duration_ms":0}`)
	if got := mustControl(t, d, "GET", "/faults", "")["faults"].([]any); len(got) != 1 {
		t.Errorf("faults %v", got)
	}
	if got := answerStatus(t, d, charge(customer, method)); got != 500 {
		t.Errorf("status %d", got)
	}
	mustControl(t, d, "DELETE", "/faults", "")
	d.mustPay(t, charge(customer, method), "succeeded")
	stats := mustControl(t, d, "GET", "/stats", "")["by_purchase"].(map[string]any)["pur_1"].(map[string]any)
	if stats["payment_intents"] != 2.0 || stats["captures"] != 2.0 || stats["captured_cents"] != 5000.0 {
		t.Errorf("stats %v", stats)
	}
	if got := mustControl(t, d, "GET", "/requests", "")["requests"].([]any); len(got) != 4 {
		t.Errorf("%d requests, want 4", len(got))
	}
}

func TestDecisionsOverHTTP(t *testing.T) {
	d := start(t, sim.Options{})
	for _, test := range []struct{ method, action, body, status string }{
		{"pm_sim_processing", "settle", "", "succeeded"},
		{"pm_sim_processing", "fail", `{"decline_code":"do_not_honor"}`, "requires_payment_method"},
		{"pm_card_authenticationRequired", "approve", "", "succeeded"},
		{"pm_card_authenticationRequired", "refuse", "", "requires_payment_method"},
	} {
		pi, err := d.api.PaymentIntents.New(charge(d.customerWith(t, test.method)))
		if err != nil {
			t.Fatal(err)
		}
		path := "/payment_intents/" + pi.ID + "/" + test.action
		mustControl(t, d, "POST", path, test.body)
		if got := d.intent(t, pi.ID).Status; string(got) != test.status {
			t.Errorf("%s: %s, want %s", test.action, got, test.status)
		}
		if status, answer := control(t, d, "POST", path, ""); status != 400 || answer["error"] == "" {
			t.Errorf("%s again: %d %v", test.action, status, answer)
		}
	}
}

func TestClockOverHTTP(t *testing.T) {
	d := start(t, sim.Options{})
	mustControl(t, d, "POST", "/clock/advance", `{"seconds":7200}`)
	if ahead := time.Until(d.Now()); ahead < 119*time.Minute || ahead > 121*time.Minute {
		t.Errorf("the clock is %s ahead", ahead)
	}
	mustControl(t, d, "GET", "/clock", "")
	for path, body := range map[string]string{
		"/clock/advance": `{"seconds":-1}`, "/faults": `{"path":"/v1/*","kind":"cut_after","colour":1}`, "/events/evt_unknown/resend": "",
	} {
		if status, _ := control(t, d, "POST", path, body); status != 400 {
			t.Errorf("POST %s %s: %d", path, body, status)
		}
	}
}
