package letters_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/letters"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/money"
)

var (
	ada     = letters.Reader{Company: "Acme", Name: "Zoë Ada", AccountID: "acc_1"}
	noon    = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	october = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	link    = "https://pay.example/authorize/abc.def?x=1&y=2"
	bought  = letters.Purchase{ID: "0198-1", Amount: 2550 * money.Cent}
	credits = letters.Authorization{Amount: 2550 * money.Cent, Link: link, Until: noon}
	invoice = letters.Authorization{Amount: 2550 * money.Cent, InvoiceNumber: "2026-000042", Link: link, Until: noon}
	owed    = letters.Owed{Number: "2026-000042", Due: 2550 * money.Cent, Link: link}
	unpaid  = letters.Owed{Number: "2026-000042", Due: 2550 * money.Cent}
	monthly = letters.Invoice{
		Number: "2026-000042", Period: october, Used: 31_234_567, CarriedIn: 120_000, Credits: 5 * money.Dollar, Due: 2635 * money.Cent, CarriedOut: 4_567,
	}
	nothing = letters.Invoice{Number: "2026-000043", Period: october, Used: 2 * money.Dollar, Credits: 2 * money.Dollar}
)

// row is a letter, with what it must say and must not.
type row struct {
	letter  letters.Letter
	subject string
	says    []string
	not     []string
	link    string
}

func all() map[string]row {
	until := noon
	return map[string]row{
		"Authorization/Credits": {
			letter: letters.AuthorizationAsked(ada, credits), subject: "Please approve your payment of $25.50", link: link,
			says: []string{"to Acme", "for credits", "$25.50", "Nothing was charged yet", "until 3 November 2026, 12:00 UTC", "works once", "Review the payment of $25.50", "do nothing"},
			not:  []string{"invoice"},
		},
		"Authorization/Invoice": {
			letter: letters.AuthorizationAsked(ada, invoice), subject: "Please approve your payment of $25.50", link: link,
			says: []string{"for invoice 2026-000042", "Nothing was charged yet", "3 November 2026, 12:00 UTC", "the invoice becomes past due"},
			not:  []string{"for credits"},
		},
		"AuthorizationReminder": {
			letter: letters.AuthorizationReminder(ada, credits), subject: "Reminder: your payment of $25.50 waits for your approval", link: link,
			says: []string{"still waits", "to Acme", "for credits", "Nothing was charged yet", "until 3 November 2026, 12:00 UTC"},
		},
		"AuthorizationExpired": {
			letter: letters.AuthorizationExpired(ada, bought), subject: "Your payment of $25.50 was not approved in time",
			says: []string{"has ended", "Nothing was charged", "buy them again", "0198-1"},
		},
		"PurchaseApproved": {
			letter: letters.PurchaseApproved(ada, bought), subject: "Your payment of $25.50 was approved",
			says: []string{"$25.50", "The credits are yours", "up to 15 minutes", "don't pay again", "0198-1"},
		},
		"PurchaseDeclined": {
			letter: letters.PurchaseDeclined(ada, bought, "insufficient_funds"), subject: "Your payment of $25.50 was declined",
			says: []string{"Nothing was charged", billing.MessageInsufficientFunds, "0198-1"},
			not:  []string{"insufficient_funds"},
		},
		"PurchaseDeclined/Stolen": { // R44: reads as generic
			letter: letters.PurchaseDeclined(ada, bought, "stolen_card"), subject: "Your payment of $25.50 was declined",
			says: []string{billing.MessageDeclined}, not: []string{"stolen"},
		},
		"RechargeHalted/Off": {
			letter: letters.RechargeHalted(ada, models.HaltCardRefused, "lost_card", nil), subject: "Auto-recharge is switched off",
			says: []string{billing.MessageDeclined, "not refilled"}, not: []string{"lost"},
		},
		"RechargeHalted/Paused": {
			letter: letters.RechargeHalted(ada, models.HaltRetry, "insufficient_funds", &until), subject: "Auto-recharge is paused",
			says: []string{billing.MessageInsufficientFunds, "3 November 2026, 12:00 UTC"},
		},
		"RechargeHalted/Capped": {
			letter: letters.RechargeHalted(ada, models.HaltMonthlyCap, "", &until), subject: "Auto-recharge is paused",
			says: []string{"monthly cap", "Raise the cap", "3 November 2026, 12:00 UTC"},
		},
		"InvoiceIssued/Due": {
			letter: letters.InvoiceIssued(ada, monthly), subject: "Your invoice for October 2026: $26.35 due",
			says: []string{"2026-000042", "$26.35 are due", "charge the amount to your card", "$31.234567", "$5.00", "$0.12", "$0.004567", "go on to your next invoice", "PDF"},
		},
		"InvoiceIssued/Nothing": {
			letter: letters.InvoiceIssued(ada, nothing), subject: "Your invoice for October 2026: nothing due",
			says: []string{"2026-000043", "nothing is charged", "record of what you used", "$2.00", "$0.00"},
			not:  []string{"next invoice", "your card", "carried"},
		},
		"InvoicePaymentFailed": {
			letter: letters.InvoicePaymentFailed(ada, owed, "expired_card", noon), subject: "The payment of your invoice 2026-000042 failed", link: link,
			says: []string{"$25.50", billing.MessageExpired, "try again on 3 November 2026, 12:00 UTC", "A new card is charged", "by the link", "suspended until it is paid", "Pay $25.50 for invoice 2026-000042"},
		},
		"InvoicePaymentFailed/ByHand": {
			letter: letters.InvoicePaymentFailed(ada, unpaid, "expired_card", noon), subject: "The payment of your invoice 2026-000042 failed",
			says: []string{"on your billing page"}, not: []string{"link"},
		},
		"InvoicePastDue": {
			letter: letters.InvoicePastDue(ada, owed), subject: "Your invoice 2026-000042 is past due", link: link,
			says: []string{"$25.50", "suspended until it is paid", "Credits cannot pay it", "restored as soon as"},
		},
		"Restored": {
			letter: letters.Restored(ada), subject: "Your access is restored",
			says: []string{"is paid", "access to our API is restored"},
		},
		"InvoicePaid": {
			letter: letters.InvoicePaid(ada, owed), subject: "Your invoice 2026-000042 is paid",
			says: []string{"$25.50", "2026-000042", "approved"},
		},
		"TierReached": {
			letter: letters.TierReached(ada, 2), subject: "You have reached Build Tier 2",
			says: []string{"Build Tier 2", "1,800 requests a minute", "5,000 requests a minute", "1,500,000 requests a minute"},
		},
	}
}

func TestWhatEachLetterSays(t *testing.T) {
	t.Parallel()
	for name, c := range all() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.letter.Subject != c.subject {
				t.Errorf("subject %q, want %q", c.letter.Subject, c.subject)
			}
			html := read(t, c.letter.HTML)
			for form, text := range map[string]string{"text": oneSpaced(c.letter.Text), "html": html.text} {
				for _, words := range append(c.says, "Hello Zoë Ada,", "Acme", "acc_1") {
					if !strings.Contains(text, words) {
						t.Errorf("%s: %q is not in\n%s", form, words, text)
					}
				}
				for _, words := range append(c.not, "%!", "<no value>", "4242424242424242", "@") {
					if strings.Contains(strings.ToLower(text), words) {
						t.Errorf("%s: %q is in\n%s", form, words, text)
					}
				}
			}
			stands(t, c, html)
		})
	}
}

// stands holds a letter against what a screen reader and a plain text reader need.
func stands(t *testing.T, c row, html document) {
	t.Helper()
	if html.lang != "en" || html.title != c.subject || html.count["h1"] != 1 || html.count["main"] != 1 {
		t.Errorf("language %q, title %q, elements %v", html.lang, html.title, html.count)
	}
	if html.count["td"] != html.rowHeaders || html.count["img"]+html.count["script"]+html.count["iframe"]+html.count["form"] != 0 {
		t.Errorf("a figure without its name, or an element that has no place in a mail: %v, %d row headers", html.count, html.rowHeaders)
	}
	want := []string{}
	if c.link != "" {
		want = append(want, c.link)
	}
	if !slices.Equal(html.links, want) {
		t.Errorf("links %q, want %q", html.links, want)
	}
	if c.link != "" && !slices.Contains(strings.Split(c.letter.Text, "\n"), c.link) {
		t.Errorf("the link has no line of its own:\n%s", c.letter.Text)
	}
	for line := range strings.Lines(c.letter.Text) {
		if n := utf8.RuneCountInString(line); n > 100 && !strings.HasPrefix(line, "https://") {
			t.Errorf("a line of %d characters: %s", n, line)
		}
	}
}

// document is what is seen and heard of HTML.
type document struct {
	lang, title, text string
	links             []string
	count             map[string]int
	rowHeaders        int
}

// read reads HTML that is XML but for its void elements.
func read(t *testing.T, html string) document {
	t.Helper()
	d := document{count: map[string]int{}, links: []string{}}
	decoder := xml.NewDecoder(strings.NewReader(html))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var text strings.Builder
	inside := ""
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			inside = token.Name.Local
			d.count[inside]++
			for _, a := range token.Attr {
				switch {
				case inside == "html" && a.Name.Local == "lang":
					d.lang = a.Value
				case a.Name.Local == "href":
					d.links = append(d.links, a.Value)
				case inside == "th" && a.Name.Local == "scope" && a.Value == "row":
					d.rowHeaders++
				}
			}
		case xml.EndElement:
			inside = ""
			text.WriteByte(' ')
		case xml.CharData:
			switch inside {
			case "title":
				d.title = string(token)
			case "style":
			default:
				text.Write(token)
			}
		}
	}
	d.text = oneSpaced(text.String())
	return d
}

func oneSpaced(s string) string { return strings.Join(strings.Fields(s), " ") }

// A name, a number or a company may be anything; it stays a word in a sentence.
func TestNoNameForgesAnything(t *testing.T) {
	t.Parallel()
	nasty := "Eve\r\nBcc: all@example.com\r\n\r\n<script>alert(1)</script>\u202e{{.}} \x00\x1b[31m"
	to := letters.Reader{Company: nasty, Name: nasty, AccountID: nasty}
	due := letters.Owed{Number: nasty, Due: money.Dollar, Link: "javascript:alert(1)"}
	for name, letter := range map[string]letters.Letter{
		"Purchase":      letters.PurchaseDeclined(to, letters.Purchase{ID: nasty, Amount: money.Dollar}, nasty),
		"Authorization": letters.AuthorizationAsked(to, letters.Authorization{Amount: 1, InvoiceNumber: nasty, Link: "javascript:alert(1)", Until: noon}),
		"Reminder":      letters.AuthorizationReminder(to, letters.Authorization{Amount: 1, InvoiceNumber: nasty, Until: noon}),
		"Invoice":       letters.InvoiceIssued(to, letters.Invoice{Number: nasty}),
		"Failed":        letters.InvoicePaymentFailed(to, due, nasty, noon),
		"PastDue":       letters.InvoicePastDue(to, due),
		"Paid":          letters.InvoicePaid(to, due),
		"Restored":      letters.Restored(to),
	} {
		if strings.ContainsFunc(letter.Subject, func(r rune) bool { return r < ' ' || r == '\u202e' }) {
			t.Errorf("%s: subject %q", name, letter.Subject)
		}
		if strings.Contains(letter.HTML, "<script") || strings.Contains(letter.HTML, `href="javascript`) {
			t.Errorf("%s: HTML that was not ours:\n%s", name, letter.HTML)
		}
		for form, text := range map[string]string{"text": letter.Text, "html": letter.HTML} {
			if strings.Contains(text, "\nBcc") || strings.ContainsAny(text, "\x00\x1b\r\u202e") {
				t.Errorf("%s: a name steers the %s:\n%s", name, form, text)
			}
		}
	}
	long := letters.Restored(letters.Reader{Company: "Acme", Name: strings.Repeat("é", 10_000), AccountID: "1"})
	if n := utf8.RuneCountInString(long.Text); n > 2_000 || !utf8.ValidString(long.Text) {
		t.Errorf("%d characters", n)
	}
}

// Every halt of auto-recharge has its letter, and no decline code is told (R44).
func TestEveryHaltAndDeclineIsTold(t *testing.T) {
	t.Parallel()
	for _, d := range billing.Declines() {
		text := oneSpaced(letters.PurchaseDeclined(ada, bought, d.Code).Text)
		if !strings.Contains(text, d.Message) || strings.Contains(text, d.Code) && strings.Contains(d.Code, "_") {
			t.Errorf("%s: %s", d.Code, text)
		}
	}
	for _, halt := range []models.RechargeHalt{
		models.HaltCardRefused, models.HaltTriesUsedUp, models.HaltCardData, models.HaltAuthentication, models.HaltRetry,
		models.HaltNetworkLimit, models.HaltMonthlyCap, models.HaltHourlyLimit, models.HaltHeld,
	} {
		until := &noon
		switch halt {
		case models.HaltCardRefused, models.HaltTriesUsedUp, models.HaltCardData, models.HaltAuthentication, models.HaltHeld:
			until = nil
		}
		text := oneSpaced(letters.RechargeHalted(ada, halt, "generic_decline", until).Text)
		if sentence := billing.HaltSentence(halt, "generic_decline", until); !strings.Contains(text, sentence) || strings.Contains(text, "%!") {
			t.Errorf("%s: %s", halt, text)
		}
	}
}

// What is read has a contrast of 4.5 to 1 at least, light and dark (WCAG AA).
func TestContrast(t *testing.T) {
	t.Parallel()
	html := letters.Restored(ada).HTML
	light, dark, found := strings.Cut(html, "@media (prefers-color-scheme: dark)")
	if !found {
		t.Fatal("no dark colors")
	}
	for name, style := range map[string]string{"light": light, "dark": dark} {
		paper := color(t, style, `body \{[^}]*background: (#\w+)`)
		for what, pair := range map[string][2]string{
			"text":   {color(t, style, `body \{[^}]*?\bcolor: (#\w+)`), paper},
			"link":   {color(t, style, `\na \{ color: (#\w+)`), paper},
			"note":   {color(t, style, `footer \{[^}]*\bcolor: (#\w+)`), paper},
			"name":   {color(t, style, `\nth[^{,]*(?:, footer)? \{[^}]*\bcolor: (#\w+)`), paper},
			"button": {color(t, style, `a\.action \{[^}]*?\bcolor: (#\w+)`), color(t, style, `a\.action \{[^}]*background: (#\w+)`)},
		} {
			if ratio := contrast(t, pair[0], pair[1]); ratio < 4.5 {
				t.Errorf("%s %s: %s on %s is %.1f to 1", name, what, pair[0], pair[1], ratio)
			}
		}
	}
}

func color(t *testing.T, style, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(style)
	if found == nil {
		t.Fatalf("no %s", pattern)
	}
	return found[1]
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	light, dark := luminance(t, a), luminance(t, b)
	return (max(light, dark) + 0.05) / (min(light, dark) + 0.05)
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(hex[1:], 16, 32)
	if err != nil || len(hex) != 7 {
		t.Fatalf("%s: %v", hex, err)
	}
	part := func(shift uint) float64 {
		c := float64(n>>shift&0xff) / 255
		if c <= 0.03928 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*part(16) + 0.7152*part(8) + 0.0722*part(0)
}

func ExamplePurchaseApproved() {
	letter := letters.PurchaseApproved(
		letters.Reader{Company: "Acme", Name: "Ada Lovelace", AccountID: "0198"}, letters.Purchase{ID: "0199", Amount: 25 * money.Dollar})
	fmt.Println(letter.Subject)
	fmt.Println()
	fmt.Print(letter.Text)
	// Output:
	// Your payment of $25.00 was approved
	//
	// Hello Ada Lovelace,
	//
	// Your bank approved the payment of $25.00 for credits. The credits are
	// yours.
	//
	// It can take up to 15 minutes until your new limits and models are open
	// at our API. You don't need to do anything, and please don't pay again
	// meanwhile.
	//
	// Purchase: 0199
	// Amount: $25.00
	//
	// Acme
	//
	// This mail is about the account Ada Lovelace at Acme. Account id:
	// 0198
}
