//! The pages over HTTP, without a browser: what they show to whom, and what their forms do.

mod contest;
mod forms;
mod hostile;
mod live;
mod organisers;
mod public;
mod reports;
pub mod visitor;
