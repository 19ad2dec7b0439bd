//! The published contract: the OpenAPI document, a page that shows and tries it, and explanations of
//! the error codes.

pub mod handlers;
