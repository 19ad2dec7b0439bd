//! The contest for organisers: `/organizacion/concurso`.

use askama::Template;

use super::{
    FieldProblem, Notice, Shell,
    band::Countdown,
    organise::Tile,
    plot::{HourOfVotes, Plot},
    staff::{Tab, tabs},
};
use crate::{
    auth::Role,
    web::text::{
        contest::{ContestText, contest},
        run::{RunText, run},
    },
};

#[derive(Debug, Template)]
#[template(path = "organise_contest.html", config = ".config/askama.toml")]
pub struct OrganiseContestPage {
    pub shell: Shell,
    /// The visitor's role.
    pub role: Role,
    /// The current contest, if there is one.
    pub now: Option<ContestNow>,
    pub form: ContestForm,
    /// Whether the change affects a contest that is running, so that the form asks again.
    pub is_forced: bool,
    pub errors: Vec<FieldProblem>,
    pub notice: Option<Notice>,
}

/// The current contest at a glance.
#[derive(Debug, Clone)]
pub struct ContestNow {
    pub name: String,
    pub phase: &'static str,
    pub sentence: String,
    pub countdown: Option<Countdown>,
    pub tiles: Vec<Tile>,
    pub plot: Option<Plot>,
    pub cities: Vec<CityFigures>,
    pub steps: Steps,
}

impl ContestNow {
    /// Returns the tiles, each with the page that has more.
    fn tiles(&self) -> Vec<(&Tile, Option<&'static str>)> {
        let page_of = |tile: &Tile| match tile.key {
            "reports" => Some("/organizacion/reportes"),
            "waiting" | "dead" => Some("/organizacion"),
            _ => None,
        };
        let tiles = self.tiles.iter();
        tiles.map(|tile| (tile, page_of(tile))).collect()
    }
}

/// What organisers may do next.
#[derive(Debug, Clone, Copy)]
pub struct Steps {
    pub may_freeze: bool,
    pub is_frozen: bool,
    pub is_published: bool,
}

/// What takes part in a contest from one city.
#[derive(Debug, Clone)]
pub struct CityFigures {
    pub city: String,
    pub players: i64,
    pub clips: i64,
    pub votes: i64,
}

/// The fields of the form as somebody has typed them, or as the contest has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContestForm {
    pub name: String,
    pub slug: String,
    pub time_zone: String,
    pub submissions_open_at: String,
    pub submissions_close_at: String,
    pub voting_open_at: String,
    pub voting_close_at: String,
    pub votes_per_day: String,
    pub votes_in_all: String,
    /// In hours.
    pub min_account_age: String,
    pub entries_per_player: String,
    pub min_duration: String,
    pub max_duration: String,
    pub min_lines: String,
    /// In units of 1,048,576 bytes.
    pub max_file_size: String,
}

impl OrganiseContestPage {
    fn tabs(&self) -> Vec<Tab> {
        tabs(self.shell.language, self.role)
    }

    fn text(&self) -> &'static RunText {
        run(self.shell.language)
    }

    /// Whether the form changes the current contest.
    fn may_edit(&self) -> bool {
        self.now.as_ref().is_some_and(|now| !now.steps.is_frozen)
    }

    /// Whether the form makes a new contest. It would replace one that is not public.
    fn may_create(&self) -> bool {
        self.now.as_ref().is_none_or(|now| now.steps.is_published)
    }

    fn about(&self) -> &'static ContestText {
        contest(self.shell.language)
    }

    fn label(&self, field: &str) -> &'static str {
        self.text().field(field).unwrap_or_default()
    }

    /// Returns the dates with the names of their fields.
    fn dates(&self) -> [(&'static str, &str); 4] {
        let form = &self.form;
        [
            ("submissions_open_at", &form.submissions_open_at),
            ("submissions_close_at", &form.submissions_close_at),
            ("voting_open_at", &form.voting_open_at),
            ("voting_close_at", &form.voting_close_at),
        ]
    }

    /// Returns the rules with the names of their fields.
    fn rules(&self) -> [(&'static str, &str); 8] {
        let form = &self.form;
        [
            ("votes_per_day", &form.votes_per_day),
            ("votes_in_all", &form.votes_in_all),
            ("min_account_age_seconds", &form.min_account_age),
            ("entries_per_player", &form.entries_per_player),
            ("min_duration_seconds", &form.min_duration),
            ("max_duration_seconds", &form.max_duration),
            ("min_lines", &form.min_lines),
            ("max_file_bytes", &form.max_file_size),
        ]
    }

    fn problem(&self, field: &str) -> Option<&str> {
        super::problem(&self.errors, field)
    }

    fn plot_summary(&self, plot: &Plot) -> String {
        let hour = plot.label(self.shell.language, &plot.peak);
        (self.text().plot_summary)(plot.total, plot.peak.votes, &hour)
    }

    fn hour_label(&self, plot: &Plot, hour: &HourOfVotes) -> String {
        plot.label(self.shell.language, hour)
    }
}

/// A page that says what an act does, and whose form does it.
#[derive(Debug, Template)]
#[template(path = "organise_contest_act.html", config = ".config/askama.toml")]
pub struct ContestActPage {
    pub shell: Shell,
    pub name: String,
    pub title: &'static str,
    pub sentences: Vec<String>,
    /// Whether the act takes something away.
    pub is_danger: bool,
    /// Whether the form insists.
    pub is_forced: bool,
    pub notice: Option<Notice>,
}

impl ContestActPage {
    fn text(&self) -> &'static RunText {
        run(self.shell.language)
    }
}
