package api_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/models"
)

// stripeEvent is an event about the payment of a purchase, as Stripe sends it.
func stripeEvent(id, purchase string) object {
	return object{
		"id": id, "object": "event", "api_version": "2023-10-16", "created": time.Now().Unix(), "type": "payment_intent.succeeded",
		"livemode": false, "pending_webhooks": 1, "request": object{"id": nil, "idempotency_key": nil},
		"data": object{"object": object{
			"id": "pi_" + purchase, "object": "payment_intent", "status": "succeeded",
			"metadata": object{"purchase_id": purchase, "account_id": uuid.NewString()},
		}},
	}
}

func encode(t *testing.T, body object) []byte {
	t.Helper()
	text, err := json.Marshal(body)
	done(t, err)
	return text
}

// signature is the Stripe-Signature header over a body.
func signature(body []byte, secret string, at time.Time) header {
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: secret, Timestamp: at})
	return header{"Stripe-Signature", signed.Header}
}

func (f *front) deliver(body []byte, headers ...header) answer {
	f.t.Helper()
	return f.send("POST", "/webhooks/stripe", string(body), append(headers, header{"Content-Type", "application/json; charset=utf-8"})...)
}

// taken delivers an event that must be taken, and says whether it was news.
func (f *front) taken(event object) (fresh bool) {
	f.t.Helper()
	body := encode(f.t, event)
	var out struct{ Received, Fresh bool }
	f.deliver(body, signature(body, webhookSecret, f.clock.now())).into(200, &out)
	if !out.Received {
		f.t.Error("taken but not received")
	}
	return out.Fresh
}

// F11: repeated a hundred times, an event is stored once and says one word to its
// purchase.
func TestF11WebhookRepeatedAHundredTimes(t *testing.T) {
	f := open(t)
	p := f.buy(f.customer(), 2500)
	f.begin(p.ID)
	outbox := f.count("outbox")
	event := stripeEvent("evt_1", p.ID)
	var fresh atomic.Int32
	var deliveries sync.WaitGroup
	for range 100 {
		deliveries.Go(func() {
			if f.taken(event) {
				fresh.Add(1)
			}
		})
	}
	deliveries.Wait()
	if fresh.Load() != 1 || f.count("stripe_events") != 1 || f.count("outbox") != outbox+1 {
		t.Errorf("%d times news, %d stored, %d words", fresh.Load(), f.count("stripe_events"), f.count("outbox")-outbox)
	}
	if revision := scan[int64](f, "select revision from outbox where kind = 'payment_changed' and subject = $1", p.ID); revision != 1 {
		t.Errorf("the purchase is told %d times", revision)
	}
	if now := f.purchase(p.ID); now.Status != "pending" || states(now) != "running waiting waiting waiting" {
		t.Errorf("an event's word was taken for Stripe's: %s %s", now.Status, states(now))
	}
}

// F15: what is not signed with our secret has no effect.
func TestF15ForgedWebhook(t *testing.T) {
	f := open(t)
	p := f.buy(f.customer(), 2500)
	body := encode(t, stripeEvent("evt_1", p.ID))
	now := f.clock.now()
	good := signature(body, webhookSecret, now)
	before := f.snapshot()
	for name, c := range map[string]struct {
		body    []byte
		headers []header
	}{
		"no header":       {body, nil},
		"empty header":    {body, []header{{"Stripe-Signature", ""}}},
		"no signature":    {body, []header{{"Stripe-Signature", "hello"}}},
		"only a time":     {body, []header{{"Stripe-Signature", "t=1700000000"}}},
		"no time":         {body, []header{{"Stripe-Signature", good[1][strings.Index(good[1], "v1="):]}}},
		"another secret":  {body, []header{signature(body, "whsec_mallory", now)}},
		"no secret":       {body, []header{signature(body, "", now)}},
		"another scheme":  {body, []header{{"Stripe-Signature", strings.Replace(good[1], "v1=", "v0=", 1)}}},
		"another time":    {body, []header{{"Stripe-Signature", signature(body, webhookSecret, now.Add(time.Second))[1][:12] + good[1][12:]}}},
		"a changed body":  {append(bytes.Clone(body), ' '), []header{good}},
		"an empty body":   {nil, []header{good}},
		"another's event": {encode(t, stripeEvent("evt_2", p.ID)), []header{good}},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			answer := f.deliver(c.body, c.headers...)
			if c.body == nil {
				answer.refused(400, "malformed_request")
			} else {
				answer.refused(400, "invalid_signature")
			}
			f.unchanged(before)
		})
	}
}

// F16: an event that was signed over five minutes ago, or will be, is refused.
func TestF16WebhookOutOfTime(t *testing.T) {
	f := open(t)
	before := f.snapshot()
	for name, age := range map[string]time.Duration{
		"too old": 302 * time.Second, "a day old": 24 * time.Hour, "from the future": -302 * time.Second, "from next year": -366 * 24 * time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			body := encode(t, stripeEvent("evt_1", uuid.NewString()))
			p := f.deliver(body, signature(body, webhookSecret, f.clock.now().Add(-age))).refused(400, "event_out_of_time")
			if !strings.Contains(p.Detail, "clock") {
				t.Errorf("it says %s", p.Detail)
			}
			f.unchanged(before)
		})
	}
	f.t = t
	for id, age := range map[string]time.Duration{"evt_old": 297 * time.Second, "evt_new": -297 * time.Second} {
		body := encode(t, stripeEvent(id, uuid.NewString()))
		f.deliver(body, signature(body, webhookSecret, f.clock.now().Add(-age))).into(200, &struct{}{})
	}
}

// F17: an event of another API version is refused, which says what to do, and a
// person is told, once.
func TestF17WebhookOfAnotherVersion(t *testing.T) {
	f := open(t)
	p := f.buy(f.customer(), 2500)
	outbox := f.count("outbox")
	for _, version := range []any{"2024-06-20", "2022-11-15", nil} {
		event := stripeEvent("evt_1", p.ID)
		event["api_version"] = version
		body := encode(t, event)
		problem := f.deliver(body, signature(body, webhookSecret, f.clock.now())).refused(400, "wrong_api_version")
		if !strings.Contains(problem.Detail, "api_version=2023-10-16") {
			t.Errorf("it says %s", problem.Detail)
		}
	}
	if f.count("stripe_events") != 0 || f.count("outbox") != outbox {
		t.Error("an event of another version had an effect")
	}
	var open struct{ Alerts []api.Alert }
	f.call(models.RoleSupport, "GET", "/v1/support/alerts", nil).into(200, &open)
	if len(open.Alerts) != 1 || open.Alerts[0].Kind != "webhook_version" || !strings.Contains(open.Alerts[0].Detail, "2024-06-20") {
		t.Errorf("the alerts are %+v", open.Alerts)
	}
}

// F48: while the secret is rotated either of the two verifies.
func TestF48WebhookSecretIsRotated(t *testing.T) {
	f := open(t)
	for i, secret := range []string{webhookSecret, olderSecret} {
		body := encode(t, stripeEvent("evt_"+secret, uuid.NewString()))
		f.deliver(body, signature(body, secret, f.clock.now())).into(200, &struct{}{})
		if got := f.count("stripe_events"); got != int64(i+1) {
			t.Errorf("%d events stored", got)
		}
	}
	// Stripe signs with both while it rolls a secret over.
	body := encode(t, stripeEvent("evt_both", uuid.NewString()))
	ours, theirs := signature(body, olderSecret, f.clock.now()), signature(body, "whsec_next", f.clock.now())
	_, mac, _ := strings.Cut(ours[1], "v1=")
	f.deliver(body, header{"Stripe-Signature", theirs[1] + ",v1=" + mac}).into(200, &struct{}{})
}

// Signed, but nothing that Stripe sends.
func TestWebhookThatIsNoEvent(t *testing.T) {
	f := open(t)
	before := f.snapshot()
	for name, body := range map[string]string{
		"an array": "[]", "null": "null", "text": "hello", "empty object": "{}", "cut short": `{"id": "evt_1", "data": {`,
		"text for an object": `{"id": "evt_1", "api_version": "2023-10-16", "data": {"object": "x"}}`,
		"no data":            `{"id": "evt_1", "api_version": "2023-10-16"}`, "no id": `{"api_version": "2023-10-16", "data": {"object": {}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			f.deliver([]byte(body), signature([]byte(body), webhookSecret, f.clock.now())).refused(400, "malformed_event")
			f.unchanged(before)
		})
	}
}

// Events that concern none of our purchases are taken, kept and left at that.
func TestWebhookOfNoPurchaseOfOurs(t *testing.T) {
	f := open(t)
	p := f.buy(f.customer(), 2500)
	outbox := f.snapshot()["outbox"]
	metadata := func(id string, metadata any) object {
		event := stripeEvent(id, p.ID)
		event["data"] = object{"object": object{"id": "x_1", "metadata": metadata}}
		return event
	}
	another := stripeEvent("evt_type", p.ID)
	another["type"] = "customer.updated"
	for name, event := range map[string]object{
		"unknown purchase":    stripeEvent("evt_unknown", uuid.NewString()),
		"id that is no uuid":  metadata("evt_id", object{"purchase_id": "order-1"}),
		"no metadata":         metadata("evt_none", nil),
		"metadata of numbers": metadata("evt_number", object{"purchase_id": 5}),
		"another type":        another,
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			if !f.taken(event) {
				t.Error("it was no news")
			}
			if f.snapshot()["outbox"] != outbox {
				t.Error("somebody is told")
			}
		})
	}
}

// An event holds a whole object, so it may be larger than what callers send.
func TestWebhookBodies(t *testing.T) {
	f := open(t)
	event := func(size int) []byte {
		return encode(t, with(stripeEvent("evt_large", uuid.NewString()), object{"padding": strings.Repeat("a", size)}))
	}
	large := event(500 << 10)
	f.deliver(large, signature(large, webhookSecret, f.clock.now())).into(200, &struct{}{})
	endless := event(2 << 20)
	p := f.deliver(endless, signature(endless, webhookSecret, f.clock.now())).refused(413, "body_too_large")
	if !strings.Contains(p.Detail, "1048576 bytes") {
		t.Errorf("it does not name the limit: %s", p.Detail)
	}
	p = f.putCard(f.account(), strings.Repeat(" ", 65<<10)).refused(413, "body_too_large")
	if !strings.Contains(p.Detail, "65536 bytes") {
		t.Errorf("it does not name the limit of its own route: %s", p.Detail)
	}
}

// 200 only when it is stored: Stripe sends again what was answered otherwise.
func TestWebhookThatCannotBeStoredIsNotTaken(t *testing.T) {
	f := open(t)
	f.store.Close()
	body := encode(t, stripeEvent("evt_1", uuid.NewString()))
	f.deliver(body, signature(body, webhookSecret, f.clock.now())).refused(500, "internal")
	if f.count("stripe_events") != 0 {
		t.Error("it was stored all the same")
	}
}
