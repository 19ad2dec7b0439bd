//! ANB Rising Stars Showcase. Players upload videos, workers turn them into branded clips, the
//! public votes, and a ranking by city determines who plays.
//!
//! Starting points: [`server`] lists every route, [`job`] every kind of job, [`shutdown::Task`]
//! every background task, [`metric`] every metric, and each slice's `queries` its SQL.
//! `docs/ARCHITECTURE.md` explains the two main paths.
//!
//! | layer | modules | own |
//! |---|---|---|
//! | commands | [`commands`], [`cli`] | one recipe per command; the command line |
//! | pages | [`web`] | the pages for people: what they show, templates, assets, live progress |
//! | runners | [`server`], [`worker`], [`monitoring`], [`dev`] | routes; jobs; health and metrics; the private services of `anb dev` |
//! | slices | [`users`], [`videos`], [`votes`], [`reports`], [`listing`], [`cities`], [`contests`], [`audit`], [`contract`] | the domain: rules, endpoints, SQL; the published contract |
//! | shared by handlers | [`http`] | errors, extractors, paging, caching, limits |
//! | app | [`app`] | the services of a process, built once |
//! | services | [`auth`], [`db`], [`queue`], [`job`], [`storage`], [`media`], [`confine`], [`ec2`] | one technical concern each |
//! | foundation | [`config`], [`aws`], [`ids`], [`keyset`], [`language`], [`city`], [`validate`], [`version`], [`telemetry`], [`metric`], [`shutdown`], [`batch`], [`causes`], [`open_files`], [`csv`] | shared by all layers |
//!
//! **Layering rule**: a module may use lower layers, never higher ones. Within the services layer,
//! only `queue → job`, `auth → db` and `media → confine` are allowed; between slices, only
//! `votes`, `reports` and `listing` → `videos`, `videos → users`, `videos → contests`, and any slice
//! `→ audit`. In a slice, only `handlers` use [`http`]. The modules of a folder form no cycle.
//! `tests/it/architecture.rs` checks every path.

pub mod app;
pub mod audit;
pub mod auth;
pub mod aws;
pub mod batch;
pub mod causes;
pub mod cities;
pub mod city;
pub mod cli;
pub mod commands;
pub mod config;
pub mod confine;
pub mod contests;
pub mod contract;
pub mod csv;
pub mod db;
pub mod dev;
pub mod ec2;
pub mod http;
pub mod ids;
pub mod job;
pub mod keyset;
pub mod language;
pub mod listing;
pub mod media;
pub mod metric;
pub mod monitoring;
pub mod open_files;
pub mod queue;
pub mod reports;
pub mod server;
pub mod shutdown;
pub mod storage;
pub mod telemetry;
pub mod users;
pub mod validate;
pub mod version;
pub mod videos;
pub mod votes;
pub mod web;
pub mod worker;
