//! Verifies the films that were made (`inspect`), judges their stills (`still`) and chooses the poster
//! among them.

pub mod inspect;
pub mod poster;
mod still;
