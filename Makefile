# Everything a person or CI runs. The work is in devstack (go run ./devstack --help);
# this file gives it short names. State is in .dev, which `make clean` removes.

DEVSTACK := .dev/bin/devstack
LINTERS  := .dev/bin

# Root may build a checkout that belongs to somebody else, which git refuses to describe.
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)

# $(call step,what it does,command) says what is done and how long it took.
define step
@start=$$(date +%s); echo "==> $(1)"; $(2) && echo "    $$(( $$(date +%s) - start )) s"
endef

.PHONY: help demo up test test-stripe unit lint bench clean devstack tools

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: devstack ## buy $25.00 through the whole system, show each stage, leave nothing running
	@$(DEVSTACK) demo

up: devstack ## the whole system, until interrupted; addresses and keys are in .dev/env
	@$(DEVSTACK) up

test: lint ## every test: linters, unit, replay, integration against real servers
	@echo "==> all tests, with the race detector, against PostgreSQL and Temporal"
	@$(DEVSTACK) exec -- go test -race -timeout 20m -p 2 ./...

test-stripe: ## the double's state machines against Stripe's own test mode; needs STRIPE_TEST_SECRET_KEY=sk_test_...
	@echo "==> the rows that the double is held to, played at Stripe (those that only a bank could decide are skipped)"
	@go test -count 1 -timeout 60m -v -run TestStatesAtStripe ./stripesim/sim

unit: tools ## the tests that need no server
	$(call step,unit tests with the race detector,go test -race -short ./...)

lint: tools ## gofmt, vet, staticcheck, workflow determinism, direction of imports
	$(call step,gofmt,unformatted=$$(gofmt -l $$(go list -f '{{.Dir}}' ./...) tools) && if [ -n "$$unformatted" ]; then echo "$$unformatted"; exit 1; fi)
	$(call step,go vet,go vet ./... && go -C tools vet ./...)
	$(call step,staticcheck,$(LINTERS)/staticcheck ./...)
	$(call step,workflowcheck: workflows are deterministic,$(LINTERS)/workflowcheck ./workflows/...)
	$(call step,importcheck: imports point inwards,$(LINTERS)/importcheck . && go -C tools test ./...)

bench: devstack ## the benchmarks, each a ratio against its limit measured in the same run
	@$(DEVSTACK) exec -- go run ./bench

clean: devstack ## remove .dev, the local database included
	@$(DEVSTACK) clean

devstack:
	$(call step,build devstack,go build -o $(DEVSTACK) ./devstack)

tools: devstack
	@$(DEVSTACK) tools
