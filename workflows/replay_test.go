package workflows_test

import (
	"io"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/paystage/paystage/workflows"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
)

// F23: every history that was recorded with an earlier version of the workflows
// still replays. One that does not would stop a running purchase at the next
// deploy: keep the old path (CONTRIBUTING.md says how), and record a new history of
// the new one (`temporal workflow show --workflow-id ID --output json`).
func TestF23RecordedHistoriesReplay(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("there is no history in testdata: nothing guards running purchases")
	}
	silent := log.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			replayer := worker.NewWorkflowReplayer()
			replayer.RegisterWorkflow(workflows.Purchase)
			replayer.RegisterWorkflow(workflows.TierPropagation)
			replayer.RegisterWorkflow(workflows.AutoRecharge)
			replayer.RegisterWorkflow(workflows.InvoicePayment)
			replayer.RegisterWorkflow(workflows.Authorization)
			replayer.RegisterWorkflow(workflows.MonthlyClose)
			replayer.RegisterWorkflow(workflows.MonthlyDue)
			replayer.RegisterWorkflow(workflows.CardSetup)
			if err := replayer.ReplayWorkflowHistoryFromJSONFile(silent, file); err != nil {
				t.Error(err)
			}
		})
	}
}
