//! ANB Rising Stars Showcase.

pub mod confine;
