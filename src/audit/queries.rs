//! SQL on `audit`. A trigger numbers the entries without gaps; another refuses to change them.

use anyhow::ensure;
use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, QueryDsl as _, Queryable, QueryableByName, Selectable,
    SelectableHelper as _, sql_query,
    sql_types::{BigInt, Jsonb, Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl as _;
use serde_json::Value;
use uuid::Uuid;

use super::{Act, Actor, Entry};
use crate::{
    db::{Connection, schema::audit},
    ids::UserId,
};

/// An entry as it was written. Programs of later versions may have written acts unknown to this one.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = audit)]
pub struct Recorded {
    pub id: i64,
    pub at: DateTime<Utc>,
    /// None for a command.
    pub actor_id: Option<UserId>,
    /// The e-mail address of the account at that time, or the command.
    pub actor: String,
    pub act: String,
    pub subject: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
    pub request_id: Option<Uuid>,
}

/// The entries to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Only entries with lower numbers.
    pub before: Option<i64>,
    pub act: Option<Act>,
}

/// Writes an entry. Call it last in the transaction of the act, since others wait for its number
/// until the transaction ends.
pub async fn record(connection: &mut Connection, entry: &Entry<'_>) -> anyhow::Result<()> {
    let (user, command) = match &entry.by.actor {
        Actor::User(user) => (Some(*user), None),
        Actor::Command(command) => (None, Some(command)),
    };
    let insert = sql_query(
        "INSERT INTO audit (actor_id, actor, act, subject, before, after, request_id)
         SELECT $1, actor, $3, $4, $5, $6, $7
         FROM (SELECT coalesce($2, (SELECT email FROM users WHERE id = $1)) AS actor) AS actors
         WHERE actor IS NOT NULL",
    );
    let rows = insert
        .bind::<Nullable<BigInt>, _>(user)
        .bind::<Nullable<Text>, _>(command)
        .bind::<Text, _>(entry.act.name())
        .bind::<Text, _>(entry.subject.to_string())
        .bind::<Nullable<Jsonb>, _>(&entry.before)
        .bind::<Nullable<Jsonb>, _>(&entry.after)
        .bind::<Nullable<SqlUuid>, _>(entry.by.request)
        .execute(connection)
        .await?;
    ensure!(rows == 1, "the account of {} is gone", entry.by.actor);
    Ok(())
}

/// Returns entries, newest first.
pub async fn list(
    connection: &mut Connection,
    wanted: &Wanted,
    limit: i64,
) -> anyhow::Result<Vec<Recorded>> {
    let mut entries = audit::table
        .order(audit::id.desc())
        .limit(limit)
        .select(Recorded::as_select())
        .into_boxed();
    if let Some(before) = wanted.before {
        entries = entries.filter(audit::id.lt(before));
    }
    if let Some(act) = wanted.act {
        entries = entries.filter(audit::act.eq(act.name()));
    }
    Ok(entries.load(connection).await?)
}

/// Returns the ranges of numbers that no entry has, up to the number of entries written.
pub async fn gaps(connection: &mut Connection) -> anyhow::Result<Vec<(i64, i64)>> {
    #[derive(QueryableByName)]
    struct Gap {
        #[diesel(sql_type = BigInt)]
        first: i64,
        #[diesel(sql_type = BigInt)]
        last: i64,
    }
    let gaps: Vec<Gap> = sql_query(
        "SELECT previous + 1 AS first, id - 1 AS last
         FROM (
             SELECT id, lag(id, 1, 0::bigint) OVER (ORDER BY id) AS previous
             FROM (SELECT id FROM audit UNION ALL SELECT entries + 1 FROM audit_count) AS numbers) AS steps
         WHERE id > previous + 1
         ORDER BY id",
    )
    .load(connection)
    .await?;
    Ok(gaps.into_iter().map(|gap| (gap.first, gap.last)).collect())
}
