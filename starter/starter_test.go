package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paystage/paystage/activities"
	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/stripesim/judge"
	"github.com/paystage/paystage/stripesim/sim"
	"github.com/paystage/paystage/testenv"
	"github.com/paystage/paystage/workflows"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
	"go.temporal.io/sdk/mocks"
)

// starter runs a command as a shell would and answers its exit code and output.
func starter(args ...string) (code int, stdout, message string) {
	cmd := command()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&bytes.Buffer{})
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(context.Background())
	if err != nil {
		message = err.Error()
	}
	return exitCode(err), out.String(), message
}

const anAccount = "01a20000-0000-7000-8000-000000000001"

func TestExitCodesOfWrongUsage(t *testing.T) {
	for _, v := range []string{"DATABASE_URL", "PAYSTAGE_URL", "PAYSTAGE_CHECKOUT_KEY", "PAYSTAGE_SUPPORT_KEY", "TEMPORAL_ADDRESS"} {
		t.Setenv(v, "")
	}
	tests := map[string]struct {
		args []string
		code int
		says string
	}{
		"NoCommand":        {nil, 2, "name a command"},
		"NoSuchCommand":    {[]string{"sell"}, 2, "unknown command"},
		"NoSuchFlag":       {[]string{"serve", "--fast"}, 2, "unknown flag"},
		"NoKeysCommand":    {[]string{"keys"}, 2, "name a command"},
		"MissingFlag":      {[]string{"purchase"}, 2, "account"},
		"BadOutput":        {[]string{"alerts", "--output", "xml"}, 2, "text or json"},
		"AmountNoNumber":   {[]string{"purchase", "--account", anAccount, "--amount-cents", "5.5"}, 2, "amount-cents"},
		"TimeWithoutZone":  {[]string{"force-sync", "--email", "a@b.c", "--purchased-at", "2026-11-03T14:05:00", "--reason", "r"}, 2, "zone"},
		"AsOfNoTime":       {[]string{"as-of", "--account", "a", "--at", "yesterday"}, 2, "zone"},
		"HoldNotAll":       {[]string{"auto-recharge", "pause"}, 2, "--all"},
		"StatusOfNothing":  {[]string{"status"}, 2, "arg"},
		"NoDatabase":       {[]string{"migrate"}, 1, "DATABASE_URL is not set"},
		"NoFrontDoor":      {[]string{"alerts"}, 1, "PAYSTAGE_URL is not set"},
		"NoConfiguration":  {[]string{"serve"}, 1, "DATABASE_URL"},
		"AmountOfNothing":  {[]string{"purchase", "--account", anAccount, "--amount-cents", "0"}, 2, "whole number of cents above zero"},
		"AmountBelowZero":  {[]string{"purchase", "--account", anAccount, "--amount-cents", "-2500"}, 2, "whole number of cents above zero"},
		"AccountNoID":      {[]string{"purchase", "--account", "ada", "--amount-cents", "2500"}, 2, "not an id"},
		"EmptyKey":         {[]string{"purchase", "--account", anAccount, "--amount-cents", "2500", "--idempotency-key", ""}, 2, "1 to 255 printable"},
		"KeyWithALine":     {[]string{"purchase", "--account", anAccount, "--amount-cents", "2500", "--idempotency-key", "a\nb"}, 2, "printable"},
		"WaitTooLong":      {[]string{"purchase", "--account", anAccount, "--amount-cents", "2500", "--wait", "61"}, 2, "from 0 to 60"},
		"WaitBelowZero":    {[]string{"purchase", "--account", anAccount, "--amount-cents", "2500", "--wait", "-1"}, 2, "from 0 to 60"},
		"StatusNoID":       {[]string{"status", "latest"}, 2, "not an id"},
		"EmailNoAddress":   {[]string{"force-sync", "--email", "ada", "--purchased-at", "2026-11-03T14:05:00Z", "--reason", "r"}, 2, "email address"},
		"SyncNoReason":     {[]string{"force-sync", "--email", "a@b.c", "--purchased-at", "2026-11-03T14:05:00Z", "--reason", " "}, 2, "1 to 2000"},
		"GrantOfNothing":   {[]string{"grant", "--account", anAccount, "--amount-cents", "0", "--reason", "r"}, 2, "above zero"},
		"GrantToNobody":    {[]string{"grant", "--account", "", "--amount-cents", "500", "--reason", "r"}, 2, "not an id"},
		"GrantNoReason":    {[]string{"grant", "--account", anAccount, "--amount-cents", "500", "--reason", ""}, 2, "1 to 2000"},
		"GrantEmptyKey":    {[]string{"grant", "--account", anAccount, "--amount-cents", "500", "--reason", "r", "--idempotency-key", ""}, 2, "1 to 200 printable"},
		"ResolveNoNumber":  {[]string{"alerts", "resolve", "abc", "--reason", "r"}, 2, "not an alert's id"},
		"ResolveZero":      {[]string{"alerts", "resolve", "0", "--reason", "r"}, 2, "not an alert's id"},
		"ResolveNoReason":  {[]string{"alerts", "resolve", "1", "--reason", ""}, 2, "1 to 2000"},
		"NoSuchRole":       {[]string{"keys", "create", "--role", "bogus", "--name", "Ada"}, 2, "the roles are checkout, usage, gateway, support, finance, admin"},
		"KeyOfNobody":      {[]string{"keys", "create", "--role", "admin", "--name", ""}, 2, "1 to 200"},
		"RevokeNoID":       {[]string{"keys", "revoke", "ada"}, 2, "not a key's id"},
		"NoMonthlyCommand": {[]string{"monthly"}, 2, "name a command"},
		"MonthNoReason":    {[]string{"monthly", "run"}, 2, "reason"},
		"MonthNoMonth":     {[]string{"monthly", "run", "--period", "2026-13", "--reason", "r"}, 2, "a month, such as"},
		"BackfillWhat":     {[]string{"monthly", "backfill", "--reason", "r"}, 2, "period"},
		"MonthOfNobody":    {[]string{"monthly", "run", "--account", "ada", "--reason", "r"}, 2, "not an id"},
		"ShowNoMonth":      {[]string{"monthly", "show", "october"}, 2, "a month, such as"},
		"ReportOfNothing":  {[]string{"monthly", "report"}, 2, "arg"},
		"NoScheduleVerb":   {[]string{"schedule"}, 2, "name a command"},
		"PauseNoReason":    {[]string{"schedule", "pause"}, 2, "reason"},
		"ScheduleNowhere":  {[]string{"schedule", "show"}, 1, "TEMPORAL_ADDRESS is not set"},
		"RevokeTwo":        {[]string{"keys", "revoke", "0123456789abcdef", "0123456789abcdee"}, 2, "arg"},
		"NoSuchKeys":       {[]string{"keys", "make"}, 2, "unknown command"},
		"PriceNoNumber":    {[]string{"prices", "add", "--sku", "x", "--unit", "token", "--from", "2026-12-01T00:00:00Z", "--micros-per-unit", "a lot"}, 2, "decimal number"},
		"PriceTooFine":     {[]string{"prices", "add", "--sku", "x", "--unit", "token", "--from", "2026-12-01T00:00:00Z", "--micros-per-unit", "0.0000001"}, 2, "six decimal"},
		"PriceBelowZero":   {[]string{"prices", "add", "--sku", "x", "--unit", "token", "--from", "2026-12-01T00:00:00Z", "--micros-per-unit", "-1"}, 2, "zero or more"},
		"PriceOfNoUnit":    {[]string{"prices", "add", "--sku", "x", "--unit", "hour", "--from", "2026-12-01T00:00:00Z", "--micros-per-unit", "1"}, 2, "the units are token"},
		"PriceNoZone":      {[]string{"prices", "add", "--sku", "x", "--unit", "token", "--from", "2026-12-01", "--micros-per-unit", "1"}, 2, "zone"},
		"NoSuchLedger":     {[]string{"ledger", "mend"}, 2, "unknown command"},
		"ServeWithWords":   {[]string{"serve", "now"}, 2, "unknown command"},
		"HelpOfEverything": {[]string{"force-sync", "--help"}, 0, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			code, _, message := starter(test.args...)
			require.Equal(t, test.code, code, message)
			require.Contains(t, message, test.says)
		})
	}
}

// openShop opens a front door with a database, whose purchases nobody works on, and
// answers the database and the way to the bank.
func openShop(t *testing.T) (*ledger.Ledger, *client.API) {
	t.Helper()
	url := testenv.Database(t)
	store, err := ledger.Open(context.Background(), url, 8)
	require.NoError(t, err)
	t.Cleanup(store.Close)
	double := judge.Double(t, sim.Options{SecretKey: "sk_test_x"})
	stripeServer := httptest.NewServer(double)
	t.Cleanup(func() { _ = double.Close(); stripeServer.Close() })
	temporal := mocks.NewClient(t)
	temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Maybe().Return(nil, nil)
	ctx, stop := context.WithCancel(context.Background())
	front := httptest.NewServer(api.New(ctx, api.Options{
		Store: store, Temporal: temporal, Queues: workflows.DefaultQueues(),
		Stripe: activities.NewStripeClient(stripeServer.URL, "sk_test_x"), Gateways: func() []string { return []string{"http://gateway.example"} },
		MaxPurchaseCents: billing.DefaultMaxPurchaseCents,
		Now:              func() time.Time { return time.Now().UTC() }, Log: slog.New(slog.DiscardHandler),
	}))
	t.Cleanup(func() { stop(); front.Close() })
	t.Setenv("DATABASE_URL", url)
	t.Setenv("PAYSTAGE_URL", front.URL)
	return store, activities.NewStripeClient(stripeServer.URL, "sk_test_x")
}

// auditOfKeys is what the audit log has about keys.
func auditOfKeys(t *testing.T) string {
	t.Helper()
	db, err := pgx.Connect(t.Context(), os.Getenv("DATABASE_URL"))
	require.NoError(t, err)
	defer db.Close(t.Context())
	var lines string
	require.NoError(t, db.QueryRow(t.Context(), `
		select string_agg(concat_ws(' ', actor, role, action, subject, reason), chr(10) order by id)
		  from audit_log where subject like 'key/%'`).Scan(&lines))
	return lines
}

// useKey makes a key by the command and puts it where the commands look for it.
func useKey(t *testing.T, role, variable string) string {
	t.Helper()
	code, out, message := starter("keys", "create", "--role", role, "--name", "test", "--output", "json")
	require.Zero(t, code, message)
	var key api.Key
	require.NoError(t, json.Unmarshal([]byte(out), &key))
	require.Equal(t, role, key.Role)
	t.Setenv(variable, key.Text)
	return key.ID
}

func TestCommandsEndToEnd(t *testing.T) {
	store, bank := openShop(t)
	ctx := context.Background()
	useKey(t, "checkout", "PAYSTAGE_CHECKOUT_KEY")
	supportKey := useKey(t, "support", "PAYSTAGE_SUPPORT_KEY")
	account := models.Account{ID: anAccount, Email: "ada@example.com", Name: "Ada", Territory: "US", CreatedAt: time.Now()}
	require.NoError(t, store.CreateAccount(ctx, account))

	code, _, message := starter("purchase", "--account", account.ID, "--amount-cents", "2500", "--wait", "0")
	require.Equal(t, 1, code)
	require.Contains(t, message, "card_required")

	customer, err := bank.Customers.New(&stripe.CustomerParams{})
	require.NoError(t, err)
	_, err = store.SetStripeCustomer(ctx, account.ID, customer.ID)
	require.NoError(t, err)
	require.NoError(t, store.PutCard(ctx, models.Card{
		AccountID: account.ID, PaymentMethodID: "pm_1", Brand: "visa", Funding: "credit", Last4: "4242", UpdatedAt: time.Now(),
	}))
	code, out, message := starter("purchase", "--account", account.ID, "--amount-cents", "2500", "--wait", "0", "--idempotency-key", "k", "--output", "json")
	require.Zero(t, code, message)
	var purchase api.Purchase
	require.NoError(t, json.Unmarshal([]byte(out), &purchase))
	require.Equal(t, "pending", purchase.Status)

	code, out, message = starter("status", purchase.ID)
	require.Zero(t, code, message)
	require.Contains(t, out, "Purchase "+purchase.ID+" of $25.00: pending")
	for _, stage := range []string{"bank_approval", "invoice", "balance", "tier"} {
		require.Contains(t, out, stage)
	}

	code, _, message = starter("force-sync", "--email", "ADA@example.com", "--purchased-at", time.Now().Format(time.RFC3339), "--reason", "ticket 7")
	require.Equal(t, 1, code)
	require.Contains(t, message, "payment_not_verified")
	code, out, message = starter("force-sync", "--email", "ada@example.com", "--purchased-at", time.Now().Format(time.RFC3339), "--reason", "ticket 7", "--dry-run")
	require.Zero(t, code, message)
	require.Contains(t, out, "Dry run: nothing was changed.")
	require.Contains(t, out, "http://gateway.example")

	code, out, message = starter("explain", account.ID)
	require.Zero(t, code, message)
	require.Contains(t, out, "Limited, by $0.00 of lifetime spend. Entitlement version 0")
	require.Contains(t, out, "http://gateway.example")
	code, out, message = starter("gateways")
	require.Zero(t, code, message)
	require.Contains(t, out, "http://gateway.example  new")

	code, out, message = starter("grant", "--account", account.ID, "--amount-cents", "500", "--reason", "sorry")
	require.Zero(t, code, message)
	require.Contains(t, out, "$5.00 of free credits")

	code, out, message = starter("as-of", "--account", account.ID, "--at", time.Now().Format(time.RFC3339Nano))
	require.Zero(t, code, message)
	require.Contains(t, out, "Balance $5.00: free $5.00")
	require.Contains(t, out, "$5.00 of $5.00 left")
	require.Contains(t, out, "limited_tier")

	require.NoError(t, store.RaiseAlert(ctx, models.Alert{Kind: models.AlertBankUnknown, Subject: "purchase/x", Detail: "look", RaisedAt: time.Now()}))
	code, out, _ = starter("alerts")
	require.Zero(t, code)
	require.Contains(t, out, "bank_unknown")
	code, _, message = starter("alerts", "resolve", "1", "--reason", "looked")
	require.Zero(t, code, message)
	_, out, _ = starter("alerts")
	require.Contains(t, out, "No open alerts.")

	code, out, message = starter("ledger", "verify", "--output", "json")
	require.Zero(t, code, message)
	require.Contains(t, out, `"ledger_sum_micros": 0`)

	for _, verb := range []string{"pause", "resume"} {
		code, out, message = starter("auto-recharge", verb, "--all", "--reason", "ticket 9", "--by", "Grace", "--output", "json")
		require.Zero(t, code, message)
		require.Contains(t, out, fmt.Sprintf(`"held": %t`, verb == "pause"))
		r, err := store.Recharge(ctx, account.ID, time.Now())
		require.NoError(t, err)
		require.Equal(t, verb == "pause", r.Held)
	}

	code, _, message = starter("keys", "revoke", supportKey, "--reason", "left the company")
	require.Zero(t, code, message)
	require.Regexp(t, `^starter \(.+\) admin create_key key/[0-9a-f]{16} no reason given
starter \(.+\) admin create_key key/`+supportKey+` no reason given
starter \(.+\) admin revoke_key key/`+supportKey+` left the company$`, auditOfKeys(t))
	code, _, message = starter("alerts")
	require.Equal(t, 1, code)
	require.Contains(t, message, "invalid_key")
	_, out, _ = starter("keys", "list")
	require.Contains(t, out, supportKey)
	require.NotContains(t, out, "ps_support_")
}

// Prices are added and listed as they are written, and who added one is in the audit
// log; a price that begins in the past is refused.
func TestPrices(t *testing.T) {
	store, _ := openShop(t)
	add := func(micros string, from time.Time) (int, string) {
		code, out, message := starter("prices", "add", "--sku", "acme/one.input", "--unit", "token", "--micros-per-unit", micros,
			"--from", from.Format(time.RFC3339), "--reason", "new model")
		return code, out + message
	}
	code, says := add("0.000001", time.Now().Add(-time.Hour))
	require.Zero(t, code, says)
	code, says = add("2", time.Now().Add(-time.Minute))
	require.Equal(t, 1, code)
	require.Contains(t, says, "begins in the future")
	code, says = add("2.5", time.Now().Add(time.Hour))
	require.Zero(t, code, says)
	require.Contains(t, says, "acme/one.input costs 2.5 micro-dollars a token")
	code, out, message := starter("prices", "list")
	require.Zero(t, code, message)
	require.Regexp(t, `acme/one\.input +token +0\.000001`, out)
	require.Regexp(t, `acme/one\.input +token +2\.5`, out)
	prices, err := store.Prices(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(2_500_000), prices[len(prices)-1].PicosPerUnit)
}

// Months are run, shown and reported as the front door knows them, and the wait for a
// closing ends with it.
func TestMonths(t *testing.T) {
	store, _ := openShop(t)
	useKey(t, "finance", "PAYSTAGE_FINANCE_KEY")
	month := billing.LastDueMonth(time.Now())
	period := billing.PeriodText(month)
	require.NoError(t, store.CreateAccount(t.Context(), models.Account{
		ID: anAccount, Email: "ada@example.com", Name: "Ada", Territory: "US", CreatedAt: month,
	}))
	code, out, message := starter("monthly", "run", "--no-wait", "--reason", "ticket 3")
	require.Zero(t, code, message)
	require.Contains(t, out, period+" is closing: 0 of 0 accounts done")
	code, _, message = starter("monthly", "run", "--period", billing.PeriodText(time.Now()), "--reason", "too soon")
	require.Equal(t, 1, code)
	require.Contains(t, message, "month_not_over")

	ended := make(chan string, 1)
	go func() {
		_, out, message := starter("monthly", "run", "--reason", "ticket 3")
		ended <- out + message
	}()
	_, err := store.CloseMonthlyPage(t.Context(), month, 1, 0, billing.LeastChargeCents, billing.TierRules(), time.Now())
	require.NoError(t, err)
	_, err = store.FinishMonthlyClose(t.Context(), month, time.Now())
	require.NoError(t, err)
	require.Contains(t, <-ended, period+" is closed: 0 of 0 accounts done, 0 invoices of $0.00, 0 of them demand $0.00.")

	code, out, message = starter("monthly", "run", "--account", anAccount, "--reason", "ticket 4", "--output", "json")
	require.Zero(t, code, message)
	require.Contains(t, out, `"invoices": 0`)
	code, out, message = starter("monthly", "show")
	require.Zero(t, code, message)
	require.Regexp(t, period+` +closed`, out)
	code, out, message = starter("monthly", "show", period, "--output", "json")
	require.Zero(t, code, message)
	require.Contains(t, out, `"state": "closed"`)
	code, _, message = starter("monthly", "report", period)
	require.Equal(t, 1, code)
	require.Contains(t, message, "not_found")
}

func TestReportOfAMonthIsATable(t *testing.T) {
	cmd := monthlyCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.Flags().String("output", "text", "")
	r := api.MonthReport{Period: "2026-10", UsageMicros: 12_340_000, Invoiced: api.Sum{Invoices: 2, Micros: 12_340_000}, Collected: api.Sum{Invoices: 1, Micros: 10_000_000}}
	r.Reasons = []api.ReasonSum{{Status: "void", Reason: "a mistake", Sum: api.Sum{Invoices: 1, Micros: 2_340_000}}}
	require.NoError(t, showReport(cmd, r))
	require.Regexp(t, `collected +1 +\$10\.00`, out.String())
	require.Regexp(t, `void: a mistake +1 +\$2\.34`, out.String())
	require.Contains(t, bar(api.Month{Period: "2026-10", Accounts: 10, AccountsDone: 5, PerSecond: 2}), "[###############...............] 5 of 10 accounts, 2/s")
}
