//! The encoding run: how the picture gets to its place (`picture`, `colour`), the whole filter graph
//! (`graph`), the encoder's options (`encoder`), what is written (`outputs`) and all arguments
//! (`plan`). `pictures` makes poster and thumb of a still. `brand` has the watermark, the backdrop
//! and the bumpers.

pub mod brand;
mod colour;
mod encoder;
mod graph;
pub mod outputs;
mod picture;
pub mod pictures;
pub mod plan;
