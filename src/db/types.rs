//! SQL enums as Rust enums.

use std::io::Write as _;

use clap::ValueEnum;
use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, IsNull, Output, ToSql},
};
use serde::Serialize;

use super::schema::sql_types;

/// The processing state of a video. `processed` and `failed` are final, unless an operator redrives
/// a failed video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow, Serialize)]
#[diesel(sql_type = sql_types::VideoStatus)]
#[serde(rename_all = "snake_case")]
pub enum VideoStatus {
    /// Stored, waiting for a worker.
    Uploaded,
    /// A worker holds its lease.
    Processing,
    /// Clip and poster are stored.
    Processed,
    /// Processing was given up, with a reason.
    Failed,
}

/// The permissions of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow, ValueEnum)]
#[diesel(sql_type = diesel::sql_types::Text)]
pub enum Role {
    /// Uploads videos and votes.
    Player,
    /// Also organises the contest.
    Organiser,
}

impl ToSql<diesel::sql_types::Text, Pg> for Role {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(match self {
            Self::Player => b"player",
            Self::Organiser => b"organiser",
        })?;
        Ok(IsNull::No)
    }
}

impl FromSql<diesel::sql_types::Text, Pg> for Role {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        match value.as_bytes() {
            b"player" => Ok(Self::Player),
            b"organiser" => Ok(Self::Organiser),
            other => Err(format!("unknown role {:?}", String::from_utf8_lossy(other)).into()),
        }
    }
}

impl ToSql<sql_types::VideoStatus, Pg> for VideoStatus {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(match self {
            Self::Uploaded => b"uploaded",
            Self::Processing => b"processing",
            Self::Processed => b"processed",
            Self::Failed => b"failed",
        })?;
        Ok(IsNull::No)
    }
}

impl FromSql<sql_types::VideoStatus, Pg> for VideoStatus {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        match value.as_bytes() {
            b"uploaded" => Ok(Self::Uploaded),
            b"processing" => Ok(Self::Processing),
            b"processed" => Ok(Self::Processed),
            b"failed" => Ok(Self::Failed),
            other => {
                Err(format!("unknown video_status {:?}", String::from_utf8_lossy(other)).into())
            }
        }
    }
}
