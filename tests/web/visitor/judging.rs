//! The judgement of a page that a visitor leaves.

use std::fmt::Write as _;

use serde_json::json;

use super::Visitor;
use crate::traffic::{Message, messages};

/// Maximum sum of layout shifts of a page (a good page is below 0.1, <https://web.dev/cls>).
const MAX_SHIFT: f64 = 0.02;

/// What a page must not have, as seen from inside.
const CHECKS: &str = include_str!("../checks.js");

impl Visitor {
    pub(super) async fn read_traffic(&mut self) {
        let log = json!({ "type": "performance" });
        let log = self.browser().send("/se/log", log).await;
        self.traffic.add(&log);
    }

    /// Judges the page that is open, because it will be left.
    pub(super) async fn leave(&mut self) {
        if self.is_inside {
            self.judge().await;
        }
    }

    /// Notes what is wrong with the page and what has happened since the last time.
    pub async fn judge(&mut self) {
        let page = self.path().await;
        self.judge_page(&page).await;
        let log = json!({ "type": "browser" });
        let log = self.browser().send("/se/log", log).await;
        for message in messages(&log) {
            match message {
                Message::Unwanted(text) if !self.is_offline => {
                    self.findings.push(format!("{page}: {text}"));
                }
                _ => {}
            }
        }
        self.read_traffic().await;
        self.judge_traffic(&page);
    }

    async fn judge_page(&mut self, page: &str) {
        let call = json!({ "script": CHECKS, "args": [self.width, self.has_script] });
        let seen = self.browser().send("/execute/async", call).await;
        for (what, found) in seen["problems"].as_object().unwrap() {
            let mut line = format!("{page} ({} px): {what}", self.width);
            for one in found.as_array().unwrap().iter().take(5) {
                write!(line, "\n    {one}").unwrap();
            }
            self.findings.push(line);
        }
        let shift = seen["shift"].as_f64().unwrap();
        if shift > MAX_SHIFT {
            let line = format!("{page} ({} px): layout shift {shift}", self.width);
            let moved = &seen["moved"];
            self.findings.push(format!("{line} of {moved}"));
        }
    }

    fn judge_traffic(&mut self, page: &str) {
        for request in &self.traffic.requests[self.judged..] {
            let Some(path) = request.url.strip_prefix(&self.site) else {
                // The browser's own: an empty page, icons of its player, previews of chosen files.
                let own = ["about:", "data:", "blob:"];
                if !own.iter().any(|scheme| request.url.starts_with(scheme)) {
                    let line = format!("{page}: request to another site: {}", request.url);
                    self.findings.push(line);
                }
                continue;
            };
            let Some(status) = request.status.filter(|status| *status >= 400) else {
                continue;
            };
            let mut is_expected = false;
            for named in &mut self.named {
                if named.status == status && path.starts_with(named.path.as_str()) {
                    named.is_seen = true;
                    is_expected = true;
                }
            }
            if !is_expected {
                self.findings.push(format!("{page}: {status} of {path}"));
            }
        }
        self.judged = self.traffic.requests.len();
    }
}
