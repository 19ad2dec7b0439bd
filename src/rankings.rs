//! The ranking by votes. Its data comes from `videos`.

pub mod handlers;
