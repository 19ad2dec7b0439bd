//! ANB Rising Stars Showcase.

pub mod config;
pub mod confine;
pub mod dev;
pub mod language;
pub mod media;
