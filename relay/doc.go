// Package relay drains the outbox: it starts and wakes workflows and sends mails
// that a transaction asked for. It runs in every worker. A message is delivered
// at least once and leaves the outbox only after that, so losing a process loses
// nothing; several relays share the work by claiming rows.
//
// It also looks after what nothing else owns (I6): purchases that take too long
// become alerts, and pending purchases are started again, in case Temporal has
// forgotten them, and so are loops of auto-recharge that should be
// running.
package relay
