# Everything a newcomer needs is here; `make help` lists it.
SHELL := /bin/bash
.DELETE_ON_ERROR:
# Outside the tree, so that a second clone does not build the dependencies again.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/circuit-breaker/target
CB := $(CARGO_TARGET_DIR)/release/cb
# What `make test` walks, breaks and fuzzes: the same program as its Rust tests have built, with checks for overflow.
TESTED := $(CARGO_TARGET_DIR)/debug/cb
DATA ?= ./data

.PHONY: help run test bench faults faults-short chaos chaos-short fuzz-api fuzz-api-short dev gen e2e screenshot web ensure-build ensure-test web-check rust-check rust-test
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 20

run: ensure-build $(CB) ## build what is stale and start the server; prints its address (DATA=./data)
	CB_DATA_DIR=$(DATA) exec $(CB) serve

test: ensure-test web-check rust-check faults-short fuzz-api-short e2e ## install what is missing and run every test

bench: ensure-test $(CB) ## speed and size, beside nmap, as one table
	scripts/bench $(CB)

SECONDS ?= 3600
faults: ensure-test $(CB) ## everything that can go wrong around it, for SECONDS=3600, as one table
	scripts/faults --seconds $(SECONDS) $(CB)

faults-short: ensure-test $(TESTED) ## one small run of most faults, in a few minutes
	scripts/faults --short $(TESTED)

chaos: ensure-test $(CB) ## a cluster of 3 + 3 servers, disturbed under load, for SECONDS=3600, as one table; needs root
	scripts/chaos --seconds $(SECONDS) $(CB)

chaos-short: ensure-test $(CB) ## each important disturbance of a cluster once, in about five minutes; needs root
	scripts/chaos --short $(CB)

# Of each of its four runs.
FUZZ_SECONDS ?= 300
fuzz-api: ensure-test $(CB) ## what the API says of itself against what it does, over both databases, for FUZZ_SECONDS=300 each
	scripts/fuzz-api --seconds $(FUZZ_SECONDS) $(CB)

fuzz-api-short: ensure-test $(TESTED) ## the same in two minutes; a part of `make test`
	scripts/fuzz-api --short $(TESTED)

dev: ensure-build web/node_modules/.package-lock.json ## server and browser client, rebuilt as you type: http://localhost:5173
	scripts/dev

gen: web/node_modules/.package-lock.json ## regenerate docs/openapi.json and the client's types from the server
	cargo run --quiet --locked -p cb -- openapi > docs/openapi.json.new
	mv docs/openapi.json.new docs/openapi.json
	cd web && npm run gen

e2e: ensure-test $(TESTED) ## the first evening in a real browser, on the fake LAN
	scripts/e2e $(TESTED)

screenshot: e2e ## the same, and put its picture of the map into docs/
	cp build/screenshots/08-map.png docs/map.png

web: web/dist/index.html ## build the browser client

# ---- parts ----

ensure-build:
	@scripts/ensure build
ensure-test:
	@scripts/ensure test

# Not `npm ci`: it refuses a lock file that lacks optional binaries for other platforms, and some registries do not
# offer them all. The versions are the locked ones all the same.
web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm install --no-save --no-audit --no-fund && touch node_modules/.package-lock.json

WEB_SOURCES := $(shell find web/src web/scripts web/public web/index.html web/vite.config.ts -type f 2>/dev/null)
web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && npm run build

# Always asked: cargo knows best what is stale. The client is inside the binary, so it comes first.
.PHONY: $(CB)
$(CB): web/dist/index.html
	cargo build --release --locked -p cb

# As `cargo nextest run` builds it, so that it is built once.
.PHONY: $(TESTED)
$(TESTED): web/dist/index.html
	cargo test --workspace --locked --no-run --quiet

web-check: web/dist/index.html
	cd web && npm run tsc && npm run lint && npm run knip && npm run drift && npm run test && npm run size

rust-check: web/dist/index.html
	cargo fmt --all --check
	cargo run --quiet --locked -p xtask -- check
	! cargo deny --version >/dev/null 2>&1 || cargo deny check bans licenses sources
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --doc --workspace --locked --quiet
	$(MAKE) rust-test

# Many tests wait for something most of the time, so there are more of them than processors.
rust-test: web/dist/index.html
	scripts/with-fakelan cargo nextest run --workspace --locked --no-fail-fast --test-threads $$(( $$(nproc) * 3 / 2 ))
