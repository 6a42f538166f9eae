package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/paystage/paystage/models"
)

const (
	// maxBodyBytes bounds the body of a request about one account: 64 KiB.
	maxBodyBytes = 64 << 10
	// maxPageBytes bounds the body of a page: 8 MiB.
	maxPageBytes = 8 << 20
	// MaxPage is how many entitlements a page may hold.
	MaxPage = 1000
)

// Held is the answer to a push: the version that the gateway now holds, and
// will hold after a restart.
type Held struct {
	AccountID string `json:"account_id"`
	Version   int64  `json:"version"`
}

// Page is the body of a push of many.
type Page struct {
	Entitlements []models.Entitlement `json:"entitlements"`
}

// HeldPage is the answer to a push of many, in the order of the page.
type HeldPage struct {
	Held []Held `json:"held"`
}

// Completed is the body that ends a full sync.
type Completed struct {
	// Store is the name that the gateway gave when the sync began.
	Store string `json:"store"`
}

// handler serves the routes by which Paystage reaches a gateway.
type handler struct {
	store *Store
	keys  Keyring
	now   func() time.Time
	log   *slog.Logger
}

// NewHandler serves the routes of docs/gateway-protocol.md: PUT and GET
// /entitlements/{account}, PUT /entitlements for many, GET and PUT /sync, all
// signed by one of the keys; and unsigned GET /healthz, which is 503 once the store
// has failed, and GET /readyz, which is 503 until the store was filled once.
func NewHandler(store *Store, keys Keyring, now func() time.Time, log *slog.Logger) http.Handler {
	h := &handler{store: store, keys: keys, now: now, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /entitlements/{account}", h.signed(maxBodyBytes, h.put))
	mux.HandleFunc("GET /entitlements/{account}", h.signed(maxBodyBytes, h.get))
	mux.HandleFunc("PUT /entitlements", h.signed(maxPageBytes, h.putPage))
	mux.HandleFunc("GET /sync", h.signed(maxBodyBytes, h.syncStatus))
	mux.HandleFunc("PUT /sync", h.signed(maxBodyBytes, h.completeSync))
	mux.HandleFunc("GET /healthz", h.healthz)
	mux.HandleFunc("GET /readyz", h.readyz)
	mux.HandleFunc("/entitlements/{account}", notAllowed("GET, HEAD, PUT"))
	mux.HandleFunc("/entitlements", notAllowed("PUT"))
	mux.HandleFunc("/sync", notAllowed("GET, HEAD, PUT"))
	mux.HandleFunc("/healthz", notAllowed("GET, HEAD"))
	mux.HandleFunc("/readyz", notAllowed("GET, HEAD"))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, http.StatusNotFound, CodeNotFound, "There is nothing at this path.")
	})
	return mux
}

// signed reads the bounded body of a request and lets it through if it is
// signed. The sender is not told what is wrong with a signature; the log is.
func (h *handler) signed(maxBytes int64, next func(http.ResponseWriter, *http.Request, []byte)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBytes))
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			writeProblem(w, http.StatusRequestEntityTooLarge, CodeBodyTooLarge, fmt.Sprintf("The body may have at most %d KiB.", maxBytes>>10))
			return
		}
		if err != nil {
			writeProblem(w, http.StatusBadRequest, CodeBodyUnreadable, "The body could not be read to its end.")
			return
		}
		now := h.now()
		if err := h.keys.Verify(r, body, now); err != nil {
			h.log.Warn("refused a request", "method", r.Method, "error", err)
			writeProblem(w, http.StatusUnauthorized, CodeBadSignature,
				"The request is not signed with a key that this gateway knows, or its clock is more than five minutes off.")
			return
		}
		if err := h.store.Heard(now); err != nil {
			h.log.Error("a restart may ask for a full sync that is not needed", "error", err)
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

// putPage takes a page whole or, if one of its entitlements is none, not at all.
func (h *handler) putPage(w http.ResponseWriter, _ *http.Request, body []byte) {
	var page Page
	if err := json.Unmarshal(body, &page); err != nil {
		writeProblem(w, http.StatusBadRequest, CodeInvalidEntitlement, "The body is not the JSON of a page of entitlements.")
		return
	}
	if len(page.Entitlements) > MaxPage {
		writeProblem(w, http.StatusBadRequest, CodeInvalidEntitlement, fmt.Sprintf("A page holds at most %d entitlements.", MaxPage))
		return
	}
	for i, e := range page.Entitlements {
		if err := checkEntitlement(e); err != nil {
			writeProblem(w, http.StatusBadRequest, CodeInvalidEntitlement, fmt.Sprintf("Not an entitlement, at place %d: %v.", i, err))
			return
		}
	}
	versions, err := h.store.PutAll(page.Entitlements)
	if err != nil {
		h.log.Error("a page of entitlements was not kept", "entitlements", len(page.Entitlements), "error", err)
		writeProblem(w, http.StatusServiceUnavailable, CodeStoreFailed,
			"The entitlements could not be kept on disk. Send them again; the gateway may need a restart.")
		return
	}
	answer := HeldPage{Held: make([]Held, len(versions))}
	for i, version := range versions {
		answer.Held[i] = Held{AccountID: page.Entitlements[i].AccountID, Version: version}
	}
	writeJSON(w, http.StatusOK, answer)
}

func (h *handler) syncStatus(w http.ResponseWriter, _ *http.Request, _ []byte) {
	writeJSON(w, http.StatusOK, h.store.Sync())
}

func (h *handler) completeSync(w http.ResponseWriter, _ *http.Request, body []byte) {
	var done Completed
	if err := json.Unmarshal(body, &done); err != nil {
		writeProblem(w, http.StatusBadRequest, CodeBodyInvalid, "The body is not a JSON object with the field store.")
		return
	}
	err := h.store.CompleteSync(done.Store, h.now())
	switch {
	case errors.Is(err, ErrAnotherStore):
		writeProblem(w, http.StatusConflict, CodeAnotherStore, "The full sync was of another store. Ask with GET /sync and begin again.")
	case err != nil:
		h.log.Error("the end of a full sync was not kept", "error", err)
		writeProblem(w, http.StatusServiceUnavailable, CodeStoreFailed, "The end of the full sync could not be kept on disk. Send it again.")
	default:
		h.log.Info("filled by a full sync", "accounts", h.store.Len())
		writeJSON(w, http.StatusOK, h.store.Sync())
	}
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

func (h *handler) readyz(w http.ResponseWriter, r *http.Request) {
	if !h.store.Filled() {
		writeProblem(w, http.StatusServiceUnavailable, CodeNotFilled, "The gateway is new and has not been filled with entitlements yet.")
		return
	}
	h.healthz(w, r)
}

func notAllowed(methods string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", methods)
		writeProblem(w, http.StatusMethodNotAllowed, CodeMethodNotAllowed, "This path takes "+methods+".")
	}
}
