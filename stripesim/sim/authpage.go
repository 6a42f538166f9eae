package sim

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"
)

// bankPage is what the bank shows its customer. Showing it changes nothing, since
// mail scanners open links too.
var bankPage = template.Must(template.New("bank").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 26rem; padding: 0 1rem; color: #1a1f36; }
.amount { font-size: 2rem; font-weight: 600; margin: .5rem 0; }
button { font: inherit; padding: .6rem 1.2rem; border: 1px solid #1a1f36; border-radius: .4rem; background: #fff; cursor: pointer; }
button[value=approve] { background: #1a1f36; color: #fff; }
.note { color: #697386; font-size: .9rem; }
</style>
</head>
<body>
<h1>{{.Title}}</h1>
{{if .Amount}}
<p>{{.Merchant}} asks for</p>
<p class="amount">{{.Amount}}</p>
<p>from your card ending in {{.Last4}}.</p>
<form method="post">
<button name="decision" value="approve">Approve</button>
<button name="decision" value="refuse">Refuse</button>
</form>
<p class="note">This is a test bank. No money moves.</p>
{{else}}
<p>{{.Message}}</p>
{{end}}
</body>
</html>
`))

type bankView struct {
	Title, Merchant, Amount, Last4, Message string
}

func showBankPage(w http.ResponseWriter, status int, view bankView) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	bankPage.Execute(w, view) // a reader who is gone needs no page
}

func dollars(cents int64) string { return fmt.Sprintf("$%d.%02d", cents/100, cents%100) }

var overView = bankView{
	Title:   "Nothing to approve",
	Message: "This request was answered already, was replaced by a newer one, or never existed. You can close this page.",
}

// question is what the bank asks on one of its pages.
type question struct {
	view     bankView
	returnTo string // the merchant's address, empty where there is none
	decide   func(c *call, approved bool)
	answered func() url.Values // what the merchant is told on the way back
}

// openQuestion gives the question of a page that still waits. Server.mu is held.
func (s *Server) openQuestion(page string) (question, bool) {
	id := s.authentications[page]
	if pi, found := s.intents.byID[id]; found {
		return question{
			view: bankView{Title: "Approve this payment?", Merchant: s.opts.Merchant, Amount: dollars(pi.Object.Amount), Last4: s.last4(pi.Object.PaymentMethod)},
			decide: func(c *call, approved bool) {
				c.authenticate(pi, approved)
			},
			returnTo: pi.Object.NextAction.returnTo(),
			answered: func() url.Values {
				return result("payment_intent", pi.Object.ID, pi.Object.ClientSecret, pi.Object.Status)
			},
		}, true
	}
	if si, found := s.setups.byID[id]; found {
		return question{
			view: bankView{Title: "Save this card?", Merchant: s.opts.Merchant, Amount: dollars(0), Last4: s.last4(si.Object.PaymentMethod)},
			decide: func(c *call, approved bool) {
				c.authenticateSetup(si, approved)
			},
			returnTo: si.Object.NextAction.returnTo(),
			answered: func() url.Values {
				return result("setup_intent", si.Object.ID, si.Object.ClientSecret, si.Object.Status)
			},
		}, true
	}
	return question{}, false
}

func (s *Server) last4(m ref) string { return s.methods.byID[m.id].Object.Card.Last4 }

func (n *nextAction) returnTo() string {
	if n == nil || n.RedirectToURL == nil {
		return ""
	}
	return n.RedirectToURL.ReturnURL
}

func (s *Server) showAuthentication(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	asked, open := s.openQuestion(r.PathValue("page"))
	s.mu.Unlock()
	if !open {
		showBankPage(w, http.StatusNotFound, overView)
		return
	}
	showBankPage(w, http.StatusOK, asked.view)
}

// takeAuthentication takes the decision and sends the customer back to the merchant.
func (s *Server) takeAuthentication(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
	decision := r.PostFormValue("decision")
	if decision != "approve" && decision != "refuse" {
		showBankPage(w, http.StatusBadRequest, bankView{Title: "No decision", Message: "Go back and press one of the two buttons."})
		return
	}
	var open bool
	var back string
	s.transact(&call{}, func(c *call) {
		var asked question
		if asked, open = c.openQuestion(r.PathValue("page")); !open {
			return
		}
		asked.decide(c, decision == "approve")
		back = withResult(asked.returnTo, asked.answered())
	})
	switch {
	case !open:
		showBankPage(w, http.StatusNotFound, overView)
	case back == "":
		showBankPage(w, http.StatusOK, bankView{Title: "Thank you", Message: "You can close this page."})
	default:
		http.Redirect(w, r, back, http.StatusSeeOther)
	}
}

// result is what Stripe adds to the merchant's address.
func result(kind, id, secret, status string) url.Values {
	outcome := "failed"
	if status == statusSucceeded {
		outcome = "succeeded"
	}
	return url.Values{kind: {id}, kind + "_client_secret": {secret}, "redirect_status": {outcome}}
}

func withResult(returnURL string, result url.Values) string {
	to, err := url.Parse(returnURL)
	if returnURL == "" || err != nil {
		return ""
	}
	query := to.Query()
	for name, values := range result {
		query[name] = values
	}
	to.RawQuery = query.Encode()
	return to.String()
}
