//! Verifies the films that were made (`inspect`) and chooses the poster among the stills.

pub mod inspect;
pub mod poster;
