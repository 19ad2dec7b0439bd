//! Reports: the form of a spectator at `/reporte/{id}`, and the moderators' list at
//! `/organizacion/reportes`.

use askama::Template;

use super::{
    Clip, Notice, Shell,
    organise::OrganisedVideo,
    staff::{Tab, tabs_with_reports},
};
use crate::{auth::Role, reports::Reason, web::text::reports::ReportPhrases};

/// Asks what is wrong with a clip, or thanks for the report.
#[derive(Debug, Template)]
#[template(path = "report.html", config = ".config/askama.toml")]
pub struct ReportPage {
    pub shell: Shell,
    /// The clip, while it is public.
    pub clip: Option<Clip>,
    pub is_sent: bool,
    /// Name of the reason that the visitor chose before the log-in.
    pub chosen: String,
    pub text: String,
    /// What is wrong with the text.
    pub problem: Option<String>,
    pub notice: Option<Notice>,
}

#[derive(Debug, Template)]
#[template(path = "organise_reports.html", config = ".config/askama.toml")]
pub struct ReportsPage {
    pub shell: Shell,
    /// The visitor's role.
    pub role: Role,
    /// Number of clips on the whole list.
    pub open: i64,
    pub rows: Vec<ReportedClip>,
    pub notice: Option<Notice>,
}

/// A clip on the moderators' list.
#[derive(Debug, Clone)]
pub struct ReportedClip {
    pub video: OrganisedVideo,
    /// The clip, if there is one.
    pub clip: Option<Clip>,
    pub is_urgent: bool,
    /// The player's answer to the hiding that lasts, unless a moderator has dealt with it.
    pub answer: Option<String>,
    /// Number of open reports.
    pub reports: i64,
    /// When the first report or the answer came, in words.
    pub since: String,
    /// The reasons with their numbers, most frequent first.
    pub reasons: Vec<(Reason, i64)>,
    pub texts: Vec<String>,
}

impl ReportsPage {
    fn tabs(&self) -> Vec<Tab> {
        tabs_with_reports(self.shell.language, self.role, self.open)
    }

    /// Whether clips of the list are not on the page.
    fn has_more(&self) -> bool {
        usize::try_from(self.open).is_ok_and(|open| open > self.rows.len())
    }
}

impl ReportedClip {
    /// Returns the address of an act.
    fn act(&self, act: &str) -> String {
        format!("/organizacion/reportes/{}/{act}", self.video.id)
    }

    fn is_hidden(&self) -> bool {
        self.video.hidden.is_some()
    }

    /// Returns how long it has been on the list, and why.
    fn waiting(&self, r: &ReportPhrases) -> String {
        if self.reports == 0 {
            return (r.answered_since)(&self.since);
        }
        (r.reported)(self.reports, &self.since)
    }

    /// Returns the sentences for hiding it, the likely one first.
    fn hide_reasons(&self, r: &ReportPhrases) -> Vec<&'static str> {
        let likely = self.reasons.first().map(|(reason, _)| *reason);
        let others = Reason::ALL.into_iter();
        let others = others.filter(|reason| Some(*reason) != likely);
        let all = likely.into_iter().chain(others);
        all.map(|reason| r.hide_reason(reason)).collect()
    }
}
