package sim

import (
	"net/http"
	"slices"
)

func (c *call) namedDispute() (*dispute, *refusal) {
	dp, found := c.disputes.byID[c.id]
	if !found {
		return nil, missing(http.StatusNotFound, "dispute", c.id, "dispute")
	}
	return dp, nil
}

func (c *call) getDispute() (any, *refusal) {
	dp, r := c.namedDispute()
	if r != nil {
		return nil, r
	}
	return c.disputeView(dp, ""), nil
}

// updateDispute takes evidence and, unless submit is false, hands it to the bank.
func (c *call) updateDispute() (any, *refusal) {
	dp, r := c.namedDispute()
	if r != nil {
		return nil, r
	}
	open := dp.Object.Status == disputeNeedsResponse || dp.Object.Status == disputeWarningNeedsResponse
	if c.params.hasBelow("evidence") && !open {
		return nil, invalidRequest("", "This dispute is already "+dp.Object.Status+" and takes no more evidence.")
	}
	submit := true
	if c.params.has("submit") {
		if submit, r = c.params.boolean("submit"); r != nil {
			return nil, r
		}
	}
	changed := dp.Object
	changed.Metadata = cloneMetadata(dp.Object.Metadata)
	if r := c.params.mergeMetadata(changed.Metadata); r != nil {
		return nil, r
	}
	changed.Evidence = map[string]text{}
	for _, name := range evidenceNames {
		changed.Evidence[name] = dp.Object.Evidence[name]
		if given := c.params.get("evidence[" + name + "]"); given != "" {
			changed.Evidence[name] = text(given)
			changed.EvidenceDetails.HasEvidence = true
		}
	}
	dp.Object = changed
	if open && submit && changed.EvidenceDetails.HasEvidence {
		c.submitEvidence(dp)
	}
	c.saveDispute(dp)
	c.emit("charge.dispute.updated", dp.Object)
	return c.disputeView(dp, ""), nil
}

// submitEvidence puts the dispute before the bank, which decides at once where the
// evidence is one of Stripe's magic words and else when it is ordered to.
func (c *call) submitEvidence(dp *dispute) {
	dp.Object.EvidenceDetails.SubmissionCount++
	review := disputeUnderReview
	if dp.inquiry() {
		review = disputeWarningUnderReview
	}
	dp.Object.Status = review
	decisive := []text{winningEvidence, losingEvidence, escalateEvidence}
	switch {
	case slices.Contains(decisive, dp.Object.Evidence["uncategorized_text"]):
		dp.DecideAt = c.after(disputeTime)
		c.wakeTimers()
	case !dp.inquiry():
		dp.DecideAt = 0
	}
}

// acceptDispute is the merchant's giving in.
func (c *call) acceptDispute() (any, *refusal) {
	dp, r := c.namedDispute()
	if r != nil {
		return nil, r
	}
	if dp.Object.Status != disputeNeedsResponse {
		return nil, invalidRequest("", "This dispute cannot be closed because it is "+dp.Object.Status+".")
	}
	c.closeDispute(dp, disputeLost)
	return c.disputeView(dp, ""), nil
}

func (c *call) listDisputes() (any, *refusal) {
	charge, pi := c.params.get("charge"), c.params.get("payment_intent")
	return listOf(c, c.disputes, "dispute", "/v1/disputes", func(dp *dispute) (disputeObject, bool) {
		wanted := (charge == "" || dp.Object.Charge.id == charge) && (pi == "" || dp.Object.PaymentIntent.id == pi)
		return c.disputeView(dp, "data."), wanted
	}, func(dp *dispute) int64 { return dp.Object.Created })
}

// disputeView is the dispute as the caller wants it expanded.
func (c *call) disputeView(dp *dispute, prefix string) disputeObject {
	view := dp.Object
	if c.expands(prefix + "charge") {
		view.Charge.expanded = c.charges.byID[view.Charge.id]
	}
	if c.expands(prefix + "payment_intent") {
		view.PaymentIntent.expanded = c.intents.byID[view.PaymentIntent.id].Object
	}
	return view
}
