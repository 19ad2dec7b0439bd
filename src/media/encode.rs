//! The encoding run: the picture's place in the frame (`layout`), how it gets there (`picture`,
//! `colour`), the whole filter graph (`graph`), the encoder's options (`encoder`), what is written
//! (`outputs`, `stills`) and all arguments (`plan`). `pictures` makes poster and thumb of a still. `brand`
//! has the watermark, the backdrop and the bumpers.

pub mod brand;
mod colour;
mod encoder;
mod graph;
pub mod layout;
pub mod outputs;
mod picture;
pub mod pictures;
pub mod plan;
pub mod stills;
