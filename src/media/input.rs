//! Checks of the source: its first bytes (`sniff`), its headers (`probe`), the contest (`rules`).

pub mod probe;
pub mod rules;
pub mod sniff;
