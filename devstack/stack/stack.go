package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
)

// Config says what stack to bring up.
type Config struct {
	// Root is the checkout whose programs are built and run.
	Root string
	// Dir is the folder that keeps the stack's state.
	Dir string
	// Command is what the user called, for whoever finds the folder in use.
	Command string
	// Lookup reads what is given instead of started; it has os.Getenv's form.
	Lookup   func(name string) string
	Progress *Progress
	// StripeTranscript is a file in which the Stripe double writes down what it is
	// sent and what it answers, for a test to judge. Empty is none.
	StripeTranscript string
}

// Stack is a running Paystage with everything it needs.
type Stack struct {
	// Env is what the env file says: addresses, keys and secrets of the stack.
	Env Env

	config  Config
	dir     Dir
	lock    *Lock
	ports   *Ports
	given   Env
	secrets secrets

	mu       sync.Mutex
	postgres *Postgres
	temporal *Temporal
	// others are the gateways and the Stripe double; ours are worker and front
	// door, which need all the rest to end in order.
	others, ours []*Process
	died         chan *ExitError
}

// Up brings the stack of a folder up, or fails with a *HeldError when another
// process has it up already. When it fails nothing is left running.
func Up(ctx context.Context, config Config) (*Stack, error) {
	dir, err := MakeDir(config.Dir)
	if err != nil {
		return nil, err
	}
	lock, err := Acquire(dir, config.Command)
	if err != nil {
		return nil, err
	}
	s := &Stack{config: config, dir: dir, lock: lock, Env: Env{}, died: make(chan *ExitError, 1)}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Stack) start(ctx context.Context) error {
	if err := s.prepare(); err != nil {
		return err
	}
	if err := s.startServers(ctx); err != nil {
		return err
	}
	if err := s.startPaystage(ctx); err != nil {
		return err
	}
	if err := s.Env.write(s.dir.EnvFile()); err != nil {
		return err
	}
	return s.lock.MarkReady()
}

// prepare settles addresses and secrets before anything starts, so that parts can
// start side by side and still know each other.
func (s *Stack) prepare() (err error) {
	if s.ports, err = OpenPorts(s.dir); err != nil {
		return err
	}
	if s.given, err = takeGiven(s.config.Lookup, s.ports); err != nil {
		return err
	}
	if s.secrets, err = openSecrets(s.dir); err != nil {
		return err
	}
	for name, value := range s.given {
		s.Env[name] = value
	}
	if s.given[StripeAPIBase] != "" {
		s.Env[StripeSecretKey] = cmp.Or(s.Env[StripeSecretKey], s.secrets.StripeKey)
		s.Env[StripeWebhookKey] = cmp.Or(s.Env[StripeWebhookKey], s.secrets.WebhookSecret)
	}
	s.Env[LinkKeys] = cmp.Or(s.Env[LinkKeys], s.secrets.LinkKeys)
	if s.Env[SMTPURL] == "" {
		s.Env[MailDir] = s.dir.State("mail")
		if err := os.MkdirAll(s.Env[MailDir], 0o700); err != nil {
			return fmt.Errorf("make the mail folder: %w", err)
		}
	}
	if s.Env[PaystageURL] == "" {
		port, err := s.ports.Get("starter")
		if err != nil {
			return err
		}
		s.Env[PaystageURL] = "http://" + loopback(port)
	}
	if s.Env[PaystageListen] == "" {
		address, err := url.Parse(s.Env[PaystageURL])
		if err != nil {
			return fmt.Errorf("read %s: %w", PaystageURL, err)
		}
		s.Env[PaystageListen] = address.Host
	}
	return nil
}

// watch reports the first part that ends by itself.
func (s *Stack) watch(p *Process) {
	go func() {
		exited := p.Exited()
		select {
		case s.died <- exited:
		default:
		}
	}()
}

// Died gives the first part that ends while the stack should be up.
func (s *Stack) Died() <-chan *ExitError { return s.died }

// Stop ends every part that was started, the outermost first, and gives the
// folder up.
func (s *Stack) Stop() error {
	defer s.lock.Release()
	s.mu.Lock()
	defer s.mu.Unlock()
	failed := stopAll(s.ours)
	inner := s.others
	if s.temporal != nil {
		inner = append(inner, s.temporal.Process())
	}
	failed = errors.Join(failed, stopAll(inner))
	if s.postgres != nil {
		failed = errors.Join(failed, s.postgres.Stop())
	}
	return failed
}

// stopAll stops processes side by side, so that the slowest sets the time.
func stopAll(processes []*Process) error {
	var group sync.WaitGroup
	failed := make([]error, len(processes))
	for i, p := range processes {
		group.Go(func() { failed[i] = p.Stop() })
	}
	group.Wait()
	return errors.Join(failed...)
}

func (s *Stack) set(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Env[name] = value
}

func (s *Stack) get(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Env[name]
}
