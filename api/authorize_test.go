package api_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stripe/stripe-go/v76"

	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/links"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/stripesim/sim"
)

// askedToApprove makes an automatic charge of $25.00 whose bank wants its customer, and its
// authorization, as the workflows do. It answers the authorization.
func (f *front) askedToApprove() models.Authorization {
	f.t.Helper()
	account := f.customer()
	p := f.buy(account, 2500)
	f.begin(p.ID)
	held, err := f.store.Purchase(f.t.Context(), p.ID)
	done(f.t, err)
	card, err := f.charger.API.PaymentMethods.Attach(asking, &stripe.PaymentMethodAttachParams{Customer: &held.StripeCustomerID})
	done(f.t, err)
	payment, err := f.charger.Charge(f.t.Context(), activities.ChargeInput{
		PurchaseID: p.ID, AccountID: account, Customer: held.StripeCustomerID, PaymentMethod: card.ID,
		AmountCents: 2500, IdempotencyKey: "purchase/" + p.ID + "/1", OffSession: true,
	})
	done(f.t, err)
	if payment.State != activities.PaymentDeclined || payment.Code != activities.CodeAuthentication {
		f.t.Fatalf("the bank says %+v", payment)
	}
	f.bankSays(p.ID, ledger.BankAnswer{State: models.BankRequiresAction, PaymentIntentID: payment.PaymentIntentID})
	id := uuid.NewString()
	now := f.clock.now()
	done(f.t, f.store.OpenAuthorization(f.t.Context(), models.Authorization{
		ID: id, AccountID: account, Purpose: models.AuthorizePurchase, SubjectID: p.ID, Attempt: 1, PaymentIntentID: payment.PaymentIntentID,
		PaymentMethodID: card.ID, AmountCents: 2500, LinkAt: now, CreatedAt: now, ExpiresAt: now.Add(7 * 24 * time.Hour),
	}))
	return f.authorization(id)
}

func (f *front) authorization(id string) models.Authorization {
	f.t.Helper()
	a, err := f.store.Authorization(f.t.Context(), id)
	done(f.t, err)
	return a
}

// link is the path of a link of the authorization, with whatever a test changes of it.
func (f *front) link(a models.Authorization, change ...func(*links.Token)) string {
	f.t.Helper()
	token := links.Token{Purpose: links.Authorize, ID: a.ID, Generation: a.Generation, Expires: a.ExpiresAt}
	for _, c := range change {
		c(&token)
	}
	return "/authorize/" + signedBy(f.t, linkKeys, token)
}

func signedBy(t *testing.T, keys string, token links.Token) string {
	t.Helper()
	ring, err := links.ParseKeys(keys)
	done(t, err)
	text, err := ring.Sign(token)
	done(t, err)
	return text
}

// visit sends a request as a browser does, without following where it leads.
func (f *front) visit(method, path string) answer {
	f.t.Helper()
	follow := http.DefaultClient.CheckRedirect
	http.DefaultClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	defer func() { http.DefaultClient.CheckRedirect = follow }()
	return f.send(method, path, nil)
}

var linkPath = regexp.MustCompile(`/(authorize|pay)/[\w.-]+`)

// shows checks that an answer is a page with that status that says this, and nothing of
// whose it is.
func (a answer) shows(status int, says ...string) {
	a.t.Helper()
	text := string(a.body)
	if a.status != status {
		a.t.Errorf("answered %d, want %d: %s", a.status, status, text)
	}
	for _, word := range says {
		if !strings.Contains(text, word) {
			a.t.Errorf("%q is not in %s", word, text)
		}
	}
	plain := linkPath.ReplaceAllString(text, "") // a token may hold anything by chance
	for _, word := range []string{email, name, street, city, "4242", "3184", "pi_", "pm_", "<script"} {
		if strings.Contains(plain, word) {
			a.t.Errorf("%q is in %s", word, text)
		}
	}
	for header, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex",
	} {
		if got := a.header.Get(header); got != want {
			a.t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	if policy := a.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
		a.t.Errorf("policy %q", policy)
	}
}

// toBank checks that an answer leads to the bank, and gives where.
func (a answer) toBank(f *front) string {
	a.t.Helper()
	to := a.header.Get("Location")
	if a.status != http.StatusSeeOther || !strings.HasPrefix(to, f.stripeBase+"/") {
		a.t.Fatalf("answered %d to %q: %s", a.status, to, a.body)
	}
	if a.header.Get("Referrer-Policy") != "no-referrer" || a.header.Get("Cache-Control") != "no-store" {
		a.t.Errorf("the bank is told the link: %v", a.header)
	}
	return to
}

func (f *front) confirmations() int {
	n := 0
	for _, r := range f.stripe.Requests() {
		if r.Method == "POST" && strings.HasSuffix(r.Path, "/confirm") {
			n++
		}
	}
	return n
}

func (f *front) paymentState(a models.Authorization) activities.Payment {
	f.t.Helper()
	payment, err := f.charger.FindPayment(f.t.Context(), activities.FindInput{PaymentIntentID: a.PaymentIntentID})
	done(f.t, err)
	return payment
}

// R37, F43: the page says what is paid, to whom and how much. Opening it, however often,
// changes nothing, here or at Stripe.
func TestF43OpeningTheLinkIsHarmless(t *testing.T) {
	f := open(t)
	a := f.askedToApprove()
	before, requests := f.snapshot(), len(f.stripe.Requests())
	for range 3 {
		f.visit("GET", f.link(a)).shows(200, "Approve this payment with your bank", "$25.00", "credits", "Acme &amp; Sons",
			"Nothing was charged yet", `<form method="post"><button type="submit">Approve with your bank</button></form>`,
			a.ExpiresAt.Format("2 January 2006"))
		f.visit("HEAD", f.link(a))
	}
	f.unchanged(before)
	if n := len(f.stripe.Requests()); n != requests {
		t.Errorf("Stripe was asked %d times", n-requests)
	}
}

// F43, I2: pressing the button asks the bank once, and pressing it again, by whomever
// and side by side, is the same question. One approval is one capture.
func TestF43ApprovingManyTimesIsOnePayment(t *testing.T) {
	f := open(t)
	a := f.askedToApprove()
	path := f.link(a)
	first := f.visit("POST", path).toBank(f)
	if again := f.visit("POST", path).toBank(f); again != first {
		t.Errorf("the bank asks on %s and on %s", first, again)
	}
	f.visit("GET", path).shows(200, "Your bank is still waiting for you", "Go on to your bank")
	if n := f.confirmations(); n != 1 {
		t.Errorf("confirmed %d times", n)
	}
	if now := f.authorization(a.ID); now.State != models.AuthorizationOpened || now.OpenedAt == nil || now.Confirms != 1 {
		t.Errorf("it is %+v", now)
	}
	done(t, f.stripe.Approve(a.PaymentIntentID))
	f.visit("GET", path+"?redirect_status=succeeded").shows(200, "The payment is approved", "nothing left to do")
	f.visit("POST", path).shows(200, "The payment is approved")
	if total := f.stripe.Total(); total.Captures != 1 || total.CapturedCents != 2500 {
		t.Errorf("captured %+v", total)
	}
}

func TestI2ApprovingSideBySideIsOnePayment(t *testing.T) {
	f := open(t)
	a := f.askedToApprove()
	path := f.url + f.link(a)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var all sync.WaitGroup
	locations := make([]string, 8)
	for i := range locations {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, "POST", path, nil)
			if err != nil {
				return
			}
			if res, err := client.Do(req); err == nil {
				locations[i] = res.Header.Get("Location")
				_ = res.Body.Close()
			}
		})
	}
	all.Wait()
	slices.Sort(locations)
	to := slices.Compact(locations)
	if to[0] == "" { // while the first was under way: "try again"
		to = to[1:]
	}
	if len(to) != 1 {
		t.Errorf("they were sent to %q", to)
	}
	if again := f.visit("POST", f.link(a)).toBank(f); again != to[0] {
		t.Errorf("trying again leads to %s", again)
	}
	done(t, f.stripe.Approve(a.PaymentIntentID))
	if total := f.stripe.Total(); total.PaymentIntents != 1 || total.Captures != 1 {
		t.Errorf("captured %+v", total)
	}
}

// R37, F41: no link that is forged, cut, of another purpose, replaced or late acts, and
// each of its pages says what to do next.
func TestF41DeadLinksDoNothingAndHelp(t *testing.T) {
	f := open(t)
	a, other := f.askedToApprove(), f.askedToApprove()
	good := f.link(a)
	payload, signature, _ := strings.Cut(strings.TrimPrefix(good, "/authorize/"), ".")
	plain, err := base64.RawURLEncoding.DecodeString(payload)
	done(t, err)
	fields := strings.Split(string(plain), ".")
	forged := func(field int, value string) string {
		changed := slices.Clone(fields)
		changed[field] = value
		return "/authorize/" + base64.RawURLEncoding.EncodeToString([]byte(strings.Join(changed, "."))) + "." + signature
	}
	const invalid = "This link does not work"
	for name, c := range map[string]struct {
		path   string
		status int
		says   string
	}{
		"another version":        {forged(0, "2"), 404, invalid},
		"another key's name":     {forged(1, "l1"), 404, invalid},
		"another purpose's name": {forged(2, "pay_invoice"), 404, invalid},
		"another account's":      {forged(3, other.ID), 404, invalid},
		"another generation":     {forged(4, "2"), 404, invalid},
		"a later end":            {forged(5, "4102444800"), 404, invalid},
		"cut":                    {good[:len(good)-1], 404, invalid},
		"cut to the payload":     {"/authorize/" + payload, 404, invalid},
		"signed by a stranger":   {"/authorize/" + signedBy(t, "l2:a-secret-that-is-not-ours", links.Token{Purpose: links.Authorize, ID: a.ID, Generation: 1, Expires: a.ExpiresAt}), 404, invalid},
		"of nothing":             {f.link(a, func(l *links.Token) { l.ID = uuid.NewString() }), 404, invalid},
		"for another purpose":    {f.link(a, func(l *links.Token) { l.Purpose = links.PayInvoice }), 404, "This link is for another page"},
		"of an id that is none":  {f.link(a, func(l *links.Token) { l.ID = "1" }), 404, invalid},
		"replaced":               {f.link(a, func(l *links.Token) { l.Generation = 0 }), 410, "replaced by a newer one"},
		"expired":                {f.link(a, func(l *links.Token) { l.Expires = f.clock.now().Add(-time.Second) }), 410, "This link has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			before, requests := f.snapshot(), len(f.stripe.Requests())
			for _, method := range []string{"GET", "POST"} {
				page := f.visit(method, c.path)
				page.shows(c.status, c.says, "Nothing was charged by opening it", "support")
				if strings.Contains(string(page.body), "$25.00") || strings.Contains(string(page.body), "<button") {
					t.Errorf("%s shows what it is about: %s", method, page.body)
				}
			}
			f.unchanged(before)
			if n := len(f.stripe.Requests()); n != requests {
				t.Errorf("Stripe was asked %d times", n-requests)
			}
		})
	}
}

// F48: while keys are rotated the older key's links are still good.
func TestF48LinkOfTheOlderKeyIsGood(t *testing.T) {
	f := open(t)
	a := f.askedToApprove()
	path := "/authorize/" + signedBy(t, "l1:fedcba98765432103210", links.Token{Purpose: links.Authorize, ID: a.ID, Generation: 1, Expires: a.ExpiresAt})
	f.visit("GET", path).shows(200, "Approve this payment")
	f.visit("POST", path).toBank(f)
}

// R37: a link works once. However it ended, the page says so, and acts no more.
func TestR37UsedLinkChargesNothing(t *testing.T) {
	f := open(t)
	for state, says := range map[models.AuthorizationState]string{
		models.AuthorizationApproved: "The payment is approved", models.AuthorizationRefused: "The payment was not approved",
		models.AuthorizationExpired: "The time to approve is over", models.AuthorizationReplaced: "The payment was called off",
		models.AuthorizationCanceled: "The payment was called off",
	} {
		t.Run(string(state), func(t *testing.T) {
			f.t = t
			a := f.askedToApprove()
			end := ledger.AuthorizationEnd{State: state, At: f.clock.now()}
			switch state {
			case models.AuthorizationApproved:
				end.CapturedCents = 2500
			case models.AuthorizationRefused:
				end.DeclineCode = "lost_card"
			}
			done(t, f.store.EndAuthorization(t.Context(), a.ID, end))
			before, requests := f.snapshot(), len(f.stripe.Requests())
			for _, path := range []string{f.link(a), f.link(a, func(l *links.Token) { l.Expires = f.clock.now().Add(-time.Hour) })} {
				for _, method := range []string{"GET", "POST"} {
					page := f.visit(method, path)
					page.shows(200, says, "$25.00")
					if strings.Contains(string(page.body), "<button") || strings.Contains(string(page.body), "lost") {
						t.Errorf("%s shows %s", method, page.body)
					}
				}
			}
			f.unchanged(before)
			if n := len(f.stripe.Requests()); n != requests {
				t.Errorf("Stripe was asked %d times", n-requests)
			}
		})
	}
}

// R38: at the end of its time nothing is begun any more, even before that is noted.
func TestR38NothingBeginsAtTheEndOfTheTime(t *testing.T) {
	f := open(t)
	a := f.askedToApprove()
	f.clock.advance(7 * 24 * time.Hour)
	f.visit("POST", f.link(a, func(l *links.Token) { l.Expires = a.ExpiresAt.Add(time.Hour) })).shows(200, "Approve this payment")
	f.visit("POST", f.link(a)).shows(410, "This link has expired")
	if n := f.confirmations(); n != 0 || f.authorization(a.ID).OpenedAt != nil {
		t.Errorf("confirmed %d times: %+v", n, f.authorization(a.ID))
	}
}

// The bank says no: the page says what to do, and the button is gone.
func TestCustomerRefusesOnTheBanksPage(t *testing.T) {
	f := open(t)
	a := f.askedToApprove()
	path := f.link(a)
	f.visit("POST", path).toBank(f)
	done(t, f.stripe.Refuse(a.PaymentIntentID))
	for _, method := range []string{"GET", "POST"} {
		f.visit(method, path).shows(200, "The payment was not approved", "Nothing was charged", "use another card")
	}
	if n := f.confirmations(); n != 1 {
		t.Errorf("confirmed %d times", n)
	}
}

// Stripe can't be reached, or its answer is lost: the customer is told to try again,
// which is safe, and does (F5, F6).
func TestApprovingWhileStripeIsAway(t *testing.T) {
	for name, fault := range stripeFaults {
		t.Run(name, func(t *testing.T) {
			f := open(t)
			a := f.askedToApprove()
			path := f.link(a)
			done(t, f.stripe.OrderFault(fault))
			if first := f.visit("POST", path); first.status != http.StatusSeeOther {
				first.shows(503, "can&#39;t be reached just now", "Try again", "one payment")
			}
			f.stripe.ResetFaults()
			f.visit("POST", path).toBank(f)
			done(t, f.stripe.Approve(a.PaymentIntentID))
			if total := f.stripe.Total(); total.PaymentIntents != 1 || total.Captures != 1 {
				t.Errorf("captured %+v", total)
			}
		})
	}
}

// stripeFaults are what may keep Stripe from confirming, or its word from us.
var stripeFaults = map[string]sim.Fault{
	"it answers 500, before":      {Method: "POST", Path: "/v1/payment_intents/*/confirm", Kind: sim.FaultErrorBefore},
	"it answers 500, after":       {Method: "POST", Path: "/v1/payment_intents/*/confirm", Kind: sim.FaultErrorAfter},
	"the answer is lost":          {Method: "POST", Path: "/v1/payment_intents/*/confirm", Kind: sim.FaultCutAfter},
	"the request is lost":         {Method: "POST", Path: "/v1/payment_intents/*/confirm", Kind: sim.FaultCutBefore},
	"too many requests":           {Method: "POST", Path: "/v1/payment_intents/*/confirm", Kind: sim.FaultRateLimit},
	"it can't be read beforehand": {Method: "GET", Path: "/v1/payment_intents/*", Kind: sim.FaultCutBefore},
}

// I9: no link and nothing of whom it is for stands in the log of the front door.
func TestI9LinksAreNotLogged(t *testing.T) {
	f := open(t)
	a := f.askedToApprove()
	path := f.link(a)
	f.visit("GET", path)
	done(t, f.stripe.OrderFault(stripeFaults["the request is lost"]))
	f.visit("POST", path)
	f.visit("GET", path+"x")
	f.store.Close()
	f.visit("GET", path).shows(503, "Nothing was charged")
	log := f.log.String()
	if !strings.Contains(log, "GET /authorize/{token}") || !strings.Contains(log, "level=ERROR") {
		t.Fatalf("the log is not what this test is about: %s", log)
	}
	token := strings.TrimPrefix(path, "/authorize/")
	for _, secret := range []string{token[:40], token[len(token)-40:], "_secret_", "/authenticate/", email, "Ada"} {
		if strings.Contains(log, secret) {
			t.Errorf("%q stands in the log: %s", secret, log)
		}
	}
}

// Support lists, sends a new link, which ends the one before, and calls off, each with
// its reason in the audit log.
func TestSupportLooksAfterAuthorizations(t *testing.T) {
	f := open(t)
	a := f.askedToApprove()
	old := f.link(a)
	list := func() api.Authorization {
		t.Helper()
		var all struct{ Authorizations []api.Authorization }
		f.call(models.RoleSupport, "GET", "/v1/support/accounts/"+a.AccountID+"/authorizations", nil).into(200, &all)
		if len(all.Authorizations) != 1 {
			t.Fatalf("there are %+v", all)
		}
		return all.Authorizations[0]
	}
	if is := list(); is.ID != a.ID || is.State != "created" || is.Purpose != "purchase" || is.SubjectID != a.SubjectID || is.AmountCents != 2500 || is.Links != 1 {
		t.Errorf("it is %+v", is)
	}
	f.clock.advance(6 * 24 * time.Hour)
	base := "/v1/support/authorizations/" + a.ID
	var sent api.Authorization
	f.call(models.RoleSupport, "POST", base+"/resend", object{"reason": "lost the mail"}).into(200, &sent)
	if sent.Links != 2 || sent.Mails != 0 || !sent.ExpiresAt.Equal(f.clock.now().Add(7*24*time.Hour)) && sent.ExpiresAt.Sub(f.clock.now()) < 6*24*time.Hour {
		t.Errorf("resent it is %+v", sent)
	}
	f.visit("POST", old).shows(410, "replaced by a newer one")
	f.visit("POST", f.link(f.authorization(a.ID))).toBank(f)
	var closing api.Authorization
	f.call(models.RoleSupport, "POST", base+"/cancel", object{"reason": "bought by mistake"}).into(202, &closing)
	if closing.Closing == nil || *closing.Closing != "canceled" || closing.EndedAt != nil {
		t.Errorf("called off it is %+v", closing)
	}
	for _, what := range []string{"/cancel", "/resend"} {
		f.call(models.RoleSupport, "POST", base+what, object{"reason": "again"}).refused(409, "authorization_ended")
	}
	f.visit("GET", f.link(f.authorization(a.ID))).shows(200, "called off")
	f.visit("POST", f.link(f.authorization(a.ID))).shows(200, "called off")
	if reasons := scan[string](f, "select string_agg(action || ': ' || reason, ', ' order by id) from audit_log where subject = $1", "authorization/"+a.ID); reasons !=
		"resend_authorization: lost the mail, cancel_authorization: bought by mistake" {
		t.Errorf("the audit log says %s", reasons)
	}
	f.call(models.RoleSupport, "POST", "/v1/support/authorizations/"+uuid.NewString()+"/cancel", object{"reason": "x"}).refused(404, "not_found")
	f.call(models.RoleCheckout, "POST", base+"/cancel", object{"reason": "x"}).refused(403, "wrong_role")
	if got := f.paymentState(a).State; got != activities.PaymentRequiresAction {
		t.Errorf("support's word alone did something at Stripe: %s", got)
	}
}
