//! ANB Rising Stars Showcase: players upload a video, workers make a branded clip of it, the public
//! votes, and a ranking by city decides who plays.
//!
//! Three indexes give a newcomer one hop each: [`server`] lists every route, [`job`] every job, and
//! each slice's `queries` every query. `docs/ARCHITECTURE.md` walks through the two main paths.
//!
//! | layer | modules | own |
//! |---|---|---|
//! | commands | [`commands`], [`cli`] | one recipe per command; the command line |
//! | runners | [`server`], [`worker`], [`internal`], [`dev`] | routes; jobs; health and metrics; the private services of `anb dev` |
//! | slices | [`users`], [`videos`], [`votes`], [`rankings`] | the domain: rules, endpoints, SQL |
//! | shared by handlers | [`http`] | errors, extractors, paging, caching, limits |
//! | app | [`app`] | the kits of a process, built once |
//! | kits | [`auth`], [`db`], [`queue`], [`job`], [`storage`], [`media`], [`confine`], [`ec2`] | one technical matter each |
//! | base | [`config`], [`aws`], [`ids`], [`language`], [`city`], [`validate`], [`version`], [`telemetry`], [`shutdown`], [`batch`], [`open_files`] | what everybody may use |
//!
//! **Direction rule**: a module calls its own layer's lower neighbours and layers below, never above.
//! Kits do not know each other, but `queue` knows `job`, `auth` `db`, `media` `confine`. Between slices only
//! `votes → videos`, `rankings → videos` and `videos → users` are allowed. In a slice only `handlers`
//! know [`http`]. `tests/it/architecture.rs` reads every `crate::` path and enforces it.

pub mod app;
pub mod auth;
pub mod aws;
pub mod batch;
pub mod causes;
pub mod city;
pub mod cli;
pub mod commands;
pub mod config;
pub mod confine;
pub mod db;
pub mod dev;
pub mod ec2;
pub mod http;
pub mod ids;
pub mod internal;
pub mod job;
pub mod language;
pub mod media;
pub mod open_files;
pub mod queue;
pub mod rankings;
pub mod server;
pub mod shutdown;
pub mod storage;
pub mod telemetry;
pub mod users;
pub mod validate;
pub mod version;
pub mod videos;
pub mod votes;
pub mod worker;
