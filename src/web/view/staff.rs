//! The tabs of the organisation's pages, `/organizacion/personas` and `/organizacion/registro`.

use askama::Template;

use super::{FieldProblem, Notice, Shell, query_value};
use crate::{
    auth::{Permission, Role},
    language::Language,
    web::text::{
        contest::contest,
        phrases,
        reports::reports,
        staff::{StaffText, staff},
    },
};

/// A tab of the organisation's pages.
#[derive(Debug, Clone, Copy)]
pub struct Tab {
    pub page: &'static str,
    pub label: &'static str,
    /// Number of clips that wait there.
    pub open: i64,
}

/// Returns the tabs that a role may see, in their order.
pub fn tabs(language: Language, role: Role) -> Vec<Tab> {
    let (t, staff) = (phrases(language), staff(language));
    let tabs = [
        (Permission::SeeQueue, "/organizacion", t.live),
        (
            Permission::ModerateClips,
            "/organizacion/videos",
            t.moderate,
        ),
        (
            Permission::ModerateClips,
            "/organizacion/reportes",
            reports(language).tab,
        ),
        (
            Permission::RunContest,
            "/organizacion/concurso",
            contest(language).contest,
        ),
        (
            Permission::GrantRoles,
            "/organizacion/personas",
            staff.people,
        ),
        (
            Permission::ReadAudit,
            "/organizacion/registro",
            staff.record,
        ),
    ];
    let seen = tabs.into_iter().filter(|(needed, ..)| role.may(*needed));
    let tab = |(_, page, label)| Tab {
        page,
        label,
        open: 0,
    };
    seen.map(tab).collect()
}

/// Returns the tabs that a role may see, with the number of reported clips.
pub fn tabs_with_reports(language: Language, role: Role, open: i64) -> Vec<Tab> {
    let mut tabs = tabs(language, role);
    for tab in &mut tabs {
        if tab.page == "/organizacion/reportes" {
            tab.open = open;
        }
    }
    tabs
}

#[derive(Debug, Template)]
#[template(path = "organise_people.html", config = ".config/askama.toml")]
pub struct PeoplePage {
    pub shell: Shell,
    pub text: &'static StaffText,
    pub role: Role,
    pub people: Vec<Person>,
    /// The e-mail address in the form.
    pub email: String,
    /// The name of the role in the form.
    pub chosen: String,
    pub errors: Vec<FieldProblem>,
    pub notice: Option<Notice>,
}

/// A member of staff.
#[derive(Debug, Clone)]
pub struct Person {
    pub name: String,
    pub email: String,
    /// The name of the role.
    pub role: String,
    /// The role in words.
    pub role_words: String,
}

impl Person {
    /// Returns the page with this person in its form.
    fn page(&self) -> String {
        people_page(&self.email, &self.role)
    }
}

/// Returns the page of people with a filled form.
fn people_page(email: &str, role: &str) -> String {
    let (email, role) = (query_value(email), query_value(role));
    format!("/organizacion/personas?email={email}&role={role}#dar-rol")
}

impl PeoplePage {
    fn tabs(&self) -> Vec<Tab> {
        tabs(self.shell.language, self.role)
    }

    /// Returns name, words and description of each role.
    fn roles(&self) -> [(&'static str, &'static str, &'static str); 4] {
        Role::ALL.map(|role| {
            let text = self.text;
            (
                role.name(),
                text.role_name(role),
                text.role_description(role),
            )
        })
    }
}

#[derive(Debug, Template)]
#[template(path = "organise_record.html", config = ".config/askama.toml")]
pub struct RecordPage {
    pub shell: Shell,
    pub text: &'static StaffText,
    pub role: Role,
    /// Names of the acts, and the acts in words.
    pub acts: Vec<(&'static str, &'static str)>,
    /// Name of the chosen act, empty for all.
    pub act: String,
    pub entries: Vec<RecordedAct>,
    /// Whether the list begins with the newest entry.
    pub is_newest: bool,
    /// The number of the entry before which the next page begins.
    pub before: Option<i64>,
}

/// An entry of the record, in words.
#[derive(Debug, Clone)]
pub struct RecordedAct {
    pub id: i64,
    /// When, for programs (RFC 3339).
    pub at: String,
    /// When, by the clocks of Colombia.
    pub moment: String,
    /// How long ago.
    pub ago: String,
    pub actor: String,
    pub act: String,
    pub subject: String,
    /// Page of the subject.
    pub page: Option<String>,
    /// What changed, a line for each member.
    pub changes: Vec<String>,
}

impl RecordPage {
    fn tabs(&self) -> Vec<Tab> {
        tabs(self.shell.language, self.role)
    }

    fn newest(&self) -> String {
        format!("/organizacion/registro?acto={}", query_value(&self.act))
    }

    fn older(&self) -> Option<String> {
        let before = self.before?;
        Some(format!("{}&antes={before}", self.newest()))
    }
}
