//! Shared by the handlers: errors, extractors, filters, paging, caching, limits. No domain logic.

pub mod body_guard;
pub mod cache;
pub mod error;
pub mod extract;
pub mod filter;
pub mod form;
pub mod multipart;
pub mod pace;
pub mod page;
pub mod path;
pub mod public_url;
pub mod range;
pub mod rate;
pub mod representation;
pub mod respond;
pub mod route;
pub mod session;

pub use error::{Code, Error, Moments, Result};
