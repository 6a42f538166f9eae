package stack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Bounds on the stack's own programs.
const (
	partReadyWithin = 60 * time.Second
	migrateWithin   = 2 * time.Minute
	scheduleWithin  = time.Minute
)

// startPrograms builds the programs and starts those that need nothing else.
func (s *Stack) startPrograms(ctx context.Context) error {
	names := []string{"worker", "starter"}
	if s.given[StripeAPIBase] == "" {
		names = append(names, "stripesim")
	}
	if s.given[GatewayURLs] == "" {
		names = append(names, "gateway")
	}
	err := s.config.Progress.Step("programs", "build into "+s.dir.Bin(""), func() error {
		return buildPrograms(ctx, s.config.Root, s.dir, names...)
	})
	if err != nil {
		return err
	}
	if err := s.startStripe(ctx); err != nil {
		return err
	}
	return s.startGateways(ctx)
}

func (s *Stack) startStripe(ctx context.Context) error {
	if s.given[StripeAPIBase] != "" {
		s.config.Progress.Say("stripesim", "not started: %s is given", StripeAPIBase)
		return nil
	}
	port, err := s.ports.Get("stripesim")
	if err != nil {
		return err
	}
	base := "http://" + loopback(port)
	s.set(StripeAPIBase, base)
	s.set(StripeSecretKey, s.secrets.StripeKey)
	s.set(StripeWebhookKey, s.secrets.WebhookSecret)
	args := []string{
		"--listen", loopback(port), "--url", base,
		"--webhook-url", s.get(PaystageURL) + "/webhooks/stripe",
		"--webhook-events", strings.Join(webhookEvents[:], ","),
		"--webhook-secret", s.secrets.WebhookSecret, "--secret-key", s.secrets.StripeKey,
		"--state", s.dir.State("stripesim.journal"),
	}
	if s.config.StripeTranscript != "" {
		args = append(args, "--transcript", s.config.StripeTranscript)
	}
	return s.startPart(ctx, &s.others, listenProbe(loopback(port)), Command{
		Name: "stripesim", Path: s.dir.Bin("stripesim"), Args: args,
	})
}

// webhookEvents are the types that an endpoint of Paystage needs; a real endpoint
// at Stripe is to be enabled for the same.
var webhookEvents = [...]string{
	"payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.processing",
	"payment_intent.requires_action", "payment_intent.canceled",
}

// gatewayNames are the gateways the stack runs: two, because one alone cannot
// show that every one of them must acknowledge.
var gatewayNames = [...]string{"gateway-1", "gateway-2"}

func (s *Stack) startGateways(ctx context.Context) error {
	if s.given[GatewayURLs] != "" {
		s.config.Progress.Say("gateways", "not started: %s is given", GatewayURLs)
		return nil
	}
	s.set(GatewaySigningKeys, s.secrets.GatewayKeys)
	var addresses []string
	for _, name := range gatewayNames {
		port, err := s.ports.Get(name)
		if err != nil {
			return err
		}
		base := "http://" + loopback(port)
		err = s.startPart(ctx, &s.others, httpProbe(base+"/healthz"), Command{
			Name: name,
			Path: s.dir.Bin("gateway"),
			Args: []string{"--listen", loopback(port), "--state", s.dir.State(name)},
			Env:  Env{GatewaySigningKeys: s.secrets.GatewayKeys}.forPart(nil),
		})
		if err != nil {
			return err
		}
		addresses = append(addresses, base)
	}
	s.set(GatewayURLs, strings.Join(addresses, ","))
	return nil
}

// startPaystage migrates the database and then starts worker and front door.
func (s *Stack) startPaystage(ctx context.Context) error {
	if err := s.migrate(ctx); err != nil {
		return err
	}
	port, err := s.ports.Get("worker")
	if err != nil {
		return err
	}
	listen := loopback(port)
	address := s.Env[PaystageURL]
	worker, frontDoor := s.Env.forPart(Env{WorkerListen: listen}), s.Env.forPart(nil)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return s.startPart(ctx, &s.ours, httpProbe("http://"+listen+"/readyz"), Command{
			Name: "worker",
			Path: s.dir.Bin("worker"),
			Env:  worker,
		})
	})
	group.Go(func() error {
		return s.startPart(ctx, &s.ours, httpProbe(address+"/readyz"), Command{
			Name: "starter",
			Path: s.dir.Bin("starter"),
			Args: []string{"serve"},
			Env:  frontDoor,
		})
	})
	group.Go(func() error { return s.openKeys(ctx) })
	group.Go(func() error { return s.schedule(ctx) })
	return group.Wait()
}

func (s *Stack) migrate(ctx context.Context) error {
	return s.runOnce(ctx, "postgres", "migrate", migrateWithin, "migrate")
}

// schedule has Temporal close the months; one that was paused before stays so.
func (s *Stack) schedule(ctx context.Context) error {
	return s.runOnce(ctx, "temporal", "schedule", scheduleWithin, "schedule", "create")
}

// runOnce runs a command of the starter to its end.
func (s *Stack) runOnce(ctx context.Context, part, name string, within time.Duration, args ...string) error {
	return s.config.Progress.Step(part, name, func() error {
		p, err := Start(Command{
			Name: name,
			Path: s.dir.Bin("starter"),
			Args: args,
			Env:  s.Env.forPart(nil),
			Log:  s.dir.Log(name),
		})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		select {
		case <-p.Done():
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s: %w", name, ctx.Err()), p.Stop())
		}
		if p.ExitCode() != 0 {
			return p.Exited()
		}
		return nil
	})
}

func (s *Stack) openKeys(ctx context.Context) error {
	keys, err := openKeys(ctx, s.dir, s.dir.Bin("starter"), s.get(DatabaseURL))
	if err != nil {
		return err
	}
	for role, key := range keys {
		s.set(RoleKey(role), key)
	}
	return nil
}

// startPart starts a program and waits until its probe succeeds.
func (s *Stack) startPart(ctx context.Context, list *[]*Process, ready probe, command Command) error {
	command.Log = s.dir.Log(command.Name)
	return s.config.Progress.Step(command.Name, "start", func() error {
		p, err := Start(command)
		if err != nil {
			return err
		}
		s.mu.Lock()
		*list = append(*list, p)
		s.mu.Unlock()
		if err := awaitReady(ctx, p, partReadyWithin, ready); err != nil {
			return err
		}
		s.watch(p)
		return nil
	})
}
