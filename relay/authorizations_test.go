package relay_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/links"
	"github.com/paystage/paystage/models"
)

// asks opens an authorization of a purchase, with nothing else in the outbox.
func (w *world) asks(t *testing.T) models.Authorization {
	t.Helper()
	purchase, err := w.Purchase(t.Context(), w.purchase(t, "ada@example.com"))
	done(t, err)
	id := uuid.NewString()
	done(t, w.OpenAuthorization(t.Context(), models.Authorization{
		ID: id, AccountID: purchase.AccountID, Purpose: models.AuthorizePurchase, SubjectID: purchase.ID, Attempt: 1,
		PaymentIntentID: "pi_" + id, PaymentMethodID: "pm", AmountCents: 2500, LinkAt: noon, CreatedAt: noon, ExpiresAt: noon.Add(7 * 24 * time.Hour),
	}))
	_, err = w.db.Exec(t.Context(), `delete from outbox`)
	done(t, err)
	a, err := w.Authorization(t.Context(), id)
	done(t, err)
	return a
}

// F48: without a key no link is made. The mail waits with an error that says what to
// set, and goes out once that is done, with a link that is good.
func TestF48LinksWaitForAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.asks(t)
	w.put(t, ledger.MessageMailAuthorization, a.ID)
	stop := w.run(t, w.relay(t))
	eventually(t, "the error", func() []string { return w.left(t) }, func(left []string) bool {
		return len(left) == 1 && strings.Contains(left[0], "PAYSTAGE_LINK_KEYS is not set")
	})
	stop()
	if files, _ := filepath.Glob(filepath.Join(w.mails, "*")); len(files) > 0 {
		t.Fatalf("mailed: %v", files)
	}
	r := w.relay(t)
	r.URL, r.Company = "http://pay.example", "Acme"
	var err error
	r.Links, err = links.ParseKeys("l1:0123456789abcdef")
	done(t, err)
	w.run(t, r)
	eventually(t, "mail", func() []string { return w.left(t) }, none)
	text, err := os.ReadFile(filepath.Join(w.mails, "authorization-"+a.ID+"-1-0.eml"))
	done(t, err)
	token, err := r.Links.Sign(links.Token{Purpose: links.Authorize, ID: a.ID, Generation: 1, Expires: a.ExpiresAt})
	done(t, err)
	unfolded := strings.NewReplacer("=\r\n", "", "=3D", "=").Replace(string(text))
	if !strings.Contains(unfolded, "http://pay.example/authorize/"+token) || !strings.Contains(unfolded, "To: <ada@example.com>") {
		t.Errorf("the mail is %s", unfolded)
	}
	if now, err := w.Authorization(t.Context(), a.ID); err != nil || now.State != models.AuthorizationSent || now.SentAt == nil {
		t.Errorf("it is %+v, %v", now, err)
	}
}

// A mail about an authorization that has ended meanwhile is not sent.
func TestMailOfAnEndedAuthorizationIsNotSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.asks(t)
	done(t, w.EndAuthorization(t.Context(), a.ID, ledger.AuthorizationEnd{State: models.AuthorizationExpired, At: noon}))
	_, err := w.db.Exec(t.Context(), `delete from outbox`)
	done(t, err)
	w.put(t, ledger.MessageMailAuthorizationReminder, a.ID)
	w.run(t, w.relay(t))
	eventually(t, "mail", func() []string { return w.left(t) }, none)
	if files, _ := filepath.Glob(filepath.Join(w.mails, "*")); len(files) > 0 {
		t.Errorf("mailed: %v", files)
	}
}
