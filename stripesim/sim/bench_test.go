package sim_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/paystage/paystage/stripesim/sim"
)

// BenchmarkCharge is one confirmed PaymentIntent without the network: benchmarks
// of the product run against the double, so it must cost next to nothing.
func BenchmarkCharge(b *testing.B) {
	for name, state := range map[string]bool{"Memory": false, "Journal": true} {
		b.Run(name, func(b *testing.B) {
			opts := sim.Options{}
			if state {
				opts.StateFile = b.TempDir() + "/journal"
			}
			unjudged, err := sim.New(quietly(opts)) // as benchmarks of the product have it
			if err != nil {
				b.Fatal(err)
			}
			d := serve(b, unjudged)
			customer, method := d.customerWith(b, "pm_card_visa")
			form := url.Values{"amount": {"2500"}, "currency": {"usd"}, "customer": {customer}, "payment_method": {method},
				"confirm": {"true"}, "off_session": {"true"}, "metadata[purchase_id]": {"pur_1"}, "expand[]": {"latest_charge"}}.Encode()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, "/v1/payment_intents", strings.NewReader(form))
				r.Header.Set("Authorization", "Bearer "+testKey)
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				w := httptest.NewRecorder()
				d.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Fatal(w.Body)
				}
			}
		})
	}
}
