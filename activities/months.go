package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"go.temporal.io/sdk/temporal"
)

// MonthlyPage is how many accounts are closed by one transaction: their balances are
// held meanwhile, and reports of usage wait for those.
const MonthlyPage = 2000

// MonthRef names a month, such as 2026-10.
type MonthRef struct {
	Period string `json:"period"`
}

// MonthPlan is the closing of a month as it is planned, and how far it has come.
type MonthPlan struct {
	Round        int   `json:"round"`
	Pages        int   `json:"pages"`
	Accounts     int64 `json:"accounts"`
	AccountsDone int64 `json:"accounts_done"`
	// NextPage is the first that is not closed; Pages if all are.
	NextPage int `json:"next_page"`
}

// BeginMonth plans the closing of a month, or answers the plan that there is. One
// that can't be closed now is no outage: the error says why, and no repeat helps.
func (l *Ledger) BeginMonth(ctx context.Context, in MonthRef) (MonthPlan, error) {
	period, err := month(in.Period)
	if err != nil {
		return MonthPlan{}, err
	}
	c, err := l.Store.BeginMonthlyClose(ctx, period, false, MonthlyPage, l.Now())
	if errors.Is(err, ledger.ErrMonthNotOver) || errors.Is(err, ledger.ErrMonthsInOrder) {
		return MonthPlan{}, refusedMonth(err)
	}
	return MonthPlan{Round: c.Round, Pages: c.Pages, Accounts: c.Accounts, AccountsDone: c.AccountsDone, NextPage: c.FirstOpen}, err
}

// month reads a month's name.
func month(text string) (time.Time, error) {
	period, ok := billing.ParsePeriod(text)
	if !ok {
		return time.Time{}, refusedMonth(fmt.Errorf("%q is no month", text))
	}
	return period, nil
}

func refusedMonth(err error) error {
	return temporal.NewNonRetryableApplicationError(err.Error(), "month_refused", nil)
}

// PageRef names a page of a month's closing.
type PageRef struct {
	Period string `json:"period"`
	Round  int    `json:"round"`
	Page   int    `json:"page"`
}

// ClosedPage is what the closing of a page did.
type ClosedPage struct {
	Accounts  int64 `json:"accounts"`
	Invoices  int64 `json:"invoices"`
	Owing     int64 `json:"owing"`
	DueMicros int64 `json:"due_micros"`
}

// CloseMonthPage closes a page, once (R30, R35).
func (l *Ledger) CloseMonthPage(ctx context.Context, in PageRef) (ClosedPage, error) {
	defer heartbeat(ctx)()
	period, err := month(in.Period)
	if err != nil {
		return ClosedPage{}, err
	}
	p, err := l.Store.CloseMonthlyPage(ctx, period, in.Round, in.Page, billing.LeastChargeCents, billing.TierRules(), l.Now())
	if err != nil {
		return ClosedPage{}, err
	}
	return ClosedPage{Accounts: p.Accounts, Invoices: p.Invoices, Owing: p.Owing, DueMicros: p.DueMicros}, nil
}

// MonthEnd is whether a month's closing has ended.
type MonthEnd struct {
	Closed bool `json:"closed"`
}

// FinishMonth ends the closing of a month when all of its pages are closed.
func (l *Ledger) FinishMonth(ctx context.Context, in MonthRef) (MonthEnd, error) {
	period, err := month(in.Period)
	if err != nil {
		return MonthEnd{}, err
	}
	closed, err := l.Store.FinishMonthlyClose(ctx, period, l.Now())
	return MonthEnd{Closed: closed}, err
}

// Months are some, oldest first.
type Months struct {
	Periods []string `json:"periods"`
}

// DueMonths lists the months that are to be billed by now and are not closed: more
// than one after an outage over a 3rd (R29).
func (l *Ledger) DueMonths(ctx context.Context, _ struct{}) (Months, error) {
	due, err := l.Store.OverdueMonths(ctx, billing.LastDueMonth(l.Now()))
	var months Months
	for _, period := range due {
		months.Periods = append(months.Periods, billing.PeriodText(period))
	}
	return months, err
}
