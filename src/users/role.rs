//! The permissions of an account.

use std::io::Write as _;

use clap::ValueEnum;
use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, IsNull, Output, ToSql},
    sql_types::Text,
};

/// The permissions of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow, ValueEnum)]
#[diesel(sql_type = Text)]
pub enum Role {
    /// Uploads videos and votes.
    Player,
    /// Also organises the contest.
    Organiser,
}

impl ToSql<Text, Pg> for Role {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(match self {
            Self::Player => b"player",
            Self::Organiser => b"organiser",
        })?;
        Ok(IsNull::No)
    }
}

impl FromSql<Text, Pg> for Role {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        match value.as_bytes() {
            b"player" => Ok(Self::Player),
            b"organiser" => Ok(Self::Organiser),
            other => Err(format!("unknown role {:?}", String::from_utf8_lossy(other)).into()),
        }
    }
}
