package api_test

import (
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"crypto/sha256"

	"github.com/google/uuid"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

func keysPath(account string) string { return "/v1/accounts/" + account + "/api-keys" }

// entitled opens an account of tier 1 that the gateways know.
func (f *front) entitled() string {
	f.t.Helper()
	account := f.customer()
	f.complete(f.buy(account, 2500))
	return account
}

func (f *front) entitlement(account string) models.EntitlementState {
	f.t.Helper()
	state, err := f.store.Entitlement(f.t.Context(), account)
	done(f.t, err)
	return state
}

// R12: no API key before tier 1, whatever free credits the account holds.
func TestR12NoAPIKeyInTheLimitedTier(t *testing.T) {
	f := open(t)
	account := f.customer()
	f.call(models.RoleSupport, "POST", "/v1/support/accounts/"+account+"/credits", object{"amount_cents": 100000, "reason": "a test"},
		idempotencyKey("k")).into(201, &api.Grant{})
	before := f.snapshot()
	p := f.call(models.RoleCheckout, "POST", keysPath(account), nil).refused(403, "limited_tier")
	if !strings.Contains(p.Detail, "Build Tier 1") || !strings.Contains(p.Detail, "$5.00") {
		t.Errorf("it does not say what to do: %s", p.Detail)
	}
	f.unchanged(before)
	f.call(models.RoleCheckout, "POST", keysPath(uuid.NewString()), nil).refused(404, "not_found")
}

// A key is shown once and kept as its hash; making and revoking it gives the
// entitlement a new version, which is pushed.
func TestAPIKeyIsShownOnceAndTravelsAsItsHash(t *testing.T) {
	f := open(t)
	account := f.entitled()
	version := f.entitlement(account).Version
	var first, second api.APIKey
	f.call(models.RoleCheckout, "POST", keysPath(account), nil).into(201, &first)
	f.clock.advance(time.Second)
	f.call(models.RoleCheckout, "POST", keysPath(account), object{"name": "laptop"}).into(201, &second)
	if first.Text == second.Text || !strings.HasPrefix(first.Text, "psk_"+account+"_"+first.ID+"_") || second.Name != "laptop" {
		t.Errorf("%+v, %+v", first, second)
	}
	state := f.entitlement(account)
	hash := sha256.Sum256([]byte(second.Text))
	if state.Version != version+2 || len(state.Keys) != 2 || !contains(state.Keys, models.KeyHash{ID: second.ID, SHA256: hex.EncodeToString(hash[:])}) {
		t.Errorf("the entitlement is %+v", state)
	}
	if n := scan[int64](f, "select count(*) from outbox where kind = 'propagate' and subject = $1", account); n != 1 {
		t.Errorf("%d words to push it", n)
	}
	for table, content := range f.snapshot() {
		if strings.Contains(content, first.Text) || strings.Contains(content, second.Text) {
			t.Errorf("the text of a key is in %s", table)
		}
	}
	if strings.Contains(f.log.String(), first.Text) {
		t.Error("the text of a key is in the log")
	}

	f.clock.advance(time.Second)
	var revoked, again api.APIKey
	f.call(models.RoleCheckout, "DELETE", keysPath(account)+"/"+first.ID, nil).into(200, &revoked)
	f.clock.advance(time.Second)
	f.call(models.RoleCheckout, "DELETE", keysPath(account)+"/"+first.ID, nil).into(200, &again)
	if revoked.RevokedAt == nil || revoked.Text != "" || again.RevokedAt == nil || !again.RevokedAt.Equal(*revoked.RevokedAt) {
		t.Errorf("%+v, then %+v", revoked, again)
	}
	if state = f.entitlement(account); state.Version != version+3 || len(state.Keys) != 1 || state.Keys[0].ID != second.ID {
		t.Errorf("after the revocation the entitlement is %+v", state)
	}
	var list struct{ Keys []api.APIKey }
	f.call(models.RoleCheckout, "GET", keysPath(account), nil).into(200, &list)
	if len(list.Keys) != 2 || list.Keys[0].ID != second.ID || list.Keys[0].Text != "" || list.Keys[1].RevokedAt == nil {
		t.Errorf("the list is %+v", list.Keys)
	}
}

func contains(keys []models.KeyHash, want models.KeyHash) bool {
	for _, key := range keys {
		if key == want {
			return true
		}
	}
	return false
}

func TestAPIKeysRefused(t *testing.T) {
	f := open(t)
	account, another := f.entitled(), f.entitled()
	var key api.APIKey
	f.call(models.RoleCheckout, "POST", keysPath(account), nil).into(201, &key)
	before := f.snapshot()
	for _, path := range []string{
		keysPath(another) + "/" + key.ID, keysPath(account) + "/0123456789abcdef", keysPath(account) + "/x", keysPath("x") + "/" + key.ID,
	} {
		f.call(models.RoleCheckout, "DELETE", path, nil).refused(404, "not_found")
	}
	f.unchanged(before)
	for range ledger.MaxAccountKeys - 1 {
		f.call(models.RoleCheckout, "POST", keysPath(account), nil).into(http.StatusCreated, &key)
	}
	before = f.snapshot()
	f.call(models.RoleCheckout, "POST", keysPath(account), nil).refused(409, "too_many_keys")
	f.unchanged(before)
	f.call(models.RoleCheckout, "DELETE", keysPath(account)+"/"+key.ID, nil).into(200, &key)
	f.call(models.RoleCheckout, "POST", keysPath(account), nil).into(201, &key)
}
