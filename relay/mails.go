package relay

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/paystage/paystage/letters"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/money"
)

// reader is the account that a letter is for, as the letter names it.
func (r *Relay) reader(account models.Account) letters.Reader {
	return letters.Reader{Company: r.Company, Name: account.Name, AccountID: account.ID}
}

// mailPurchase tells what the bank's final answer means for a purchase. There is one
// such answer, so the kind of the message is not asked.
func (r *Relay) mailPurchase(ctx context.Context, purchaseID string) error {
	purchase, err := r.Store.Purchase(ctx, purchaseID)
	if err != nil {
		return err
	}
	account, err := r.Store.Account(ctx, purchase.AccountID)
	if err != nil {
		return err
	}
	letter, err := purchaseLetter(r.reader(account), purchase)
	if err != nil {
		return err
	}
	return r.Mail.Send(ctx, "purchase-"+purchase.ID+"-"+string(purchase.Bank), account.Email, letter)
}

func purchaseLetter(to letters.Reader, purchase models.Purchase) (letters.Letter, error) {
	amount, err := money.FromCents(purchase.AmountCents)
	if err != nil {
		return letters.Letter{}, err
	}
	bought := letters.Purchase{ID: purchase.ID, Amount: amount}
	switch {
	case purchase.Bank == models.BankApproved:
		return letters.PurchaseApproved(to, bought), nil
	case purchase.Bank == models.BankDeclined && purchase.DeclineCode != nil:
		return letters.PurchaseDeclined(to, bought, *purchase.DeclineCode), nil
	case purchase.Bank == models.BankExpired:
		return letters.AuthorizationExpired(to, bought), nil
	}
	return letters.Letter{}, fmt.Errorf("no letter tells of a purchase that is %s", purchase.Bank)
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

// mailTierReached tells of a tier that every gateway holds. Its subject is the account
// and the version that they hold. Access that a plan gives is not told as a Build Tier.
func (r *Relay) mailTierReached(ctx context.Context, subject string) error {
	accountID, version, _ := strings.Cut(subject, "/")
	reached, err := r.Store.TierReached(ctx, accountID, version)
	if err != nil || reached.ByPlan {
		return err
	}
	account, err := r.Store.Account(ctx, accountID)
	if err != nil {
		return err
	}
	return r.Mail.Send(ctx, "tier-"+accountID+"-"+version, account.Email, letters.TierReached(r.reader(account), reached.Tier))
}
