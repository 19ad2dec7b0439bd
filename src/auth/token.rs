//! Access tokens: JWTs (RFC 7519) signed with HMAC-SHA-256. A token can be taken back before it
//! expires: PostgreSQL knows, and each process asks it at most once per `TRUST` and token.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    ExpressionMethods as _, OptionalExtension as _, QueryDsl as _, dsl::exists, insert_into,
};
use diesel_async::RunQueryDsl as _;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use moka::future::Cache;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    config::auth::Settings,
    db::{
        Connection, Db, now,
        schema::{revoked_tokens, users},
    },
    ids::UserId,
};

/// How long an answer about a token is believed: a revocation works everywhere within 1 s.
const TRUST: Duration = Duration::from_millis(900);

/// Most answers that are remembered.
const REMEMBERED: u64 = 100_000;

/// Issues, checks and takes back tokens; clones share their memory.
#[derive(Clone)]
pub struct Tokens {
    db: Db,
    encoding: EncodingKey,
    decoding: DecodingKey,
    lifetime: Duration,
    /// Whether the token with this id is good.
    answers: Cache<Uuid, bool>,
}

/// Who made a request, as a good token says.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    pub user: UserId,
    /// The token's id.
    pub token: Uuid,
    /// When the token expires, in seconds since 1970.
    pub expires: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    /// The user's id.
    sub: String,
    jti: Uuid,
    /// Seconds since 1970 with fraction (RFC 7519 allows it), so that a token issued just after a
    /// password change is told from one issued just before.
    iat: f64,
    exp: u64,
}

impl Claims {
    /// When the token was issued. A claim out of range counts as the beginning of time: refused where
    /// it matters.
    fn issued_at(&self) -> DateTime<Utc> {
        Duration::try_from_secs_f64(self.iat)
            .ok()
            .and_then(|since| {
                DateTime::<Utc>::UNIX_EPOCH.checked_add_signed(TimeDelta::from_std(since).ok()?)
            })
            .unwrap_or(DateTime::UNIX_EPOCH)
    }
}

impl Tokens {
    /// Makes the tokens of this process.
    pub fn new(settings: &Settings, db: Db) -> Self {
        let secret = settings.jwt_secret.expose_secret().as_bytes();
        Self {
            db,
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            lifetime: settings.jwt_expiration,
            answers: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(TRUST)
                .build(),
        }
    }

    /// How long a new token is good for.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Issues a token to `user`.
    pub fn issue(&self, user: UserId) -> anyhow::Result<String> {
        let now = since_1970();
        let claims = Claims {
            sub: user.to_string(),
            jti: Uuid::now_v7(),
            iat: now.as_secs_f64(),
            exp: (now + self.lifetime).as_secs(),
        };
        Ok(encode(
            &Header::new(Algorithm::HS256),
            &claims,
            &self.encoding,
        )?)
    }

    /// Returns who holds `token`, or none if it is not ours, expired or taken back. Returns an error
    /// if the database cannot tell.
    pub async fn verify(&self, token: &str) -> anyhow::Result<Option<Caller>> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = 0;
        rules.set_required_spec_claims(&["exp", "sub"]);
        let Ok(decoded) = decode::<Claims>(token, &self.decoding, &rules) else {
            return Ok(None);
        };
        let claims = decoded.claims;
        let Ok(user) = claims.sub.parse().map(UserId) else {
            return Ok(None);
        };
        let is_good = if let Some(answer) = self.answers.get(&claims.jti).await {
            answer
        } else {
            let mut connection = self.db.connection().await?;
            let answer = is_good(&mut connection, user, &claims).await?;
            // What `revoke` wrote meanwhile stands: this answer may be older.
            let entry = self.answers.entry(claims.jti).or_insert(answer).await;
            entry.into_value()
        };
        Ok(is_good.then_some(Caller {
            user,
            token: claims.jti,
            expires: claims.exp,
        }))
    }

    /// Takes the caller's token back: at once in this process, within 1 s in all others.
    pub async fn revoke(&self, caller: Caller) -> anyhow::Result<()> {
        let mut connection = self.db.connection().await?;
        let expires = i64::try_from(caller.expires)
            .ok()
            .and_then(|s| DateTime::from_timestamp(s, 0));
        // The loser of two equal logouts finds the row there, which is what it wanted.
        insert_into(revoked_tokens::table)
            .values((
                revoked_tokens::jti.eq(caller.token),
                revoked_tokens::expires_at.eq(expires.unwrap_or(DateTime::<Utc>::MAX_UTC)),
            ))
            .on_conflict_do_nothing()
            .execute(&mut connection)
            .await?;
        self.answers.insert(caller.token, false).await;
        Ok(())
    }
}

/// Tells whether the user still exists and the token was not taken back, alone or with all older ones.
async fn is_good(
    connection: &mut Connection,
    user: UserId,
    claims: &Claims,
) -> anyhow::Result<bool> {
    let revoked = revoked_tokens::table.filter(revoked_tokens::jti.eq(claims.jti));
    let answer: Option<(Option<DateTime<Utc>>, bool)> = users::table
        .filter(users::id.eq(user))
        .select((users::tokens_valid_after, exists(revoked)))
        .first(connection)
        .await
        .optional()?;
    let Some((valid_after, is_revoked)) = answer else {
        return Ok(false);
    };
    Ok(!is_revoked && valid_after.is_none_or(|moment| moment < claims.issued_at()))
}

fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
}

/// Removes what expired by itself from the list of revoked tokens.
pub async fn forget_expired(connection: &mut Connection) -> anyhow::Result<usize> {
    let expired = revoked_tokens::table.filter(revoked_tokens::expires_at.lt(now()));
    Ok(diesel::delete(expired).execute(connection).await?)
}
