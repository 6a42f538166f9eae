package relay

import (
	"context"
	"fmt"
	"time"

	"github.com/paystage/paystage/letters"
	"github.com/paystage/paystage/links"
	"github.com/paystage/paystage/money"
)

// mailAuthorization sends the link of an authorization, by whatever letter: the newest
// link, to where what is paid is told about. One that has ended needs no mail.
func (r *Relay) mailAuthorization(ctx context.Context, id string, letter func(letters.Reader, letters.Authorization) letters.Letter) error {
	a, err := r.Store.Authorization(ctx, id)
	if err != nil || a.Ended() {
		return err
	}
	token, err := r.Links.Sign(links.Token{Purpose: links.Authorize, ID: a.ID, Generation: a.Generation, Expires: a.ExpiresAt})
	if err != nil {
		return err
	}
	amount, err := money.FromCents(a.AmountCents)
	if err != nil {
		return err
	}
	account, err := r.Store.Account(ctx, a.AccountID)
	if err != nil {
		return err
	}
	to, about := account.Email, letters.Authorization{Amount: amount, Link: r.URL + "/authorize/" + token, Until: a.ExpiresAt}
	if a.InvoiceNumber != nil {
		to, about.InvoiceNumber = account.InvoicesTo(), *a.InvoiceNumber
	}
	messageID := fmt.Sprintf("authorization-%s-%d-%d", a.ID, a.Generation, a.Mails)
	if err := r.Mail.Send(ctx, messageID, to, letter(r.reader(account), about)); err != nil {
		return err
	}
	return r.Store.AuthorizationSent(ctx, a.ID, a.Generation)
}

// authorizationsAfter is how long after its time an authorization is taken for forgotten.
const authorizationsAfter = 5 * time.Minute

// WakeAuthorizations has authorizations looked at that should have been by now and were
// not: Temporal lost their workflow, or a word to it (I6).
func (r *Relay) WakeAuthorizations(ctx context.Context, now time.Time) {
	for {
		woken, err := r.Store.WakeAuthorizations(ctx, now.Add(-authorizationsAfter), now, restartPage)
		if err != nil {
			r.Log.Error("forgotten authorizations not looked for", "error", err)
			return
		}
		if woken < restartPage {
			return
		}
	}
}
