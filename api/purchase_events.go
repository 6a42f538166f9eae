package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/models"
)

const (
	// keepAlive is how often a silent stream sends a comment, so that proxies
	// keep it open and a client that left is noticed.
	keepAlive = 15 * time.Second
	// maxStream bounds a stream; a client that reconnects goes on.
	maxStream = time.Hour
	// writeTimeout bounds one write to a client that does not read.
	writeTimeout = 10 * time.Second
)

// followPurchase streams a purchase until it has ended.
func (s *Server) followPurchase(ctx context.Context, in *purchaseInput) (*huma.StreamResponse, error) {
	purchase, err := s.purchase(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "text/event-stream")
		hc.SetHeader("Cache-Control", "no-store")
		w, ok := hc.BodyWriter().(http.ResponseWriter)
		if !ok {
			return
		}
		ctx, cancel := context.WithTimeout(hc.Context(), maxStream)
		defer cancel()
		stream := &purchaseStream{server: s, w: w, control: http.NewResponseController(w)}
		stream.follow(ctx, purchase)
	}}, nil
}

// purchaseStream is one client that follows one purchase.
type purchaseStream struct {
	server  *Server
	w       http.ResponseWriter
	control *http.ResponseController
	sent    Purchase
}

// follow sends the purchase whenever what callers see of it changes: its row, or
// its becoming slow or overdue as time goes by. It ends with the purchase, when the
// client does not take what is sent, or when the watch takes nobody any more.
func (st *purchaseStream) follow(ctx context.Context, p models.Purchase) {
	for {
		if err := st.send(ctx, p); err != nil || p.Ended() {
			return
		}
		now := st.server.Now()
		pause := keepAlive
		if at, ok := nextFlag(p, now); ok {
			pause = min(pause, at.Sub(now))
		}
		waiting, cancel := context.WithTimeout(ctx, pause)
		changed := st.server.watch.next(waiting, p.ID, p.Revision)
		turnedAway := !changed && waiting.Err() == nil
		cancel()
		if ctx.Err() != nil || turnedAway {
			return
		}
		newest, err := st.server.Store.Purchase(ctx, p.ID)
		if err != nil {
			st.server.Log.Warn("stream ended", "purchase", p.ID, "error", err)
			return
		}
		p = newest
	}
}

// send writes an event, or a comment when nothing changed for the client.
func (st *purchaseStream) send(ctx context.Context, p models.Purchase) error {
	view, err := st.server.view(ctx, p)
	if err != nil {
		return err
	}
	text := ": still here\n\n"
	if !reflect.DeepEqual(view, st.sent) {
		data, err := json.Marshal(view)
		if err != nil {
			return fmt.Errorf("encode purchase: %w", err)
		}
		text = fmt.Sprintf("id: %d\ndata: %s\n\n", p.Revision, data)
		st.sent = view
	}
	if err := st.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("bound write: %w", err)
	}
	if _, err := fmt.Fprint(st.w, text); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	return st.control.Flush()
}
