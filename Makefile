# The only way in: everything that is done here, by people and by CI, is a target of this file.
# The work is done in scripts/; set-up is part of every target that needs it, and takes a second once it is done.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

LEVELS := plan crates apiserver journeys cluster

.PHONY: help
help: ## Explain the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Use

.PHONY: run
run: build ## Run Drover in a cluster of its own, with a first Session, and show what comes of it
	@scripts/cluster
	@scripts/run

.PHONY: stop
stop: ## Take that cluster down; nothing of it is left
	@if [ -x .run/bin/drover-cluster ]; then .run/bin/drover-cluster --state .run/cluster down; fi

##@ Build

.PHONY: setup
setup: ## Install what building and testing need
	@scripts/setup

.PHONY: build
build: setup ## Build the programs and pack them into images
	@scripts/build

.PHONY: generate
generate: setup ## Write the files that are derived from the code: crds/, docs/reference/, docs/openapi.json
	@cargo xtask generate

.PHONY: fmt
fmt: setup ## Format the code
	@cargo fmt --all
	@gofmt -w tests

.PHONY: doc
doc: setup ## Build the documentation of the code into target/doc
	@cargo doc --workspace --no-deps --document-private-items

.PHONY: clean
clean: stop ## Remove everything that was built or downloaded into this folder
	@rm -rf .run target

##@ Check

.PHONY: verify
verify: ## Everything that is checked without running Drover
	@scripts/setup checks
	@scripts/verify

.PHONY: check-crates
check-crates: setup ## Check that each crate compiles by itself
	@scripts/check-crates

.PHONY: chart-test
chart-test: setup ## Check the chart: lint, unit tests, rights, strict dry run on an API server
	@scripts/check-chart

.PHONY: deny
deny: ## Check bans, licences and sources of dependencies
	@scripts/setup checks
	@.run/tools/bin/cargo-deny --offline check bans licenses sources

.PHONY: advisories
advisories: ## Check dependencies against the advisory database, which is fetched from the network
	@scripts/setup checks
	@.run/tools/bin/cargo-deny check advisories

.PHONY: test
test: build ## Run all tests, and say how long each level took
	@scripts/test

.PHONY: $(LEVELS:%=test-%)
test-plan: setup ## Run the tests of the decisions: no cluster, seconds
test-crates: setup ## Run the tests of the other crates, against local servers
test-apiserver: setup ## Run the tests on a real API server, with a simulated kubelet
test-journeys: build ## Run the tests with real pods on a real node
test-cluster: setup ## Run the tests of the cluster tool itself
$(LEVELS:%=test-%):
	@scripts/test $(@:test-%=%)

.PHONY: bench
bench: setup ## Measure the operator, a release build, against its bars
	@scripts/bench
