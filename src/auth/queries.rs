//! SQL on `revoked_tokens`, and the users of tokens.

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, QueryDsl as _, QueryableByName, insert_into,
    sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl as _;
use uuid::Uuid;

use super::Role;
use crate::{
    db::{Connection, now, prepared, schema::revoked_tokens},
    ids::UserId,
};

/// A token whose status is to be queried.
#[derive(Debug, Clone, Copy)]
pub struct TokenCheck {
    pub user: UserId,
    pub token: Uuid,
    pub issued_at: DateTime<Utc>,
}

#[derive(QueryableByName)]
struct TokenStatus {
    #[diesel(sql_type = Bool)]
    is_there: bool,
    #[diesel(sql_type = Bool)]
    is_revoked: bool,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    valid_after: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Text>)]
    role: Option<String>,
}

/// The status of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The user was deleted, or the token was revoked.
    Invalid,
    Valid {
        role: Role,
    },
}

/// Returns one row for each token and its user, in their order. The LATERAL look-ups use the keys
/// even in a plan that PostgreSQL made while a table was small.
pub const CHECK: &str = "
    SELECT users.id IS NOT NULL AS is_there, revoked_tokens.jti IS NOT NULL AS is_revoked,
        users.tokens_valid_after AS valid_after, users.role
    FROM unnest(?, ?) WITH ORDINALITY AS asked (user_id, token, number)
    LEFT JOIN LATERAL (SELECT id, tokens_valid_after, role FROM users WHERE id = user_id LIMIT 1) AS users ON true
    LEFT JOIN LATERAL (SELECT jti FROM revoked_tokens WHERE jti = token LIMIT 1) AS revoked_tokens ON true
    ORDER BY number";

/// Returns the status of each token. It is valid if its user still exists and it was not revoked,
/// neither alone nor together with all older tokens.
pub async fn check(
    connection: &mut Connection,
    checks: &[TokenCheck],
) -> anyhow::Result<Vec<Status>> {
    let users: Vec<UserId> = checks.iter().map(|check| check.user).collect();
    let tokens: Vec<Uuid> = checks.iter().map(|check| check.token).collect();
    let statuses: Vec<TokenStatus> = prepared(CHECK)
        .bind::<Array<BigInt>, _>(users)
        .bind::<Array<SqlUuid>, _>(tokens)
        .load(connection)
        .await?;
    let found = statuses.into_iter().zip(checks).map(|(status, check)| {
        let is_recent = status
            .valid_after
            .is_none_or(|moment| moment < check.issued_at);
        if status.is_there && !status.is_revoked && is_recent {
            Status::Valid {
                role: status.role.as_deref().map_or(Role::Player, Role::from_row),
            }
        } else {
            Status::Invalid
        }
    });
    Ok(found.collect())
}

/// Revokes a token that expires at `expires` (s since 1970). Concurrent logouts insert one row.
pub async fn revoke(connection: &mut Connection, token: Uuid, expires: u64) -> anyhow::Result<()> {
    let expires = i64::try_from(expires)
        .ok()
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    insert_into(revoked_tokens::table)
        .values((
            revoked_tokens::jti.eq(token),
            revoked_tokens::expires_at.eq(expires.unwrap_or(DateTime::<Utc>::MAX_UTC)),
        ))
        .on_conflict_do_nothing()
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes expired tokens from the list of revoked tokens.
pub async fn delete_expired(connection: &mut Connection) -> anyhow::Result<usize> {
    let expired = revoked_tokens::table.filter(revoked_tokens::expires_at.lt(now()));
    Ok(diesel::delete(expired).execute(connection).await?)
}
