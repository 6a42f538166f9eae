package api

import (
	"context"
	"time"

	"github.com/paystage/paystage/ledger"
	"github.com/prometheus/client_golang/prometheus"
)

// vitals answers the metrics of the business from the database: they are the
// truth whichever process is asked, and survive a restart.
type vitals struct{ server *Server }

// gauges says what each metric is and which count it shows.
var gauges = []struct {
	desc  *prometheus.Desc
	value func(ledger.Vitals) int64
}{
	{gauge("purchases_pending", "Purchases that have not ended."), func(v ledger.Vitals) int64 { return v.PendingPurchases }},
	{gauge("purchases_oldest_pending_seconds", "Age of the oldest pending purchase."), func(v ledger.Vitals) int64 { return v.OldestPendingSecs }},
	{gauge("purchases_awaiting_gateways_accounts", "Accounts with a purchase that waits for gateways."), func(v ledger.Vitals) int64 { return v.LaggingEntitlement }},
	{gauge("outbox_messages", "Messages that wait in the outbox."), func(v ledger.Vitals) int64 { return v.OutboxMessages }},
	{gauge("outbox_oldest_seconds", "Age of the oldest message in the outbox."), func(v ledger.Vitals) int64 { return v.OldestMessageSecs }},
	{gauge("alerts_open", "Open alerts."), func(v ledger.Vitals) int64 { return v.OpenAlerts }},
	{gauge("declines_unknown_code", "Purchases declined with a code that the decline table lacks."), func(v ledger.Vitals) int64 { return v.UnknownDeclines }},
	{gauge("recharges_last_minute", "Automatic charges of the last minute."), func(v ledger.Vitals) int64 { return v.RechargesLastMinute }},
	{gauge("recharges_last_hour", "Automatic charges of the last hour."), func(v ledger.Vitals) int64 { return v.RechargesLastHour }},
	{gauge("recharges_last_hour_account_max", "Automatic charges of the last hour of the account with the most."), func(v ledger.Vitals) int64 { return v.RechargesOfOneAccount }},
	{gauge("recharges_due", "Accounts whose auto-recharge is to look now."), func(v ledger.Vitals) int64 { return v.RechargesDue }},
	{gauge("recharges_held", "1 while all automatic charges are held."), func(v ledger.Vitals) int64 { return v.RechargesHeld }},
}

func gauge(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("paystage_"+name, help, nil, nil)
}

// Describe names the metrics.
func (vitals) Describe(out chan<- *prometheus.Desc) {
	for _, g := range gauges {
		out <- g.desc
	}
}

// Collect reads them.
func (v vitals) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	counts, err := v.server.Store.Vitals(ctx)
	for _, g := range gauges {
		if err != nil {
			out <- prometheus.NewInvalidMetric(g.desc, err)
			continue
		}
		out <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, float64(g.value(counts)))
	}
}
