package api_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

// F19: without its database the front door says that it cannot, and when to come
// back, at every route.
func TestF19WithoutADatabase(t *testing.T) {
	f := open(t)
	gone, err := ledger.Open(t.Context(), "postgres://nobody@127.0.0.1:1/none?sslmode=disable", 1)
	done(t, err)
	t.Cleanup(gone.Close)
	f.store = gone
	f.serve()
	unavailable := func(a answer) {
		t.Helper()
		a.refused(503, "unavailable")
		if a.header.Get("Retry-After") != "5" {
			t.Errorf("Retry-After: %q", a.header.Get("Retry-After"))
		}
	}
	for _, route := range routes {
		unavailable(f.call(route.roles[0], route.method, strings.Replace(route.path, "{id}", uuid.NewString(), 1), nil))
	}
	body := encode(t, stripeEvent("evt_1", uuid.NewString()))
	unavailable(f.deliver(body, signature(body, webhookSecret, f.clock.now())))
	ready := f.send("GET", "/readyz", nil)
	ready.refused(503, "database_unavailable")
	if ready.header.Get("Retry-After") == "" {
		t.Error("it does not say when it may be ready")
	}
	if log := f.log.String(); !strings.Contains(log, "database unavailable") {
		t.Errorf("the log does not say why: %s", log)
	}
}

// F19: a database that hangs without closing anything holds no caller for longer than
// the front door's own deadline, whether it hangs before the key is known or after.
func TestF19HandlersHaveADeadlineOfTheirOwn(t *testing.T) {
	f := open(t)
	account := f.account()
	f.server.AnswerWithin(200 * time.Millisecond)
	for _, table := range []string{"role_keys", "accounts"} {
		t.Run(table, func(t *testing.T) {
			hanging, err := f.db.Begin(t.Context())
			done(t, err)
			defer func() { _ = hanging.Rollback(context.WithoutCancel(t.Context())) }()
			_, err = hanging.Exec(t.Context(), `lock table `+table+` in access exclusive mode`)
			done(t, err)
			a := f.call(models.RoleCheckout, "GET", "/v1/accounts/"+account+"/billing", nil)
			a.refused(503, "unavailable")
			if a.header.Get("Retry-After") != "5" {
				t.Errorf("Retry-After: %q", a.header.Get("Retry-After"))
			}
		})
	}
}
