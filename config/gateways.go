package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// gatewaysEvery is how often the file of the gateways is read again.
	gatewaysEvery = 2 * time.Second
	// maxGatewaysFile bounds it, in bytes, and maxGateways how many it may name.
	maxGatewaysFile = 1 << 20
	maxGateways     = 1000
)

// GatewayList is the base URLs of the gateways that must hold an entitlement. Those
// of a file are read again while the program runs, so that gateways come and go
// without a restart.
type GatewayList struct {
	path    string
	current atomic.Pointer[[]string]
}

// Gateways gives the list that the environment names.
func (c Common) Gateways() (*GatewayList, error) {
	l := &GatewayList{path: c.GatewaysFile}
	if l.path == "" {
		urls := slices.Clone(c.GatewayURLs)
		l.current.Store(&urls)
		return l, nil
	}
	if _, err := l.reload(); err != nil {
		return nil, err
	}
	return l, nil
}

// URLs is the list as it is now. It must not be changed.
func (l *GatewayList) URLs() []string { return *l.current.Load() }

// Watch reads the file again until ctx ends. One that cannot be read, or is wrong, is
// told to the log once and changes nothing. Without a file it does nothing.
func (l *GatewayList) Watch(ctx context.Context, log *slog.Logger) {
	if l.path == "" {
		return
	}
	ticker := time.NewTicker(gatewaysEvery)
	defer ticker.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		changed, err := l.reload()
		switch {
		case err != nil && err.Error() != told:
			told = err.Error()
			log.Error("the list of gateways in use stays the one before", "error", err)
		case changed:
			told = ""
			log.Info("list of gateways read again", "gateways", l.URLs())
		}
	}
}

// reload takes what the file says now, and answers whether that is news.
func (l *GatewayList) reload() (changed bool, err error) {
	file, err := os.Open(l.path)
	if err != nil {
		return false, fmt.Errorf("PAYSTAGE_GATEWAYS_FILE: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxGatewaysFile))
	if err != nil {
		return false, fmt.Errorf("PAYSTAGE_GATEWAYS_FILE: %w", err)
	}
	urls, err := parseGateways(text)
	if err != nil {
		return false, fmt.Errorf("PAYSTAGE_GATEWAYS_FILE: %s: %w", l.path, err)
	}
	if before := l.current.Load(); before != nil && slices.Equal(*before, urls) {
		return false, nil
	}
	l.current.Store(&urls)
	return true, nil
}

// parseGateways reads one base URL a line; empty lines and those that begin with #
// say nothing. A list of none is refused: it would be taken for all holding
// everything.
func parseGateways(text []byte) ([]string, error) {
	var urls []string
	for line := range bytes.Lines(text) {
		url := strings.TrimSuffix(strings.TrimSpace(string(line)), "/")
		if url == "" || url[0] == '#' {
			continue
		}
		if err := checkURL("a line", url); err != nil {
			return nil, err
		}
		if slices.Contains(urls, url) {
			return nil, fmt.Errorf("%s is there twice", url)
		}
		urls = append(urls, url)
	}
	switch {
	case len(urls) == 0:
		return nil, errors.New("it names no gateway")
	case len(urls) > maxGateways:
		return nil, fmt.Errorf("it names more than %d gateways", maxGateways)
	}
	return urls, nil
}
