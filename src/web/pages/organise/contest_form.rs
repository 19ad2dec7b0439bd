//! The form of a contest: from its fields to a plan of the slice, and back.

use chrono::NaiveDateTime;
use serde::Deserialize;

use crate::{
    contests::{Contest, Moment, Plan},
    validate::{FieldError, Problem},
    web::view::organise_contest::ContestForm,
};

/// As browsers write it (`datetime-local`).
const LOCAL: &str = "%Y-%m-%dT%H:%M";

const HOUR: i64 = 3600;
const MIB: i64 = 1 << 20;

/// The form as a browser sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContestFields {
    name: String,
    slug: String,
    time_zone: String,
    submissions_open_at: String,
    submissions_close_at: String,
    voting_open_at: String,
    voting_close_at: String,
    votes_per_day: String,
    votes_in_all: String,
    min_account_age_seconds: String,
    entries_per_player: String,
    min_duration_seconds: String,
    max_duration_seconds: String,
    min_lines: String,
    max_file_bytes: String,
    /// Insists on a change that affects a contest that is running.
    force: String,
}

impl ContestFields {
    /// Returns the form with the values of a contest.
    pub fn of(contest: &Contest) -> ContestForm {
        let (local, rules) = (&contest.local, &contest.rules);
        let date = |at: NaiveDateTime| at.format(LOCAL).to_string();
        let number = |rule: Option<i32>| rule.map_or_else(String::new, |rule| rule.to_string());
        let age = rules.min_account_age_seconds;
        let age = age.map(|seconds| in_units(seconds.into(), HOUR));
        let size = rules.max_file_bytes.map(|bytes| in_units(bytes, MIB));
        ContestForm {
            name: contest.name.clone(),
            slug: contest.slug.clone(),
            time_zone: contest.time_zone.clone(),
            submissions_open_at: date(local.submissions_open),
            submissions_close_at: date(local.submissions_close),
            voting_open_at: date(local.voting_open),
            voting_close_at: date(local.voting_close),
            votes_per_day: number(rules.votes_per_day),
            votes_in_all: number(rules.votes_in_all),
            min_account_age: age.unwrap_or_default(),
            entries_per_player: number(rules.entries_per_player),
            min_duration: number(rules.min_duration_seconds),
            max_duration: number(rules.max_duration_seconds),
            min_lines: number(rules.min_lines),
            max_file_size: size.unwrap_or_default(),
        }
    }

    pub fn slug(&self) -> &str {
        self.slug.trim()
    }

    pub fn is_forced(&self) -> bool {
        self.force == "1"
    }

    /// Returns the form as it was typed.
    pub fn typed(&self) -> ContestForm {
        let text = |text: &str| text.trim().to_owned();
        ContestForm {
            name: text(&self.name),
            slug: text(&self.slug),
            time_zone: text(&self.time_zone),
            submissions_open_at: text(&self.submissions_open_at),
            submissions_close_at: text(&self.submissions_close_at),
            voting_open_at: text(&self.voting_open_at),
            voting_close_at: text(&self.voting_close_at),
            votes_per_day: text(&self.votes_per_day),
            votes_in_all: text(&self.votes_in_all),
            min_account_age: text(&self.min_account_age_seconds),
            entries_per_player: text(&self.entries_per_player),
            min_duration: text(&self.min_duration_seconds),
            max_duration: text(&self.max_duration_seconds),
            min_lines: text(&self.min_lines),
            max_file_size: text(&self.max_file_bytes),
        }
    }

    /// Returns what the form says that `before` does not: its dates are more exact than those of the
    /// form. Returns all problems at once.
    pub fn plan(&self, before: Option<&Contest>) -> Result<Plan, Vec<FieldError>> {
        let (typed, old) = (self.typed(), before.map(Self::of).unwrap_or_default());
        let mut errors = Vec::new();
        let is_same_zone = typed.time_zone == old.time_zone;
        let mut date = |field, new: &str, old: &str| {
            if new.is_empty() || (is_same_zone && new == old) {
                return None;
            }
            let date = NaiveDateTime::parse_from_str(new, LOCAL)
                .or_else(|_seconds| NaiveDateTime::parse_from_str(new, "%Y-%m-%dT%H:%M:%S"));
            if date.is_err() {
                errors.push(invalid(field));
            }
            date.ok().map(Moment::Local)
        };
        let submissions_open_at = date(
            "submissions_open_at",
            &typed.submissions_open_at,
            &old.submissions_open_at,
        );
        let submissions_close_at = date(
            "submissions_close_at",
            &typed.submissions_close_at,
            &old.submissions_close_at,
        );
        let voting_open_at = date("voting_open_at", &typed.voting_open_at, &old.voting_open_at);
        let voting_close_at = date(
            "voting_close_at",
            &typed.voting_close_at,
            &old.voting_close_at,
        );
        let mut number = |field, new: &str, old: &str, unit: i64| {
            if new == old {
                return None;
            }
            // Zero removes a rule.
            let number: Option<i64> = if new.is_empty() {
                Some(0)
            } else {
                new.parse().ok()
            };
            let number = number.and_then(|number| number.checked_mul(unit));
            if number.is_none() {
                errors.push(invalid(field));
            }
            number
        };
        let max_file_bytes = number(
            "max_file_bytes",
            &typed.max_file_size,
            &old.max_file_size,
            MIB,
        );
        let mut rule = |field, new: &str, old: &str, unit| {
            // What is too large for the slice is too large for its check as well.
            let rule = number(field, new, old, unit)?;
            Some(i32::try_from(rule).unwrap_or(if rule < 0 { -1 } else { i32::MAX }))
        };
        let plan = Plan {
            name: Some(typed.name),
            time_zone: Some(typed.time_zone).filter(|zone| !zone.is_empty()),
            submissions_open_at,
            submissions_close_at,
            voting_open_at,
            voting_close_at,
            votes_per_day: rule("votes_per_day", &typed.votes_per_day, &old.votes_per_day, 1),
            votes_in_all: rule("votes_in_all", &typed.votes_in_all, &old.votes_in_all, 1),
            min_account_age_seconds: rule(
                "min_account_age_seconds",
                &typed.min_account_age,
                &old.min_account_age,
                HOUR,
            ),
            entries_per_player: rule(
                "entries_per_player",
                &typed.entries_per_player,
                &old.entries_per_player,
                1,
            ),
            min_duration_seconds: rule(
                "min_duration_seconds",
                &typed.min_duration,
                &old.min_duration,
                1,
            ),
            max_duration_seconds: rule(
                "max_duration_seconds",
                &typed.max_duration,
                &old.max_duration,
                1,
            ),
            min_lines: rule("min_lines", &typed.min_lines, &old.min_lines, 1),
            max_file_bytes,
        };
        if errors.is_empty() {
            Ok(plan)
        } else {
            Err(errors)
        }
    }
}

fn invalid(field: &'static str) -> FieldError {
    FieldError {
        field,
        problem: Problem::Invalid,
    }
}

/// Returns a number in larger units, rounded up.
fn in_units(number: i64, unit: i64) -> String {
    (number.saturating_add(unit - 1) / unit).to_string()
}
