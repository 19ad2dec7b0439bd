//! The encoding run: the picture's place in the frame (`layout`), how it gets there (`picture`,
//! `colour`), the whole filter graph (`graph`), the encoder's options (`encoder`), what is written
//! (`outputs`) and all arguments (`plan`). `brand` has the watermark and the bumpers.

pub mod brand;
mod colour;
mod encoder;
mod graph;
mod layout;
pub mod outputs;
mod picture;
pub mod plan;
