package web_test

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/web"
)

var until = time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC)

// approval is the page of an authorization in that state.
func approval(state models.AuthorizationState, change ...func(*web.Approval)) web.Page {
	a := web.Approval{Company: "Acme & Sons", Authorization: models.Authorization{
		State: state, Purpose: models.AuthorizePurchase, AmountCents: 2500, ExpiresAt: until, Generation: 1,
	}}
	switch state {
	case models.AuthorizationApproved, models.AuthorizationRefused, models.AuthorizationExpired, models.AuthorizationReplaced, models.AuthorizationCanceled:
		a.Authorization.EndedAt = &until
	}
	for _, c := range change {
		c(&a)
	}
	return a.Page()
}

// pages is every page that there is.
func pages() map[string]web.Page {
	invoice := func(a *web.Approval) {
		number := "2026-000017"
		a.Authorization.Purpose, a.Authorization.InvoiceNumber = models.AuthorizeInvoice, &number
	}
	all := map[string]web.Page{
		"not now": web.NotNow("Acme & Sons"), "back": web.BackFromBank("Acme & Sons"),
		"heard approved":   approval(models.AuthorizationOpened, func(a *web.Approval) { a.Heard = web.HeardApproved }),
		"heard refused":    approval(models.AuthorizationOpened, func(a *web.Approval) { a.Heard = web.HeardRefused }),
		"heard processing": approval(models.AuthorizationOpened, func(a *web.Approval) { a.Heard = web.HeardProcessing }),
		"closing": approval(models.AuthorizationSent, func(a *web.Approval) {
			closing := models.AuthorizationCanceled
			a.Authorization.Closing = &closing
		}),
	}
	for _, state := range []models.AuthorizationState{
		models.AuthorizationCreated, models.AuthorizationSent, models.AuthorizationOpened, models.AuthorizationApproved,
		models.AuthorizationRefused, models.AuthorizationExpired, models.AuthorizationReplaced, models.AuthorizationCanceled,
	} {
		all[string(state)] = approval(state)
		all[string(state)+" invoice"] = approval(state, invoice)
	}
	for _, dead := range []web.DeadLink{web.LinkInvalid, web.LinkExpired, web.LinkReplaced, web.LinkOtherPurpose} {
		all[string(dead)] = dead.Page("Acme & Sons")
	}
	return all
}

// Every page can be read by a screen reader, needs no script, and says something to do
// or that there is nothing to do.
func TestEveryPageIsWhole(t *testing.T) {
	for name, page := range pages() {
		text := string(page.Render())
		for _, want := range []string{`<html lang="en">`, "<main>", "</main>", `name="viewport"`, web.StylesheetPath, "Acme &amp; Sons</p>"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not in %s", name, want, text)
			}
		}
		for _, tag := range []string{"<h1", "<title>"} {
			if strings.Count(text, tag) != 1 {
				t.Errorf("%s: not one %s", name, tag)
			}
		}
		if title := regexp.MustCompile(`<title>(.*) – Acme &amp; Sons</title>`).FindStringSubmatch(text); title == nil || !strings.Contains(text, title[1]+"</span></h1>") {
			t.Errorf("%s: title and heading differ in %s", name, text)
		}
		if strings.Contains(text, "<script") || strings.Contains(text, "style=") || strings.Contains(text, "onclick") || strings.Contains(text, "ZgotmplZ") {
			t.Errorf("%s needs what the policy forbids: %s", name, text)
		}
		if page.Action == "" && len(page.Text) == 0 {
			t.Errorf("%s says nothing", name)
		}
		if (page.Action != "") != strings.Contains(text, `<form method="post"><button type="submit">`+page.Action) {
			t.Errorf("%s: the action is not as it should be in %s", name, text)
		}
	}
}

// Only a page of a payment that still waits has a button.
func TestPagesThatAct(t *testing.T) {
	acting := map[string]bool{
		"created": true, "sent": true, "opened": true, "created invoice": true, "sent invoice": true, "opened invoice": true, "not now": true,
	}
	for name, page := range pages() {
		if (page.Action != "") != acting[name] {
			t.Errorf("%s acts: %q", name, page.Action)
		}
	}
}

func TestInvoicePageSaysHowToPayIt(t *testing.T) {
	for _, state := range []string{"refused invoice", "expired invoice", "canceled invoice"} {
		text := string(pages()[state].Render())
		if !strings.Contains(text, "invoice 2026-000017") || !strings.Contains(text, "still to be paid") || strings.Contains(text, "buy") {
			t.Errorf("%s says %s", state, text)
		}
	}
}

// What comes from outside can't write into a page.
func TestTextIsEscaped(t *testing.T) {
	page := web.Page{Company: `<script>alert(1)</script>`, Title: `"><img src=x>`, Facts: []web.Fact{{"<b>", "</dl>"}}, Text: []string{"<i>"}, Action: "</button>"}
	text := string(page.Render())
	for _, raw := range []string{"<script>", "<img", "<b>", "</dl>\n<", "<i>"} {
		if strings.Contains(text, raw) && raw != "</dl>\n<" {
			t.Errorf("%q is in %s", raw, text)
		}
	}
	if strings.Count(text, "</dl>") != 1 || strings.Count(text, "</button>") != 1 {
		t.Errorf("a text closed an element: %s", text)
	}
}

// luminance is that of a colour, as the Web Content Accessibility Guidelines reckon it.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n := 0
		for _, digit := range strings.ToLower(hex[1+2*i : 3+2*i]) {
			n = n*16 + strings.IndexRune("0123456789abcdef", digit)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// Every text stands out from what it stands on, by day and by night (4.5 to 1).
func TestColoursAreReadable(t *testing.T) {
	blocks := strings.SplitN(string(web.Stylesheet()), "@media (prefers-color-scheme: dark)", 2)
	for mode, css := range map[string]string{"light": blocks[0], "dark": strings.SplitN(blocks[1], "\n}\n", 2)[0]} {
		colour := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6})`).FindAllStringSubmatch(css, -1) {
			colour[m[1]] = m[2]
		}
		for _, pair := range [][2]string{
			{"text", "paper"}, {"quiet", "paper"}, {"quiet", "ground"}, {"on-accent", "accent"}, {"paper", "good"}, {"paper", "over"}, {"paper", "accent"},
		} {
			a, b := luminance(t, colour[pair[0]]), luminance(t, colour[pair[1]])
			if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < 4.5 {
				t.Errorf("%s: %s on %s is %.2f to 1", mode, pair[0], pair[1], ratio)
			}
		}
	}
}
