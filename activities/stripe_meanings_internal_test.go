package activities

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
)

// personal is what Stripe's error texts may quote, and what must not get into
// histories and logs (I9).
const personal = "ada@example.com pi_1_secret_abc"

// problem is a body of Stripe's in which everything is quoted that could be.
func problem(kind, code, more string) string {
	return fmt.Sprintf(`{"error": {"type": %q, "code": %q, "message": %q %s}}`, kind, code, personal, more)
}

const declinedIntent = `, "decline_code": "insufficient_funds", "payment_intent": {"id": "pi_1", "status": "requires_payment_method", "client_secret": "pi_1_secret_abc"}`

// wire is what can come back from Stripe for a charge, and what it means.
var wire = map[string]struct {
	answer http.HandlerFunc
	// row of stripeMeanings that decides; "" where Stripe said nothing of its own.
	row     string
	meaning meaning
	code    string
}{
	"CardDeclined":           {says(402, problem("card_error", "card_declined", declinedIntent)), "card error", meaningDeclined, "insufficient_funds"},
	"CardWithoutDeclineCode": {says(402, problem("card_error", "expired_card", "")), "card error", meaningDeclined, "expired_card"},
	"CardWithoutReason":      {says(402, problem("card_error", "", "")), "card error", meaningDeclined, "no_reason_given"},
	"MandateInvalid":         {says(400, problem("invalid_request_error", "payment_intent_mandate_invalid", "")), "mandate in force no more", meaningDeclined, "payment_intent_mandate_invalid"},
	"RateLimit":              {says(429, problem("invalid_request_error", "rate_limit", "")), "rate limit or lock", meaningLater, ""},
	"LockTimeout":            {says(429, problem("invalid_request_error", "lock_timeout", "")), "rate limit or lock", meaningLater, ""},
	"KeyWrong":               {says(401, problem("invalid_request_error", "", "")), "key revoked or wrong", meaningLater, ""},
	"KeyForbidden":           {says(403, problem("invalid_request_error", "", "")), "key revoked or wrong", meaningLater, ""},
	"F9/KeyInUse":            {says(409, problem("invalid_request_error", "idempotency_key_in_use", "")), "the same key is being processed", meaningUnknown, ""},
	"F6/ServerError":         {says(500, problem("api_error", "", "")), "Stripe failed", meaningUnknown, ""},
	"Unavailable":            {says(503, problem("api_error", "", "")), "Stripe failed", meaningUnknown, ""},
	"F8/OtherParameters":     {says(400, problem("idempotency_error", "", "")), "request refused", meaningRefused, "idempotency_error"},
	"ParameterMissing":       {says(400, problem("invalid_request_error", "parameter_missing", "")), "request refused", meaningRefused, "parameter_missing"},
	"CustomerMissing":        {says(404, problem("invalid_request_error", "resource_missing", "")), "request refused", meaningRefused, "resource_missing"},
	"PaymentRequired":        {says(402, problem("invalid_request_error", "", "")), "request refused", meaningRefused, "invalid_request_error"},
	"NotJSON":                {says(502, "<html>"+personal+"</html>"), "", meaningUnknown, ""},
	"RateLimitNotJSON":       {says(429, "slow down "+personal), "", meaningUnknown, ""},
	"EmptyError":             {says(500, `{}`), "", meaningUnknown, ""},
	"SuccessNotJSON":         {says(200, "<html>"+personal+"</html>"), "", meaningUnknown, ""},
	"F5/Timeout":             {never, "", meaningUnknown, ""},
	"F5/ResetAfterSend":      {reset, "", meaningUnknown, ""},
	"F5/AnswerCutOff":        {cutOff, "", meaningUnknown, ""},
	"ConnectionRefused":      {nil, "", meaningLater, ""},
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Request-Id", "req_1")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// never takes the whole request and does not answer it.
func never(_ http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	<-r.Context().Done()
}

// reset takes the whole request and resets the connection.
func reset(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// cutOff ends in the middle of an answer.
func cutOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = w.Write([]byte(`{"id": "pi_1", "status": "succ`))
}

// stripeAt is a client whose patience a test can wait out.
func stripeAt(t *testing.T, answer http.HandlerFunc) *client.API {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	if answer == nil {
		server.Close()
	}
	api := NewStripeClient(server.URL, "sk_test_x")
	api.PaymentIntents.B = stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: stripe.String(server.URL), MaxNetworkRetries: stripe.Int64(0), HTTPClient: &http.Client{Timeout: 2 * time.Second},
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	})
	return api
}

// run runs an activity as a worker would. What goes into a history or a log must
// be discreet (I9).
func run[In, Out any](t *testing.T, act func(context.Context, In) (Out, error), in In) (out Out, err error) {
	t.Helper()
	var logged bytes.Buffer
	suite := new(testsuite.WorkflowTestSuite)
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.NewTextHandler(&logged, nil))))
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(act)
	value, err := env.ExecuteActivity(act, in)
	if err == nil && value.Get(&out) != nil {
		t.Fatal("the result is none")
	}
	said := fmt.Sprintf("%+v %+v %s", out, err, &logged)
	for _, word := range []string{"ada", "secret", "html"} {
		if strings.Contains(said, word) {
			t.Errorf("%q is in %s", word, said)
		}
	}
	return out, err
}

func TestStripeMeanings(t *testing.T) {
	t.Parallel()
	for name, c := range wire {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &Stripe{API: stripeAt(t, c.answer), ReturnURL: "https://pay.example/return"}
			payment, err := run(t, s.Charge, ChargeInput{PurchaseID: "p", Customer: "cus", PaymentMethod: "pm", AmountCents: 500, IdempotencyKey: "k"})
			want := map[meaning]PaymentState{meaningDeclined: PaymentDeclined, meaningUnknown: PaymentUnknown, meaningRefused: PaymentRefused}[c.meaning]
			if payment.State != want || payment.Code != c.code || (err != nil) != (c.meaning == meaningLater) {
				t.Errorf("charge: got %+v, %v; want %q %q", payment, err, want, c.code)
			}

			// A lookup is an answer or an outage; nothing else can be told from it.
			payment, err = run(t, s.FindPayment, FindInput{PurchaseID: "p", PaymentIntentID: "pi_1"})
			if err == nil || payment.State != "" {
				t.Errorf("look up: got %+v, %v", payment, err)
			}
			payment, err = run(t, s.FindPayment, FindInput{PurchaseID: "p", Customer: "cus", ChargedAfter: time.Now()})
			if err == nil || payment.State != "" {
				t.Errorf("look for: got %+v, %v", payment, err)
			}
			payment, err = run(t, s.CancelPayment, CancelInput{PaymentIntentID: "pi_1"})
			if err == nil || payment.State != "" {
				t.Errorf("cancel: got %+v, %v", payment, err)
			}
		})
	}
}

// TestEveryRowOfTheTableDecides takes the same answers to the table itself, so
// that each row is there for a reason.
func TestEveryRowOfTheTableDecides(t *testing.T) {
	t.Parallel()
	decided := map[string]bool{}
	for name, c := range wire {
		_, err := stripeAt(t, c.answer).PaymentIntents.New(&stripe.PaymentIntentParams{})
		if err == nil {
			t.Fatalf("%s: no error", name)
		}
		if got := meaningOf(err); got != c.meaning {
			t.Errorf("%s: %s, want %s", name, got, c.meaning)
		}
		row := ""
		if e := stripeError(err); e != nil {
			for _, r := range stripeMeanings {
				if r.fits(e.HTTPStatusCode, e) {
					row = r.name
					break
				}
			}
		}
		if row != c.row {
			t.Errorf("%s is decided by row %q, want %q", name, row, c.row)
		}
		decided[row] = true
	}
	for _, row := range stripeMeanings {
		if !decided[row.name] {
			t.Errorf("no answer reaches the row %q", row.name)
		}
	}
	if got := meaningOf(&stripe.Error{}); got != meaningUnknown {
		t.Errorf("an error of Stripe's without a status is %s", got)
	}
	if got := meaningOf(context.DeadlineExceeded); got != meaningUnknown {
		t.Errorf("a deadline is %s", got)
	}
}

// Every status of a PaymentIntent has a meaning, and one that Stripe invents
// tomorrow is looked into.
func TestPaymentOfEveryStatus(t *testing.T) {
	t.Parallel()
	no := &stripe.Error{DeclineCode: "lost_card"}
	for name, c := range map[string]struct {
		intent stripe.PaymentIntent
		want   Payment
	}{
		"Succeeded": {stripe.PaymentIntent{Status: "succeeded", AmountReceived: 500},
			Payment{State: PaymentApproved, CapturedCents: 500}},
		"SucceededWhole": {stripe.PaymentIntent{Status: "succeeded", Amount: 500},
			Payment{State: PaymentApproved, CapturedCents: 500}},
		"Processing":     {stripe.PaymentIntent{Status: "processing"}, Payment{State: PaymentProcessing}},
		"RequiresAction": {stripe.PaymentIntent{Status: "requires_action", LastPaymentError: no}, Payment{State: PaymentRequiresAction}},
		"Declined": {stripe.PaymentIntent{Status: "requires_payment_method", LastPaymentError: no},
			Payment{State: PaymentDeclined, Code: "lost_card"}},
		"F5/NotTriedYet":       {stripe.PaymentIntent{Status: "requires_payment_method"}, Payment{State: PaymentUnknown}},
		"Canceled":             {stripe.PaymentIntent{Status: "canceled", LastPaymentError: no}, Payment{State: PaymentCanceled}},
		"RequiresConfirmation": {stripe.PaymentIntent{Status: "requires_confirmation"}, Payment{State: PaymentUnknown}},
		"RequiresCapture":      {stripe.PaymentIntent{Status: "requires_capture"}, Payment{State: PaymentUnknown}},
		"OfTomorrow":           {stripe.PaymentIntent{Status: "requires_moon", AmountReceived: 500}, Payment{State: PaymentUnknown}},
	} {
		c.intent.ID, c.want.PaymentIntentID = "pi_1", "pi_1"
		if got := paymentOf(&c.intent); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}
