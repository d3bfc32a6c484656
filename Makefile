# What there is to do here; `make` alone lists it.
.POSIX:
.PHONY: help generate check lint gofmt vet generated tidy nocgo test test-sqlite fuzz bench microbench crash run demo graphiql

# The race detector finds what matters in our code. In others' that only computes, on memory of one
# goroutine, it finds nothing and makes the tests five to eight times slower: the embedded SQLite, which
# is C turned into Go, and what packs and reads pictures. What shares or locks is watched as ours is:
# gqlgen, gorm, encoding/json, barcode, which draws in goroutines, and x/image, which scales an avatar
# that several codes have at the same time.
UNWATCHED = github.com/ncruces/go-sqlite3-wasm/v2 github.com/makiuchi-d/gozxing/... \
	image/... compress/... hash/adler32 hash/crc32
# Only the race detector needs cgo. All else does without, so that nothing is compiled both ways.
GO = CGO_ENABLED=0 go
# A process of the race detector waits a second before it ends, for goroutines that are left; a tenth is
# enough, since tests wait for theirs. Memory is plenty where tests run: garbage is collected more seldom, which is a
# tenth of the time. `go test` would vet once more, and less, what `make vet` has vetted.
GOTEST = env CGO_ENABLED=1 GORACE=atexit_sleep_ms=100 GOGC=400 go test -vet=off -timeout 40m -parallel 4 -race $$(printf -- '-gcflags=%s=-race=false ' $(UNWATCHED))
# Those that take longest begin first, beside all others; twice as many tests of a package at once as by
# default, since many wait for a server.
TESTED = ./tests ./store ./tests/crash ./...
TESTDB = $(GO) run ./internal/testkit/cmd/testdb
FUZZTIME = 5s
CRASHTIME = 10m
SOAK = 1m
BENCH_DATA =

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

generate: ## write graph/ and new resolvers from schema/
	$(GO) tool gqlgen generate

check: gofmt vet generated tidy nocgo test ## everything that continuous integration asks for

lint: ## style beyond what check asks for (.golangci.yml); fetches and builds golangci-lint first
	$(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.5.0 run --max-issues-per-linter 0 --max-same-issues 0

gofmt:
	@files=$$(gofmt -l $$($(GO) list -f '{{.Dir}}' ./...)); \
	if [ -n "$$files" ]; then echo "not gofmt-ed; run gofmt -w on:"; echo "$$files"; exit 1; fi

vet:
	$(GO) vet ./...

generated:
	@sums() { find graph resolvers -type f | LC_ALL=C sort | xargs cksum; }; \
	before=$$(sums); $(GO) tool gqlgen generate; \
	if [ "$$before" != "$$(sums)" ]; then echo "graph/ or resolvers/ was not current; commit what make generate wrote"; exit 1; fi

tidy:
	@$(GO) mod tidy -diff || { echo "go.mod is not tidy; run go mod tidy and commit"; exit 1; }

nocgo:
	$(GO) build ./...

test: ## all tests, on SQLite and on MariaDB or MySQL (see internal/testkit); TESTFLAGS adds flags
	$(TESTDB) $(GOTEST) $(TESTFLAGS) $(TESTED)

test-sqlite: ## all tests on SQLite alone
	CLIENTELE_TEST_MYSQL_DSN=none $(TESTDB) $(GOTEST) $(TESTFLAGS) $(TESTED)

fuzz: ## every fuzz target for FUZZTIME
	@set -e; for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$package; \
		done; \
	done

bench: ## the load programs against their floors (docs/performance.md); SOAK=10m, BENCH_DATA=FOLDER to keep the data
	@set -e; data='$(BENCH_DATA)'; \
	if [ -z "$$data" ]; then \
		data=$$(mktemp -d "$${TMPDIR:-/var/tmp}/clientele-bench-XXXXXX"); \
		trap 'rm -rf "$$data"' EXIT; trap 'exit 1' INT TERM; \
	fi; \
	go build -o "$$data/bench" ./bench; go build -o "$$data/clientele" ./cmd/clientele; \
	for program in inbound push 'push --advisors=10000' idle inbox people reconnect 'soak --time=$(SOAK)'; do \
		"$$data/bench" $$program --data="$$data" --keep --binary="$$data/clientele"; \
	done

microbench: ## the benchmarks of the packages
	$(TESTDB) go test -run '^$$' -bench . -benchmem ./...

crash: ## the crash tests, each killing for CRASHTIME
	CLIENTELE_CRASH_TIME=$(CRASHTIME) $(TESTDB) go test -count=1 -timeout 0 -v $(TESTFLAGS) ./tests/crash

run: ## the server, configured by flags, environment and file
	go run ./cmd/clientele serve

demo: ## a complete installation in a temporary folder, with followers who act
	go run ./cmd/clientele demo

graphiql: ## build the embedded GraphiQL page; needs Node
	internal/graphiql/build.sh
