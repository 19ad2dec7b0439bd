//! Checks of the source: its first bytes (`sniff`), its headers (`probe`, with `codec`, `colour` and
//! `turn`), its packets where the headers are doubtful (`timing`), and the contest (`rules`, whose
//! answer is a `rejection`); after decoding, which pictures are damaged (`damage`).

pub mod codec;
pub mod colour;
pub mod damage;
pub mod probe;
pub mod rejection;
pub mod rules;
pub mod sniff;
pub mod timing;
pub mod turn;
