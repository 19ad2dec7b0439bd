//! Settings: one `clap` argument struct per concern.

pub mod media;
