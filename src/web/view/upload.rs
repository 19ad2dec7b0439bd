//! The upload: `/subir`.

use askama::Template;
use serde_json::json;

use super::{FieldProblem, Notice, Shell};
use crate::web::text::{megabytes, modules};

#[derive(Debug, Template)]
#[template(path = "upload.html", config = ".config/askama.toml")]
pub struct UploadPage {
    pub shell: Shell,
    pub rules: Rules,
    pub errors: Vec<FieldProblem>,
    /// The title that the player has typed.
    pub title: String,
    pub notice: Option<Notice>,
}

/// `/subir` while the contest takes no videos.
#[derive(Debug, Template)]
#[template(path = "upload_closed.html", config = ".config/askama.toml")]
pub struct ClosedPage {
    pub shell: Shell,
    /// That it takes none now.
    pub refusal: &'static str,
    /// When it takes videos.
    pub sentence: String,
}

/// What a file must be like; none where any value will do.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub min_seconds: Option<u32>,
    pub max_seconds: Option<u32>,
    /// Lines of the shorter side of the upright picture.
    pub min_lines: Option<u32>,
    pub max_bytes: u64,
}

impl UploadPage {
    fn phrases(&self) -> String {
        modules::upload(self.shell.t)
    }

    /// Returns the rules for the module that checks a file.
    fn rules_json(&self) -> String {
        let rules = self.rules;
        json!({
            "min_seconds": rules.min_seconds,
            "max_seconds": rules.max_seconds,
            "min_lines": rules.min_lines,
            "max_bytes": rules.max_bytes,
        })
        .to_string()
    }

    fn duration_rule(&self) -> String {
        let t = self.shell.t;
        match (self.rules.min_seconds, self.rules.max_seconds) {
            (Some(min), Some(max)) => (t.rule_between)(&min.to_string(), &max.to_string()),
            (Some(min), None) => (t.rule_min)(&min.to_string()),
            (None, Some(max)) => (t.rule_max)(&max.to_string()),
            (None, None) => t.rule_any_length.to_owned(),
        }
    }

    fn lines_rule(&self) -> String {
        let t = self.shell.t;
        match self.rules.min_lines {
            Some(lines) => (t.rule_lines)(&lines.to_string()),
            None => t.rule_any_lines.to_owned(),
        }
    }

    fn size_rule(&self) -> String {
        let max = megabytes(self.shell.language, self.rules.max_bytes);
        (self.shell.t.rule_size)(&max)
    }
}
