package relay

import (
	"context"
	"strconv"

	"github.com/paystage/paystage/letters"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/money"
)

// reader is the account that a letter is for, as the letter names it.
func (r *Relay) reader(account models.Account) letters.Reader {
	return letters.Reader{Company: r.Company, Name: account.Name, AccountID: account.ID}
}

func (r *Relay) mailPurchaseApproved(ctx context.Context, purchaseID string) error {
	account, purchase, err := r.purchaseOf(ctx, purchaseID)
	if err != nil {
		return err
	}
	return r.Mail.Send(ctx, "purchase-"+purchaseID+"-approved", account.Email, letters.PurchaseApproved(r.reader(account), purchase))
}

// purchaseOf reads a purchase as letters tell it, and whose it is.
func (r *Relay) purchaseOf(ctx context.Context, purchaseID string) (models.Account, letters.Purchase, error) {
	purchase, err := r.Store.Purchase(ctx, purchaseID)
	if err != nil {
		return models.Account{}, letters.Purchase{}, err
	}
	amount, err := money.FromCents(purchase.AmountCents)
	if err != nil {
		return models.Account{}, letters.Purchase{}, err
	}
	account, err := r.Store.Account(ctx, purchase.AccountID)
	return account, letters.Purchase{ID: purchase.ID, Amount: amount}, err
}

func (r *Relay) mailRechargeHalted(ctx context.Context, eventID string) error {
	event, err := r.Store.RechargeEvent(ctx, eventID)
	if err != nil {
		return err
	}
	account, err := r.Store.Account(ctx, event.AccountID)
	if err != nil {
		return err
	}
	return r.Mail.Send(ctx, "auto-recharge-"+strconv.FormatInt(event.ID, 10), account.Email,
		letters.RechargeHalted(r.reader(account), event.Halt, event.DeclineCode, event.Until))
}
