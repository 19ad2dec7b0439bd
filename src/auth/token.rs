//! Access tokens: JWTs (RFC 7519) signed with HMAC-SHA-256. A token can be taken back before it
//! expires: PostgreSQL knows, and each process asks it at most once per `TRUST` and token.

mod hmac;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    ExpressionMethods as _, QueryDsl as _, QueryableByName, insert_into,
    sql_types::{Array, BigInt, Bool, Nullable, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl as _;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use moka::future::Cache;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    batch::{self, Batcher, Shared},
    config::auth::Settings,
    db::{self, Connection, Db, now, prepared, schema::revoked_tokens},
    ids::UserId,
    shutdown::Shutdown,
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
    /// Of the secret that signs, and of the other one.
    decoding: Vec<DecodingKey>,
    /// What a token must be beside signed.
    rules: Validation,
    lifetime: Duration,
    /// Whether the token with this id is good.
    answers: Cache<Uuid, bool>,
    /// Asks the database, for all who ask at the same time in one statement.
    questions: Batcher<Question, Result<bool, Shared>>,
}

/// Whether a token is good.
#[derive(Debug, Clone, Copy)]
struct Question {
    user: UserId,
    token: Uuid,
    issued_at: DateTime<Utc>,
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
    pub fn new(settings: &Settings, db: Db, shutdown: &Shutdown) -> Self {
        hmac::install();
        let signing = &settings.jwt_secret;
        let secrets = [signing].into_iter().chain(&settings.jwt_secret_other);
        let asked = db.clone();
        let questions = Batcher::start(shutdown, move |questions| {
            let db = asked.clone();
            async move { answer(&db, &questions).await }
        });
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = 0;
        rules.set_required_spec_claims(&["exp", "sub"]);
        Self {
            questions,
            db,
            rules,
            encoding: EncodingKey::from_secret(signing.expose_secret().as_bytes()),
            decoding: secrets
                .map(|secret| DecodingKey::from_secret(secret.expose_secret().as_bytes()))
                .collect(),
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
        let rules = &self.rules;
        let mut decoded = self.decoding.iter().map(|key| decode(token, key, rules));
        let Some(Ok(decoded)) = decoded.find(Result::is_ok) else {
            return Ok(None);
        };
        let claims: Claims = decoded.claims;
        let Ok(user) = claims.sub.parse().map(UserId) else {
            return Ok(None);
        };
        let is_good = if let Some(answer) = self.answers.get(&claims.jti).await {
            answer
        } else {
            let question = Question {
                user,
                token: claims.jti,
                issued_at: claims.issued_at(),
            };
            let answer = self.questions.submit(question).await??;
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

/// Answers together.
async fn answer(db: &Db, questions: &[Question]) -> Vec<Result<bool, Shared>> {
    let answers = db::in_time(async {
        let mut connection = db.connection().await?;
        are_good(&mut connection, questions).await
    });
    batch::deal(answers.await, questions.len())
}

#[derive(QueryableByName)]
struct Known {
    #[diesel(sql_type = Bool)]
    is_there: bool,
    #[diesel(sql_type = Bool)]
    is_revoked: bool,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    valid_after: Option<DateTime<Utc>>,
}

/// Looks up tokens and their users, and returns one row for each, in their order. The LATERAL look-ups are by key even in
/// a plan that PostgreSQL made while a table was small.
pub const CHECK: &str = "
    SELECT users.id IS NOT NULL AS is_there, revoked_tokens.jti IS NOT NULL AS is_revoked,
        users.tokens_valid_after AS valid_after
    FROM unnest(?, ?) WITH ORDINALITY AS asked (user_id, token, number)
    LEFT JOIN LATERAL (SELECT id, tokens_valid_after FROM users WHERE id = user_id LIMIT 1) AS users ON true
    LEFT JOIN LATERAL (SELECT jti FROM revoked_tokens WHERE jti = token LIMIT 1) AS revoked_tokens ON true
    ORDER BY number";

/// Tells for each token whether its user still exists and it was not taken back, alone or with all older
/// ones.
async fn are_good(
    connection: &mut Connection,
    questions: &[Question],
) -> anyhow::Result<Vec<bool>> {
    let users: Vec<UserId> = questions.iter().map(|question| question.user).collect();
    let tokens: Vec<Uuid> = questions.iter().map(|question| question.token).collect();
    let known: Vec<Known> = prepared(CHECK)
        .bind::<Array<BigInt>, _>(users)
        .bind::<Array<SqlUuid>, _>(tokens)
        .load(connection)
        .await?;
    let answers = known.into_iter().zip(questions).map(|(known, question)| {
        let is_late = known
            .valid_after
            .is_none_or(|moment| moment < question.issued_at);
        known.is_there && !known.is_revoked && is_late
    });
    Ok(answers.collect())
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
