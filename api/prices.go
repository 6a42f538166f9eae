package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paystage/paystage/billing"
	"github.com/paystage/paystage/ledger"
	"github.com/paystage/paystage/models"
)

func (s *Server) priceRoutes(api huma.API) {
	route(s, api, huma.Operation{
		OperationID: "list-prices", Method: http.MethodGet, Path: "/v1/prices", Tags: []string{"Usage"},
		Summary: "List the prices in force and those to come, by SKU and time",
	}, models.Roles(), s.listPrices)
}

// Price is what a unit of a SKU costs from a moment on.
type Price struct {
	SKU           string    `json:"sku" example:"meta-llama/llama-3.3-70b.input"`
	Unit          string    `json:"unit" enum:"token,image,minute,job"`
	MicrosPerUnit string    `json:"micros_per_unit" doc:"Micro-dollars, a decimal." example:"0.88"`
	From          time.Time `json:"from"`
}

type pricesOutput struct {
	Body struct {
		Prices []Price `json:"prices"`
	}
}

func (s *Server) listPrices(ctx context.Context, _ *struct{}) (*pricesOutput, error) {
	list, err := s.prices.read(ctx)
	if err != nil {
		return nil, err
	}
	out := &pricesOutput{}
	prices := list.From(s.Now())
	out.Body.Prices = make([]Price, len(prices))
	for i, p := range prices {
		out.Body.Prices[i] = PriceOf(p)
	}
	return out, nil
}

// PriceOf is a price as callers see it.
func PriceOf(p models.Price) Price {
	return Price{SKU: p.SKU, Unit: p.Unit, MicrosPerUnit: billing.MicrosText(p.PicosPerUnit), From: p.FromAt.UTC()}
}

// prices keeps the price list. The database says when it has grown old, and then it
// is read again: usage is never priced by an old one.
type prices struct {
	store *ledger.Ledger
	mu    sync.Mutex
	kept  *billing.PriceList
}

// list is the list as it was read last.
func (p *prices) list(ctx context.Context) (billing.PriceList, error) {
	p.mu.Lock()
	kept := p.kept
	p.mu.Unlock()
	if kept != nil {
		return *kept, nil
	}
	return p.read(ctx)
}

// read reads the list anew.
func (p *prices) read(ctx context.Context) (billing.PriceList, error) {
	all, err := p.store.Prices(ctx)
	if err != nil {
		return billing.PriceList{}, err
	}
	list := billing.NewPriceList(all)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = &list
	return list, nil
}
