//! The ranking: who has the most votes. What it shows, the slice of videos counts.

pub mod handlers;
