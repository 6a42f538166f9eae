package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/models"
)

// routes are all that want a key, with the roles that may use each (R52).
var routes = []struct {
	method, path string
	roles        []models.Role
}{
	{"POST", "/v1/accounts", []models.Role{models.RoleCheckout}},
	{"GET", "/v1/accounts/{id}/billing", []models.Role{models.RoleCheckout, models.RoleSupport}},
	{"PUT", "/v1/accounts/{id}/card", []models.Role{models.RoleCheckout}},
	{"DELETE", "/v1/accounts/{id}/card", []models.Role{models.RoleCheckout}},
	{"POST", "/v1/accounts/{id}/purchases", []models.Role{models.RoleCheckout}},
	{"PUT", "/v1/accounts/{id}/auto-recharge", []models.Role{models.RoleCheckout}},
	{"POST", "/v1/accounts/{id}/auto-recharge/preview", []models.Role{models.RoleCheckout}},
	{"GET", "/v1/purchases/{id}", []models.Role{models.RoleCheckout, models.RoleSupport}},
	{"GET", "/v1/purchases/{id}/events", []models.Role{models.RoleCheckout, models.RoleSupport}},
	{"GET", "/v1/accounts/{id}/invoices", []models.Role{models.RoleCheckout, models.RoleFinance}},
	{"GET", "/v1/accounts/{id}/invoices/current", []models.Role{models.RoleCheckout, models.RoleFinance}},
	{"GET", "/v1/accounts/{id}/invoices/current/pdf", []models.Role{models.RoleCheckout, models.RoleFinance}},
	{"GET", "/v1/invoices/{id}", []models.Role{models.RoleCheckout, models.RoleFinance}},
	{"POST", "/v1/invoices/{id}/pay", []models.Role{models.RoleCheckout, models.RoleFinance}},
	{"GET", "/v1/support/accounts/{id}/authorizations", []models.Role{models.RoleSupport}},
	{"POST", "/v1/support/authorizations/{id}/resend", []models.Role{models.RoleSupport}},
	{"POST", "/v1/support/authorizations/{id}/cancel", []models.Role{models.RoleSupport}},
	{"POST", "/v1/support/invoices/{id}/void", []models.Role{models.RoleSupport}},
	{"POST", "/v1/support/invoices/{id}/uncollectible", []models.Role{models.RoleSupport}},
	{"GET", "/v1/invoices/{id}/pdf", []models.Role{models.RoleCheckout, models.RoleFinance}},
	{"GET", "/v1/finance/invoices.csv", []models.Role{models.RoleFinance}},
	{"PUT", "/v1/accounts/{id}/balance-limit", []models.Role{models.RoleCheckout}},
	{"GET", "/v1/accounts/{id}/admission", []models.Role{models.RoleUsage, models.RoleGateway, models.RoleSupport}},
	{"GET", "/v1/prices", models.Roles()},
	{"POST", "/v1/usage", []models.Role{models.RoleUsage}},
	{"POST", "/v1/support/accounts/{id}/limit", []models.Role{models.RoleSupport}},
	{"POST", "/v1/accounts/{id}/deployments", []models.Role{models.RoleCheckout}},
	{"GET", "/v1/accounts/{id}/deployments", []models.Role{models.RoleCheckout}},
	{"DELETE", "/v1/deployments/{id}", []models.Role{models.RoleCheckout}},
	{"POST", "/v1/accounts/{id}/jobs", []models.Role{models.RoleCheckout}},
	{"GET", "/v1/accounts/{id}/costs", []models.Role{models.RoleCheckout, models.RoleSupport}},
	{"GET", "/v1/accounts/{id}/as-of", []models.Role{models.RoleSupport, models.RoleFinance}},
	{"GET", "/v1/accounts/{id}/ledger", []models.Role{models.RoleSupport, models.RoleFinance}},
	{"POST", "/v1/support/tier-sync", []models.Role{models.RoleSupport}},
	{"POST", "/v1/support/accounts/{id}/credits", []models.Role{models.RoleSupport}},
	{"POST", "/v1/support/accounts/{id}/details", []models.Role{models.RoleSupport}},
	{"POST", "/v1/support/accounts/{id}/charge-rules", []models.Role{models.RoleSupport}},
	{"GET", "/v1/support/accounts/{id}/details", []models.Role{models.RoleSupport, models.RoleFinance}},
	{"GET", "/v1/support/alerts", []models.Role{models.RoleSupport}},
	{"POST", "/v1/support/alerts/{id}/resolve", []models.Role{models.RoleSupport}},
	{"GET", "/v1/support/accounts/{id}/audit", []models.Role{models.RoleSupport, models.RoleFinance}},
	{"POST", "/v1/accounts/{id}/api-keys", []models.Role{models.RoleCheckout}},
	{"GET", "/v1/accounts/{id}/api-keys", []models.Role{models.RoleCheckout}},
	{"DELETE", "/v1/accounts/{id}/api-keys/{key}", []models.Role{models.RoleCheckout}},
	{"POST", "/v1/support/accounts/{id}/exceptions", []models.Role{models.RoleSupport}},
	{"GET", "/v1/support/accounts/{id}/exceptions", []models.Role{models.RoleSupport}},
	{"POST", "/v1/support/accounts/{id}/exceptions/{exception}/end", []models.Role{models.RoleSupport}},
	{"GET", "/v1/accounts/{id}/tier/explain", []models.Role{models.RoleCheckout, models.RoleSupport}},
	{"GET", "/v1/gateways", []models.Role{models.RoleSupport, models.RoleAdmin}},
	{"POST", "/v1/finance/monthly", []models.Role{models.RoleFinance}},
	{"GET", "/v1/finance/monthly", []models.Role{models.RoleFinance}},
	{"GET", "/v1/finance/monthly/{period}", []models.Role{models.RoleFinance}},
	{"GET", "/v1/finance/monthly/{period}/report", []models.Role{models.RoleFinance}},
	{"POST", "/v1/keys", []models.Role{models.RoleAdmin}},
	{"GET", "/v1/keys", []models.Role{models.RoleAdmin}},
	{"DELETE", "/v1/keys/{id}", []models.Role{models.RoleAdmin}},
}

// Each role may do what it is for and nothing else. A role that may is answered by
// what is behind the door, here mostly that the thing named does not exist.
func TestEachRoleAtEachRoute(t *testing.T) {
	f := open(t)
	for _, route := range routes {
		path := strings.Replace(route.path, "{id}", uuid.NewString(), 1)
		for _, role := range models.Roles() {
			t.Run(route.method+" "+route.path+" "+string(role), func(t *testing.T) {
				f.t = t
				answer := f.call(role, route.method, path, nil)
				if slices.Contains(route.roles, role) {
					if answer.status == 401 || answer.status == 403 {
						t.Errorf("kept out: %d %s", answer.status, answer.body)
					}
					return
				}
				p := answer.refused(403, "wrong_role")
				if !strings.Contains(p.Detail, string(route.roles[0])) {
					t.Errorf("it does not say which role may: %s", p.Detail)
				}
			})
		}
	}
}

// Whoever holds no valid key learns nothing of what the key lacked: not that its id
// exists, not that it was revoked.
func TestKeysThatOpenNothing(t *testing.T) {
	f := open(t)
	before := f.snapshot()
	valid := f.keys[models.RoleCheckout]
	parts := strings.Split(valid, "_")
	var first []byte
	for name, sent := range map[string][]header{
		"none":              nil,
		"empty":             {{"Authorization", ""}},
		"no scheme":         {{"Authorization", valid}},
		"another scheme":    {{"Authorization", "Basic " + valid}},
		"no key":            {{"Authorization", "Bearer "}},
		"unknown id":        {{"Authorization", "Bearer ps_checkout_0000000000000000_" + parts[3]}},
		"wrong secret":      {{"Authorization", "Bearer " + valid[:len(valid)-1] + "g"}},
		"another role":      {{"Authorization", "Bearer ps_admin_" + parts[2] + "_" + parts[3]}},
		"longer":            {{"Authorization", "Bearer " + valid + "0"}},
		"id that is no hex": {{"Authorization", "Bearer ps_checkout_\xff\xfe_" + parts[3]}},
		"only an id":        {{"Authorization", "Bearer ps_checkout_" + parts[2]}},
		"over-long":         {{"Authorization", "Bearer ps_checkout_" + strings.Repeat("a", 8000) + "_b"}},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			for _, route := range routes {
				path := strings.Replace(route.path, "{id}", uuid.NewString(), 1)
				answer := f.send(route.method, path, nil, sent...)
				answer.refused(401, "invalid_key")
				if answer.header.Get("WWW-Authenticate") == "" {
					t.Error("no WWW-Authenticate")
				}
				if first == nil {
					first = answer.body
				}
				if string(answer.body) != string(first) {
					t.Errorf("it is told apart: %s", answer.body)
				}
			}
		})
	}
	f.t = t
	f.unchanged(before)
	f.send("GET", "/v1/accounts/"+uuid.NewString()+"/billing", nil, header{"Authorization", "bearer " + valid}).refused(404, "not_found")
}

// A key's whole life: made once, listed without its secret, revoked at once.
func TestKeysAreMadeShownOnceAndRevoked(t *testing.T) {
	f := open(t)
	for _, role := range models.Roles() {
		t.Run(string(role), func(t *testing.T) {
			f.t = t
			var made api.Key
			f.call(models.RoleAdmin, "POST", "/v1/keys", object{"role": role, "name": "Till 1"}).into(201, &made)
			if made.Role != string(role) || made.Name != "Till 1" || made.RevokedAt != nil || !strings.HasPrefix(made.Text, "ps_"+string(role)+"_"+made.ID+"_") {
				t.Errorf("made %+v", made)
			}
			bearer := header{"Authorization", "Bearer " + made.Text}
			if status := f.send("GET", "/v1/keys", nil, bearer).status; status == http.StatusUnauthorized {
				t.Error("a new key opens nothing")
			}
			if stored := scan[string](f, "select row_to_json(k)::text from role_keys k where id = $1", made.ID); strings.Contains(stored, strings.Split(made.Text, "_")[3]) {
				t.Error("the secret itself is stored")
			}
			var revoked, again api.Key
			f.call(models.RoleAdmin, "DELETE", "/v1/keys/"+made.ID, nil).into(200, &revoked)
			if revoked.RevokedAt == nil || revoked.Text != "" {
				t.Errorf("revoked %+v", revoked)
			}
			f.send("GET", "/v1/keys", nil, bearer).refused(401, "invalid_key")
			f.call(models.RoleAdmin, "DELETE", "/v1/keys/"+made.ID, nil).into(200, &again)
			if !again.RevokedAt.Equal(*revoked.RevokedAt) {
				t.Error("a key was revoked a second time")
			}
		})
	}
	f.t = t
	answer := f.call(models.RoleAdmin, "GET", "/v1/keys", nil)
	var list struct{ Keys []api.Key }
	answer.into(200, &list)
	if len(list.Keys) != 2*len(models.Roles()) || list.Keys[0].CreatedAt.Before(list.Keys[len(list.Keys)-1].CreatedAt) {
		t.Errorf("listed %+v", list.Keys)
	}
	var raw struct{ Keys []map[string]json.RawMessage }
	answer.into(200, &raw)
	for _, key := range raw.Keys {
		if _, shown := key["key"]; shown {
			t.Errorf("a list shows a key: %s", key["key"])
		}
	}
}

// R52: who made and who revoked a key is in the audit log with why, the key itself
// is not.
func TestR52KeysAreMadeAndRevokedInTheAuditLog(t *testing.T) {
	f := open(t)
	var made api.Key
	f.call(models.RoleAdmin, "POST", "/v1/keys", object{"role": "support", "name": "Grace", "reason": "new colleague"}).into(201, &made)
	for range 2 {
		f.call(models.RoleAdmin, "DELETE", "/v1/keys/"+made.ID+"?reason=left", nil).into(200, &api.Key{})
	}
	f.call(models.RoleAdmin, "POST", "/v1/keys", object{"role": "support", "name": "Ada"}).into(201, &api.Key{})
	admin := "a test's admin (" + strings.Split(f.keys[models.RoleAdmin], "_")[2] + ") admin "
	got := scan[string](f, "select string_agg(concat_ws(' ', actor, role, action, replace(subject, $1, 'ID'), reason), chr(10) order by id) from audit_log where actor <> 'a test'", made.ID)
	lines := strings.Split(got, "\n")
	want := []string{admin + "create_key key/ID new colleague", admin + "revoke_key key/ID left"}
	if len(lines) != 3 || !slices.Equal(lines[:2], want) || !strings.HasSuffix(lines[2], " no reason given") {
		t.Errorf("the audit log has\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	secret := strings.Split(made.Text, "_")[3]
	if strings.Contains(f.snapshot()["audit_log"], secret) || strings.Contains(f.log.String(), secret) {
		t.Error("the key itself is told")
	}
	f.call(models.RoleAdmin, "DELETE", "/v1/keys/"+made.ID+"?reason="+strings.Repeat("r", 2001), nil).refused(422, "reason_required")
}

func TestBadKeys(t *testing.T) {
	f := open(t)
	before := f.snapshot()
	for name, c := range map[string]struct {
		body any
		code string
	}{
		"unknown role":   {object{"role": "owner", "name": "Till 1"}, "invalid_role"},
		"no role":        {object{"role": "", "name": "Till 1"}, "invalid_role"},
		"no name":        {object{"role": "checkout", "name": ""}, "invalid_request"},
		"name left out":  {object{"role": "checkout"}, "invalid_request"},
		"over-long name": {object{"role": "checkout", "name": strings.Repeat("n", 201)}, "invalid_request"},
		"zero byte":      {object{"role": "checkout", "name": "a\x00"}, "invalid_text"},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			f.call(models.RoleAdmin, "POST", "/v1/keys", c.body).refused(422, c.code)
			f.unchanged(before)
		})
	}
}
