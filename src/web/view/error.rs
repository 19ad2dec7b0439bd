//! The pages of errors.

use askama::Template;

use super::{Clip, Shell};

#[derive(Debug, Template)]
#[template(path = "error.html", config = ".config/askama.toml")]
pub struct ErrorPage {
    pub shell: Shell,
    pub status: u16,
    pub message: String,
    /// What the visitor can do.
    pub advice: Option<String>,
    /// Address to try again.
    pub retry: Option<String>,
    pub request_id: Option<String>,
    /// Clips to watch in place of what was not found.
    pub clips: Vec<Clip>,
}
