//! ANB Rising Stars Showcase.

pub mod dev;
