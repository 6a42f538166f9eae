// Package workflows is the processes of Paystage, one file for each, one
// sentence of business per line.
//
// [Purchase] takes a credit purchase through its four stages (R17):
//
//	bank approval -> invoice -> balance -> tier -> completed
//	      |
//	      +-> declined, canceled, expired
//
// While the bank's answer is not final the purchase waits for a word from Stripe
// and asks by itself as well, since that word may never come:
//
//	charging -> processing | requires_action | unknown -> final
//
// Where the bank wants its customer, [Authorization] takes over the waiting: one workflow
// for one payment, with the link, its reminders and its end. It alone ends an
// authorization, and that end is the bank's answer to whatever is paid.
//
// [TierPropagation] is one workflow per account, however many purchases need it:
// it pushes the newest entitlement to every gateway, again and again until each
// has acknowledged it.
//
// [AutoRecharge] is one workflow per account that is below its threshold: it buys one
// increment after the other through ordinary purchases, and ends.
//
// [InvoicePayment] is the one workflow that charges an invoice. It is open while
// something is charged or asked after; between the days of the schedule there is none.
//
// Steps in the database are local activities: they take a millisecond, and a
// history entry costs more than that. So is the first try of a charge, which makes
// the straight purchase one workflow task. Other calls to Stripe and to gateways are
// regular ones: they take long, are retried for long, and belong to queues of their
// own.
//
// Signals say "look again" and carry no state, so their order and number mean
// nothing. Whatever decides is read from Stripe or from the database.
package workflows
