package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/paystage/paystage/api"
	"github.com/paystage/paystage/gateway"
	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/testenv"
	"github.com/stretchr/testify/require"
)

// tierOneModel and tierTwoModel are models of the catalogue that is shipped.
const (
	tierOneModel = "black-forest-labs/FLUX.1-dev"
	tierTwoModel = "black-forest-labs/FLUX.1.1-pro"
)

// front is an API in front of a gateway's store.
func (g *testGateway) front(t *testing.T) string {
	t.Helper()
	shipped, err := gateway.ShippedCatalogue()
	require.NoError(t, err)
	admission := &gateway.Admission{
		Store: g.store, Catalogue: func() *gateway.Catalogue { return shipped }, Limiter: gateway.NewLocal(), Now: time.Now, Log: quiet(),
	}
	server := httptest.NewServer(admission.Middleware(gateway.JSONModel(1 << 10))(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	t.Cleanup(server.Close)
	return server.URL
}

// ask sends a request to a model with an API key and answers status and code.
func ask(t *testing.T, front, key, model string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, front, strings.NewReader(`{"model":"`+model+`"}`))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	var p struct{ Code string }
	_ = json.Unmarshal(body, &p) // the handler behind answers nothing
	return res.StatusCode, p.Code
}

// awaitAnswer asks until the answer is that, and says how long it took.
func awaitAnswer(t *testing.T, front, key, model string, status int) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		got, code := ask(t, front, key, model)
		if got == status {
			return time.Since(began)
		}
		require.Less(t, time.Since(began), patience, "%d %s, want %d", got, code, status)
		time.Sleep(time.Millisecond)
	}
}

// A key is let in by every gateway soon after it was made, opens what the tier opens,
// and is refused by every gateway soon after it was revoked.
func TestAPIKeyAtTheGateways(t *testing.T) {
	s := newSystem(t, testenv.Database(t))
	fronts := []string{s.gateways[0].front(t), s.gateways[1].front(t)}
	s.work()
	account := s.account("pm_card_visa")
	keys := "/v1/accounts/" + account + "/api-keys"
	var problem api.Problem
	require.Equal(t, http.StatusForbidden, s.call(models.RoleCheckout, http.MethodPost, keys, nil, nil, &problem))
	require.Equal(t, "limited_tier", problem.Code)
	p, _ := s.buy(account, uuid.NewString(), 2500, 30)
	s.await(p.ID, ended)
	var key api.APIKey
	require.Equal(t, http.StatusCreated, s.call(models.RoleCheckout, http.MethodPost, keys, nil, nil, &key))
	for _, front := range fronts {
		require.Less(t, awaitAnswer(t, front, key.Text, tierOneModel, http.StatusOK), time.Minute)
		status, code := ask(t, front, key.Text, tierTwoModel)
		require.Equal(t, http.StatusForbidden, status)
		require.Equal(t, gateway.CodeInsufficientTier, code)
	}
	p, _ = s.buy(account, uuid.NewString(), 2500, 30)
	s.await(p.ID, ended)
	for _, front := range fronts { // the purchase has ended, so they know
		status, code := ask(t, front, key.Text, tierTwoModel)
		require.Equal(t, http.StatusOK, status, code)
	}
	require.Equal(t, http.StatusOK, s.call(models.RoleCheckout, http.MethodDelete, keys+"/"+key.ID, nil, nil, &key))
	for _, front := range fronts {
		require.Less(t, awaitAnswer(t, front, key.Text, tierOneModel, http.StatusUnauthorized), time.Minute)
	}
}

// A gateway comes and another goes by the file of the configuration, while worker and
// front door run.
func TestGatewaysOfAFileComeAndGo(t *testing.T) {
	s := newSystem(t, testenv.Database(t))
	file := filepath.Join(t.TempDir(), "gateways")
	s.settings.GatewayURLs, s.settings.GatewaysFile = nil, file
	name := func(gateways ...*testGateway) {
		t.Helper()
		var text string
		for _, g := range gateways {
			text += g.url + "\n"
		}
		require.NoError(t, os.WriteFile(file+".new", []byte(text), 0o600))
		require.NoError(t, os.Rename(file+".new", file))
	}
	first, second := s.gateways[0], s.gateways[1]
	name(first)
	s.work()
	account := s.account("pm_card_visa")
	p, _ := s.buy(account, uuid.NewString(), 2500, 30)
	s.await(p.ID, ended)
	require.False(t, second.store.Filled())

	name(second)
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if e, held := second.store.Get(account); held && e.Version == 1 && second.store.Filled() {
			break
		}
		require.Less(t, time.Since(began), patience, "the new gateway is not filled")
	}
	first.down.Store(true)
	p, _ = s.buy(account, uuid.NewString(), 2500, 30)
	require.Equal(t, "completed", s.await(p.ID, ended).Status)
	e, _ := second.store.Get(account)
	require.Equal(t, 2, e.Tier.Number)
}
