package main

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// rate runs work on all the clients side by side for the time given and answers
// how many were done in a second. client tells them apart, n counts the calls of
// one client.
func rate(ctx context.Context, lasting time.Duration, work func(ctx context.Context, client, n int) error) (float64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var done atomic.Int64
	var failure error
	var once sync.Once
	var group sync.WaitGroup
	began := time.Now()
	for client := range clients {
		group.Go(func() {
			for n := 0; time.Since(began) < lasting && ctx.Err() == nil; n++ {
				if err := work(ctx, client, n); err != nil {
					once.Do(func() { failure = err; cancel() })
					return
				}
				done.Add(1)
			}
		})
	}
	group.Wait()
	if failure == nil {
		failure = context.Cause(ctx)
	}
	return float64(done.Load()) / time.Since(began).Seconds(), failure
}

// alternate measures several rates in turn, rounds times, so that what else the
// machine does meets them alike, with a pause after each, and answers the median
// of each.
func alternate(ctx context.Context, rounds int, pause time.Duration, measures ...func() (float64, error)) ([]float64, error) {
	rates := make([][]float64, len(measures))
	for range rounds {
		for i, measure := range measures {
			r, err := measure()
			if err != nil {
				return nil, err
			}
			rates[i] = append(rates[i], r)
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(pause):
			}
		}
	}
	medians := make([]float64, len(measures))
	for i, all := range rates {
		medians[i] = median(all)
	}
	return medians, nil
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
