//! The band about the current contest, on public pages.

use serde_json::json;

use crate::{
    ids::ContestId,
    web::text::contest::{ContestText, countdown},
};

/// What public pages say about the current contest.
#[derive(Debug, Clone)]
pub struct Band {
    pub id: ContestId,
    pub text: &'static ContestText,
    pub name: String,
    /// Where the contest stands.
    pub sentence: String,
    pub countdown: Option<Countdown>,
    /// IANA name.
    pub time_zone: String,
    /// Why no votes are taken, if so.
    pub closed: Option<Closed>,
    /// Address of the published result.
    pub result: Option<String>,
}

/// The time until the next date of a contest.
#[derive(Debug, Clone)]
pub struct Countdown {
    /// What happens then.
    pub label: &'static str,
    /// The date (RFC 3339).
    pub at: String,
    pub seconds: i64,
}

impl Countdown {
    pub fn words(&self) -> String {
        countdown(self.seconds)
    }
}

/// Why no votes are taken.
#[derive(Debug, Clone)]
pub struct Closed {
    /// What the vote buttons say.
    pub label: &'static str,
    pub sentence: String,
}

impl Band {
    /// Returns the sentences of `page.js` as JSON.
    pub fn phrases(&self) -> String {
        let closed = self.closed.as_ref();
        json!({
            "closed": closed.map(|closed| closed.sentence.as_str()),
            "closed_label": closed.map(|closed| closed.label),
            "vote_from": (self.text.vote_from)("{date}"),
            "voting_closed": (self.text.voting_closed)("{date}"),
            "time_zone": self.time_zone,
        })
        .to_string()
    }
}
