package sim

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The page for people: what the double holds, and what a bank or its customer
// could decide now. It is rendered here and needs no script.

//go:embed console.html
var consoleText string

var consolePage = template.Must(template.New("console").Parse(consoleText))

const (
	// consoleRows bounds each list.
	consoleRows = 50
	// consoleMaxHours bounds one step of the clock: ten years.
	consoleMaxHours = 87_600
)

type consoleView struct {
	Title, Version, Now, Told, JSON string
	Lists                           []consoleList
}

type consoleList struct {
	Name, Caption string
	Columns       []string
	Rows          []consoleRow
	Decides       bool // some row has a button
}

type consoleRow struct {
	ID      string
	Cells   []string
	Actions []consoleAction
}

type consoleAction struct{ Do, Label string }

// consoleActions are what the buttons do, by the name in their address, and how it
// is told afterwards.
var consoleActions = map[string]struct {
	do   func(s *Server, id string) error
	told string
}{
	"approve": {(*Server).Approve, "approved"},
	"refuse":  {(*Server).Refuse, "refused"},
	"settle":  {(*Server).Settle, "settled"},
	"fail":    {func(s *Server, id string) error { return s.Fail(id, "") }, "declined"},
	"dispute": {func(s *Server, id string) error { _, err := s.Dispute(id, "", false); return err }, "disputed"},
	"inquire": {func(s *Server, id string) error { _, err := s.Dispute(id, "", true); return err }, "inquired about"},
	"win":     {func(s *Server, id string) error { return s.CloseDispute(id, true) }, "decided for the merchant"},
	"lose":    {func(s *Server, id string) error { return s.CloseDispute(id, false) }, "decided for the customer"},
	"bounce":  {(*Server).FailRefund, "returned by the bank"},
	"revoke":  {(*Server).RevokeMandate, "canceled by the customer"},
	"resend":  {func(s *Server, id string) error { return s.ResendEvent(id, 1) }, "sent again"},
}

func (s *Server) routeConsole(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", s.showConsole)
	mux.HandleFunc("GET /objects/{id}", s.showObject)
	// A page of somebody else's, open in the same browser, decides nothing here.
	own := http.NewCrossOriginProtection()
	mux.Handle("POST /ui/{do}/{id}", own.Handler(http.HandlerFunc(s.consoleDecide)))
	mux.Handle("POST /ui/advance", own.Handler(http.HandlerFunc(s.consoleAdvance)))
}

func showConsolePage(w http.ResponseWriter, status int, view consoleView) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
	w.WriteHeader(status)
	consolePage.Execute(w, view) // a reader who is gone needs no page
}

func (s *Server) showConsole(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	view := consoleView{Title: "stripesim", Version: apiVersion, Now: s.now().UTC().Format(time.RFC3339), Told: r.URL.Query().Get("told")}
	view.Lists = []consoleList{
		s.consoleIntents(), s.consoleSetups(), s.consoleRefunds(), s.consoleDisputes(), s.consoleMandates(),
		s.consoleCustomers(), s.consoleMethods(), s.consoleEvents(),
	}
	s.mu.Unlock()
	showConsolePage(w, http.StatusOK, view)
}

// consoleDecide takes a button and leads back to the page.
func (s *Server) consoleDecide(w http.ResponseWriter, r *http.Request) {
	action, known := consoleActions[r.PathValue("do")]
	if !known {
		http.NotFound(w, r)
		return
	}
	id := r.PathValue("id")
	told := id + " was " + action.told + "."
	if err := action.do(s, id); err != nil {
		told = "Nothing was changed: " + err.Error() + "."
	}
	backToConsole(w, r, told)
}

func (s *Server) consoleAdvance(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
	hours, err := strconv.Atoi(r.PostFormValue("hours"))
	if err != nil || hours < 1 || hours > consoleMaxHours {
		backToConsole(w, r, fmt.Sprintf("The clock moves by 1 to %d hours.", consoleMaxHours))
		return
	}
	if err := s.Advance(time.Duration(hours) * time.Hour); err != nil {
		backToConsole(w, r, "Nothing was changed: "+err.Error()+".")
		return
	}
	backToConsole(w, r, fmt.Sprintf("The clock was moved by %d hours.", hours))
}

func backToConsole(w http.ResponseWriter, r *http.Request, told string) {
	http.Redirect(w, r, "/?told="+url.QueryEscape(told), http.StatusSeeOther)
}

// showObject shows an object as the API would answer it.
func (s *Server) showObject(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	id := r.PathValue("id")
	view := consoleView{Title: id, Version: apiVersion, Now: s.now().UTC().Format(time.RFC3339)}
	object, found := s.object(id)
	text, err := json.MarshalIndent(object, "", "  ")
	s.mu.Unlock()
	if !found || err != nil {
		http.NotFound(w, r)
		return
	}
	view.JSON = string(text)
	showConsolePage(w, http.StatusOK, view)
}

// object finds whatever has the id. Server.mu is held.
func (s *store) object(id string) (any, bool) {
	if o, found := s.intents.byID[id]; found {
		return o.Object, true
	}
	if o, found := s.setups.byID[id]; found {
		return o.Object, true
	}
	if o, found := s.refunds.byID[id]; found {
		return o.Object, true
	}
	if o, found := s.disputes.byID[id]; found {
		return o.Object, true
	}
	if o, found := s.mandates.byID[id]; found {
		return o.Object, true
	}
	if o, found := s.methods.byID[id]; found {
		return o.Object, true
	}
	if o, found := s.charges.byID[id]; found {
		return o, true
	}
	if o, found := s.customers.byID[id]; found {
		return o, true
	}
	o, found := s.events[id]
	return o, found
}
