//! The role of an account.

use std::io::Write as _;

use clap::ValueEnum;
use diesel::{
    expression::AsExpression,
    pg::Pg,
    serialize::{self, IsNull, Output, ToSql},
    sql_types::Text,
};

/// The role of an account. [`super::permissions`] says what each may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, ValueEnum)]
#[diesel(sql_type = Text)]
pub enum Role {
    /// Uploads videos and votes, as everybody does.
    Player,
    /// Also hides and shows clips.
    Moderator,
    /// Also runs the contest, and does what moderators and operators do.
    Organiser,
    /// Also looks after the queue.
    Operator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [
        Self::Player,
        Self::Moderator,
        Self::Organiser,
        Self::Operator,
    ];

    /// Returns the stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Player => "player",
            Self::Moderator => "moderator",
            Self::Organiser => "organiser",
            Self::Operator => "operator",
        }
    }

    /// Returns the role with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Returns the role in a row. One that a later version has granted permits nothing here.
    pub fn from_row(name: &str) -> Self {
        Self::from_name(name).unwrap_or(Self::Player)
    }
}

impl ToSql<Text, Pg> for Role {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(self.name().as_bytes())?;
        Ok(IsNull::No)
    }
}
