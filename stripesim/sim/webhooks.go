package sim

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	webhookWorkers    = 16
	longestBackoff    = time.Minute
	longestRetrying   = 3 * 24 * time.Hour
	maxCopies         = 1000
	maxWebhookAnswers = 64 << 10
	shuffleWithin     = 100 * time.Millisecond
)

// WebhookBehaviour bends the delivery of the events that follow.
type WebhookBehaviour struct {
	// DropNext is how many events are never sent.
	DropNext int
	// Copies is how often each event is sent; zero is once.
	Copies int
	// Hold keeps events back until ReleaseWebhooks.
	Hold bool
	// Delay passes, on the machine's clock, before an event is first sent.
	Delay time.Duration
	// Unordered sends each event after a pause of its own, up to Delay or else
	// shuffleWithin, so that they arrive in any order.
	Unordered bool
}

// delivery is one event on its way.
type delivery struct {
	eventID  string
	lane     int       // of the queue that keeps the order of what belongs together
	created  time.Time // of the event, on the double's clock
	body     []byte
	attempts int
}

// webhooks sends events in the background. Its own mutex may be taken while
// Server.mu is held, never the other way round.
type webhooks struct {
	server *Server
	client *http.Client
	ctx    context.Context // ends with the double
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu          sync.Mutex
	url         string
	behaviour   WebhookBehaviour
	lanes       [webhookWorkers]lane
	held        []delivery
	retries     map[*retry]bool
	outstanding int // queued, under way, or waiting to be tried again
	onIdle      []chan struct{}
}

// lane is a queue with one worker: what happened to one payment is first sent in
// the order in which it happened, while another payment need not wait for it.
type lane struct {
	queue  []delivery
	queued *sync.Cond
}

// retry is a delivery that waits to be tried again: on the machine's clock by its
// alarm, and on the double's clock until Advance moves past it.
type retry struct {
	delivery
	at    time.Time // on the double's clock
	alarm *time.Timer
}

func newWebhooks(s *Server) *webhooks {
	ctx, cancel := context.WithCancel(context.Background())
	w := &webhooks{
		server: s, url: s.opts.WebhookURL, ctx: ctx, cancel: cancel, retries: map[*retry]bool{},
		client: &http.Client{
			Timeout:       s.opts.WebhookTimeout,
			Transport:     &http.Transport{MaxIdleConnsPerHost: webhookWorkers, IdleConnTimeout: 30 * time.Second},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for i := range w.lanes {
		w.lanes[i].queued = sync.NewCond(&w.mu)
		w.work.Go(func() { w.sendQueued(&w.lanes[i]) })
	}
	return w
}

func (w *webhooks) close() {
	w.cancel()
	w.mu.Lock()
	for i := range w.lanes {
		w.lanes[i].queued.Broadcast()
	}
	for waiting := range w.retries {
		waiting.alarm.Stop()
	}
	w.mu.Unlock()
	w.work.Wait()
	w.client.CloseIdleConnections()
}

// wants tells whether the next event is to be sent, and counts the dropped.
func (w *webhooks) wants(kind string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if enabled := w.server.opts.WebhookEvents; w.url == "" || len(enabled) > 0 && !slices.Contains(enabled, kind) {
		return false
	}
	if w.behaviour.DropNext > 0 {
		w.behaviour.DropNext--
		return false
	}
	return true
}

// send queues or holds the events as the behaviour has it.
func (w *webhooks) send(events []*eventObject) {
	if len(events) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ev := range events {
		d := newDelivery(ev)
		for range max(w.behaviour.Copies, 1) {
			switch {
			case w.behaviour.Hold:
				w.held = append(w.held, d)
			case w.behaviour.Unordered:
				w.outstanding++
				w.sendLater(d, rand.N(cmp.Or(w.behaviour.Delay, shuffleWithin)))
			case w.behaviour.Delay > 0:
				w.outstanding++
				w.sendLater(d, w.behaviour.Delay)
			default:
				w.outstanding++
				w.enqueue(d)
			}
		}
	}
}

func newDelivery(ev *eventObject) delivery {
	return delivery{eventID: ev.ID, lane: ev.lane(), created: time.Unix(ev.Created, 0), body: ev.encoded()}
}

// enqueue hands a delivery to its lane. The mutex is held.
func (w *webhooks) enqueue(d delivery) {
	lane := &w.lanes[d.lane]
	lane.queue = append(lane.queue, d)
	lane.queued.Signal()
}

func (w *webhooks) sendLater(d delivery, pause time.Duration) {
	time.AfterFunc(pause, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.enqueue(d)
	})
}

// tryAgain sends a delivery once more after a pause.
func (w *webhooks) tryAgain(d delivery, pause time.Duration) {
	waiting := &retry{delivery: d, at: w.server.Now().Add(pause)}
	w.mu.Lock()
	defer w.mu.Unlock()
	waiting.alarm = time.AfterFunc(pause, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.release(waiting)
	})
	w.retries[waiting] = true
}

// release hands a waiting delivery over, once. The mutex is held.
func (w *webhooks) release(waiting *retry) {
	if !w.retries[waiting] {
		return
	}
	delete(w.retries, waiting)
	waiting.alarm.Stop()
	w.enqueue(waiting.delivery)
}

// retryDue tries what is due by now, the longest due first.
func (w *webhooks) retryDue(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var due []*retry
	for waiting := range w.retries {
		if !waiting.at.After(now) {
			due = append(due, waiting)
		}
	}
	slices.SortFunc(due, func(a, b *retry) int { return a.at.Compare(b.at) })
	for _, waiting := range due {
		w.release(waiting)
	}
}

func (w *webhooks) sendQueued(from *lane) {
	for {
		w.mu.Lock()
		for len(from.queue) == 0 && w.ctx.Err() == nil {
			from.queued.Wait()
		}
		if w.ctx.Err() != nil {
			w.mu.Unlock()
			return
		}
		d := from.queue[0]
		from.queue = from.queue[1:]
		w.mu.Unlock()
		w.deliver(d)
	}
}

// deliver makes one attempt and decides what comes of it.
func (w *webhooks) deliver(d delivery) {
	err := w.attempt(d)
	if w.ctx.Err() != nil {
		return // still undelivered; the journal knows
	}
	d.attempts++
	log := w.server.opts.Log.With("event", d.eventID, "attempt", d.attempts)
	switch {
	case err == nil:
	case d.attempts >= w.server.opts.WebhookAttempts || w.server.Now().Sub(d.created) > longestRetrying:
		log.Error("stripesim: webhook given up", "error", err)
	default:
		if d.attempts == 1 {
			log.Warn("stripesim: webhook not taken, will be sent again", "error", err)
		}
		w.tryAgain(d, w.backoff(d.attempts))
		return
	}
	w.server.eventSent(d.eventID)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outstanding--
	if w.outstanding == 0 {
		for _, idle := range w.onIdle {
			close(idle)
		}
		w.onIdle = nil
	}
}

func (w *webhooks) backoff(attempts int) time.Duration {
	pause := w.server.opts.WebhookBackoff
	for range attempts - 1 {
		if pause *= 2; pause >= longestBackoff {
			return longestBackoff
		}
	}
	return pause
}

func (w *webhooks) attempt(d delivery) error {
	w.mu.Lock()
	url := w.url
	w.mu.Unlock()
	req, err := http.NewRequestWithContext(w.ctx, http.MethodPost, url, bytes.NewReader(d.body))
	if err != nil {
		return fmt.Errorf("make webhook request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Stripe/1.0 (stripesim)")
	req.Header.Set("Stripe-Signature", sign(w.server.opts.Now(), d.body, w.server.opts.WebhookSecret))
	resp, err := w.client.Do(req)
	if err != nil {
		return fmt.Errorf("send webhook: %w", err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, maxWebhookAnswers)) // so that the connection can be used again
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("send webhook: answered %s", resp.Status)
	}
	return nil
}

// sign gives the Stripe-Signature header of a body.
func sign(at time.Time, body []byte, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

// eventSent records that an event needs no more delivery.
func (s *Server) eventSent(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.markSent(id)
	s.commit(&batch{Sent: []string{id}})
}

// SetWebhookURL names the endpoint for the events that follow and for those that
// still wait; empty sends no more.
func (s *Server) SetWebhookURL(url string) error {
	if err := checkBaseURL("webhook url", url); err != nil {
		return fmt.Errorf("stripesim: %w", err)
	}
	if url != "" && s.opts.WebhookSecret == "" {
		return fmt.Errorf("stripesim: a webhook url needs a webhook secret")
	}
	s.webhooks.mu.Lock()
	defer s.webhooks.mu.Unlock()
	s.webhooks.url = url
	return nil
}

// SetWebhooks bends the delivery of the events that follow. Events already held
// stay so until ReleaseWebhooks.
func (s *Server) SetWebhooks(b WebhookBehaviour) error {
	if b.DropNext < 0 || b.Copies < 0 || b.Copies > maxCopies || b.Delay < 0 {
		return fmt.Errorf("stripesim: counts and delay of webhooks must not be negative, copies at most %d", maxCopies)
	}
	s.webhooks.mu.Lock()
	defer s.webhooks.mu.Unlock()
	s.webhooks.behaviour = b
	return nil
}

// Webhooks gives the behaviour, with the drops that are left, and how many
// deliveries are held.
func (s *Server) Webhooks() (b WebhookBehaviour, held int) {
	s.webhooks.mu.Lock()
	defer s.webhooks.mu.Unlock()
	return s.webhooks.behaviour, len(s.webhooks.held)
}

// ReleaseWebhooks stops holding and sends what was held, newest first, each after
// the answer to the one before. What is not taken is sent again later. It gives
// how many there were.
func (s *Server) ReleaseWebhooks() int {
	w := s.webhooks
	w.mu.Lock()
	released := w.held
	w.held, w.behaviour.Hold = nil, false
	w.outstanding += len(released)
	w.mu.Unlock()
	for _, d := range slices.Backward(released) {
		w.deliver(d)
	}
	return len(released)
}

// ResendEvent sends an event again, times over, at once.
func (s *Server) ResendEvent(id string, times int) error {
	if times < 1 || times > maxCopies {
		return fmt.Errorf("stripesim: an event can be sent again 1 to %d times", maxCopies)
	}
	s.mu.Lock()
	ev, found := s.events[id]
	if !found {
		s.mu.Unlock()
		return fmt.Errorf("stripesim: no such event: %q", id)
	}
	d := newDelivery(ev)
	s.mu.Unlock()
	s.webhooks.mu.Lock()
	defer s.webhooks.mu.Unlock()
	if s.webhooks.url == "" {
		return fmt.Errorf("stripesim: there is no webhook url to send to")
	}
	for range times {
		s.webhooks.outstanding++
		s.webhooks.enqueue(d)
	}
	return nil
}

// WaitWebhooks waits until no delivery is queued, under way or to be tried again;
// held ones do not count.
func (s *Server) WaitWebhooks(ctx context.Context) error {
	w := s.webhooks
	w.mu.Lock()
	if w.outstanding == 0 {
		w.mu.Unlock()
		return nil
	}
	idle := make(chan struct{})
	w.onIdle = append(w.onIdle, idle)
	w.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stripesim: webhooks are still on their way: %w", ctx.Err())
	case <-w.ctx.Done():
		return fmt.Errorf("stripesim: closed while webhooks were on their way")
	}
}
