package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/paystage/paystage/ledger"
)

// The SQL states of refusals that have no name of their own.
const (
	restrictViolation = "23001"
	uniqueViolation   = "23505"
	checkViolation    = "23514"
	outOfRange        = "22003"
)

// TestTheDatabaseRefuses sends what no code of ours sends, as the superuser: the
// invariants hold for every writer.
func TestTheDatabaseRefuses(t *testing.T) {
	t.Parallel()
	b := open(t)
	account, other := b.customer(t), b.customer(t)
	b.grant(t, account, dollars(10))
	b.do(t, `insert into audit_log (at, actor, role, action, subject, reason) values (now(), 'ada', 'support', 'look', 'x', 'why')`)
	invoiced := b.invoiced(t, account, 2500)
	names := named{
		"account": account, "other": other, "fresh": uuid.NewString(),
		"charging": b.charging(t, account, 2500), "approved": b.approved(t, account, 2500), "invoiced": invoiced,
		"credited": b.credited(t, account, 2500), "completed": b.completed(t, account, 500),
		"issued": *b.purchase(t, invoiced).InvoiceID,
	}
	b.do(t, names.in(`select gateway_acknowledge(@account, 'g', 1, '{g}', now())`))
	for room, cases := range map[string][]refusal{
		"Ledger": ledgerRefusals, "Credit": creditRefusals, "Purchase": purchaseRefusals, "Record": recordRefusals,
	} {
		for _, c := range cases {
			t.Run(room+"/"+c.name, func(t *testing.T) {
				refused(t, b.try(t, names.in(c.statement)), c.by)
			})
		}
	}
}

// refusal is a statement and the constraint, or SQL state, that refuses it.
type refusal struct{ name, statement, by string }

// named puts ids into statements, as literals in the place of @name.
type named map[string]string

func (n named) in(statement string) string {
	for name, id := range n {
		statement = strings.ReplaceAll(statement, "@"+name, "'"+id+"'")
	}
	return statement
}

// try runs a statement as its own transaction and takes it back.
func (b *books) try(t *testing.T, statement string) error {
	tx, err := b.db.Begin(t.Context())
	done(t, err)
	defer func() { done(t, tx.Rollback(context.WithoutCancel(t.Context()))) }()
	if _, err := tx.Exec(t.Context(), statement); err != nil {
		return err
	}
	_, err = tx.Exec(t.Context(), `set constraints all immediate`) // as a commit would
	return err
}

// posting is a ledger transaction of @account in raw SQL. Entries are rows of line,
// account, book and amount.
func posting(kind, key, entries string) string {
	return posted("", kind, key, "@account", entries)
}

// others is one of @other.
func others(kind, entries string) string {
	return posted("", kind, `'k'`, "@other", entries)
}

func posted(with, kind, key, account, entries string) string {
	return fmt.Sprintf(`
		with %s t as (
			insert into ledger_transactions (idempotency_key, kind, account_id, occurred_at)
			values (%s, '%s', %s, now()) returning id)
		insert into ledger_entries (transaction_id, line, account_id, book, amount_micros)
		select t.id, e.line, e.account::uuid, e.book::ledger_book, e.amount
		  from t, (values %s) e (line, account, book, amount)`, with, key, kind, account, entries)
}

// bought is the entries of a purchase of so many dollars.
func bought(account string, dollars int) string {
	return fmt.Sprintf(`(1, %[1]s, 'payments', -%[2]d000000), (2, %[1]s, 'purchased', %[2]d000000)`, account, dollars)
}

// credit is the balance stage of a purchase of $25.00, with other entries.
func credit(entries string) string {
	const stage = `p as (update purchases set balance_ended_at = now(), entitlement_version = 0 where id = @invoiced),`
	return posted(stage, "purchase", `'purchase/' || @invoiced`, "@account", entries)
}

// later adds entries to the transactions of a kind.
func later(kind, from, to string) string {
	return fmt.Sprintf(`
		insert into ledger_entries (transaction_id, line, account_id, book, amount_micros)
		select t.id, e.line, t.account_id, e.book::ledger_book, e.amount
		  from ledger_transactions t, (values (3, '%s', -5), (4, '%s', 5)) e (line, book, amount)
		 where t.kind = '%s'`, from, to, kind)
}

// R51, I1, I4.
var ledgerRefusals = []refusal{
	{"Unbalanced", posting("free_credits", `'k'`, `(1, @account, 'promotions', -5), (2, @account, 'free', 6)`), "ledger_transactions_balance"},
	{"OneEntry", posting("free_credits", `'k'`, `(1, @account, 'free', 5)`), "ledger_transactions_balance"},
	{"EntryOfZero", posting("free_credits", `'k'`, `(1, @account, 'free', 0)`), checkViolation},
	{"NoEntries", `insert into ledger_transactions (idempotency_key, kind, account_id, occurred_at) values ('k', 'free_credits', @account, now())`,
		"ledger_transactions_have_entries"},
	{"NoEntriesByTheFunction", `select ledger_post('k', 'free_credits', @account, now(), '{}', '{}')`, "ledger_transactions_have_entries"},
	{"EntriesAddedLater", later("free_credits", "promotions", "free"), "ledger_transactions_written_whole"},
	{"EntryChanged", `update ledger_entries set amount_micros = amount_micros + 1`, restrictViolation},
	{"EntryDeleted", `delete from ledger_entries`, restrictViolation},
	{"EntriesEmptied", `truncate ledger_entries`, restrictViolation},
	{"TransactionChanged", `update ledger_transactions set occurred_at = now()`, restrictViolation},
	{"TransactionDeleted", `delete from ledger_transactions`, restrictViolation},
	{"TransactionsEmptied", `truncate ledger_transactions cascade`, restrictViolation},
	{"EntryOfAnotherAccount", posting("free_credits", `'k'`, `(1, @other, 'promotions', -5), (2, @other, 'free', 5)`),
		"ledger_entries_transaction_id_fkey"},
	{"R53/CreditsTakenFromNoGrant", posting("free_credits", `'k'`, `(1, @account, 'promotions', 1), (2, @account, 'free', -1)`),
		"ledger_credits_come_from_grants"},
	{"R53/GrantRaisedByHand", `update credit_grants set left_micros = left_micros + 1`, restrictViolation},
	{"R53/GrantDeleted", `delete from credit_grants`, restrictViolation},
	{"R53/GrantsEmptied", `truncate credit_grants cascade`, restrictViolation},
	{"R46/PriceChanged", `update prices set picos_per_unit = 1`, restrictViolation},
	{"R46/PriceDeleted", `delete from prices`, restrictViolation},
	{"R46/PricesEmptied", `truncate prices cascade`, restrictViolation},
	{"R46/PriceInThePast", `insert into prices (sku, unit, picos_per_unit, from_at) select sku, unit, 1, now() - interval '1 second' from prices limit 1`,
		"prices_begin_ahead"},
	{"R46/PriceBeforeThePricesThatFollow", `
		with next as (insert into prices (sku, unit, picos_per_unit, from_at) select sku, unit, 1, now() + interval '2 days' from prices limit 1 returning sku, unit)
		insert into prices (sku, unit, picos_per_unit, from_at) select sku, unit, 1, now() - interval '10 years' from prices limit 1`, "prices_follow_each_other"},
	{"R46/PriceOfAnotherUnit", `insert into prices (sku, unit, picos_per_unit, from_at)
		select sku, 'job', 1, now() + interval '1 day' from prices where unit = 'token' limit 1`, "prices_follow_each_other"},
	{"R7/TermsChanged", `insert into account_terms (account_id, changed_by, changed_at) values (@account, 'customer', now());
		update account_terms set customer_limit_micros = 1`, restrictViolation},
	{"R7/SupportWithoutReason", `insert into account_terms (account_id, changed_by, changed_at) values (@account, 'support', now())`,
		"account_terms_support_says_why"},
	{"R7/NegativeLimit", `insert into account_terms (account_id, customer_limit_micros, changed_by, changed_at) values (@account, -1, 'customer', now())`,
		checkViolation},
	{"R53/EntitlementHistoryChanged", `update entitlement_changes set tier = 5`, restrictViolation},
	{"BalanceRaisedByHand", `update balances set free_micros = free_micros + 1`, restrictViolation},
	{"BalanceInsertedByHand", `insert into balances (account_id) values (@fresh)`, restrictViolation},
	{"BalanceDeleted", `delete from balances`, restrictViolation},
	{"BalancesEmptied", `truncate balances`, restrictViolation},
	{"NegativeFree", posting("free_credits", `'k'`, `(1, @account, 'promotions', 10000001), (2, @account, 'free', -10000001)`),
		"free_credits_never_negative"},
	{"NegativePurchased", others("free_credits", `(1, @other, 'promotions', 1), (2, @other, 'purchased', -1)`),
		"purchased_credits_never_negative"},
	{"NegativeDebt", others("free_credits", `(1, @other, 'promotions', -1), (2, @other, 'accrued', 1)`), "accrued_is_a_debt"},
	{"NegativeSpend", others("purchase", `(1, @other, 'payments', 1), (2, @other, 'promotions', -1)`), "lifetime_spend_never_negative"},
	{"F39/CreditsOverflow", posting("free_credits", `'k'`,
		`(1, @account, 'promotions', -9223372036854775807), (2, @account, 'free', 9223372036854775807)`), outOfRange},
	{"I4/FreeCreditsAsPayment", posting("free_credits", `'k'`, `(1, @account, 'payments', -5), (2, @account, 'free', 5)`),
		"ledger_payments_are_captured"},
}

// I5, I7: a purchase's credit is what was captured and invoiced, and no more.
var creditRefusals = []refusal{
	{"I5/OfNoPurchase", posting("purchase", `'purchase/' || @fresh`, bought(`@account`, 25)), "ledger_purchase_is_covered"},
	{"I5/UnderAnotherKey", posting("purchase", `'grant'`, bought(`@account`, 25)), "ledger_purchase_is_covered"},
	{"I5/WithoutCapture", posting("purchase", `'purchase/' || @charging`, bought(`@account`, 25)), "ledger_purchase_is_covered"},
	{"I5/WithoutItsStage", posting("purchase", `'purchase/' || @invoiced`, bought(`@account`, 25)), "ledger_purchase_is_covered"},
	{"I5/BeyondCapture", credit(bought(`@account`, 26)), "ledger_purchase_is_covered"},
	{"I5/BelowCapture", credit(bought(`@account`, 24)), "ledger_purchase_is_covered"},
	{"I5/ToAnotherAccount", credit(bought(`@other`, 25)), "ledger_entries_transaction_id_fkey"},
	{"I5/TwiceInOne", credit(bought(`@account`, 25) + `, (3, @account, 'payments', -25000000), (4, @account, 'purchased', 25000000)`),
		"credit_grants_pkey"},
	{"I4/WithoutPayment", credit(`(1, @account, 'promotions', -25000000), (2, @account, 'purchased', 25000000)`), "ledger_purchase_is_covered"},
	{"I5/Again", posting("purchase", `'purchase/' || @credited`, bought(`@account`, 25)), uniqueViolation},
	{"I5/RaisedLater", later("purchase", "payments", "purchased"), "ledger_transactions_written_whole"},
	{"I7/WithoutInvoice", `select purchase_credit(@approved, '{}', '{}', now())`, "purchases_balance_after_invoice"},
	{"I7/WithoutApproval", `select purchase_credit(@charging, '{}', '{}', now())`, checkViolation},
	{"I7/StageAlone", `update purchases set balance_ended_at = now(), entitlement_version = 0 where id = @approved`,
		"purchases_balance_after_invoice"},
	{"I7/InvoiceWithoutApproval", `select purchase_issue_invoice(@charging, @fresh, now())`, "purchases_invoice_after_bank"},
}

// I2, I3: one payment, one capture, one invoice, one credit, one end.
var purchaseRefusals = []refusal{
	{"I2/SecondCapture", `update purchases set captured_cents = 5000 where id = @approved`, "purchases_approved_is_captured"},
	{"I2/CaptureOfAnotherAmount", `update purchases set bank = 'approved', captured_cents = 2501, payment_intent_id = 'pi', bank_ended_at = now()
		where id = @charging`, "purchases_approved_is_captured"},
	{"I2/CaptureWithoutApproval", `update purchases set captured_cents = 2500 where id = @charging`, "purchases_capture_is_approved"},
	{"I2/ChangedPaymentIntent", `update purchases set payment_intent_id = 'pi_other' where id = @approved`, "purchases_settled_stays"},
	{"I2/SharedPaymentIntent", `update purchases set payment_intent_id = 'pi_' || @approved where id = @charging`, uniqueViolation},
	{"I2/ChangedAmount", `update purchases set amount_cents = 5000, captured_cents = 5000 where id = @approved`, "purchases_settled_stays"},
	{"I2/ChangedCard", `update purchases set payment_method_id = 'pm_other' where id = @charging`, "purchases_settled_stays"},
	{"I2/ChangedAccount", `update purchases set account_id = @other where id = @charging`, "purchases_settled_stays"},
	{"I2/ChangedKey", `update purchases set idempotency_key = 'k' where id = @charging`, "purchases_settled_stays"},
	{"I3/ApprovalTakenBack", `update purchases set bank = 'unknown', captured_cents = 0, bank_ended_at = null where id = @approved`,
		"purchases_settled_stays"},
	{"I3/DeclinedAfterApproval", `update purchases set bank = 'declined', status = 'declined', decline_code = 'x', captured_cents = 0
		where id = @approved`, "purchases_settled_stays"},
	{"I3/CreditTakenBack", `update purchases set balance_ended_at = null, entitlement_version = null where id = @credited`,
		"purchases_settled_stays"},
	{"I3/EndedAsTheBankDidNotSay", `update purchases set status = 'expired' where id = @charging`, "purchases_ended_by_bank"},
	{"I3/Deleted", `delete from purchases where id = @charging`, restrictViolation},
	{"I3/AllEmptied", `truncate purchases cascade`, restrictViolation},
	{"I3/ChangedAfterItsEnd", `update purchases set revision = revision where id = @completed`, "purchases_end_once"},
	{"I3/ReopenedAfterItsEnd", `update purchases set status = 'pending', tier_ended_at = null where id = @completed`, "purchases_end_once"},
	{"R17/CompleteWithoutCredit", `select purchase_settle_tier(@invoiced, '{}', now())`, "purchases_tier_after_balance"},
	{"R17/CompleteWithoutTier", `update purchases set status = 'completed' where id = @credited`, "purchases_completed_is_whole"},
	{"R19/SecondOfOneKey", `insert into purchases (id, account_id, idempotency_key, origin, amount_cents, stripe_customer_id, payment_method_id, created_at)
		select @fresh, account_id, idempotency_key, 'checkout', 500, 'c', 'p', now() from purchases where id = @completed`, uniqueViolation},
	{"R2/BelowFiveDollars", `insert into purchases (id, account_id, idempotency_key, origin, amount_cents, stripe_customer_id, payment_method_id, created_at)
		values (@fresh, @account, 'k', 'checkout', 499, 'c', 'p', now())`, checkViolation},
	{"R45/AnotherInvoice", `update purchases set invoice_id = @fresh where id = @invoiced`, "purchases_settled_stays"},
	{"R45/InvoiceTakenAway", `update purchases set invoice_id = null, invoice_ended_at = null where id = @invoiced`, "purchases_settled_stays"},
}

// Invoices, versions, cards, keys, the audit log.
var recordRefusals = []refusal{
	{"R45/SecondInvoiceOfAPurchase", `insert into invoices select @fresh, 'X-1', account_id, kind, purchase_id, description, total_micros, status, issued_at
		from invoices where id = @issued`, "invoices_purchase_id_key"},
	{"R45/NumberUsedAgain", `insert into invoices select @fresh, number, account_id, kind, @approved, description, total_micros, status, issued_at
		from invoices where id = @issued`, "invoices_number_key"},
	{"R45/InvoiceOfNoPurchase", `insert into invoices values (@fresh, 'X-1', @account, 'purchase', null, 'x', 1, 'paid', now())`,
		"invoices_purchase_is_paid"},
	{"R45/InvoiceChanged", `update invoices set total_micros = 1`, restrictViolation},
	{"R45/InvoiceDeleted", `delete from invoices`, restrictViolation},
	{"R45/InvoicesEmptied", `truncate invoices cascade`, restrictViolation},
	{"I10/EntitlementGoesBack", `update entitlements set version = version - 1 where version > 0`, "versions_only_grow"},
	{"I10/EntitlementDeleted", `delete from entitlements`, restrictViolation},
	{"I10/EntitlementsEmptied", `truncate entitlements`, restrictViolation},
	{"I10/AcknowledgementGoesBack", `update gateway_acks set version = version - 1`, "versions_only_grow"},
	{"R39/PrepaidCard", `update cards set funding = 'prepaid'`, "cards_only_accepted"},
	{"R39/CardOfAnotherBrand", `update cards set brand = 'discover'`, "cards_only_accepted"},
	{"R41/TaxIDWithoutItsType", `update cards set tax_id_value = '1'`, "cards_tax_id_whole"},
	{"R52/UnknownRole", `insert into role_keys values ('k', 'owner', 'n', decode(repeat('00', 32), 'hex'), now())`, checkViolation},
	{"R52/SecretInsteadOfItsHash", `insert into role_keys values ('k', 'admin', 'n', 'secret', now())`, checkViolation},
	{"R52/AuditChanged", `update audit_log set reason = 'another'`, restrictViolation},
	{"R52/AuditDeleted", `delete from audit_log`, restrictViolation},
	{"R52/AuditEmptied", `truncate audit_log`, restrictViolation},
	{"R52/AuditWithoutReason", `insert into audit_log (at, actor, role, action, subject, reason) values (now(), 'ada', 'support', 'look', 'x', '')`,
		checkViolation},
	{"EverythingEmptied", `truncate accounts cascade`, restrictViolation},
}

// TestCreditsNeverGoBelowZero has postings race for credits that suffice for a
// few of them.
func TestCreditsNeverGoBelowZero(t *testing.T) {
	t.Parallel()
	b := open(t)
	for name, c := range map[string]struct {
		book ledger.Book
		fill func(account string)
	}{
		"Free":      {ledger.BookFree, func(account string) { b.grant(t, account, dollars(50)) }},
		"Purchased": {ledger.BookPurchased, func(account string) { b.credited(t, account, 5000) }},
	} {
		t.Run(name, func(t *testing.T) {
			account := b.customer(t)
			c.fill(account)
			var taken, short atomic.Int64
			together(20, func(int) {
				_, err := b.Post(t.Context(), ledger.Posting{
					Key: uuid.NewString(), Kind: ledger.KindFreeCredits, AccountID: account, At: noon,
					Entries: []ledger.Entry{{Book: c.book, AmountMicros: -dollars(10)}, {Book: ledger.BookPromotions, AmountMicros: dollars(10)}},
				})
				switch {
				case err == nil:
					taken.Add(1)
				case errors.Is(err, ledger.ErrInsufficientCredits):
					short.Add(1)
				default:
					t.Error(err)
				}
			})
			same(t, "postings that found credits", taken.Load(), 5)
			same(t, "postings that were refused", short.Load(), 15)
			same(t, "what is left", b.balance(t, account).TotalMicros(), 0)
		})
	}
	b.sound(t)
}
