//! Integration tests: one binary, so that it links once.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

mod cli;
mod confine;
mod dev;
mod jobs;
mod journey;
mod media;
mod migrations;
mod processes;
mod queue;
mod storage;
mod support;
mod sweep;
