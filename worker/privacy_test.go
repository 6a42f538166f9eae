package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/paystage/paystage/models"
	"github.com/paystage/paystage/testenv"
	"github.com/paystage/paystage/workflows"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
)

// maxScanned bounds how many histories of one system are read.
const maxScanned = 200

// requireDiscreet fails the test if anything that names a customer, or a secret, stands in
// a history of the system's workflows or in the log of worker and front door (I9). Every
// system is looked through when its test ends. Digits alone are not looked for: they
// stand in times and ids by chance.
func (s *system) requireDiscreet(more ...string) {
	s.t.Helper()
	text := s.log.String() + s.histories()
	unwanted := append([]string{
		"@example.com", "Lovelace", "1 Main St", "Springfield", "postal_code", "line1", "last4", "_secret_", "/authenticate/", "/authorize/M",
		secretKey, webhookSecret, strings.TrimPrefix(linkKeys, "l1:"), strings.TrimPrefix(signingKeys, "k1:"),
	}, more...)
	for _, key := range s.keys {
		unwanted = append(unwanted, key)
	}
	for _, word := range unwanted {
		if at := strings.Index(text, word); at >= 0 {
			s.t.Errorf("%q stands in a history or a log: %s", word, text[max(0, at-200):min(len(text), at+100)])
		}
	}
}

// histories is all that Temporal keeps of the system's workflows.
func (s *system) histories() string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	q := s.queues
	listed, err := s.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query:    fmt.Sprintf("TaskQueue IN ('%s')", strings.Join([]string{q.Purchases, q.Gateways, q.Recharges, q.Invoices, q.Months}, "', '")),
		PageSize: maxScanned,
	})
	require.NoError(s.t, err)
	var text strings.Builder
	for _, w := range listed.Executions {
		text.WriteString(s.history(ctx, w.Execution.WorkflowId, w.Execution.RunId))
	}
	return text.String()
}

func (s *system) history(ctx context.Context, id, run string) string {
	s.t.Helper()
	var text strings.Builder
	events := s.temporal.GetWorkflowHistory(ctx, id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(s.t, err, "history of %s", id)
		text.WriteString(event.String())
		text.WriteByte('\n')
	}
	return text.String()
}

// I9: of a recharge that its customer approves by the link of a mail, the link above all.
func TestI9NothingSecretInHistoriesAndLogs(t *testing.T) {
	t.Parallel()
	s := newSystem(t, testenv.Database(t))
	s.work()
	account, link := s.recharging()
	p := s.automatic(account)[0]
	asked, err := s.store.Authorizations(context.Background(), account)
	require.NoError(t, err)
	require.Contains(t, s.follow(link), "/authenticate/")
	require.NoError(t, s.stripe.Approve(s.intentOf(p.ID)))
	s.requireWhole(s.await(p.ID, ended))

	require.Contains(t, s.log.String(), "authorize/{token}", "the log is not what this test is about")
	for _, id := range []string{
		workflows.PurchaseWorkflowID(p.ID), workflows.AuthorizationWorkflowID(asked[0].ID),
		workflows.RechargeWorkflowID(account), workflows.PropagationWorkflowID(account),
	} {
		require.NotEmpty(t, s.history(context.Background(), id, ""), "%s has no history", id)
	}
	token := link[strings.LastIndex(link, "/")+1:]
	s.requireDiscreet(s.email(account), token, token[:30], s.keys[models.RoleCheckout])
}
