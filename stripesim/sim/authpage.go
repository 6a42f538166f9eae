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

func (s *Server) showAuthentication(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	pi, open := s.intents[s.authentications[r.PathValue("page")]]
	view := overView
	if open {
		view = bankView{
			Title: "Approve this payment?", Merchant: s.opts.Merchant, Amount: dollars(pi.Object.Amount),
			Last4: s.methods[pi.Object.PaymentMethod.id].Object.Card.Last4,
		}
	}
	s.mu.Unlock()
	if !open {
		showBankPage(w, http.StatusNotFound, view)
		return
	}
	showBankPage(w, http.StatusOK, view)
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
	var returnTo string
	s.transact(&call{}, func(c *call) {
		var pi *intent
		if pi, open = c.intents[c.authentications[r.PathValue("page")]]; !open {
			return
		}
		if to := pi.Object.NextAction.RedirectToURL; to != nil {
			returnTo = to.ReturnURL
		}
		c.authenticate(pi, decision == "approve")
		returnTo = returnAddress(returnTo, pi)
	})
	switch {
	case !open:
		showBankPage(w, http.StatusNotFound, overView)
	case returnTo == "":
		showBankPage(w, http.StatusOK, bankView{Title: "Thank you", Message: "You can close this page."})
	default:
		http.Redirect(w, r, returnTo, http.StatusSeeOther)
	}
}

// returnAddress adds to the return_url what Stripe adds to it.
func returnAddress(returnURL string, pi *intent) string {
	if returnURL == "" {
		return ""
	}
	to, err := url.Parse(returnURL)
	if err != nil {
		return ""
	}
	result := "failed"
	if pi.Object.Status == statusSucceeded {
		result = "succeeded"
	}
	query := to.Query()
	query.Set("payment_intent", pi.Object.ID)
	query.Set("payment_intent_client_secret", pi.Object.ClientSecret)
	query.Set("redirect_status", result)
	to.RawQuery = query.Encode()
	return to.String()
}
