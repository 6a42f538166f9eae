package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/relay"
	"github.com/paystage/paystage/testenv"
	"github.com/paystage/paystage/workflows"
	"github.com/stretchr/testify/require"
)

// aMonth is one that no other test on this Temporal closes: its workflow's id is the
// month's.
func aMonth() time.Time {
	return time.Date(1901+rand.IntN(99), time.Month(1+rand.IntN(12)), 1, 0, 0, 0, 0, time.UTC)
}

// used has an account of that month owe so many cents for it.
func (s *system) used(month time.Time, cents int64) string {
	s.t.Helper()
	ctx := context.Background()
	account := s.account("pm_card_visa")
	db, err := pgx.Connect(ctx, s.settings.DatabaseURL)
	require.NoError(s.t, err)
	defer db.Close(ctx)
	rules := billing.TierRules()
	for _, step := range []struct {
		sql  string
		args []any
	}{
		{`update accounts set created_at = $1 where id = $2`, []any{month, account}},
		{`insert into usage_totals (account_id, invoice_period, period, price_id, resource, events, quantity, picos)
			values ($2, $1, $1, 1, '', 1, 1, $3::numeric * 10000000000)`, []any{month, account, cents}},
		{`select usage_charge('usage', 'test', array[$1::uuid], array[$2::numeric * 10000000000], $3, $4, now())`,
			[]any{account, cents, rules.Thresholds, rules.Limits}},
	} {
		_, err := db.Exec(ctx, step.sql, step.args...)
		require.NoError(s.t, err)
	}
	return account
}

func (s *system) runMonth(month time.Time) int {
	s.t.Helper()
	var answer map[string]any
	return s.call(models.RoleFinance, http.MethodPost, "/v1/finance/monthly", nil,
		map[string]string{"period": billing.PeriodText(month), "reason": "a test"}, &answer)
}

// awaitClosed looks at a month until it is closed.
func (s *system) awaitClosed(month time.Time) api.Month {
	s.t.Helper()
	var m api.Month
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		s.call(models.RoleFinance, http.MethodGet, "/v1/finance/monthly/"+billing.PeriodText(month), nil, nil, &m)
		if m.State == "closed" {
			return m
		}
	}
	require.Failf(s.t, "the month was not closed", "last seen: %+v", m)
	return m
}

// TestF37WorkerDiesInAMonthsClosing lets the worker's process die before and after a
// page is closed, and asks for the month again and again meanwhile. Each account has
// one invoice.
func TestF37WorkerDiesInAMonthsClosing(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]bool{"BeforeCloseMonthPage": false, "AfterCloseMonthPage": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t, testenv.Database(t))
			month := aMonth()
			var accounts []string
			for n := range int64(3) {
				accounts = append(accounts, s.used(month, 100+n))
			}
			_, dead := s.spawn("CloseMonthPage", after)
			require.Equal(t, http.StatusAccepted, s.runMonth(month))
			<-dead
			require.Equal(t, http.StatusAccepted, s.runMonth(month))
			s.spawn("", false)
			m := s.awaitClosed(month)
			require.EqualValues(t, 3, m.Invoices)
			require.EqualValues(t, 3_030_000, m.DueMicros)
			require.Equal(t, http.StatusAccepted, s.runMonth(month))
			for n, account := range accounts {
				invoices, err := s.store.Invoices(context.Background(), account)
				require.NoError(t, err)
				require.Len(t, invoices, 1)
				require.EqualValues(t, 100+n, invoices[0].DueCents, fmt.Sprint(invoices[0]))
			}
			var report api.MonthReport
			s.call(models.RoleFinance, http.MethodGet, "/v1/finance/monthly/"+billing.PeriodText(month)+"/report", nil, nil, &report)
			require.True(t, report.Agrees)
			require.Equal(t, api.Sum{Invoices: 3, Micros: 3_030_000}, report.Invoiced)
			v, err := s.store.Verify(context.Background())
			require.NoError(t, err)
			require.True(t, v.OK(), v)
		})
	}
}

// TestF35AMissedMonthIsCaughtUp: the 3rd passes with the schedule lost, or paused. What
// is due is closed when the sweep may, and not while the schedule is paused.
func TestF35AMissedMonthIsCaughtUp(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newSystem(t, testenv.Database(t))
	month := aMonth()
	account := s.used(month, 100)
	db, err := pgx.Connect(ctx, s.settings.DatabaseURL)
	require.NoError(t, err)
	defer db.Close(ctx)
	_, err = db.Exec(ctx, `
		insert into monthly_closes
		select m, 1, 0, 0, now(), now() from generate_series($1::timestamp + interval '1 month', now(), '1 month') m`, month)
	require.NoError(t, err)
	outbox := relay.New(s.store, s.temporal, s.queues, nil, quiet())
	closed := func() bool {
		open, err := s.store.OpenMonths(ctx, month)
		require.NoError(t, err)
		return len(open) == 0
	}

	schedule := s.temporal.ScheduleClient().GetHandle(ctx, workflows.MonthlyScheduleID)
	_ = schedule.Delete(ctx) // of a run before that died
	for _, made := range []bool{true, false} {
		got, err := workflows.CreateMonthlySchedule(ctx, s.temporal, s.queues, false)
		require.NoError(t, err)
		require.Equal(t, made, got)
	}
	t.Cleanup(func() { _ = schedule.Delete(ctx) })
	is, err := workflows.ReadMonthlySchedule(ctx, s.temporal)
	require.NoError(t, err)
	require.False(t, is.Paused)
	require.Equal(t, "3 00:00:00", is.Next.UTC().Format("2 15:04:05"))
	require.NoError(t, workflows.PauseMonthlySchedule(ctx, s.temporal, true, "a test"))
	outbox.CloseMonths(ctx, now()) // paused at Temporal
	require.NoError(t, s.store.HoldMonths(ctx, true, models.AuditEntry{At: now(), Actor: "a test", Action: "schedule_pause", Subject: "schedule", Reason: "a test"}))
	require.NoError(t, schedule.Delete(ctx))
	outbox.CloseMonths(ctx, now()) // lost, and held by the database
	_, err = s.temporal.DescribeWorkflowExecution(ctx, workflows.MonthlyDueWorkflowID(s.queues), "")
	require.Error(t, err, "nothing was started")
	alerts, err := s.store.OpenAlerts(ctx)
	require.NoError(t, err)
	require.Len(t, alerts, 1)
	require.Equal(t, models.AlertMonthNotClosed, alerts[0].Kind)

	require.NoError(t, s.store.HoldMonths(ctx, false, models.AuditEntry{At: now(), Actor: "a test", Action: "schedule_resume", Subject: "schedule", Reason: "a test"}))
	s.work()
	outbox.CloseMonths(ctx, now())
	require.Eventually(t, closed, patience, 20*time.Millisecond)
	invoices, err := s.store.Invoices(ctx, account)
	require.NoError(t, err)
	require.Len(t, invoices, 1)
	require.EqualValues(t, 100, invoices[0].DueCents)
	outbox.CloseMonths(ctx, now())
	alerts, err = s.store.OpenAlerts(ctx)
	require.NoError(t, err)
	require.Empty(t, alerts)
}
