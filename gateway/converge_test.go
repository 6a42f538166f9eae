package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/paystage/paystage/gateway"
	"github.com/paystage/paystage/models"
	"pgregory.net/rapid"
)

// I10: whatever is lost, repeated and reordered on the way, alone or in pages, and
// whenever the gateway is killed, no account ever goes back; and once the newest of
// each arrives, the gateway holds that.
func TestI10PushesConvergeAndNeverGoBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const accounts, versions = 3, 6
		directory := t.TempDir()
		store := open(t, directory)
		highest := map[string]int64{}
		check := func(e models.Entitlement, held int64, err error) {
			highest[e.AccountID] = max(highest[e.AccountID], e.Version)
			if err != nil || held != highest[e.AccountID] {
				rt.Fatalf("%s version %d: answered %d, %v; %d came before", e.AccountID, e.Version, held, err, highest[e.AccountID])
			}
		}
		draw := rapid.Custom(func(rt *rapid.T) models.Entitlement {
			return entitlement(fmt.Sprint("a", rapid.IntRange(1, accounts).Draw(rt, "account")), rapid.Int64Range(1, versions).Draw(rt, "version"))
		})
		for range rapid.IntRange(1, 30).Draw(rt, "deliveries") {
			switch rapid.IntRange(0, 3).Draw(rt, "kind") {
			case 0, 1:
				e := draw.Draw(rt, "push")
				held, err := store.Put(e)
				check(e, held, err)
			case 2:
				page := rapid.SliceOfN(draw, 0, 8).Draw(rt, "page")
				held, err := store.PutAll(page)
				for _, e := range page { // the newest of the page is what is held of each
					highest[e.AccountID] = max(highest[e.AccountID], e.Version)
				}
				for i, e := range page {
					if err != nil || held[i] < e.Version || held[i] > highest[e.AccountID] {
						rt.Fatalf("page: %s version %d answered %d, %v", e.AccountID, e.Version, held[i], err)
					}
				}
			case 3:
				directory = afterCrash(t, directory)
				store = open(t, directory)
			}
			for account, version := range highest {
				if e, _ := store.Get(account); e.Version != version {
					rt.Fatalf("%s shows %d after %d was acknowledged", account, e.Version, version)
				}
			}
		}
		for account := range accounts {
			newest := entitlement(fmt.Sprint("a", account+1), versions+1)
			held, err := store.Put(newest)
			check(newest, held, err)
			holds(t, store, newest)
		}
	})
}

func TestPageIsAcknowledgedInItsOrder(t *testing.T) {
	s := newServer(t)
	put(t, s.store, entitlement("b", 7), 7)
	page, err := json.Marshal(gateway.Page{Entitlements: []models.Entitlement{
		entitlement("a", 3), entitlement("b", 2), entitlement("a", 4), entitlement("a", 1),
	}})
	if err != nil {
		t.Fatal(err)
	}
	res, body := s.send(t, "PUT", "/entitlements", string(page), noon)
	want := `{"held":[{"account_id":"a","version":3},{"account_id":"b","version":7},{"account_id":"a","version":4},{"account_id":"a","version":4}]}`
	if res.StatusCode != http.StatusOK || body != want {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	holds(t, s.store, entitlement("a", 4))
	holds(t, s.store, entitlement("b", 7))
}

func TestPageIsTakenWholeOrNotAtAll(t *testing.T) {
	s := newServer(t)
	good := text(t, entitlement("a", 1))
	for name, c := range map[string]struct {
		body, code string
		status     int
	}{
		"not JSON":       {`[`, gateway.CodeInvalidEntitlement, 400},
		"one is none":    {`{"entitlements":[` + good + `,{"account_id":"b"}]}`, gateway.CodeInvalidEntitlement, 400},
		"a key is none":  {`{"entitlements":[` + good + `,{"account_id":"b","version":1,"keys":[{"id":"k","sha256":"00"}]}]}`, gateway.CodeInvalidEntitlement, 400},
		"too many":       {`{"entitlements":[` + good + repeat(`,{"account_id":"b","version":1}`, gateway.MaxPage) + `]}`, gateway.CodeInvalidEntitlement, 400},
		"too many bytes": {repeat(" ", 8<<20+1), gateway.CodeBodyTooLarge, 413},
	} {
		res, body := s.send(t, "PUT", "/entitlements", c.body, noon)
		wantProblem(t, res, body, c.status, c.code)
		if n := s.store.Len(); n != 0 {
			t.Errorf("%s: %d were kept", name, n)
		}
	}
	res, body := s.send(t, "PUT", "/entitlements", `{"entitlements":[`+good+`]}`, noon.Add(-time.Hour))
	wantProblem(t, res, body, 401, gateway.CodeBadSignature)
}

func repeat(part string, n int) string {
	text := make([]byte, 0, len(part)*n)
	for range n {
		text = append(text, part...)
	}
	return string(text)
}

// status asks the gateway how its sync stands, at a time.
func (s *server) status(t *testing.T, at time.Time) gateway.SyncStatus {
	t.Helper()
	s.now = at
	res, body := s.send(t, "GET", "/sync", "", at)
	var status gateway.SyncStatus
	if err := json.Unmarshal([]byte(body), &status); err != nil || res.StatusCode != 200 {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	return status
}

// A gateway asks for a full sync when it is new, and when it has heard nothing for
// long; a restart alone is no reason.
func TestGatewayAsksForAFullSync(t *testing.T) {
	s := newServer(t)
	first := s.status(t, noon)
	if !first.NeedsFull || first.Store == "" || first.Accounts != 0 {
		t.Errorf("new: %+v", first)
	}
	res, body := s.send(t, "GET", "/readyz", "", noon)
	wantProblem(t, res, body, 503, gateway.CodeNotFilled)
	put(t, s.store, entitlement("a", 1), 1)
	res, body = s.send(t, "PUT", "/sync", `{"store":"another"}`, noon)
	wantProblem(t, res, body, 409, gateway.CodeAnotherStore)
	if res, body = s.send(t, "PUT", "/sync", `{"store":"`+first.Store+`"}`, noon); res.StatusCode != 200 {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	if res, _ = s.send(t, "GET", "/readyz", "", noon); res.StatusCode != 200 {
		t.Errorf("filled, it answers %d to /readyz", res.StatusCode)
	}
	if got := s.status(t, noon.Add(gateway.AwayAfter)); got.NeedsFull || got.Accounts != 1 {
		t.Errorf("filled: %+v", got)
	}
	s.reopen(t)
	if got := s.status(t, noon.Add(2*gateway.AwayAfter)); got.NeedsFull || got.Store != first.Store {
		t.Errorf("after a restart: %+v", got)
	}
	s.reopen(t)
	if got := s.status(t, noon.Add(3*gateway.AwayAfter+time.Second)); !got.NeedsFull || got.Store != first.Store {
		t.Errorf("away: %+v", got)
	}
	// Having asked is not having got.
	if got := s.status(t, noon.Add(3*gateway.AwayAfter+time.Minute)); !got.NeedsFull {
		t.Errorf("asked again: %+v", got)
	}
	if res, _ := s.send(t, "GET", "/readyz", "", s.now); res.StatusCode != 200 {
		t.Errorf("away, it answers %d to /readyz", res.StatusCode)
	}
	if res, body = s.send(t, "PUT", "/sync", `{"store":"`+first.Store+`"}`, s.now); res.StatusCode != 200 {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	if s.status(t, s.now).NeedsFull {
		t.Error("it asks after a full sync")
	}
}

// A store whose journal was taken away is a new one.
func TestStoreWithoutItsJournalIsNew(t *testing.T) {
	directory := t.TempDir()
	store := open(t, directory)
	first := store.Sync().Store
	if err := store.CompleteSync(first, noon); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	writeJournal(t, directory, "")
	if got := open(t, directory).Sync(); !got.NeedsFull || got.Store == first {
		t.Errorf("%+v", got)
	}
}
