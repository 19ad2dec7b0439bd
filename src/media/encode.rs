//! The encoding run: the picture's place in the frame (`layout`), the encoder's options (`encoder`),
//! what is written (`outputs`) and all arguments (`plan`). `brand` has the watermark and the bumpers.

pub mod brand;
mod encoder;
mod layout;
pub mod outputs;
pub mod plan;
