package sim_test

import (
	"context"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stripe/stripe-go/v76"

	"github.com/paystage/paystage/stripesim/sim"
)

func TestConsoleLists(t *testing.T) {
	d := startJudged(t, sim.Options{})
	cus, err := d.api.Customers.New(&stripe.CustomerParams{Name: stripe.String("<script>Ada</script>")})
	mustDo(t, err)
	pi := d.mustPay(t, charge(d.customerWith(t, "pm_card_visa")), "succeeded")
	status, body, _ := browser(t, "GET", d.url+"/", nil)
	for _, want := range []string{pi.ID, cus.ID, "&lt;script&gt;Ada", "$25.00", "visa 4242", "payment_intent.succeeded", "Raise a dispute"} {
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("%d, %q is not in\n%s", status, want, body)
		}
	}
	if status, body, _ := browser(t, "GET", d.url+"/objects/"+pi.ID, nil); status != 200 || !strings.Contains(body, "&#34;amount_received&#34;: 2500") {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := browser(t, "GET", d.url+"/objects/pi_unknown", nil); status != 404 {
		t.Errorf("an unknown object: %d", status)
	}
}

func TestConsoleDecides(t *testing.T) {
	d := startJudged(t, sim.Options{})
	w := world{t: t, api: d.api, double: d}
	paid := d.mustPay(t, charge(d.customerWith(t, "pm_card_visa")), "succeeded")
	slow := d.mustPay(t, offSession(d.customerWith(t, "pm_sim_processing")), "processing")
	slower := d.mustPay(t, offSession(d.customerWith(t, "pm_sim_processing")), "processing")
	setup, mandate := setUp(askingCard, true)(w), activeMandate(indianCard)(w)
	press := func(do, id, says string) {
		t.Helper()
		status, _, location := browser(t, "POST", d.url+"/ui/"+do+"/"+id, nil)
		back, err := url.Parse(location)
		if err != nil || status != 303 || !strings.Contains(back.Query().Get("told"), says) {
			t.Errorf("%s %s: %d %s", do, id, status, location)
		}
	}
	press("settle", slow.ID, "was settled")
	press("fail", slower.ID, "was declined")
	press("refuse", setup, "was refused")
	press("revoke", mandate, "was canceled")
	press("inquire", paid.ID, "was inquired about")
	press("inquire", paid.ID, "Nothing was changed")
	press("lose", disputeOf(w, paid.ID), "was decided")
	if got := disputeStatus(w, disputeOf(w, paid.ID)); got != "warning_closed" {
		t.Errorf("dispute %s", got)
	}
	before := d.Now()
	for hours, says := range map[string]string{"24": "moved by 24 hours", "-1": "moves by 1 to", "soon": "moves by 1 to"} {
		_, _, location := browser(t, "POST", d.url+"/ui/advance", url.Values{"hours": {hours}})
		if told, err := url.QueryUnescape(location); err != nil || !strings.Contains(told, says) {
			t.Errorf("%s hours: %s", hours, location)
		}
	}
	if moved := d.Now().Sub(before); moved < 24*time.Hour || moved > 25*time.Hour {
		t.Errorf("the clock moved by %s", moved)
	}
	if status, _, _ := browser(t, "POST", d.url+"/ui/explode/"+paid.ID, nil); status != 404 {
		t.Errorf("an unknown button: %d", status)
	}
}

func TestConsoleHeedsItsOwnPageAlone(t *testing.T) {
	d := startJudged(t, sim.Options{})
	pi := d.mustPay(t, charge(d.customerWith(t, askingCard)), "requires_action")
	req, err := http.NewRequest("POST", d.url+"/ui/approve/"+pi.ID, nil)
	mustDo(t, err)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := http.DefaultClient.Do(req)
	mustDo(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden || d.intent(t, pi.ID).Status != "requires_action" {
		t.Errorf("another page's button: %d, %s", resp.StatusCode, d.intent(t, pi.ID).Status)
	}
}

// chrome opens a real browser without a window.
func chrome(t *testing.T) context.Context {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes seconds")
	}
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("no Chromium is installed: run `make tools`")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// nameless are the controls and cells that a screen reader could not name.
const nameless = `[...document.querySelectorAll('button,input,a,th')].filter(e =>
	!(e.textContent.trim() || e.ariaLabel || (e.labels && e.labels.length))).length`

func TestConsoleInABrowser(t *testing.T) {
	ctx := chrome(t)
	d := startJudged(t, sim.Options{})
	w := world{t: t, api: d.api, double: d}
	asked := d.mustPay(t, charge(d.customerWith(t, askingCard)), "requires_action")
	refund := refundOf(goodCard, 0)(w)
	run := func(do ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		mustDo(t, chromedp.Do(ctx, do...))
	}
	press := func(label, says string) {
		t.Helper()
		button := chromedp.CSS(`button[aria-label="` + label + `"]`)
		told := chromedp.Search(`//*[@role="status"]/p[contains(., "` + says + `")]`)
		run(chromedp.WaitVisible(button), chromedp.SendKeys(button, "\r"), chromedp.WaitVisible(told))
	}
	run(chromedp.Navigate(d.url))
	if title, err := chromedp.Run(ctx, chromedp.Title()); err != nil || title != "stripesim" {
		t.Errorf("title %q, %v", title, err)
	}
	if unnamed, err := chromedp.Run(ctx, chromedp.Evaluate[int](nameless)); err != nil || unnamed != 0 {
		t.Errorf("%d controls without a name, %v", unnamed, err)
	}
	press("Approve "+asked.ID, asked.ID+" was approved")
	if got := d.intent(t, asked.ID).Status; got != "succeeded" {
		t.Errorf("payment %s", got)
	}
	press("Raise a dispute "+asked.ID, asked.ID+" was disputed")
	press("Fail "+refund, refund+" was returned by the bank")
	if got := refundStatus(w, refund); got != "failed" {
		t.Errorf("refund %s", got)
	}
	dispute := disputeOf(w, asked.ID)
	press("Decide for the merchant "+dispute, dispute+" was decided for the merchant")
	if got := disputeStatus(w, dispute); got != "won" {
		t.Errorf("dispute %s", got)
	}
	run(chromedp.Navigate(d.url + "/objects/" + asked.ID))
	if text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("pre"))); err != nil || !strings.Contains(text, asked.ID) {
		t.Errorf("the object is shown as %q, %v", text, err)
	}
}
