package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paystage/paystage/billing"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

// MonthlyScheduleID is the id of the schedule that has months closed on the 3rd.
const MonthlyScheduleID = "monthly-close"

// scheduleCatchUp is how late the schedule may still fire after an outage: less than
// the distance of two 3rds, so that only the newest one that was missed fires. One
// firing closes every month that is due.
const scheduleCatchUp = 27 * 24 * time.Hour

// MonthlySchedule is how the schedule stands.
type MonthlySchedule struct {
	Paused bool
	Note   string
	// Next and Last are when it fires next and fired last; zero if it doesn't or has not.
	Next time.Time
	Last time.Time
}

// CreateMonthlySchedule creates the schedule, paused or not, and says whether it was
// not there: one that is stays as it is.
func CreateMonthlySchedule(ctx context.Context, c client.Client, q Queues, paused bool) (bool, error) {
	_, err := c.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: MonthlyScheduleID,
		Spec: client.ScheduleSpec{
			Calendars: []client.ScheduleCalendarSpec{{
				Comment:    "00:00 UTC on the 3rd (R29)",
				DayOfMonth: []client.ScheduleRange{{Start: billing.BillingDay}},
			}},
			TimeZoneName: "UTC",
		},
		Action:        &client.ScheduleWorkflowAction{ID: "monthly-due", Workflow: MonthlyDue, TaskQueue: q.Months, WorkflowTaskTimeout: workflowTaskTimeout},
		Overlap:       enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
		CatchupWindow: scheduleCatchUp,
		Paused:        paused,
	})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("create schedule: %w", err)
	}
	return true, nil
}

// ErrNoSchedule: there is no schedule.
var ErrNoSchedule = errors.New("there is no schedule")

// ReadMonthlySchedule says how the schedule stands; ErrNoSchedule if there is none.
func ReadMonthlySchedule(ctx context.Context, c client.Client) (MonthlySchedule, error) {
	d, err := c.ScheduleClient().GetHandle(ctx, MonthlyScheduleID).Describe(ctx)
	if isNotFound(err) {
		return MonthlySchedule{}, ErrNoSchedule
	}
	if err != nil {
		return MonthlySchedule{}, fmt.Errorf("read schedule: %w", err)
	}
	s := MonthlySchedule{Paused: d.Schedule.State.Paused, Note: d.Schedule.State.Note}
	if len(d.Info.NextActionTimes) > 0 {
		s.Next = d.Info.NextActionTimes[0]
	}
	if n := len(d.Info.RecentActions); n > 0 {
		s.Last = d.Info.RecentActions[n-1].ActualTime
	}
	return s, nil
}

// PauseMonthlySchedule pauses the schedule or lets it go on; ErrNoSchedule if there is
// none.
func PauseMonthlySchedule(ctx context.Context, c client.Client, paused bool, note string) error {
	schedule := c.ScheduleClient().GetHandle(ctx, MonthlyScheduleID)
	var err error
	if paused {
		err = schedule.Pause(ctx, client.SchedulePauseOptions{Note: note})
	} else {
		err = schedule.Unpause(ctx, client.ScheduleUnpauseOptions{Note: note})
	}
	if isNotFound(err) {
		return ErrNoSchedule
	}
	if err != nil {
		return fmt.Errorf("change schedule: %w", err)
	}
	return nil
}
