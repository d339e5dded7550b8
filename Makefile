# `make` alone says what there is.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup ready demo test bench search fuzz lint clean

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/towline
# wrangler and its Node come before the system's.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
# Compiled crates outlive a CI job's checkout.
ifdef CI
export CARGO_TARGET_DIR ?= $(CACHE)/target
endif

SANDBOX := tests/setup/sandbox
# What runs inside of the sandbox has been compiled before: there is no network there.
DEMO ?= cargo run --quiet --offline -p towline-tests --bin demo
BENCH ?= cargo run --quiet --offline -p towline-tests --bin bench

# Tests kill the poller at each of its steps; a release build refuses this.
FAILPOINTS := --features towline/failpoints
TESTS := cargo test --workspace $(FAILPOINTS) --offline --no-fail-fast

help:  ## Shows this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup:  ## Fetches and builds the tools once, into the cache
	@tests/setup/setup

# The set-up, and what a real engine takes.
ready:
	@tests/setup/setup --engine

demo: export TOWLINE_WASM_OPT := off
demo:  ## Shows the whole way once on real parts: from a GitHub delivery to a new container, or a git checkout without an engine
	@if tests/setup/has-engine; then tests/setup/setup --engine; else tests/setup/setup; fi
	@relay/build.sh
	@echo "building towline and the demo (minutes the first time, seconds later)"
	@cargo build --quiet -p towline -p towline-tests --bins
	@tests/toy/build >/dev/null
	@if tests/setup/has-engine; then $(SANDBOX) $(DEMO); else $(DEMO); fi

test: export TOWLINE_WASM_OPT := off
test: ready  ## Runs every test, the whole-system ones on real parts
	@tests/setup/systemd
	relay/build.sh
	cargo build --workspace --bins $(FAILPOINTS)
	cargo test --workspace --no-run $(FAILPOINTS)
	tests/toy/build
	$(SANDBOX) $(TESTS) --lib --bins --test process --test programs --test git --test kill_parts --test model --test system
	@# These mostly wait, so that more of them than cores may run side by side.
	RUST_TEST_THREADS=6 $(SANDBOX) $(TESTS) --test engine
	@# These end engines, which others then wait for.
	RUST_TEST_THREADS=3 $(SANDBOX) $(TESTS) --test kill
	@# The pages of the documentation, which are for root.
	if [ "$$(id -u)" = 0 ]; then $(SANDBOX) $(TESTS) --test guides; fi
	@# The oldest engine that is supported, where a private one can be had.
	@# Projects are killed on the newer one only: Compose is the same there.
	if [ "$$(id -u)" = 0 ]; then export TOWLINE_TEST_ENGINE=20.10; \
	RUST_TEST_THREADS=6 $(SANDBOX) $(TESTS) --test engine && RUST_TEST_THREADS=3 $(SANDBOX) $(TESTS) --test kill -- --skip projects:: --skip stacks::; fi

bench: ready  ## Measures what docs/benchmarks.md says, on release builds
	@relay/build.sh
	@echo "building towline for release (minutes the first time)"
	@cargo build --quiet --release -p towline
	@cargo build --quiet -p towline-tests --bins
	@tests/toy/build >/dev/null
	@target=$$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/') && \
	TOWLINE_BIN=$$target/release/towline $(SANDBOX) $(BENCH)

# How often each test that has random input gets other, 10,000 plays of the machines among it.
SEARCH_ROUNDS ?= 10

search:  ## Runs the tests that have random input with such as `make test` has not seen, and says its seed
	@for seed in $$(shuf -i 2-4294967295 -n $(SEARCH_ROUNDS)); do echo "PROPTEST_RNG_SEED=$$seed" && \
	PROPTEST_RNG_SEED=$$seed nice cargo test --quiet --workspace $(FAILPOINTS) --lib --test model || exit 1; done

# Seconds for each target, run one behind the other.
FUZZ_TIME ?= 120

fuzz:  ## Feeds the readers of poller and relay with broken input: needs cargo-fuzz and a nightly compiler, which you install
	@command -v cargo-fuzz >/dev/null || { echo "install them: rustup toolchain install nightly && cargo install cargo-fuzz"; exit 1; }
	@cd fuzz && for target in inspect reference pull journal header payload token jwt order told; do \
	seeds=seeds/$$target; if [ $$target = payload ]; then seeds=../tests/fixtures/github; fi; \
	mkdir -p corpus/$$target && \
	nice cargo +nightly fuzz run --fuzz-dir . $$target corpus/$$target $$seeds -- \
	-max_total_time=$(FUZZ_TIME) -timeout=10 -print_final_stats=1 || exit 1; done

lint: setup  ## Checks format, warnings (host, wasm32 and documentation) and, where cargo-deny is installed, dependencies
	cargo fmt --all --check
	rustfmt --check --edition 2024 tests/toy/toy.rs
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy -p towline --all-targets $(FAILPOINTS) -- -D warnings
	cargo clippy -p towline-protocol -p towline-relay --lib --target wasm32-unknown-unknown -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc -p towline --no-deps
	@if command -v cargo-deny >/dev/null; then cargo deny check; else echo "cargo-deny is not installed: skipped"; fi

clean:  ## Removes what was built here; the tools in the cache stay
	cargo clean
	rm -rf build .wrangler
	if [ -L node_modules ]; then rm node_modules; fi
