package sim

import (
	"cmp"
	"encoding/json"
	"hash/fnv"
	"net/http"
	"slices"
)

// maxEvents bounds the events kept for listing; the oldest go first.
const maxEvents = 20_000

// apiVersion is the only version that the double speaks.
const apiVersion = "2023-10-16"

// origin is the request that caused an event; a decision of the bank has none.
type origin struct {
	RequestID text `json:"id"`
	Key       text `json:"idempotency_key"`
}

// eventObject is Stripe's event, with a snapshot of the object.
type eventObject struct {
	ID              string    `json:"id"`
	Object          string    `json:"object"`
	APIVersion      string    `json:"api_version"`
	Created         int64     `json:"created"`
	Data            eventData `json:"data"`
	Livemode        bool      `json:"livemode"`
	PendingWebhooks int       `json:"pending_webhooks"`
	Request         origin    `json:"request"`
	Type            string    `json:"type"`
}

// lane puts the events of one payment, its charges, refunds and disputes into one
// queue of deliveries.
func (ev *eventObject) lane() int {
	var about struct {
		ID            string `json:"id"`
		PaymentIntent string `json:"payment_intent"`
	}
	if err := json.Unmarshal(ev.Data.Object, &about); err != nil {
		panic("stripesim: an event of its own does not decode: " + err.Error())
	}
	hash := fnv.New32a()
	hash.Write([]byte(cmp.Or(about.PaymentIntent, about.ID)))
	return int(hash.Sum32() % webhookWorkers)
}

type eventData struct {
	Object json.RawMessage `json:"object"`
}

// emit records an event, to be sent when the call's effects are committed.
func (c *call) emit(kind string, object any) {
	snapshot, err := json.Marshal(object)
	if err != nil {
		panic("stripesim: an object of its own does not encode: " + err.Error())
	}
	ev := &eventObject{
		ID: newID("evt_3", 23), Object: "event", APIVersion: apiVersion, Created: c.now.Unix(),
		Data: eventData{Object: snapshot}, Request: c.origin, Type: kind,
	}
	if c.webhooks.wants(kind) {
		ev.PendingWebhooks = 1
		c.toSend = append(c.toSend, ev)
	}
	if c.opts.OnEvent != nil {
		c.emitted = append(c.emitted, ev.encoded())
	}
	c.saveEvent(ev)
}

func (ev *eventObject) encoded() []byte {
	body, err := json.Marshal(ev)
	if err != nil {
		panic("stripesim: an event of its own does not encode: " + err.Error())
	}
	return body
}

func (c *call) listEvents() (any, *refusal) {
	kinds := c.params["types[]"]
	if c.params.has("type") {
		kinds = append(kinds, c.params.get("type"))
	}
	page, r := c.readPage()
	if r != nil {
		return nil, r
	}
	picked, more, r := page.pick(c.eventOrder, "event", func(id string) bool {
		ev := c.events[id]
		return page.created.contains(ev.Created) && (len(kinds) == 0 || slices.Contains(kinds, ev.Type))
	})
	if r != nil {
		return nil, r
	}
	data := make([]*eventObject, 0, len(picked))
	for _, id := range picked {
		data = append(data, c.events[id])
	}
	return list[*eventObject]{Object: "list", Data: data, HasMore: more, URL: "/v1/events"}, nil
}

func (c *call) getEvent() (any, *refusal) {
	ev, found := c.events[c.id]
	if !found {
		return nil, missing(http.StatusNotFound, "event", c.id, "id")
	}
	return ev, nil
}
