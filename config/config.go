// Package config is what the programs of Paystage are told by their environment:
// one struct for each program, one field for each variable. A variable that is
// missing or wrong is named, with all the others, before anything starts.
//
// TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and whatever else reaches Temporal (TLS,
// API key) are read by the Temporal SDK's own envconfig.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/gateway"
	"github.com/paystage/paystage/links"
)

// Common is what worker and front door both need.
type Common struct {
	DatabaseURL     string `env:"DATABASE_URL,required,notEmpty"`
	StripeSecretKey string `env:"STRIPE_SECRET_KEY,required,notEmpty"`
	StripeAPIBase   string `env:"STRIPE_API_BASE"` // empty is Stripe's own
	// The gateways that must hold an entitlement: GatewayURLs themselves, or a file
	// that names one a line and is read again when it changes.
	GatewayURLs  []string `env:"PAYSTAGE_GATEWAY_URLS"`
	GatewaysFile string   `env:"PAYSTAGE_GATEWAYS_FILE"`
	// URL is the front door's address as customers and Stripe reach it.
	URL string `env:"PAYSTAGE_URL,required,notEmpty"`
	// LinkKeys sign the links in mails; without them those mails wait (F48).
	LinkKeys string `env:"PAYSTAGE_LINK_KEYS"`
	// AuthorizationDays is how long a customer has to approve a payment with the bank.
	AuthorizationDays int `env:"PAYSTAGE_AUTHORIZATION_DAYS" envDefault:"7"`
	// Company is who sells, as customers know it.
	Company string `env:"PAYSTAGE_COMPANY" envDefault:"Paystage"`
}

// Worker configures the worker.
type Worker struct {
	Common
	GatewaySigningKeys string `env:"PAYSTAGE_GATEWAY_SIGNING_KEYS,required,notEmpty"`
	MailDir            string `env:"MAIL_DIR"`
	SMTPURL            string `env:"SMTP_URL"`
	MailFrom           string `env:"MAIL_FROM" envDefault:"billing@paystage.example"`
	// ReturnURL is where a bank sends the customer back to; the front door's own
	// page if empty.
	ReturnURL string `env:"PAYSTAGE_RETURN_URL"`
	// RechargesPerSecond bounds the automatic charges of the whole system, whatever
	// the number of workers.
	RechargesPerSecond int `env:"PAYSTAGE_RECHARGES_PER_SECOND" envDefault:"20"`
	// RechargesAlertPerHour is how many automatic charges in an hour raise an alert.
	RechargesAlertPerHour int64 `env:"PAYSTAGE_RECHARGES_ALERT_PER_HOUR" envDefault:"5000"`
	// InvoiceChargesPerSecond bounds the charges of invoices of the whole system that no
	// customer waits for, whatever the number of workers.
	InvoiceChargesPerSecond int `env:"PAYSTAGE_INVOICE_CHARGES_PER_SECOND" envDefault:"20"`
	// DunningDays are the days after a first failed charge on which an invoice is charged
	// again (R33).
	DunningDays []int `env:"PAYSTAGE_DUNNING_DAYS" envDefault:"1,3,5,7"`
	// Listen serves the worker's health; empty serves none.
	Listen string `env:"WORKER_LISTEN"`
}

// Keyring is the signing keys of the gateways, parsed.
func (w Worker) Keyring() (gateway.Keyring, error) {
	keys, err := gateway.ParseKeys(w.GatewaySigningKeys)
	if err != nil {
		return gateway.Keyring{}, fmt.Errorf("PAYSTAGE_GATEWAY_SIGNING_KEYS: %w", err)
	}
	return keys, nil
}

// Links is the keys of links in mails, parsed; none if none are given.
func (c Common) Links() (links.Keyring, error) {
	keys, err := links.ParseKeys(c.LinkKeys)
	if err != nil {
		return links.Keyring{}, fmt.Errorf("PAYSTAGE_LINK_KEYS: %w", err)
	}
	return keys, nil
}

// AuthorizationLasts is how long a customer has to approve a payment.
func (c Common) AuthorizationLasts() time.Duration {
	return time.Duration(c.AuthorizationDays) * 24 * time.Hour
}

// RechargePace is the least time between two automatic charges.
func (w Worker) RechargePace() time.Duration {
	return time.Second / time.Duration(max(1, w.RechargesPerSecond))
}

// InvoicePace is the least time between two charges of invoices.
func (w Worker) InvoicePace() time.Duration {
	return time.Second / time.Duration(max(1, w.InvoiceChargesPerSecond))
}

// Serve configures the front door.
type Serve struct {
	Common
	// WebhookSecrets verify Stripe's webhooks; several while one is rotated.
	WebhookSecrets []string `env:"STRIPE_WEBHOOK_SECRET,required,notEmpty"`
	// Listen is host:port; that of URL if empty.
	Listen string `env:"PAYSTAGE_LISTEN"`
	// ReturnURL is where a bank sends the customer back to who was asked about a card;
	// the front door's own page if empty.
	ReturnURL string `env:"PAYSTAGE_RETURN_URL"`
	// CompanyDetails are the lines below the company's name on documents: address, tax
	// number, how to get in touch.
	CompanyDetails []string `env:"PAYSTAGE_COMPANY_DETAILS" envSeparator:";"`
	// MaxPurchaseCents is the most for one purchase (R2).
	MaxPurchaseCents int64 `env:"PAYSTAGE_MAX_PURCHASE_CENTS" envDefault:"1000000"`
}

// LoadWorker reads the worker's configuration.
func LoadWorker() (Worker, error) {
	c, err := parse[Worker]()
	if err := together(err, c.Common.check(), c.checkKeys(), c.checkMail(), c.checkPace(),
		checkURL("PAYSTAGE_RETURN_URL", c.ReturnURL), checkListen("WORKER_LISTEN", c.Listen)); err != nil {
		return Worker{}, err
	}
	if c.ReturnURL == "" {
		c.ReturnURL = c.URL + "/return"
	}
	return c, nil
}

// LoadServe reads the front door's configuration.
func LoadServe() (Serve, error) {
	c, err := parse[Serve]()
	commonErr := c.Common.check()
	if address, err := url.Parse(c.URL); err == nil && c.Listen == "" {
		c.Listen = address.Host
	}
	if err := together(err, commonErr, c.checkSecrets(), c.checkMaximum(),
		checkURL("PAYSTAGE_RETURN_URL", c.ReturnURL), checkListen("PAYSTAGE_LISTEN", c.Listen)); err != nil {
		return Serve{}, err
	}
	if c.ReturnURL == "" {
		c.ReturnURL = c.URL + "/return"
	}
	return c, nil
}

// parse reads the variables of T. What could be read is there beside an error too,
// so that all that is wrong can be told at once.
func parse[T any]() (T, error) {
	c, err := env.ParseAs[T]()
	var all env.AggregateError
	if !errors.As(err, &all) {
		return c, err
	}
	readable := env.ToMap(os.Environ())
	for i, err := range all.Errors {
		var wrong env.ParseError // names the field of T
		if !errors.As(err, &wrong) {
			continue
		}
		if field, found := reflect.TypeFor[T]().FieldByName(wrong.Name); found {
			name, _, _ := strings.Cut(field.Tag.Get("env"), ",")
			all.Errors[i] = fmt.Errorf("%s: %w", name, wrong.Err)
			delete(readable, name)
		}
	}
	// What could not be read has its default, or it would be found wrong again.
	c, _ = env.ParseAsWithOptions[T](env.Options{Environment: readable}) // its errors are those above
	return c, errors.Join(all.Errors...)
}

// together is all the errors as one, nil if there are none.
func together(errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return nil
}

// check looks at what can be seen to be wrong, and brings addresses into the one
// form in which they are compared and stored.
func (c *Common) check() error {
	c.URL = strings.TrimSuffix(c.URL, "/")
	errs := []error{checkBase("PAYSTAGE_URL", c.URL), checkBase("STRIPE_API_BASE", c.StripeAPIBase)}
	_, err := c.Links()
	errs = append(errs, err)
	if c.AuthorizationDays < 1 || c.AuthorizationDays > 30 {
		errs = append(errs, fmt.Errorf("PAYSTAGE_AUTHORIZATION_DAYS: %d is not from 1 to 30", c.AuthorizationDays))
	}
	if (len(c.GatewayURLs) == 0) == (c.GatewaysFile == "") {
		errs = append(errs, errors.New("set one of PAYSTAGE_GATEWAY_URLS (the gateways) and PAYSTAGE_GATEWAYS_FILE (a file that names them)"))
	}
	if c.GatewaysFile != "" {
		_, err := c.Gateways()
		errs = append(errs, err)
	}
	for i, gateway := range c.GatewayURLs {
		c.GatewayURLs[i] = strings.TrimSuffix(strings.TrimSpace(gateway), "/")
		if c.GatewayURLs[i] == "" {
			errs = append(errs, errors.New("PAYSTAGE_GATEWAY_URLS: one of the addresses is empty"))
		}
		errs = append(errs, checkBase("PAYSTAGE_GATEWAY_URLS", c.GatewayURLs[i]))
	}
	return errors.Join(errs...)
}

func (w Worker) checkKeys() error {
	if w.GatewaySigningKeys == "" {
		return nil // told as missing
	}
	_, err := w.Keyring()
	return err
}

func (w Worker) checkMail() error {
	if (w.MailDir == "") == (w.SMTPURL == "") {
		return errors.New("set one of MAIL_DIR (mails as files) and SMTP_URL (mails by a server)")
	}
	return nil
}

func (w Worker) checkPace() error {
	var errs []error
	if w.RechargesPerSecond < 1 || w.RechargesPerSecond > 1000 {
		errs = append(errs, fmt.Errorf("PAYSTAGE_RECHARGES_PER_SECOND: %d is not from 1 to 1000", w.RechargesPerSecond))
	}
	if w.InvoiceChargesPerSecond < 1 || w.InvoiceChargesPerSecond > 1000 {
		errs = append(errs, fmt.Errorf("PAYSTAGE_INVOICE_CHARGES_PER_SECOND: %d is not from 1 to 1000", w.InvoiceChargesPerSecond))
	}
	if err := billing.CheckDunningDays(w.DunningDays); err != nil {
		errs = append(errs, fmt.Errorf("PAYSTAGE_DUNNING_DAYS: %w", err))
	}
	if w.RechargesAlertPerHour < 1 {
		errs = append(errs, fmt.Errorf("PAYSTAGE_RECHARGES_ALERT_PER_HOUR: %d is not 1 or more", w.RechargesAlertPerHour))
	}
	return errors.Join(errs...)
}

// checkSecrets refuses an empty secret, such as behind a comma at the end: anybody
// can sign with that one (F15).
func (s Serve) checkSecrets() error {
	for i, secret := range s.WebhookSecrets {
		s.WebhookSecrets[i] = strings.TrimSpace(secret)
		if s.WebhookSecrets[i] == "" {
			return errors.New("STRIPE_WEBHOOK_SECRET: one of the secrets is empty")
		}
	}
	return nil
}

// checkMaximum refuses a maximum under which nothing could be bought (R2).
func (s Serve) checkMaximum() error {
	if s.MaxPurchaseCents < billing.MinPurchaseCents {
		return fmt.Errorf("PAYSTAGE_MAX_PURCHASE_CENTS: %d is below the least purchase, $5.00: set %d or more, or leave it out for %d",
			s.MaxPurchaseCents, billing.MinPurchaseCents, billing.DefaultMaxPurchaseCents)
	}
	return nil
}

// checkURL looks at an address if there is one.
func checkURL(name, value string) error {
	u, err := url.Parse(value)
	if value != "" && (err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "") {
		return fmt.Errorf("%s: %sis not a URL such as http://127.0.0.1:8080", name, bare(u))
	}
	return nil
}

// checkBase looks at an address that paths are put behind. A gateway's is stored,
// logged and shown besides, so nothing secret may be in it (I9).
func checkBase(name, value string) error {
	if err := checkURL(name, value); err != nil {
		return err
	}
	if u, _ := url.Parse(value); u.User != nil || strings.ContainsAny(value, "?#") {
		return fmt.Errorf("%s: %smust be an address without a user or password, query or fragment, such as http://127.0.0.1:8080", name, bare(u))
	}
	return nil
}

// bare is the part of an address that is no secret, quoted and with a space behind
// it; "" for what is no address at all.
func bare(u *url.URL) string {
	if u == nil {
		return ""
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return strconv.Quote(shown.String()) + " "
}

// checkListen looks at what to listen on if there is something.
func checkListen(name, value string) error {
	if _, _, err := net.SplitHostPort(value); value != "" && err != nil {
		return fmt.Errorf("%s: %q is not host:port, such as 127.0.0.1:8080", name, value)
	}
	return nil
}
