package api

import (
	"context"
	"time"

	"github.com/paystage/paystage/ledger"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

func (s *Server) metrics() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), vitals{s}, gatewayVitals{s})
	return registry
}

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
	{gauge("declines_unknown_code", "Payments declined with a code that the decline table lacks."), func(v ledger.Vitals) int64 { return v.UnknownDeclines }},
	{gauge("recharges_last_minute", "Automatic charges of the last minute."), func(v ledger.Vitals) int64 { return v.RechargesLastMinute }},
	{gauge("recharges_last_hour", "Automatic charges of the last hour."), func(v ledger.Vitals) int64 { return v.RechargesLastHour }},
	{gauge("recharges_last_hour_account_max", "Automatic charges of the last hour of the account with the most."), func(v ledger.Vitals) int64 { return v.RechargesOfOneAccount }},
	{gauge("recharges_due", "Accounts whose auto-recharge is to look now."), func(v ledger.Vitals) int64 { return v.RechargesDue }},
	{gauge("recharges_held", "1 while all automatic charges are held."), func(v ledger.Vitals) int64 { return v.RechargesHeld }},
	{gauge("invoices_due", "Unpaid invoices whose time to be charged has come."), func(v ledger.Vitals) int64 { return v.InvoicesDue }},
	{gauge("invoice_payments_in_flight", "Charges of invoices that have not ended."), func(v ledger.Vitals) int64 { return v.InvoicePayments }},
	{gauge("invoices_past_due", "Invoices past due; their accounts are suspended."), func(v ledger.Vitals) int64 { return v.InvoicesPastDue }},
	{gauge("months_closing", "Months that are being closed."), func(v ledger.Vitals) int64 { return v.MonthsClosing }},
	{gauge("months_accounts", "Accounts that the closings under way go over."), func(v ledger.Vitals) int64 { return v.MonthAccounts }},
	{gauge("months_accounts_done", "Accounts of the closings under way that are done."), func(v ledger.Vitals) int64 { return v.MonthAccountsDone }},
	{gauge("months_held", "1 while no month is closed by itself."), func(v ledger.Vitals) int64 { return v.MonthsHeld }},
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

// gatewayVitals answers how each gateway stands, from the database as well.
type gatewayVitals struct{ server *Server }

// gatewayGauges says what each metric is, one value a gateway.
var gatewayGauges = []struct {
	desc  *prometheus.Desc
	value func(Gateway) float64
}{
	{gatewayGauge("waiting_accounts", "Accounts whose newest entitlement the gateway lacks."), func(g Gateway) float64 { return float64(g.Waiting) }},
	{gatewayGauge("lag_seconds", "For how long the first of them has waited."), func(g Gateway) float64 { return g.Lag }},
	{gatewayGauge("failing", "1 if the gateway does not answer as it should."), func(g Gateway) float64 { return asNumber(g.State == gatewayFailing) }},
	{gatewayGauge("filling", "1 while a full sync of the gateway is under way."), func(g Gateway) float64 { return asNumber(g.State == gatewayFilling) }},
}

func gatewayGauge(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("paystage_gateway_"+name, help, []string{"gateway"}, nil)
}

func asNumber(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// Describe names the metrics.
func (gatewayVitals) Describe(out chan<- *prometheus.Desc) {
	for _, g := range gatewayGauges {
		out <- g.desc
	}
}

// Collect reads them.
func (v gatewayVitals) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	all, err := v.server.gateways(ctx)
	for _, gauge := range gatewayGauges {
		if err != nil {
			out <- prometheus.NewInvalidMetric(gauge.desc, err)
			continue
		}
		for _, g := range all {
			out <- prometheus.MustNewConstMetric(gauge.desc, prometheus.GaugeValue, gauge.value(g), g.Gateway)
		}
	}
}
