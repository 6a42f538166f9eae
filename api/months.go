package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/workflows"
)

func (s *Server) monthRoutes(api huma.API) {
	tags, finance := []string{"Finance"}, []models.Role{models.RoleFinance}
	route(s, api, huma.Operation{
		OperationID: "run-month", Method: http.MethodPost, Path: "/v1/finance/monthly", Tags: tags,
		Summary: "Close a month, for all accounts or one", DefaultStatus: http.StatusAccepted,
		Description: "A month is closed once, however often this is called and whatever else closes it. With backfill the accounts are gone over again, " +
			"for what was reported late by those that have no invoice of the month.",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, finance, s.runMonth)
	route(s, api, huma.Operation{
		OperationID: "list-months", Method: http.MethodGet, Path: "/v1/finance/monthly", Tags: tags,
		Summary: "List the months whose closing has begun, newest first",
	}, finance, s.listMonths)
	route(s, api, huma.Operation{
		OperationID: "get-month", Method: http.MethodGet, Path: "/v1/finance/monthly/{period}", Tags: tags,
		Summary: "See how far the closing of a month has come", Errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity},
	}, finance, s.getMonth)
	route(s, api, huma.Operation{
		OperationID: "report-month", Method: http.MethodGet, Path: "/v1/finance/monthly/{period}/report", Tags: tags,
		Summary: "What a month's invoices demanded and what became of them, against the ledger",
		Errors:  []int{http.StatusNotFound, http.StatusUnprocessableEntity},
	}, finance, s.reportMonth)
}

// Month is the closing of a month.
type Month struct {
	Period       string     `json:"period" example:"2026-10"`
	State        string     `json:"state" enum:"closing,closed"`
	Round        int        `json:"round" doc:"How often the accounts were gone over; a backfill adds one."`
	Accounts     int64      `json:"accounts" doc:"Accounts that ever used something."`
	AccountsDone int64      `json:"accounts_done"`
	Pages        int        `json:"pages" doc:"Each is one transaction."`
	PagesDone    int        `json:"pages_done"`
	PerSecond    float64    `json:"accounts_per_second"`
	SecondsLeft  *float64   `json:"seconds_left,omitempty" doc:"At the rate so far."`
	Invoices     int64      `json:"invoices"`
	Owing        int64      `json:"owing" doc:"Invoices that demand something."`
	UsageMicros  int64      `json:"usage_micros"`
	DueMicros    int64      `json:"due_micros"`
	StartedAt    time.Time  `json:"started_at"`
	ClosedAt     *time.Time `json:"closed_at,omitempty"`
}

// AccountMonth is the closing of a month for one account.
type AccountMonth struct {
	AccountID string `json:"account_id"`
	Invoices  int64  `json:"invoices" doc:"How many this made: also those of months before that it lacked."`
}

type runMonthInput struct {
	Body struct {
		Period    string `json:"period" doc:"A month of UTC that is over." example:"2026-10"`
		AccountID string `json:"account_id,omitempty" doc:"One account; without it all."`
		Backfill  bool   `json:"backfill,omitempty" doc:"Go over the accounts again."`
		Reason    string `json:"reason" minLength:"1" maxLength:"2000" doc:"Why; for the audit log."`
	}
}

type runMonthOutput struct {
	Body struct {
		Month   *Month        `json:"month,omitempty"`
		Account *AccountMonth `json:"account,omitempty"`
	}
}

type monthOutput struct{ Body Month }

type monthsOutput struct {
	Body struct {
		Months []Month  `json:"months" doc:"At most 60."`
		Open   []string `json:"open" doc:"Months that are to be billed and are not closed, oldest first."`
	}
}

type monthInput struct {
	Period string `path:"period" doc:"A month of UTC." example:"2026-10"`
}

// runMonth closes a month by hand (R29), with who did it and why.
func (s *Server) runMonth(ctx context.Context, in *runMonthInput) (*runMonthOutput, error) {
	period, err := parsePeriod(in.Body.Period)
	if err != nil {
		return nil, err
	}
	out := &runMonthOutput{}
	if in.Body.AccountID != "" {
		out.Body.Account, err = s.runAccountMonth(ctx, period, in)
		return out, err
	}
	action := "run_month"
	if in.Body.Backfill {
		action = "backfill_month"
	}
	entry := s.audit(ctx, action, "", "month/"+in.Body.Period, in.Body.Reason)
	c, err := s.Store.RunMonth(ctx, period, in.Body.Backfill, activities.MonthlyPage, entry)
	if err != nil {
		return nil, s.monthRefused(ctx, period, err)
	}
	// What is planned is closed even if this fails: the sweep finds it.
	if err := workflows.StartMonthlyClose(ctx, s.Temporal, s.Queues, in.Body.Period); err != nil {
		return nil, fmt.Errorf("%w: %w", ledger.ErrUnavailable, err)
	}
	month := monthView(c)
	out.Body.Month = &month
	return out, nil
}

func (s *Server) runAccountMonth(ctx context.Context, period time.Time, in *runMonthInput) (*AccountMonth, error) {
	account, err := s.account(ctx, in.Body.AccountID)
	if err != nil {
		return nil, err
	}
	entry := s.audit(ctx, "run_month", account.ID, "month/"+in.Body.Period, in.Body.Reason)
	made, err := s.Store.RunAccountMonth(ctx, account.ID, period, billing.LeastChargeCents, billing.TierRules(), entry)
	if err != nil {
		return nil, s.monthRefused(ctx, period, err)
	}
	return &AccountMonth{AccountID: account.ID, Invoices: made}, nil
}

// monthRefused says why a month can't be closed now.
func (s *Server) monthRefused(ctx context.Context, period time.Time, err error) error {
	switch {
	case errors.Is(err, ledger.ErrMonthNotOver):
		return problem(http.StatusConflict, "month_not_over", "The month is not over. It can be closed from the first of the next one on, in UTC.")
	case errors.Is(err, ledger.ErrMonthsInOrder):
		open, listErr := s.Store.OpenMonths(ctx, period)
		if listErr != nil || len(open) == 0 {
			return errors.Join(err, listErr)
		}
		return problem(http.StatusConflict, "months_in_order", fmt.Sprintf("Months are closed in their order; close %s first.", billing.PeriodText(open[0])))
	}
	return err
}

func parsePeriod(text string) (time.Time, error) {
	period, ok := billing.ParsePeriod(text)
	if !ok {
		return time.Time{}, problem(http.StatusUnprocessableEntity, "invalid_period", "period must be a month, such as 2026-10.")
	}
	return period, nil
}

func (s *Server) listMonths(ctx context.Context, _ *struct{}) (*monthsOutput, error) {
	closes, err := s.Store.MonthlyCloses(ctx)
	if err != nil {
		return nil, err
	}
	open, err := s.Store.OpenMonths(ctx, billing.LastDueMonth(s.Now()))
	if err != nil {
		return nil, err
	}
	out := &monthsOutput{}
	out.Body.Months, out.Body.Open = make([]Month, len(closes)), make([]string, len(open))
	for i, c := range closes {
		out.Body.Months[i] = monthView(c)
	}
	for i, period := range open {
		out.Body.Open[i] = billing.PeriodText(period)
	}
	return out, nil
}

func (s *Server) getMonth(ctx context.Context, in *monthInput) (*monthOutput, error) {
	period, err := parsePeriod(in.Period)
	if err != nil {
		return nil, err
	}
	c, err := s.Store.MonthlyClose(ctx, period)
	if err != nil {
		return nil, named("The closing of that month", err)
	}
	return &monthOutput{Body: monthView(c)}, nil
}

func monthView(c models.MonthlyClose) Month {
	m := Month{
		Period: billing.PeriodText(c.Period), State: "closing", Round: c.Round, Accounts: c.Accounts, AccountsDone: c.AccountsDone,
		Pages: c.Pages, PagesDone: c.PagesDone, Invoices: c.Invoices, Owing: c.Owing, UsageMicros: c.UsageMicros, DueMicros: c.DueMicros,
		StartedAt: c.StartedAt, ClosedAt: c.ClosedAt,
	}
	if c.ClosedAt != nil {
		m.State = "closed"
	}
	if took := c.NewestAt.Sub(c.StartedAt).Seconds(); took > 0 && c.AccountsDone > 0 {
		m.PerSecond = float64(c.AccountsDone) / took
		if c.ClosedAt == nil {
			left := float64(max(0, c.Accounts-c.AccountsDone)) / m.PerSecond
			m.SecondsLeft = &left
		}
	}
	return m
}

// MonthReport is what a month's invoices demanded and what became of that.
type MonthReport struct {
	Period string `json:"period" example:"2026-10"`
	// What was used, and what paid for it.
	UsageMicros      int64       `json:"usage_micros"`
	CarriedInMicros  int64       `json:"carried_in_micros"`
	FreeMicros       int64       `json:"free_micros"`
	PurchasedMicros  int64       `json:"purchased_micros"`
	CarriedOutMicros int64       `json:"carried_out_micros"`
	Invoiced         Sum         `json:"invoiced" doc:"All that demand something: the sum of the five that follow."`
	Collected        Sum         `json:"collected"`
	Open             Sum         `json:"open"`
	PastDue          Sum         `json:"past_due"`
	Void             Sum         `json:"void"`
	Uncollectible    Sum         `json:"uncollectible"`
	NothingDue       int64       `json:"nothing_due_invoices" doc:"Invoices that demand nothing."`
	Reasons          []ReasonSum `json:"reasons" doc:"Those that ended unpaid, by the reason given."`
	// Ledger is the same by the ledger alone.
	Ledger struct {
		InvoicedMicros      int64 `json:"invoiced_micros"`
		CollectedMicros     int64 `json:"collected_micros"`
		VoidMicros          int64 `json:"void_micros"`
		UncollectibleMicros int64 `json:"uncollectible_micros"`
	} `json:"ledger"`
	Agrees bool `json:"agrees" doc:"Whether the invoices and the ledger say the same."`
}

// Sum is how many invoices, and how much they demand.
type Sum struct {
	Invoices int64 `json:"invoices"`
	Micros   int64 `json:"micros"`
}

// ReasonSum is the sum of the invoices that ended so for one reason.
type ReasonSum struct {
	Status string `json:"status" enum:"void,uncollectible"`
	Reason string `json:"reason"`
	Sum
}

type reportOutput struct{ Body MonthReport }

func (s *Server) reportMonth(ctx context.Context, in *monthInput) (*reportOutput, error) {
	period, err := parsePeriod(in.Period)
	if err != nil {
		return nil, err
	}
	r, err := s.Store.MonthReport(ctx, period)
	if err != nil {
		return nil, named("An invoice of that month", err)
	}
	return &reportOutput{Body: reportView(in.Period, r)}, nil
}

func reportView(period string, r models.MonthReport) MonthReport {
	v := MonthReport{
		Period: period, UsageMicros: r.UsageMicros, CarriedInMicros: r.CarriedInMicros, FreeMicros: r.FreeMicros, PurchasedMicros: r.PurchasedMicros,
		CarriedOutMicros: r.CarriedOutMicros, NothingDue: r.NothingDue, Reasons: []ReasonSum{},
	}
	for _, g := range r.Groups {
		sum := Sum{Invoices: g.Invoices, Micros: g.Micros}
		v.Invoiced.add(sum)
		switch models.InvoiceStatus(g.Status) {
		case models.InvoicePaid:
			v.Collected.add(sum)
		case models.InvoiceOpen:
			v.Open.add(sum)
		case models.InvoicePastDue:
			v.PastDue.add(sum)
		case models.InvoiceVoid:
			v.Void.add(sum)
		case models.InvoiceUncollectible:
			v.Uncollectible.add(sum)
		}
		if g.Reason != "" {
			v.Reasons = append(v.Reasons, ReasonSum{Status: g.Status, Reason: g.Reason, Sum: sum})
		}
	}
	v.Ledger.InvoicedMicros, v.Ledger.CollectedMicros = r.LedgerInvoicedMicros, r.LedgerCollectedMicros
	v.Ledger.VoidMicros, v.Ledger.UncollectibleMicros = r.LedgerVoidMicros, r.LedgerLossMicros
	v.Agrees = v.Invoiced.Micros == r.LedgerInvoicedMicros && v.Collected.Micros == r.LedgerCollectedMicros &&
		v.Void.Micros == r.LedgerVoidMicros && v.Uncollectible.Micros == r.LedgerLossMicros &&
		v.UsageMicros+v.CarriedInMicros == v.FreeMicros+v.PurchasedMicros+v.Invoiced.Micros+v.CarriedOutMicros
	return v
}

func (s *Sum) add(other Sum) {
	s.Invoices += other.Invoices
	s.Micros += other.Micros
}
