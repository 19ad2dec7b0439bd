//! The acts of staff: who did what, and by which request. The transaction of an act writes its entry
//! as well, so an act that cannot be recorded does not happen
//! (`docs/decisions/0031-roles-and-the-record-of-acts.md`).

pub mod handlers;
mod queries;

use std::fmt;

use serde_json::Value;
use uuid::Uuid;

use crate::{
    db::Db,
    ids::{UserId, VideoId},
};
pub use queries::{Recorded, Wanted, record};

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A logged-in member of staff. The entry keeps the account's e-mail address.
    User(UserId),
    /// An operator's command, with the host that it runs on.
    Command(String),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user {user}"),
            Self::Command(command) => f.write_str(command),
        }
    }
}

/// Who acts, and by which request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    pub actor: Actor,
    /// None for commands.
    pub request: Option<Uuid>,
}

impl By {
    /// Names an operator's command.
    pub fn command(command: impl Into<String>) -> Self {
        Self {
            actor: Actor::Command(command.into()),
            request: None,
        }
    }

    /// Names a member of staff and the request.
    pub fn user(user: UserId, request: Uuid) -> Self {
        Self {
            actor: Actor::User(user),
            request: Some(request),
        }
    }

    /// Returns the account that acts; none for commands.
    pub fn account(&self) -> Option<UserId> {
        match &self.actor {
            Actor::User(user) => Some(*user),
            Actor::Command(_) => None,
        }
    }
}

/// What an act is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    Video(VideoId),
    /// An account, by its e-mail address.
    Account(String),
    /// A contest, by its slug.
    Contest(String),
    /// The queue of videos.
    Queue,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Video(video) => write!(f, "video:{video}"),
            Self::Account(email) => write!(f, "account:{email}"),
            Self::Contest(slug) => write!(f, "contest:{slug}"),
            Self::Queue => f.write_str("queue"),
        }
    }
}

/// An act with its entry, written by [`record`].
#[derive(Debug)]
pub struct Entry<'a> {
    pub by: &'a By,
    pub act: Act,
    pub subject: Subject,
    /// What the act changed, as it was.
    pub before: Option<Value>,
    /// What the act changed, as it is now.
    pub after: Option<Value>,
}

/// Declares the acts with their stable names.
macro_rules! acts {
    ($($act:ident = $name:literal),+ $(,)?) => {
        /// What members of staff do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Act {
            $($act,)+
        }

        impl Act {
            /// Every act.
            pub const ALL: &[Self] = &[$(Self::$act,)+];

            /// Returns the stable name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$act => $name,)+
                }
            }
        }
    };
}

acts! {
    ContestCreated = "contest_created",
    ContestScheduled = "contest_scheduled",
    ContestFrozen = "contest_frozen",
    ContestPublished = "contest_published",
    ContestRemoved = "contest_removed",
    RoleGranted = "role_granted",
    PasswordReset = "password_reset",
    VideoHidden = "video_hidden",
    VideoShown = "video_shown",
    VideoRetried = "video_retried",
    QueueRedriven = "queue_redriven",
    ReportDismissed = "report_dismissed",
}

impl Act {
    /// Returns the act with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|act| act.name() == name)
    }
}

/// Returns entries, newest first.
pub async fn list(db: &Db, wanted: &Wanted, limit: i64) -> anyhow::Result<Vec<Recorded>> {
    let mut connection = db.connection().await?;
    queries::list(&mut connection, wanted, limit).await
}

/// Returns the numbers of the entries that are missing, as ranges from first to last.
pub async fn gaps(db: &Db) -> anyhow::Result<Vec<(i64, i64)>> {
    let mut connection = db.connection().await?;
    queries::gaps(&mut connection).await
}
