//! The pages: a handler each. They call the slices, never the API over HTTP, and hold no rule.

pub mod account;
pub mod contest;
pub mod error;
pub mod gallery;
pub mod info;
pub mod live;
pub mod mine;
pub mod organise;
pub mod ranking;
pub mod report;
pub mod session;
pub mod upload;
pub mod watch;
