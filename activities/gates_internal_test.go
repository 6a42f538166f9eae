package activities

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
)

var gateNoon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

// delayOf is how long an activity is to be left alone after an error.
func delayOf(t *testing.T, err error) time.Duration {
	t.Helper()
	var application *temporal.ApplicationError
	if !errors.As(err, &application) || application.NonRetryable() {
		t.Fatalf("it is %v", err)
	}
	return application.NextRetryDelay()
}

func TestPushesToOneGatewayAreBounded(t *testing.T) {
	var g gates
	var leave func(bool, time.Time)
	var err error
	for range maxAtOnce {
		if leave, err = g.enter("a", gateNoon); err != nil {
			t.Fatal(err)
		}
	}
	_, err = g.enter("a", gateNoon)
	if delay := delayOf(t, err); delay < busyPause/2 || delay >= busyPause*3/2 {
		t.Errorf("one too many comes back after %s", delay)
	}
	if _, err := g.enter("b", gateNoon); err != nil {
		t.Errorf("another gateway is held up: %v", err)
	}
	leave(true, gateNoon)
	if _, err := g.enter("a", gateNoon); err != nil {
		t.Errorf("there is room again: %v", err)
	}
}

// F44: pushes to a gateway that is down take no room, except one a second.
func TestF44DownGatewayIsTriedOnceASecond(t *testing.T) {
	var g gates
	for range closesAfter {
		leave, err := g.enter("a", gateNoon)
		if err != nil {
			t.Fatal(err)
		}
		leave(false, gateNoon)
	}
	delays := map[time.Duration]bool{}
	for range 20 {
		_, err := g.enter("a", gateNoon)
		delay := delayOf(t, err)
		if delays[delay] = true; delay < longestPause/2 || delay >= longestPause*3/2 {
			t.Errorf("comes back after %s", delay)
		}
	}
	if len(delays) < 10 {
		t.Error("they all come back at once")
	}
	probe, err := g.enter("a", gateNoon.Add(probeEvery))
	if err != nil {
		t.Fatalf("it is not tried: %v", err)
	}
	if _, err := g.enter("a", gateNoon.Add(probeEvery)); err == nil {
		t.Error("it is tried twice at once")
	}
	probe(true, gateNoon.Add(probeEvery))
	for range 3 {
		if _, err := g.enter("a", gateNoon.Add(probeEvery)); err != nil {
			t.Errorf("it is back: %v", err)
		}
	}
}

func TestFailedPushComesBackLater(t *testing.T) {
	if delay := delayOf(t, againLater(context.Background(), errors.New("no"))); delay < longestPause/2 {
		t.Errorf("outside an activity: %s", delay)
	}
}
