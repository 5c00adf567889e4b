# Everything that is done with this repository. Needs Go, git and make; whatever
# else is used is built from its Go module into .cache.
# Start with: make help

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS   += --no-builtin-rules
.DEFAULT_GOAL := help

GOLANGCI_LINT_VERSION := v2.15.0
GOVULNCHECK_VERSION   := v1.9.0

CACHE   := $(CURDIR)/.cache
BIN     := $(CACHE)/bin
GOLANGCI_LINT := $(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION)
GOVULNCHECK   := $(BIN)/govulncheck-$(GOVULNCHECK_VERSION)

# The root module, the test cluster's and the end-to-end tests'.
MODULES := . test/cluster test/e2e

# As the programs of the test cluster are built: what the tests have in common with them is compiled once.
export CGO_ENABLED := 0

# golangci-lint vets all modules.
TEST := go test -vet=off

# What the race detector looks at: what serves, and the test cluster. Pure packages and the manifests start no goroutine,
# nor does the controller of releases but for what controller-runtime does with it, which its tests leave out, and the
# plugin reads and prints, one thing after another.
UNRACED := ./canary ./canary/controller ./canary/traffic/split ./cmd/kubectl-sluice/... ./hashing ./manifests ./webhook/ownership

# End-to-end tests run two packages at once, the longest ones first. Those that count seconds have only each other
# beside them, and those that write by the hundred, or send hundreds of requests a second, none.
ALONE   := ./config/storm ./traffic
TIMED   := ./serve ./dev ./gateway
LONGEST := . ./statefulset ./routes ./crash ./config

CONTAINER_TOOL ?= docker
IMAGE          ?= ghcr.io/sluice-dev/sluice:$(shell sed -n 's/^const Version = "\(.*\)"/\1/p' manifests/manifests.go)

##@ Try it

.PHONY: help
help: ## Say what there is to make
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9.-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Watch a canary being held, promoted and aborted on a local control plane (KEEP=1 leaves it up)
	@demo/demo.sh

.PHONY: build
build: ## Build sluice and its kubectl plugin into bin/
	go build -trimpath -o bin/ ./cmd/sluice ./cmd/kubectl-sluice

##@ Check it

.PHONY: test
test: unit e2e ## Run every test: unit tests of all modules, then end to end

.PHONY: unit
unit: tools ## Run the unit tests
	$(TEST) -timeout 60m ./...
	cd test/cluster && $(TEST) -timeout 15m ./...

# Not part of make test: everything that it needs is compiled once more, which takes five minutes on two cores. It needs
# cgo and a C compiler.
.PHONY: race
race: export CGO_ENABLED := 1
race: tools ## Run the unit tests of what serves, and of the test cluster, with the race detector
	$(TEST) -race -timeout 60m $$(go list ./... | grep -vxF "$$(go list $(UNRACED))")
	cd test/cluster && $(TEST) -race -timeout 15m ./...

.PHONY: e2e
e2e: tools ## Run the end-to-end tests on a real control plane
	cd test/e2e && $(TEST) -p 2 -parallel 3 -timeout 60m $(LONGEST) $$(go list ./... | grep -vxF "$$(go list $(LONGEST) $(TIMED) $(ALONE))")
	cd test/e2e && $(TEST) -p 2 -timeout 60m $(TIMED)
	cd test/e2e && $(TEST) -timeout 60m ./config/storm
	@touch "$(CACHE)/idle" # a processor is, from here on: .ci/run lints
	cd test/e2e && $(TEST) -timeout 60m ./traffic

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Run the linters on all modules, and look whether their go.mod files are tidy
	@for module in $(MODULES); do go mod tidy -C "$$module" -diff; done
	@for module in $(MODULES); do \
	  echo "golangci-lint in $$module"; \
	  (cd "$$module" && "$(GOLANGCI_LINT)" run --allow-parallel-runners --config "$(CURDIR)/.golangci.yml" ./...); \
	done

# Not part of CI: it needs the vulnerability database, and so the network.
.PHONY: vuln
vuln: $(GOVULNCHECK) ## Look for known vulnerabilities in what the binary uses
	"$(GOVULNCHECK)" ./...

.PHONY: bench
bench: tools ## Run the benchmarks; those of watched config on a control plane, with 100,000 objects
	go test -run '^$$' -bench . -benchmem ./hashing/... ./webhook/...
	go test -C test/e2e -run '^$$' -bench Config -benchtime 1x -timeout 60m ./config/storm

##@ Make what is shipped or needed

.PHONY: manifests
manifests: ## Write manifests/install.yaml anew
	go generate ./manifests

.PHONY: image
image: ## Build the container image
	$(CONTAINER_TOOL) build --tag $(IMAGE) .

.PHONY: tools
tools: ## Build the control plane for tests and demo into .cache (20 minutes once, then nothing)
	@go run -C test/cluster ./cmd/cluster tools

.PHONY: clean
clean: ## Remove everything that was built
	rm -rf bin "$(CACHE)"

# The version is in the name, so another version is another file.
$(GOLANGCI_LINT):
	GOBIN="$(BIN)" go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv "$(BIN)/golangci-lint" "$@"

$(GOVULNCHECK):
	GOBIN="$(BIN)" go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	mv "$(BIN)/govulncheck" "$@"
