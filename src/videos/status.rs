//! The processing state of a video.

use std::io::Write as _;

use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, IsNull, Output, ToSql},
};
use serde::Serialize;

use crate::db::schema::sql_types;

/// The state of a video. `processed` and `failed` are final, unless an operator redrives
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
