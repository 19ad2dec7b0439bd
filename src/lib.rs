//! ANB Rising Stars Showcase.
