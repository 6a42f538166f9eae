package billing

import "github.com/paystage/paystage/models"

// CodeInsufficientBalance: the balance does not cover what a creation costs (R10).
const CodeInsufficientBalance = "insufficient_balance"

// CreationSKU gives the SKU of a creation's one-off cost (R10), "" for a kind that
// there is not.
func CreationSKU(kind models.CreationKind) string {
	switch kind {
	case models.CreationDedicatedEndpoint:
		return "dedicated_endpoint.creation"
	case models.CreationHostedModel:
		return "hosted_model.creation"
	case models.CreationFineTuning:
		return "fine_tuning_job.creation"
	case models.CreationEvaluation:
		return "evaluation_job.creation"
	}
	return ""
}

// MicrosUp gives pico-dollars in whole micro-dollars, rounded up.
func MicrosUp(picos int64) int64 {
	whole := picos / picosPerMicro
	if picos%picosPerMicro > 0 {
		whole++
	}
	return whole
}
