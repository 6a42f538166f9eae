package judge_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"

	"github.com/paystage/paystage/stripesim/judge"
	"github.com/paystage/paystage/stripesim/sim"
)

// purchase makes a charge through stripe-go and gives the request that made it,
// and the last event of it.
func purchase(t *testing.T) (charge sim.Exchange, event []byte) {
	t.Helper()
	var mu sync.Mutex
	double, err := sim.New(sim.Options{
		OnExchange: func(x sim.Exchange) { mu.Lock(); charge = x; mu.Unlock() },
		OnEvent:    func(e []byte) { mu.Lock(); event = e; mu.Unlock() },
	})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(double)
	t.Cleanup(func() { double.Close(); web.Close() })
	buy(t, web.URL)
	mu.Lock()
	defer mu.Unlock()
	return charge, event
}

func buy(t *testing.T, base string) {
	t.Helper()
	config := &stripe.BackendConfig{URL: &base, LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull}}
	api := client.New("sk_test_x", &stripe.Backends{API: stripe.GetBackendWithConfig(stripe.APIBackend, config)})
	params := &stripe.PaymentIntentParams{
		Amount: stripe.Int64(2500), Currency: stripe.String("usd"), PaymentMethod: stripe.String("pm_card_visa"),
		PaymentMethodTypes: stripe.StringSlice([]string{"card"}), Confirm: stripe.Bool(true), OffSession: stripe.Bool(true),
		Metadata: map[string]string{"purchase_id": "pur_1"},
	}
	params.AddExpand("latest_charge")
	if _, err := api.PaymentIntents.New(params); err != nil {
		t.Fatal(err)
	}
}

func TestWhatStripeDescribesPasses(t *testing.T) {
	charge, event := purchase(t)
	for what, err := range map[string]error{"request": judge.Request(charge), "answer": judge.Answer(charge), "event": judge.Event(event)} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestWrongRequests(t *testing.T) {
	charge, _ := purchase(t)
	tests := map[string]struct{ from, to, says string }{
		"UnknownParameter": {"amount=2500", "amount=2500&amuont=2500", "no such parameter"},
		"MisspeltName":     {"amount=2500", "amuont=2500", "no such parameter"},
		"Missing":          {"amount=2500&", "", `"amount" is missing`},
		"NotAnInteger":     {"amount=2500", "amount=25.00", "amount"},
		"NotABoolean":      {"confirm=true", "confirm=yes", "not true or false"},
		"NoSuchValue":      {"off_session=true", "off_session=sometimes", "off_session"},
		"ListAsText":       {"payment_method_types[0]=card", "payment_method_types=card", "payment_method_types"},
		"TextAsObject":     {"currency=usd", "currency[code]=usd", "currency"},
		"NestedUnknown":    {"amount=2500", "amount=2500&shipping[colour]=red", "shipping"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			wrong := charge
			wrong.Form = strings.ReplaceAll(strings.NewReplacer("%5B", "[", "%5D", "]").Replace(charge.Form), test.from, test.to)
			if wrong.Form == charge.Form {
				t.Fatalf("nothing to change in %s", charge.Form)
			}
			if err := judge.Request(wrong); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
	for _, x := range []sim.Exchange{
		{Method: "GET", Path: "/v1/payment_intents", Query: "colour=red"},
		{Method: "GET", Path: "/v1/payment_intents", Query: "limit=many"},
		{Method: "GET", Path: "/v1/payment_intents", Query: "created[since]=1"},
		{Method: "DELETE", Path: "/v1/payment_intents/pi_1"},
		{Method: "GET", Path: "/v1/colours"},
	} {
		if judge.Request(x) == nil {
			t.Errorf("%s %s?%s passed", x.Method, x.Path, x.Query)
		}
	}
	list := sim.Exchange{Method: "GET", Path: "/v1/payment_intents", Query: "created[gte]=1&limit=3&expand[0]=data.customer"}
	if err := judge.Request(list); err != nil {
		t.Error(err)
	}
}

// answerMistakes are mistakes of the double in an object of its own.
var answerMistakes = map[string]struct{ from, to, says string }{
	"WrongType":     {`"amount":2500`, `"amount":"2500"`, "/amount"},
	"MisspeltName":  {`"livemode"`, `"live_mode"`, "live"},
	"Addition":      {`"livemode"`, `"colour":"red","livemode"`, "colour"},
	"NoSuchValue":   {`"status":"succeeded"`, `"status":"success"`, "/status"},
	"NullForbidden": {`"currency":"usd"`, `"currency":null`, "/currency"},
}

func TestWrongAnswers(t *testing.T) {
	charge, event := purchase(t)
	for name, mistake := range answerMistakes {
		t.Run(name, func(t *testing.T) {
			wrong := charge
			wrong.Answer = bytes.ReplaceAll(charge.Answer, []byte(mistake.from), []byte(mistake.to))
			// Inside the expanded charge the message is only that nothing fits.
			if err := judge.Answer(wrong); err == nil {
				t.Error("the answer passed")
			}
			body := bytes.ReplaceAll(event, []byte(mistake.from), []byte(mistake.to))
			if err := judge.Event(body); err == nil || !strings.Contains(err.Error(), mistake.says) {
				t.Errorf("event: got %v, want %q", err, mistake.says)
			}
		})
	}
	failed := charge
	failed.Status, failed.Answer = 402, []byte(`{"error":{"type":"card_trouble","message":"no"}}`)
	if judge.Answer(failed) == nil {
		t.Error("an error of a type that Stripe does not have passed")
	}
	if judge.Event(bytes.Replace(event, []byte(`"object":"payment_intent"`), []byte(`"object":"colour"`), 1)) == nil {
		t.Error("an event with an unknown object passed")
	}
}

// recorder takes the place of a test and keeps what it is told.
type recorder struct {
	testing.TB
	mu   sync.Mutex
	told []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, fmt.Sprintf(format, args...))
}

func TestDoubleFailsTheTestThatSendsAWrongRequest(t *testing.T) {
	r := &recorder{TB: t}
	web := httptest.NewServer(judge.Double(r, sim.Options{}))
	t.Cleanup(web.Close)
	buy(t, web.URL)
	if len(r.told) > 0 {
		t.Fatalf("a right request was told of: %v", r.told)
	}
	post(t, web.URL+"/v1/customers", "emial=ada%40example.com")
	if len(r.told) != 1 || !strings.Contains(r.told[0], "emial") {
		t.Errorf("told %v", r.told)
	}
}

func post(t *testing.T, address, form string) {
	t.Helper()
	req := httptest.NewRequest("POST", address, strings.NewReader(form))
	req.RequestURI = ""
	req.Header.Set("Authorization", "Bearer sk_test_x")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

func TestTranscriptFailsTheTest(t *testing.T) {
	charge, event := purchase(t)
	wrong := charge
	wrong.Form += "&colour=red"
	file := filepath.Join(t.TempDir(), "transcript")
	var text []byte
	for _, line := range []sim.TranscriptLine{{Exchange: &charge}, {Event: event}, {Exchange: &wrong}} {
		raw, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		text = append(append(text, raw...), '\n')
	}
	if err := os.WriteFile(file, append(text, `{"exch`...), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &recorder{TB: t}
	judge.Transcript(r, file)
	if len(r.told) != 1 || !strings.Contains(r.told[0], "colour") {
		t.Errorf("told %v", r.told)
	}
}
