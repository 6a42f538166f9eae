package workflows_test

import (
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"
)

// patience lets the test environment retry as a server does, without end. By itself
// it gives an activity up after its tenth try.
type patience struct {
	interceptor.WorkerInterceptorBase
}

func (*patience) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &patientInbound{interceptor.WorkflowInboundInterceptorBase{Next: next}}
}

type patientInbound struct {
	interceptor.WorkflowInboundInterceptorBase
}

func (p *patientInbound) Init(outbound interceptor.WorkflowOutboundInterceptor) error {
	return p.Next.Init(&patientOutbound{interceptor.WorkflowOutboundInterceptorBase{Next: outbound}})
}

type patientOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
}

const moreThanAnyTestTries = 1_000_000

func (p *patientOutbound) ExecuteActivity(ctx workflow.Context, activityType string, args ...any) workflow.Future {
	options := workflow.GetActivityOptions(ctx)
	policy := *options.RetryPolicy
	if policy.MaximumAttempts == 0 {
		policy.MaximumAttempts = moreThanAnyTestTries
	}
	options.RetryPolicy = &policy
	return p.Next.ExecuteActivity(workflow.WithActivityOptions(ctx, options), activityType, args...)
}
