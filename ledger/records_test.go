package ledger_test

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

func TestAccountOpensWithNothing(t *testing.T) {
	t.Parallel()
	b := open(t)
	id := b.account(t)
	account, err := b.Account(t.Context(), id)
	done(t, err)
	same(t, "email", account.Email, id+"@example.com")
	same(t, "created", account.CreatedAt.UTC(), noon)
	same(t, "customer", account.StripeCustomerID, nil)
	same(t, "balance", b.balance(t, id), models.Balance{AccountID: id})
	held := b.entitlement(t, id)
	same(t, "version", held.Version, 0)
	same(t, "tier", held.Tier, 0)
	for name, read := range map[string]func(string) error{
		"Account":     func(id string) error { _, err := b.Account(t.Context(), id); return err },
		"Balance":     func(id string) error { _, err := b.Balance(t.Context(), id); return err },
		"Entitlement": func(id string) error { _, err := b.Entitlement(t.Context(), id); return err },
		"Card":        func(id string) error { _, err := b.Card(t.Context(), id); return err },
		"SetCustomer": func(id string) error { _, err := b.SetStripeCustomer(t.Context(), id, "cus"); return err },
	} {
		if err := read(uuid.NewString()); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("%s of an unknown account: %v", name, err)
		}
	}
}

func TestFirstStripeCustomerStays(t *testing.T) {
	t.Parallel()
	b := open(t)
	id := b.account(t)
	var mu sync.Mutex
	answers := map[string]bool{}
	together(8, func(int) {
		customer, err := b.SetStripeCustomer(t.Context(), id, "cus_"+uuid.NewString())
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		answers[customer] = true
	})
	same(t, "different customers", len(answers), 1)
	account, err := b.Account(t.Context(), id)
	done(t, err)
	if !answers[*account.StripeCustomerID] {
		t.Error("the one stored is another")
	}
}

// R40: one card at a time.
func TestR40NewCardTakesThePlaceOfTheOld(t *testing.T) {
	t.Parallel()
	b := open(t)
	id := b.customer(t)
	next := card(id, "pm_new")
	kind, value := "us_ein", "12-3456789"
	next.Fingerprint, next.Brand, next.Address.City, next.TaxIDType, next.TaxIDValue, next.UpdatedAt = "fp-2", "amex", "Shelbyville", &kind, &value, noon.Add(time.Hour)
	done(t, b.PutCard(t.Context(), next))
	held, err := b.Card(t.Context(), id)
	done(t, err)
	same(t, "tax id", *held.TaxIDValue, value)
	same(t, "updated", held.UpdatedAt.UTC(), next.UpdatedAt)
	held.TaxIDType, held.TaxIDValue, held.UpdatedAt = next.TaxIDType, next.TaxIDValue, next.UpdatedAt
	same(t, "card", held, next)
	same(t, "cards", ask[int64](t, b, `select count(*) from cards`), 1)
}

func TestRoleKeys(t *testing.T) {
	t.Parallel()
	b := open(t)
	hash := bytes.Repeat([]byte{7}, 32)
	for i, role := range models.Roles() {
		done(t, b.CreateRoleKey(t.Context(), models.RoleKey{
			ID: string(role), Role: role, Name: "for tests", SecretHash: hash, CreatedAt: noon.Add(time.Duration(i) * time.Minute),
		}, keyAudit("create_key", string(role), noon)))
	}
	keys, err := b.RoleKeys(t.Context())
	done(t, err)
	same(t, "keys", len(keys), 6)
	same(t, "newest first", keys[0].Role, models.RoleAdmin)
	key, err := b.RoleKey(t.Context(), "support")
	done(t, err)
	if key.Role != models.RoleSupport || key.RevokedAt != nil || !bytes.Equal(key.SecretHash, hash) {
		t.Errorf("got %+v", key)
	}
	for _, at := range []time.Time{noon, noon.Add(time.Hour)} {
		key, err = b.RevokeRoleKey(t.Context(), "support", keyAudit("revoke_key", "support", at))
		done(t, err)
		if key.RevokedAt == nil || !key.RevokedAt.Equal(noon) {
			t.Errorf("revoked at %v, want %v", key.RevokedAt, noon)
		}
	}
	key, err = b.RoleKey(t.Context(), "support")
	done(t, err)
	if key.RevokedAt == nil {
		t.Error("a revoked key reads as if it were not")
	}
	for name, err := range map[string]error{
		"read":   second(b.RoleKey(t.Context(), "nobody")),
		"revoke": second(b.RevokeRoleKey(t.Context(), "nobody", keyAudit("revoke_key", "nobody", noon))),
	} {
		if !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("%s an unknown key: %v", name, err)
		}
	}
	again := models.RoleKey{ID: "admin", Role: models.RoleAdmin, Name: "n", SecretHash: hash, CreatedAt: noon}
	refused(t, b.CreateRoleKey(t.Context(), again, keyAudit("create_key", "admin", noon)), "role_keys_pkey")
	// R52: what was done is in the audit log once, and what was not done isn't.
	same(t, "audit log", ask[string](t, b, `select string_agg(action || ' ' || subject, ', ' order by id) from audit_log`),
		"create_key key/checkout, create_key key/usage, create_key key/gateway, create_key key/support, create_key key/finance, "+
			"create_key key/admin, revoke_key key/support")
	same(t, "actor", ask[string](t, b, `select distinct actor from audit_log`), "ada")
}

func TestRoleKeyIsRevokedOnceByAllAtOnce(t *testing.T) {
	t.Parallel()
	b := open(t)
	key := models.RoleKey{ID: "till", Role: models.RoleCheckout, Name: "n", SecretHash: bytes.Repeat([]byte{7}, 32), CreatedAt: noon}
	done(t, b.CreateRoleKey(t.Context(), key, keyAudit("create_key", "till", noon)))
	together(8, func(i int) {
		revoked, err := b.RevokeRoleKey(t.Context(), "till", keyAudit("revoke_key", "till", noon.Add(time.Duration(i)*time.Minute)))
		if err != nil || revoked.RevokedAt == nil {
			t.Errorf("%+v, %v", revoked, err)
		}
	})
	same(t, "audit entries", ask[int64](t, b, `select count(*) from audit_log where action = 'revoke_key'`), 1)
	same(t, "of the one that did it", ask[bool](t, b, `select bool_and(at = (select revoked_at from role_keys)) from audit_log where action = 'revoke_key'`), true)
}

// keyAudit is the entry of what ada does to a key.
func keyAudit(action, id string, at time.Time) models.AuditEntry {
	return models.AuditEntry{At: at, Actor: "ada", Role: models.RoleAdmin, Action: action, Subject: "key/" + id, Reason: "why not"}
}

func second[T any](_ T, err error) error { return err }

// R4, R52: free credits and the reason for them are one.
func TestGrantFreeCreditsWritesItsAuditEntryOnce(t *testing.T) {
	t.Parallel()
	b := open(t)
	account := b.account(t)
	var fresh sync.Map
	together(8, func(i int) {
		posted, err := b.GrantFreeCredits(t.Context(), "grant/1", account, dollars(10), billing.TierRules(), audit(account, "welcome"))
		if err != nil {
			t.Error(err)
		}
		if posted.Fresh {
			fresh.Store(i, true)
		}
	})
	count := 0
	fresh.Range(func(any, any) bool { count++; return true })
	same(t, "fresh", count, 1)
	same(t, "free credits", b.balance(t, account).FreeMicros, dollars(10))
	same(t, "lifetime spend (I4)", b.balance(t, account).LifetimeSpendMicros, 0)
	entries, err := b.AuditLog(t.Context(), account)
	done(t, err)
	same(t, "audit entries", len(entries), 1)
	same(t, "reason", entries[0].Reason, "welcome")
	same(t, "actor", entries[0].Actor, "key_1")

	_, err = b.GrantFreeCredits(t.Context(), "grant/1", account, dollars(11), billing.TierRules(), audit(account, "welcome"))
	if !errors.Is(err, ledger.ErrIdempotencyMismatch) {
		t.Errorf("another amount: %v", err)
	}
	_, err = b.GrantFreeCredits(t.Context(), "grant/2", account, -dollars(11), billing.TierRules(), audit(account, "taken back"))
	if !errors.Is(err, ledger.ErrInsufficientCredits) {
		t.Errorf("more than there is: %v", err)
	}
	_, err = b.GrantFreeCredits(t.Context(), "grant/3", account, dollars(1), billing.TierRules(), audit(account, ""))
	refused(t, err, "audit_log_reason_check")
	same(t, "free credits after all that", b.balance(t, account).FreeMicros, dollars(10))
	entries, err = b.AuditLog(t.Context(), account)
	done(t, err)
	same(t, "audit entries after all that", len(entries), 1)
}

func TestVitals(t *testing.T) {
	t.Parallel()
	b := open(t)
	v, err := b.Vitals(t.Context())
	done(t, err)
	same(t, "of an empty system", v, ledger.Vitals{})
	account := b.customer(t)
	b.completed(t, account, 500)
	b.credited(t, account, 4500)
	id := b.charging(t, account, 500)
	unknown := declined(id)
	unknown.DeclineCode, unknown.DeclineKnown = "code_of_2031", false
	done(t, b.RecordBank(t.Context(), id, unknown))
	done(t, b.RaiseAlert(t.Context(), models.Alert{Kind: models.AlertWebhookVersion, Subject: "webhooks/stripe", Detail: "x", RaisedAt: noon}))
	v, err = b.Vitals(t.Context())
	done(t, err)
	same(t, "pending", v.PendingPurchases, 1)
	same(t, "lagging", v.LaggingEntitlement, 1)
	same(t, "unknown declines", v.UnknownDeclines, 1)
	same(t, "alerts", v.OpenAlerts, 1)
	same(t, "messages", v.OutboxMessages, ask[int64](t, b, `select count(*) from outbox`))
}

func TestOpenNamesItsVariable(t *testing.T) {
	t.Parallel()
	if _, err := ledger.Open(t.Context(), "postgres://%zz", 1); err == nil {
		t.Error("a wrong address was taken")
	}
	b := open(t)
	done(t, b.Ping(t.Context()))
	b.Close()
	if err := b.Ping(t.Context()); err == nil {
		t.Error("a closed ledger answers")
	}
}
