//! What handlers share: errors, extractors, filters, paging, caching, limits. No domain in here.

pub mod cache;
pub mod error;
pub mod extract;
pub mod filter;
pub mod multipart;
pub mod pace;
pub mod page;
pub mod range;
pub mod rate;
pub mod refused;
pub mod respond;

pub use error::{Code, Error, Result};
