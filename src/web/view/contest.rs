//! A contest: its rules in words, its result and the record of it.

use askama::Template;

use super::{City, CityChoice, Notice, Pager, Shell};
use crate::web::text::contest::{ContestText, contest};

/// The contest on the help page.
#[derive(Debug, Clone)]
pub struct ContestHelp {
    pub title: String,
    pub steps: Vec<String>,
}

/// A row of a result.
#[derive(Debug, Clone)]
pub struct ResultRow {
    pub place: i32,
    pub is_tied: bool,
    pub player: String,
    pub city: String,
    pub votes: i64,
    pub clip_title: String,
    pub clip_page: String,
}

/// A frozen result, of the country or of a city.
#[derive(Debug, Clone)]
pub struct FrozenResult {
    pub contest: String,
    /// Where it is: the page of the public, or that of the organisers.
    pub page: String,
    /// Where the record is.
    pub record: String,
    pub is_public: bool,
    /// The chosen one.
    pub city: Option<City>,
    pub players: i64,
    pub votes: i64,
    /// When it was frozen, in words.
    pub frozen: String,
    /// When voting opened, in words.
    pub voting_opened: String,
    pub voting_closed: String,
    /// SHA-256 of the file `json`.
    pub digest: String,
    pub json: String,
    pub table: String,
    /// Absolute address of `json`, if the public address is known.
    pub file: String,
    pub rows: Vec<ResultRow>,
}

impl FrozenResult {
    fn has_ties(&self) -> bool {
        self.rows.iter().any(|row| row.is_tied)
    }

    /// Says how many rows are shown, if there are more players.
    fn first_rows(&self, text: &ContestText) -> Option<String> {
        let shown = i64::try_from(self.rows.len()).ok()?;
        (shown < self.players).then(|| (text.first_rows)(shown))
    }

    fn title(&self, text: &ContestText) -> String {
        match &self.city {
            None => text.result.to_owned(),
            Some(city) => (text.result_of)(&city.name),
        }
    }
}

#[derive(Debug, Template)]
#[template(path = "result.html", config = ".config/askama.toml")]
pub struct ResultPage {
    pub shell: Shell,
    pub cities: Vec<CityChoice>,
    pub result: FrozenResult,
    pub pager: Pager,
}

impl ResultPage {
    fn text(&self) -> &'static ContestText {
        contest(self.shell.language)
    }

    fn preview(&self) -> Option<Notice> {
        (!self.result.is_public).then(|| Notice::plain(self.text().preview))
    }
}

/// The record of a result, for paper.
#[derive(Debug, Template)]
#[template(path = "acta.html", config = ".config/askama.toml")]
pub struct RecordPage {
    pub shell: Shell,
    pub result: FrozenResult,
}

impl RecordPage {
    fn text(&self) -> &'static ContestText {
        contest(self.shell.language)
    }

    fn preview(&self) -> Option<Notice> {
        (!self.result.is_public).then(|| Notice::plain(self.text().preview))
    }
}
