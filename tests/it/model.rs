//! Jobs and votes against a model: every schedule of a small house keeps the laws, and the real SQL does
//! what the model says.

mod core;
mod exhaustive;
mod laws;
mod schedules;
mod sql;
mod stored;
