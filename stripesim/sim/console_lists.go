package sim

import (
	"encoding/json"
	"fmt"
	"time"
)

// newList makes one list of the page out of a shelf, newest first.
func newList[T any](name string, from shelf[T], columns []string, row func(T) consoleRow) consoleList {
	l := consoleList{Name: name, Columns: columns, Caption: fmt.Sprintf("%d in all", len(from.order))}
	if len(from.order) > consoleRows {
		l.Caption = fmt.Sprintf("the newest %d of %d", consoleRows, len(from.order))
	}
	for i := len(from.order) - 1; i >= max(0, len(from.order)-consoleRows); i-- {
		r := row(from.byID[from.order[i]])
		l.Rows, l.Decides = append(l.Rows, r), l.Decides || len(r.Actions) > 0
	}
	return l
}

func moment(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.DateTime) }

// cardName is how a payment method is told from another.
func (s *store) cardName(id string) string {
	m, found := s.methods.byID[id]
	if !found {
		return ""
	}
	return m.Object.Card.Brand + " " + m.Object.Card.Last4
}

var (
	asksActions    = []consoleAction{{"approve", "Approve"}, {"refuse", "Refuse"}}
	disputeActions = []consoleAction{{"dispute", "Raise a dispute"}, {"inquire", "Raise an inquiry"}}
	bankActions    = []consoleAction{{"settle", "Pay"}, {"fail", "Decline"}}
	judgeActions   = []consoleAction{{"win", "Decide for the merchant"}, {"lose", "Decide for the customer"}}
)

func (s *store) consoleIntents() consoleList {
	return newList("Payments", s.intents, []string{"Amount", "Status", "Card", "Made"}, func(pi *intent) consoleRow {
		card := pi.Object.PaymentMethod.id
		if failed := pi.Object.LastPaymentError; card == "" && failed != nil && failed.PaymentMethod != nil {
			card = failed.PaymentMethod.ID
		}
		row := consoleRow{ID: pi.Object.ID, Cells: []string{dollars(pi.Object.Amount), pi.Object.Status, s.cardName(card), moment(pi.Object.Created)}}
		switch {
		case pi.Object.Status == statusRequiresAction, pi.Object.Processing != nil:
			row.Actions = asksActions
		case pi.Object.Status == statusProcessing:
			row.Actions = bankActions
		case pi.Object.Status == statusSucceeded && !s.charges.byID[pi.Object.LatestCharge.id].Disputed:
			row.Actions = disputeActions
		}
		return row
	})
}

func (s *store) consoleSetups() consoleList {
	return newList("Cards being saved", s.setups, []string{"Status", "Card", "Made"}, func(si *setup) consoleRow {
		row := consoleRow{ID: si.Object.ID, Cells: []string{si.Object.Status, s.cardName(si.Object.PaymentMethod.id), moment(si.Object.Created)}}
		if si.Object.Status == statusRequiresAction {
			row.Actions = asksActions
		}
		return row
	})
}

func (s *store) consoleRefunds() consoleList {
	return newList("Refunds", s.refunds, []string{"Amount", "Status", "Charge", "Made"}, func(re *refund) consoleRow {
		row := consoleRow{ID: re.Object.ID, Cells: []string{dollars(re.Object.Amount), re.Object.Status, re.Object.Charge.id, moment(re.Object.Created)}}
		if re.Object.Status != refundFailed {
			row.Actions = []consoleAction{{"bounce", "Fail"}}
		}
		return row
	})
}

func (s *store) consoleDisputes() consoleList {
	return newList("Disputes", s.disputes, []string{"Amount", "Status", "Reason", "Charge", "Made"}, func(dp *dispute) consoleRow {
		row := consoleRow{ID: dp.Object.ID, Cells: []string{
			dollars(dp.Object.Amount), dp.Object.Status, dp.Object.Reason, dp.Object.Charge.id, moment(dp.Object.Created)}}
		if !dp.closed() {
			row.Actions = judgeActions
		}
		return row
	})
}

func (s *store) consoleMandates() consoleList {
	return newList("Mandates", s.mandates, []string{"Up to", "Status", "Card"}, func(m *mandate) consoleRow {
		row := consoleRow{ID: m.Object.ID, Cells: []string{dollars(m.AmountCents), m.Object.Status, s.cardName(m.Object.PaymentMethod.id)}}
		if m.Object.Status != mandateInactive {
			row.Actions = []consoleAction{{"revoke", "Cancel"}}
		}
		return row
	})
}

func (s *store) consoleCustomers() consoleList {
	return newList("Customers", s.customers, []string{"Email", "Name", "Made"}, func(cus *customerObject) consoleRow {
		return consoleRow{ID: cus.ID, Cells: []string{string(cus.Email), string(cus.Name), moment(cus.Created)}}
	})
}

func (s *store) consoleMethods() consoleList {
	return newList("Cards", s.methods, []string{"Card", "Funding", "Customer"}, func(m *method) consoleRow {
		return consoleRow{ID: m.Object.ID, Cells: []string{s.cardName(m.Object.ID), m.Object.Card.Funding, m.Object.Customer.id}}
	})
}

func (s *store) consoleEvents() consoleList {
	events := shelf[*eventObject]{byID: s.events, order: s.eventOrder}
	return newList("Events", events, []string{"Type", "About", "Delivery", "At"}, func(ev *eventObject) consoleRow {
		var about struct {
			ID string `json:"id"`
		}
		delivery := "none waits"
		if ev.PendingWebhooks > 0 {
			delivery = "waits"
		}
		if json.Unmarshal(ev.Data.Object, &about) != nil {
			about.ID = "unreadable"
		}
		return consoleRow{ID: ev.ID, Cells: []string{ev.Type, about.ID, delivery, moment(ev.Created)}, Actions: []consoleAction{{"resend", "Send again"}}}
	})
}
