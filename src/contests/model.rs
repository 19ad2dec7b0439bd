//! A contest with its dates and rules, and where it stands.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::{
    QueryableByName,
    sql_types::{BigInt, Bool, Integer, Nullable, Text, Timestamp, Timestamptz},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::ids::ContestId;

/// A contest, as it was at the database's time `now`.
#[derive(Debug, Clone, QueryableByName)]
pub struct Contest {
    #[diesel(sql_type = BigInt)]
    pub id: ContestId,
    #[diesel(sql_type = Text)]
    pub slug: String,
    #[diesel(sql_type = Text)]
    pub name: String,
    /// IANA name.
    #[diesel(sql_type = Text)]
    pub time_zone: String,
    #[diesel(sql_type = Timestamptz)]
    pub submissions_open_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    pub submissions_close_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    pub voting_open_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    pub voting_close_at: DateTime<Utc>,
    #[diesel(embed)]
    pub rules: Rules,
    #[diesel(sql_type = Bool)]
    pub is_current: bool,
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub frozen_at: Option<DateTime<Utc>>,
    /// SHA-256 of the canonical JSON of the result, in hexadecimal.
    #[diesel(sql_type = Nullable<Text>)]
    pub digest: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub published_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Timestamptz)]
    pub now: DateTime<Utc>,
    /// The dates in the contest's time zone.
    #[diesel(embed)]
    pub local: LocalDates,
}

/// The dates of a contest in its time zone.
#[derive(Debug, Clone, Copy, QueryableByName)]
pub struct LocalDates {
    #[diesel(sql_type = Timestamp, column_name = submissions_open_local)]
    pub submissions_open: NaiveDateTime,
    #[diesel(sql_type = Timestamp, column_name = submissions_close_local)]
    pub submissions_close: NaiveDateTime,
    #[diesel(sql_type = Timestamp, column_name = voting_open_local)]
    pub voting_open: NaiveDateTime,
    #[diesel(sql_type = Timestamp, column_name = voting_close_local)]
    pub voting_close: NaiveDateTime,
    #[diesel(sql_type = Nullable<Timestamp>, column_name = frozen_local)]
    pub frozen: Option<NaiveDateTime>,
    #[diesel(sql_type = Nullable<Timestamp>, column_name = published_local)]
    pub published: Option<NaiveDateTime>,
}

/// The rules of a contest; none where there is no rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, QueryableByName, Serialize)]
pub struct Rules {
    /// Maximum votes of one person in one day of the contest's time zone.
    #[diesel(sql_type = Nullable<Integer>)]
    pub votes_per_day: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub votes_in_all: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub min_account_age_seconds: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub entries_per_player: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub min_duration_seconds: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub max_duration_seconds: Option<i32>,
    /// Counted on the shorter side of the upright picture.
    #[diesel(sql_type = Nullable<Integer>)]
    pub min_lines: Option<i32>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub max_file_bytes: Option<i64>,
}

impl Rules {
    /// Returns the rules with the names of their fields.
    pub fn with_fields(&self) -> [(&'static str, Option<i64>); 8] {
        [
            ("votes_per_day", self.votes_per_day.map(Into::into)),
            ("votes_in_all", self.votes_in_all.map(Into::into)),
            (
                "min_account_age_seconds",
                self.min_account_age_seconds.map(Into::into),
            ),
            (
                "entries_per_player",
                self.entries_per_player.map(Into::into),
            ),
            (
                "min_duration_seconds",
                self.min_duration_seconds.map(Into::into),
            ),
            (
                "max_duration_seconds",
                self.max_duration_seconds.map(Into::into),
            ),
            ("min_lines", self.min_lines.map(Into::into)),
            ("max_file_bytes", self.max_file_bytes),
        ]
    }
}

impl Contest {
    pub fn dates(&self) -> Dates<DateTime<Utc>> {
        Dates {
            submissions_open_at: self.submissions_open_at,
            submissions_close_at: self.submissions_close_at,
            voting_open_at: self.voting_open_at,
            voting_close_at: self.voting_close_at,
        }
    }
}

/// The four dates of a contest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dates<T> {
    pub submissions_open_at: T,
    pub submissions_close_at: T,
    pub voting_open_at: T,
    pub voting_close_at: T,
}

impl<T: Copy> Dates<T> {
    pub fn list(&self) -> [T; 4] {
        [
            self.submissions_open_at,
            self.submissions_close_at,
            self.voting_open_at,
            self.voting_close_at,
        ]
    }

    /// Returns the dates with the names of their fields.
    pub fn with_fields(&self) -> [(&'static str, T); 4] {
        [
            ("submissions_open_at", self.submissions_open_at),
            ("submissions_close_at", self.submissions_close_at),
            ("voting_open_at", self.voting_open_at),
            ("voting_close_at", self.voting_close_at),
        ]
    }

    /// Returns the dates in the order of [`Self::list`], or none if there are not four.
    pub fn from_list(list: &[T]) -> Option<Self> {
        let [a, b, c, d] = *list else { return None };
        Some(Self {
            submissions_open_at: a,
            submissions_close_at: b,
            voting_open_at: c,
            voting_close_at: d,
        })
    }
}

/// Where a contest stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It takes neither videos nor votes yet.
    Upcoming,
    /// It takes videos, and no votes yet.
    Submissions,
    /// It takes no videos any more, and no votes yet.
    Waiting,
    /// It takes votes, and perhaps videos.
    Voting,
    /// It takes no votes any more.
    Closed,
    /// The result is fixed, for the organisers to see.
    Frozen,
    /// The result is public.
    Published,
}

impl Phase {
    /// Returns the stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upcoming => "upcoming",
            Self::Submissions => "submissions",
            Self::Waiting => "waiting",
            Self::Voting => "voting",
            Self::Closed => "closed",
            Self::Frozen => "frozen",
            Self::Published => "published",
        }
    }
}

impl Contest {
    /// Returns the phase at the time `now`.
    pub fn phase(&self, now: DateTime<Utc>) -> Phase {
        if self.published_at.is_some() {
            Phase::Published
        } else if self.frozen_at.is_some() {
            Phase::Frozen
        } else if now >= self.voting_close_at {
            Phase::Closed
        } else if now >= self.voting_open_at {
            Phase::Voting
        } else if now < self.submissions_open_at {
            Phase::Upcoming
        } else if now < self.submissions_close_at {
            Phase::Submissions
        } else {
            Phase::Waiting
        }
    }

    /// Returns whether the contest takes videos at the time `now`.
    pub fn takes_videos(&self, now: DateTime<Utc>) -> bool {
        self.frozen_at.is_none()
            && now >= self.submissions_open_at
            && now < self.submissions_close_at
    }
}

impl Contest {
    /// Returns what the record of acts keeps: dates, rules, and how far the contest is.
    pub fn recorded(&self) -> Value {
        let mut recorded = serde_json::Map::new();
        recorded.insert("name".to_owned(), json!(self.name));
        recorded.insert("time_zone".to_owned(), json!(self.time_zone));
        for (field, at) in self.dates().with_fields() {
            recorded.insert(field.to_owned(), json!(at));
        }
        for (field, rule) in self.rules.with_fields() {
            if rule.is_some() {
                recorded.insert(field.to_owned(), json!(rule));
            }
        }
        for (field, at) in [
            ("frozen_at", self.frozen_at),
            ("published_at", self.published_at),
        ] {
            if at.is_some() {
                recorded.insert(field.to_owned(), json!(at));
            }
        }
        if let Some(digest) = &self.digest {
            recorded.insert("digest".to_owned(), json!(digest));
        }
        Value::Object(recorded)
    }
}
