package api_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/models"
)

func exceptionsPath(account string) string { return "/v1/support/accounts/" + account + "/exceptions" }

// R15: support sets an exception with a reason and an end; it travels with the
// entitlement, the next one about the same takes its place, and each is in the
// audit log.
func TestR15ExceptionsTravelAndAreAudited(t *testing.T) {
	f := open(t)
	account := f.entitled()
	version := f.entitlement(account).Version
	until := f.clock.now().Add(24 * time.Hour)
	put := func(body object) api.Exception {
		t.Helper()
		var x api.Exception
		f.call(models.RoleSupport, "POST", exceptionsPath(account), body).into(201, &x)
		return x
	}
	put(object{"model": "m", "access": "deny", "reason": "first"})
	f.clock.advance(time.Second)
	second := put(object{"model": "m", "access": "allow", "requests_per_minute": 9, "until": until, "reason": "second"})
	f.clock.advance(time.Second)
	class := put(object{"class": "llm", "requests_per_minute": 0, "reason": "third"})
	state := f.entitlement(account)
	if len(state.Exceptions) != 2 || state.Version != version+3 {
		t.Fatalf("%+v", state)
	}
	of := map[string]models.Exception{}
	for _, x := range state.Exceptions {
		of[x.Model+string(x.Class)] = x
	}
	if m := of["m"]; m.Access != models.AccessAllow || *m.RPM != 9 || !m.Until.Equal(until) {
		t.Errorf("about the model: %+v", m)
	}
	if c := of["llm"]; c.Model != "" || c.Access != "" || *c.RPM != 0 || c.Until != nil {
		t.Errorf("about the class: %+v", c)
	}
	var ended api.Exception
	f.call(models.RoleSupport, "POST", exceptionsPath(account)+"/"+class.ID+"/end", object{"reason": "done"}).into(200, &ended)
	if state = f.entitlement(account); len(state.Exceptions) != 1 || ended.EndedAt == nil {
		t.Errorf("%+v", state.Exceptions)
	}
	var list struct{ Exceptions []api.Exception }
	f.call(models.RoleSupport, "GET", exceptionsPath(account), nil).into(200, &list)
	if len(list.Exceptions) != 3 || list.Exceptions[0].ID != class.ID || list.Exceptions[1].ID != second.ID || list.Exceptions[2].EndedAt == nil {
		t.Errorf("the list is %+v", list.Exceptions)
	}
	entries, err := f.store.AuditLog(t.Context(), account)
	done(t, err)
	var told []string
	for _, e := range entries {
		told = append(told, e.Action+" "+e.Reason)
	}
	if len(told) != 4 || told[0] != "end_exception done" || told[2] != "put_exception second" {
		t.Errorf("the audit log has %q", told)
	}
	version = f.entitlement(account).Version
	f.call(models.RoleSupport, "POST", exceptionsPath(account)+"/"+class.ID+"/end", object{"reason": "again"}).into(200, &ended)
	if f.entitlement(account).Version != version {
		t.Error("what had ended was ended again")
	}
}

func TestExceptionsRefused(t *testing.T) {
	f := open(t)
	account := f.entitled()
	before := f.snapshot()
	for name, body := range map[string]object{
		"about nothing":  {"access": "deny", "reason": "r"},
		"about both":     {"model": "m", "class": "llm", "requests_per_minute": 1, "reason": "r"},
		"no such class":  {"class": "chat", "requests_per_minute": 1, "reason": "r"},
		"no such access": {"model": "m", "access": "perhaps", "reason": "r"},
		"class access":   {"class": "llm", "access": "deny", "reason": "r"},
		"says nothing":   {"model": "m", "reason": "r"},
		"in the past":    {"model": "m", "access": "deny", "until": f.clock.now().Add(-time.Hour), "reason": "r"},
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			f.call(models.RoleSupport, "POST", exceptionsPath(account), body).refused(422, "invalid_exception")
		})
	}
	f.t = t
	for name, body := range map[string]object{
		"no reason": {"model": "m", "access": "deny"}, "negative": {"model": "m", "requests_per_minute": -1, "reason": "r"},
	} {
		if a := f.call(models.RoleSupport, "POST", exceptionsPath(account), body); a.status != 422 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	f.call(models.RoleSupport, "POST", exceptionsPath(account)+"/"+uuid.NewString()+"/end", object{"reason": "r"}).refused(404, "not_found")
	f.unchanged(before)
}
