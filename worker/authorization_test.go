package main

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/testenv"
	"github.com/stretchr/testify/require"
)

// chrome opens a real browser without a window.
func chrome(t *testing.T) context.Context {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes seconds")
	}
	path, err := exec.LookPath("chromium")
	require.NoError(t, err, "no Chromium is installed: run `make tools`")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// recharging has an account's auto-recharge charge a card whose bank wants its customer,
// and answers the account and the link that was mailed.
func (s *system) recharging() (accountID, link string) {
	s.t.Helper()
	accountID = s.account("pm_card_authenticationRequired")
	s.recharge(accountID, 2500, 2000)
	b := s.awaitBilling(accountID, func(b api.Billing) bool { return b.AutoRecharge.Reason == string(models.HaltApproval) })
	require.Equal(s.t, "paused", b.AutoRecharge.State)
	require.Contains(s.t, b.AutoRecharge.Sentence, "approve a recharge first")
	return accountID, s.mailedLink(accountID)
}

var linkInMail = regexp.MustCompile(`http://[^\s"<]+/authorize/[A-Za-z0-9_.-]+`)

// mailedLink waits for the mail about the account's authorization and takes its link.
func (s *system) mailedLink(accountID string) string {
	s.t.Helper()
	var link string
	s.eventually(func() bool {
		all, err := s.store.Authorizations(context.Background(), accountID)
		require.NoError(s.t, err)
		if len(all) == 0 {
			return false
		}
		files, err := filepath.Glob(filepath.Join(s.settings.MailDir, "authorization-"+all[0].ID+"-*.eml"))
		require.NoError(s.t, err)
		if len(files) == 0 {
			return false
		}
		text, err := os.ReadFile(files[len(files)-1])
		require.NoError(s.t, err)
		unfolded := strings.NewReplacer("=\r\n", "", "=3D", "=").Replace(string(text))
		link = linkInMail.FindString(unfolded)
		return link != ""
	})
	return link
}

// browser is a customer in front of a real browser.
type browser struct {
	t   *testing.T
	ctx context.Context
}

func (b browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, steps...))
}

func heading(text string) chromedp.Action[chromedp.Void] {
	return chromedp.WaitVisible(chromedp.Search(`//h1[contains(., "` + text + `")]`))
}

// press presses the one button of our page by keyboard, as everybody can.
func press(label string) chromedp.Action[chromedp.Void] {
	return chromedp.SendKeys(chromedp.Search(`//button[contains(., "`+label+`")]`), "\r")
}

// follow presses the button behind a link, and answers where that leads.
func (s *system) follow(link string) string {
	s.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, link, nil)
	require.NoError(s.t, err)
	res, err := client.Do(req)
	require.NoError(s.t, err)
	_ = res.Body.Close()
	return res.Header.Get("Location")
}

// The link of a mail, followed in a real browser to the bank's page and back (R37): the
// customer approves, refuses, closes the bank's page and comes back, forwards it, opens it twice.
// Each ends as one payment at most, with money, credits and status in agreement (R38).
func TestR37LinkInABrowser(t *testing.T) {
	t.Parallel()
	ctx := chrome(t)
	s := newSystem(t, testenv.Database(t))
	s.work()
	const open, bank = "Approve this payment with your bank", "Approve this payment?"
	for _, c := range []struct {
		name     string
		captures bool
		steps    func(b browser, link string)
	}{
		{"approve", true, func(b browser, link string) {
			b.do(chromedp.Navigate(link), heading(open), press("Approve with your bank"), heading(bank), press("Approve"), heading("The payment is approved"))
		}},
		{"refuse", false, func(b browser, link string) {
			b.do(chromedp.Navigate(link), heading(open), press("Approve with your bank"), heading(bank), press("Refuse"), heading("The payment was not approved"))
		}},
		{"close and come back", true, func(b browser, link string) {
			b.do(chromedp.Navigate(link), press("Approve with your bank"), heading(bank), chromedp.Navigate("about:blank"),
				chromedp.Navigate(link), heading("Your bank is still waiting for you"), press("Go on to your bank"), heading(bank), press("Approve"),
				heading("The payment is approved"))
		}},
		{"forward", true, func(b browser, link string) { // whoever gets it sees the least, and the bank decides (F42)
			b.do(chromedp.Navigate(link), heading(open))
			text, err := chromedp.Run(b.ctx, chromedp.Text(chromedp.CSS("body")))
			require.NoError(b.t, err)
			for _, whose := range []string{"Lovelace", "@example.com", "Springfield", "4242", "3184"} {
				require.NotContains(b.t, text, whose)
			}
			b.do(press("Approve with your bank"), heading(bank), press("Approve"), heading("The payment is approved"))
		}},
		{"open twice", true, func(b browser, link string) {
			second, cancel := chromedp.NewContext(b.ctx)
			defer cancel()
			other := browser{b.t, second}
			b.do(chromedp.Navigate(link), press("Approve with your bank"), heading(bank))
			other.do(chromedp.Navigate(link), press("Go on to your bank"), heading(bank))
			b.do(press("Approve"), heading("The payment is approved"))
			other.do(press("Approve"), heading("Nothing to approve"), chromedp.Navigate(link), heading("The payment is approved"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			account, link := s.recharging()
			before := s.stripe.Total().Captures
			c.steps(browser{t, ctx}, link)
			p := s.automatic(account)[0]
			if !c.captures {
				ended := s.await(p.ID, ended)
				require.Equal(t, "declined", ended.Status)
				s.requireNothingBought(ended)
				require.Equal(t, before, s.stripe.Total().Captures)
				s.awaitBilling(account, func(b api.Billing) bool { return b.AutoRecharge.Reason == string(models.HaltAuthentication) })
				return
			}
			s.requireWhole(s.await(p.ID, ended))
			s.awaitBilling(account, refilled(2000))
			require.Equal(t, before+1, s.stripe.Total().Captures)
		})
	}
}

// The time to approve ends while the customer approves: one of the two takes effect, and
// money, authorization and purchase agree on which (R38).
func TestR38ApprovalRacesExpiry(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.settings.AuthorizationDays = 0 // over as soon as it begins
	s.work()
	account := s.account("pm_card_authenticationRequired")
	for range 4 {
		p, _ := s.buy(account, testenv.Unique(t), 2500, 30)
		_ = s.stripe.Approve(s.intentOf(p.ID)) // refused if the payment is canceled already
		p = s.await(p.ID, ended)
		all, err := s.store.Authorizations(context.Background(), account)
		require.NoError(t, err)
		captures := s.stripe.Captures()[p.ID].Captures
		switch p.Status {
		case "completed":
			require.Equal(t, 1, captures)
			require.Equal(t, models.AuthorizationApproved, all[0].State)
		case "expired":
			require.Equal(t, 0, captures)
			require.Equal(t, models.AuthorizationExpired, all[0].State)
		default:
			require.Fail(t, "ended otherwise", p.Status)
		}
	}
}
