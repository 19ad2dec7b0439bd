//! Integration tests in a single binary, which links only once.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]

mod accounts;
mod architecture;
mod audit;
mod bench;
mod browser;
mod cities;
mod clean;
mod cli;
mod confine;
mod contests;
mod contract;
mod counting;
mod database;
mod dev;
mod ec2;
mod env_files;
mod errors;
mod files_served;
mod folders;
mod fsck;
mod hostile;
mod installation;
mod jobs;
mod journey;
mod login;
mod media;
mod media_faults;
mod media_urls;
mod migrations;
mod model;
mod moderation;
mod operator;
mod pages;
mod passwords;
mod permissions;
mod plans;
mod processes;
mod queue;
mod races;
mod rankings;
mod rejections;
mod remakes;
mod reports;
mod resumable;
mod resumable_clients;
mod sessions;
mod soak;
mod storage;
mod support;
mod surroundings;
mod sweep;
mod tagging;
mod tls;
mod turns;
mod uploads;
mod videos;
mod votes;
