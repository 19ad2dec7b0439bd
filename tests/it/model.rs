//! Model checking of jobs and votes: every schedule of a small system satisfies the laws, and the
//! real SQL behaves as the model predicts.

mod core;
mod exhaustive;
mod laws;
mod schedules;
mod sql;
mod stored;
