# Everything a newcomer needs is here; `make help` lists it.
SHELL := /bin/bash
export CARGO_TARGET_DIR ?= $(HOME)/.cache/circuit-breaker/target

.PHONY: help ensure web web-check rust-check test
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

ensure: ## install what is missing
	@scripts/ensure

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
# Not `npm ci`: it refuses a lock file that lacks optional binaries for other platforms, and some
# registries do not offer them all. The versions are the locked ones all the same.
	cd web && npm install --no-save --no-audit --no-fund && touch node_modules/.package-lock.json

web: web/node_modules/.package-lock.json ## build the browser client
	cd web && npm run build

web-check: web/node_modules/.package-lock.json
	cd web && npm run tsc && npm run lint && npm run knip && npm run test && npm run build && npm run size
# The types are generated from docs/openapi.json, which comes with the server.
	[ ! -f docs/openapi.json ] || (cd web && npm run drift)

rust-check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo nextest run --workspace --locked
	cargo test --doc -p cb-core --locked

test: ensure web-check rust-check ## install what is missing and run every test
