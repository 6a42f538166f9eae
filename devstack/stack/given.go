package stack

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// givenNames are the parts that can be given instead of started, with what must
// come along with each.
var givenNames = map[string][]string{
	StripeAPIBase:         {StripeSecretKey, StripeWebhookKey},
	DatabaseURL:           nil,
	TemporalAddress:       nil,
	GatewayURLs:           {GatewaySigningKeys},
	LinkKeys:              nil,
	SMTPURL:               nil,
	PaystageURL:           nil,
	TemporalNamespaceName: nil,
	PaystageListen:        nil,
}

// ownParts are the parts whose remembered port tells that an address is our own.
var ownParts = map[string]string{
	StripeAPIBase:   "stripesim",
	DatabaseURL:     "postgres",
	TemporalAddress: "temporal",
	GatewayURLs:     "gateway-1",
	PaystageURL:     "starter",
}

// takeGiven gives what the caller's environment says to use instead of starting
// it. An address of this stack's own, as in a shell that has read the env file of
// the run before, is not one to use: it is about to be started.
func takeGiven(lookup func(string) string, ports *Ports) (Env, error) {
	given := Env{}
	for name, companions := range givenNames {
		value := lookup(name)
		if value == "" || ports.ours(ownParts[name], value) {
			continue
		}
		given[name] = value
		for _, companion := range companions {
			if lookup(companion) == "" && name == StripeAPIBase && !isStripe(value) {
				continue // a double takes the secrets that the stack has made
			}
			if lookup(companion) == "" {
				return nil, fmt.Errorf("%s is given, so %s must be given too", name, strings.Join(companions, " and "))
			}
			given[companion] = lookup(companion)
		}
	}
	// A namespace belongs to the server it was given with.
	if given[TemporalAddress] == "" {
		delete(given, TemporalNamespaceName)
	}
	return given, given.check()
}

func (e Env) check() error {
	if strings.HasPrefix(e[StripeSecretKey], "sk_live_") || strings.HasPrefix(e[StripeSecretKey], "rk_live_") {
		return fmt.Errorf("%s is a live key: this stack is for development and would charge real cards; give an sk_test_ key",
			StripeSecretKey)
	}
	if e[PaystageURL] == "" {
		return nil
	}
	address, err := url.Parse(e[PaystageURL])
	if err != nil || address.Scheme != "http" || address.Port() == "" {
		return fmt.Errorf("%s must look like http://127.0.0.1:8080, which is where the front door will listen", PaystageURL)
	}
	return nil
}

// ours says whether the first address in value is the remembered one of a part.
func (p *Ports) ours(part, value string) bool {
	first, _, _ := strings.Cut(value, ",")
	host := first
	if address, err := url.Parse(first); err == nil && address.Host != "" {
		host = address.Host
	}
	if _, _, err := net.SplitHostPort(host); err != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	port, ok := p.held[part]
	return ok && host == loopback(port)
}

// isStripe tells Stripe itself, which gives out its own secrets, from a double.
func isStripe(base string) bool {
	u, err := url.Parse(base)
	return err == nil && (u.Hostname() == "stripe.com" || strings.HasSuffix(u.Hostname(), ".stripe.com"))
}
