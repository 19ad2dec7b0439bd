//! Integration tests: one binary, so that it links once.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

mod accounts;
mod architecture;
mod confine;
mod dev;
mod errors;
mod files_served;
mod journey;
mod media;
mod rankings;
mod support;
mod uploads;
mod videos;
mod votes;
