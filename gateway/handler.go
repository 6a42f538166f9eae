package gateway

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/paystage/paystage/models"
)

// maxBodyBytes bounds the body of a request: 64 KiB.
const maxBodyBytes = 64 << 10

// Held is the answer to a push: the version that the gateway now holds, and
// will hold after a restart.
type Held struct {
	AccountID string `json:"account_id"`
	Version   int64  `json:"version"`
}

// handler serves the routes by which Paystage reaches a gateway.
type handler struct {
	store *Store
	keys  Keyring
	now   func() time.Time
	log   *slog.Logger
}

// NewHandler serves PUT and GET /entitlements/{account}, both signed by one of
// the keys, and GET /healthz, which is 503 once the store has failed.
func NewHandler(store *Store, keys Keyring, now func() time.Time, log *slog.Logger) http.Handler {
	h := &handler{store: store, keys: keys, now: now, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /entitlements/{account}", h.signed(h.put))
	mux.HandleFunc("GET /entitlements/{account}", h.signed(h.get))
	mux.HandleFunc("GET /healthz", h.healthz)
	mux.HandleFunc("/entitlements/{account}", notAllowed("GET, HEAD, PUT"))
	mux.HandleFunc("/healthz", notAllowed("GET, HEAD"))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, http.StatusNotFound, CodeNotFound, "There is nothing at this path.")
	})
	return mux
}

// signed reads the bounded body of a request and lets it through if it is
// signed. The sender is not told what is wrong with a signature; the log is.
func (h *handler) signed(next func(http.ResponseWriter, *http.Request, []byte)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			writeProblem(w, http.StatusRequestEntityTooLarge, CodeBodyTooLarge, "The body may have at most 64 KiB.")
			return
		}
		if err != nil {
			writeProblem(w, http.StatusBadRequest, CodeBodyUnreadable, "The body could not be read to its end.")
			return
		}
		if err := h.keys.Verify(r, body, h.now()); err != nil {
			h.log.Warn("refused a request", "method", r.Method, "error", err)
			writeProblem(w, http.StatusUnauthorized, CodeBadSignature,
				"The request is not signed with a key that this gateway knows, or its clock is more than five minutes off.")
			return
		}
		next(w, r, body)
	}
}

func (h *handler) put(w http.ResponseWriter, r *http.Request, body []byte) {
	var e models.Entitlement
	if err := json.Unmarshal(body, &e); err != nil {
		writeProblem(w, http.StatusBadRequest, CodeInvalidEntitlement, "The body is not the JSON of an entitlement.")
		return
	}
	if err := checkEntitlement(e); err != nil {
		writeProblem(w, http.StatusBadRequest, CodeInvalidEntitlement, "Not an entitlement: "+err.Error()+".")
		return
	}
	if e.AccountID != r.PathValue("account") {
		writeProblem(w, http.StatusBadRequest, CodeInvalidEntitlement, "account_id is not the account in the path.")
		return
	}
	version, err := h.store.Put(e)
	if err != nil {
		h.log.Error("entitlement not kept", "account", e.AccountID, "version", e.Version, "error", err)
		writeProblem(w, http.StatusServiceUnavailable, CodeStoreFailed,
			"The entitlement could not be kept on disk. Send it again; the gateway may need a restart.")
		return
	}
	writeJSON(w, http.StatusOK, Held{AccountID: e.AccountID, Version: version})
}

func (h *handler) get(w http.ResponseWriter, r *http.Request, _ []byte) {
	e, found := h.store.Get(r.PathValue("account"))
	if !found {
		writeProblem(w, http.StatusNotFound, CodeNotFound, "No entitlement of this account has arrived yet.")
		return
	}
	writeJSON(w, http.StatusOK, e)
}

func (h *handler) healthz(w http.ResponseWriter, _ *http.Request) {
	if h.store.Err() != nil {
		writeProblem(w, http.StatusServiceUnavailable, CodeStoreFailed, "Entitlements cannot be kept on disk.")
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func notAllowed(methods string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", methods)
		writeProblem(w, http.StatusMethodNotAllowed, CodeMethodNotAllowed, "This path takes "+methods+".")
	}
}
