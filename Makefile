# Everything a developer runs. PORT and ANB_DATA_DIR are taken from the environment.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

.PHONY: help setup run test lint brand clean

help: ## Lists the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

setup: ## Installs the packages this machine lacks (PostgreSQL, Redis, ffmpeg, a C compiler).
	@.config/setup

run: setup ## Starts everything on this machine: http://localhost:8080, or PORT; Ctrl-C stops it.
	@cargo build --release --locked
	@exec "$${CARGO_TARGET_DIR:-target}/release/anb" dev

test: setup ## Runs all tests.
	@cargo test --locked

lint: ## Checks format, lints and documentation.
	@cargo fmt --check
	@cargo clippy --locked --all-targets -- -D warnings
	@RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps

brand: ## Makes the logo and bumper files again.
	@echo 'nothing to make yet'

clean: ## Removes what was built; the data in .anb stays.
	@cargo clean
