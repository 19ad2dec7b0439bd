//! What an organiser says about a contest: dates, each with an offset or in the contest's time zone,
//! and rules.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use serde::Deserialize;

use super::model::{Contest, Dates, Rules};
use crate::validate::{Checks, FieldError, Problem};

/// Where most contests take place.
const TIME_ZONE: &str = "America/Bogota";

/// Maximum length of a slug, in characters.
const MAX_SLUG: usize = 60;

/// Bounds of a name, in characters.
const NAME_LENGTH: (usize, usize) = (3, 100);

/// A point in time as an organiser writes it: RFC 3339 with an offset (`2026-12-03T08:00:00-05:00`),
/// or without one in the contest's time zone (`2026-12-03 08:00`; a date alone is its midnight), or
/// `now`, which the database's clock tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Now,
    Absolute(DateTime<Utc>),
    Local(NaiveDateTime),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "now" {
            return Ok(Self::Now);
        }
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Absolute(at.to_utc()));
        }
        let formats = [
            "%Y-%m-%d %H:%M",
            "%Y-%m-%dT%H:%M",
            "%Y-%m-%d %H:%M:%S",
            "%Y-%m-%dT%H:%M:%S",
        ];
        let mut local = formats
            .iter()
            .filter_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
        let midnight = || {
            let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            Some(date.and_time(NaiveTime::MIN))
        };
        local
            .next()
            .or_else(midnight)
            .map(Self::Local)
            .ok_or_else(|| {
                "write it like 2026-12-03 08:00, in the contest's time zone, or with an offset like \
                 2026-12-03T08:00:00-05:00"
                    .to_owned()
            })
    }
}

/// Dates and rules of a contest, all of them or some. Zero removes a rule.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Contest")]
pub struct Plan {
    /// Name of the contest, as people read it
    #[arg(long, env = "CONTEST_NAME", value_name = "TEXT")]
    pub name: Option<String>,
    /// Time zone of the dates, an IANA name (default: America/Bogota)
    #[arg(long, env = "CONTEST_TIME_ZONE", value_name = "ZONE")]
    pub time_zone: Option<String>,
    /// When the contest begins to take videos (default: now)
    #[arg(
        long = "submissions-open",
        env = "CONTEST_SUBMISSIONS_OPEN",
        value_name = "TIME"
    )]
    pub submissions_open_at: Option<Moment>,
    /// When the contest ceases to take videos (default: when voting closes)
    #[arg(
        long = "submissions-close",
        env = "CONTEST_SUBMISSIONS_CLOSE",
        value_name = "TIME"
    )]
    pub submissions_close_at: Option<Moment>,
    /// When voting opens (default: now)
    #[arg(long = "voting-open", env = "CONTEST_VOTING_OPEN", value_name = "TIME")]
    pub voting_open_at: Option<Moment>,
    /// When voting closes: the first moment at which no vote counts
    #[arg(
        long = "voting-close",
        env = "CONTEST_VOTING_CLOSE",
        value_name = "TIME"
    )]
    pub voting_close_at: Option<Moment>,
    /// Maximum votes of one person in one day of the time zone; 0 for no limit
    #[arg(long, env = "CONTEST_VOTES_PER_DAY", value_name = "COUNT")]
    pub votes_per_day: Option<i32>,
    /// Maximum votes of one person in the whole contest; 0 for no limit
    #[arg(long, env = "CONTEST_VOTES_IN_ALL", value_name = "COUNT")]
    pub votes_in_all: Option<i32>,
    /// Minimum age of an account that votes, in seconds; 0 for none
    #[arg(long, env = "CONTEST_MIN_ACCOUNT_AGE", value_name = "SECONDS")]
    pub min_account_age_seconds: Option<i32>,
    /// Maximum videos of one player; 0 for no limit
    #[arg(long, env = "CONTEST_ENTRIES_PER_PLAYER", value_name = "COUNT")]
    pub entries_per_player: Option<i32>,
    /// Minimum duration of a video, in seconds; 0 for that of the settings
    #[arg(long, env = "CONTEST_MIN_DURATION", value_name = "SECONDS")]
    pub min_duration_seconds: Option<i32>,
    /// Maximum duration of a video, in seconds; 0 for that of the settings
    #[arg(long, env = "CONTEST_MAX_DURATION", value_name = "SECONDS")]
    pub max_duration_seconds: Option<i32>,
    /// Minimum lines of a video, on the shorter side of the upright picture; 0 for those of the settings
    #[arg(long, env = "CONTEST_MIN_LINES", value_name = "LINES")]
    pub min_lines: Option<i32>,
    /// Maximum size of a video, in bytes; 0 for that of the settings
    #[arg(long, env = "CONTEST_MAX_FILE_BYTES", value_name = "BYTES")]
    pub max_file_bytes: Option<i64>,
}

/// A [`Plan`] as a client sends it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PlanBody {
    name: Option<String>,
    time_zone: Option<String>,
    submissions_open_at: Option<String>,
    submissions_close_at: Option<String>,
    voting_open_at: Option<String>,
    voting_close_at: Option<String>,
    votes_per_day: Option<i32>,
    votes_in_all: Option<i32>,
    min_account_age_seconds: Option<i32>,
    entries_per_player: Option<i32>,
    min_duration_seconds: Option<i32>,
    max_duration_seconds: Option<i32>,
    min_lines: Option<i32>,
    max_file_bytes: Option<i64>,
}

impl PlanBody {
    /// Reads the dates. Returns all problems at once.
    pub fn check(self) -> Result<Plan, Vec<FieldError>> {
        let mut checks = Checks::default();
        let mut moment = |field, text: Option<String>| {
            let moment = text?.parse().ok();
            if moment.is_none() {
                checks.add(field, Problem::Invalid);
            }
            moment
        };
        let plan = Plan {
            submissions_open_at: moment("submissions_open_at", self.submissions_open_at),
            submissions_close_at: moment("submissions_close_at", self.submissions_close_at),
            voting_open_at: moment("voting_open_at", self.voting_open_at),
            voting_close_at: moment("voting_close_at", self.voting_close_at),
            name: self.name,
            time_zone: self.time_zone,
            votes_per_day: self.votes_per_day,
            votes_in_all: self.votes_in_all,
            min_account_age_seconds: self.min_account_age_seconds,
            entries_per_player: self.entries_per_player,
            min_duration_seconds: self.min_duration_seconds,
            max_duration_seconds: self.max_duration_seconds,
            min_lines: self.min_lines,
            max_file_bytes: self.max_file_bytes,
        };
        checks.finish()?;
        Ok(plan)
    }
}

/// A complete contest that is not in the database yet.
#[derive(Debug, Clone)]
pub struct Draft<T> {
    pub slug: String,
    pub name: String,
    pub time_zone: String,
    pub dates: Dates<T>,
    pub rules: Rules,
}

impl Plan {
    /// Returns a new contest. Returns all problems at once.
    pub fn complete(&self, slug: &str) -> Result<Draft<Moment>, Vec<FieldError>> {
        let mut checks = Checks::default();
        let slug = slug.trim().to_owned();
        if slug.is_empty() {
            checks.add("slug", Problem::Required);
        } else if slug.len() > MAX_SLUG {
            checks.add("slug", Problem::TooLong { max: MAX_SLUG });
        } else if !is_slug(&slug) {
            checks.add("slug", Problem::Invalid);
        }
        if self.voting_close_at.is_none() {
            checks.add("voting_close_at", Problem::Required);
        }
        let name = self.name.as_deref().unwrap_or_default();
        let name = checks.line("name", name, NAME_LENGTH.0, NAME_LENGTH.1);
        let rules = self.rules(Rules::default(), &mut checks);
        checks.finish()?;
        // Checked above.
        let voting_close_at = self.voting_close_at.unwrap_or(Moment::Now);
        Ok(Draft {
            slug,
            name,
            time_zone: self
                .time_zone
                .clone()
                .unwrap_or_else(|| TIME_ZONE.to_owned()),
            dates: Dates {
                submissions_open_at: self.submissions_open_at.unwrap_or(Moment::Now),
                submissions_close_at: self.submissions_close_at.unwrap_or(voting_close_at),
                voting_open_at: self.voting_open_at.unwrap_or(Moment::Now),
                voting_close_at,
            },
            rules,
        })
    }

    /// Returns the contest `before` with the changes of this plan. Returns all problems at once.
    pub fn over(&self, before: &Contest) -> Result<Draft<Moment>, Vec<FieldError>> {
        let mut checks = Checks::default();
        let name = match &self.name {
            None => before.name.clone(),
            Some(name) => checks.line("name", name, NAME_LENGTH.0, NAME_LENGTH.1),
        };
        let rules = self.rules(before.rules, &mut checks);
        checks.finish()?;
        let kept = |new: Option<Moment>, old| new.unwrap_or(Moment::Absolute(old));
        Ok(Draft {
            slug: before.slug.clone(),
            name,
            time_zone: self
                .time_zone
                .clone()
                .unwrap_or_else(|| before.time_zone.clone()),
            dates: Dates {
                submissions_open_at: kept(self.submissions_open_at, before.submissions_open_at),
                submissions_close_at: kept(self.submissions_close_at, before.submissions_close_at),
                voting_open_at: kept(self.voting_open_at, before.voting_open_at),
                voting_close_at: kept(self.voting_close_at, before.voting_close_at),
            },
            rules,
        })
    }

    fn rules(&self, old: Rules, checks: &mut Checks) -> Rules {
        let mut small = |field, new: Option<i32>, old| {
            let new = new.map(i64::from);
            checked(checks, field, new, i64::from(i32::MAX))
                .map_or(old, |rule| rule.and_then(|rule| i32::try_from(rule).ok()))
        };
        let rules = Rules {
            votes_per_day: small("votes_per_day", self.votes_per_day, old.votes_per_day),
            votes_in_all: small("votes_in_all", self.votes_in_all, old.votes_in_all),
            min_account_age_seconds: small(
                "min_account_age_seconds",
                self.min_account_age_seconds,
                old.min_account_age_seconds,
            ),
            entries_per_player: small(
                "entries_per_player",
                self.entries_per_player,
                old.entries_per_player,
            ),
            min_duration_seconds: small(
                "min_duration_seconds",
                self.min_duration_seconds,
                old.min_duration_seconds,
            ),
            max_duration_seconds: small(
                "max_duration_seconds",
                self.max_duration_seconds,
                old.max_duration_seconds,
            ),
            min_lines: small("min_lines", self.min_lines, old.min_lines),
            max_file_bytes: old.max_file_bytes,
        };
        let max_file_bytes = checked(checks, "max_file_bytes", self.max_file_bytes, i64::MAX);
        let rules = Rules {
            max_file_bytes: max_file_bytes.unwrap_or(rules.max_file_bytes),
            ..rules
        };
        if let (Some(min), Some(max)) = (rules.min_duration_seconds, rules.max_duration_seconds)
            && min > max
        {
            let other = "min_duration_seconds";
            checks.add("max_duration_seconds", Problem::NotAfter { other });
        }
        rules
    }
}

/// Returns a rule of the plan, if it has one: none within where it is zero.
#[expect(clippy::option_option, reason = "unchanged, removed or set")]
fn checked(
    checks: &mut Checks,
    field: &'static str,
    new: Option<i64>,
    max: i64,
) -> Option<Option<i64>> {
    let new = new?;
    if !(0..=max).contains(&new) {
        let max = u32::try_from(max).unwrap_or(u32::MAX);
        checks.add(field, Problem::OutOfRange { min: 0, max });
    }
    Some((new > 0).then_some(new))
}

fn is_slug(text: &str) -> bool {
    text.split('-').all(|word| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_local_unless_they_have_an_offset() {
        let local = |text| {
            NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S")
                .map(Moment::Local)
                .unwrap()
        };
        for (text, moment) in [
            ("2026-12-03 08:00", Some(local("2026-12-03 08:00:00"))),
            ("2026-12-03T08:00", Some(local("2026-12-03 08:00:00"))),
            (" 2026-12-03T08:00:30 ", Some(local("2026-12-03 08:00:30"))),
            ("2026-12-03", Some(local("2026-12-03 00:00:00"))),
            ("now", Some(Moment::Now)),
            ("03/12/2026", None),
            ("2026-12-03 25:00", None),
            ("", None),
        ] {
            assert_eq!(text.parse().ok(), moment, "{text}");
        }
        let at: Moment = "2026-12-03T08:00:00-05:00".parse().unwrap();
        assert_eq!(at, "2026-12-03T13:00:00Z".parse().unwrap());
    }

    #[test]
    fn slugs_are_lower_case_words() {
        for (text, is_valid) in [
            ("rising-stars-2026", true),
            ("a", true),
            ("", false),
            ("-a", false),
            ("a--b", false),
            ("Rising", false),
            ("año", false),
            ("a b", false),
        ] {
            assert_eq!(is_slug(text), is_valid, "{text}");
        }
    }

    #[test]
    fn plan_without_end_names_all_that_is_missing() {
        let errors = Plan::default().complete("").unwrap_err();
        let fields: Vec<_> = errors.iter().map(|error| error.field).collect();
        assert_eq!(fields, ["slug", "voting_close_at", "name"]);
    }
}
