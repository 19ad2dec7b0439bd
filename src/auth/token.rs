//! Access tokens: JWTs (RFC 7519) signed with HMAC-SHA-256, which can be revoked before they
//! expire. Each process queries PostgreSQL for the status of a token at most once per `STATUS_TTL`.

mod hmac;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use moka::future::Cache;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Role,
    queries::{self, Status, TokenCheck},
};
use crate::{
    batch::{self, Batcher, SharedError},
    config::auth::Settings,
    db::{self, Db},
    ids::UserId,
    shutdown::{Shutdown, Task},
};

/// Lifetime of a cached token status. A revocation takes effect everywhere within 1 s.
const STATUS_TTL: Duration = Duration::from_millis(900);

/// Maximum cached token statuses.
const MAX_CACHED: u64 = 100_000;

/// Issues, checks and revokes tokens. Cheap to clone; clones share state.
#[derive(Clone)]
pub struct Tokens {
    db: Db,
    encoding: EncodingKey,
    /// The keys of the signing secret and of the other secret.
    decoding: Vec<DecodingKey>,
    /// Requirements on a token besides its signature.
    rules: Validation,
    lifetime: Duration,
    /// The status of the token with this id.
    status_cache: Cache<Uuid, Status>,
    /// Queries the database, with one statement for all concurrent checks.
    checks: Batcher<TokenCheck, Result<Status, SharedError>>,
}

/// The user who made a request, according to a valid token.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    pub user: UserId,
    /// The token's id.
    pub token: Uuid,
    /// When the token expires, in seconds since 1970.
    pub expires: u64,
    /// The role in the user's row. A change takes effect within 1 s.
    pub role: Role,
}

/// What a token is for. A token for one use is refused for the other, so a leaked one opens only
/// one door.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// The `Authorization` header of API clients.
    #[default]
    Api,
    /// The session cookie of browsers.
    Page,
}

impl Use {
    /// Returns whether the claim is left out, as in all tokens before there were two uses.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    /// The user's id.
    sub: String,
    jti: Uuid,
    /// Seconds since 1970 with a fraction (RFC 7519 allows it), which distinguishes a token issued
    /// just after a password change from one issued just before.
    iat: f64,
    exp: u64,
    #[serde(default, skip_serializing_if = "Use::is_default")]
    r#use: Use,
}

impl Claims {
    /// Returns when the token was issued. An out-of-range claim counts as 1970, so the token is
    /// rejected wherever its age matters.
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
    pub fn new(settings: &Settings, db: Db, shutdown: &Shutdown) -> Self {
        hmac::install();
        let signing = &settings.jwt_secret;
        let secrets = [signing].into_iter().chain(&settings.jwt_secret_other);
        let queried = db.clone();
        let checks = Batcher::start(shutdown, Task::TokenChecks, move |checks| {
            let db = queried.clone();
            async move { run_checks(&db, &checks).await }
        });
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = 0;
        rules.set_required_spec_claims(&["exp", "sub"]);
        Self {
            checks,
            db,
            rules,
            encoding: EncodingKey::from_secret(signing.expose_secret().as_bytes()),
            decoding: secrets
                .map(|secret| DecodingKey::from_secret(secret.expose_secret().as_bytes()))
                .collect(),
            lifetime: settings.jwt_expiration,
            status_cache: Cache::builder()
                .max_capacity(MAX_CACHED)
                .time_to_live(STATUS_TTL)
                .build(),
        }
    }

    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Issues a token for API clients.
    pub fn issue(&self, user: UserId) -> anyhow::Result<String> {
        self.sign(user, Use::Api, self.lifetime)
    }

    /// Issues a token for the session cookie of a browser.
    pub fn issue_for_page(&self, user: UserId, lifetime: Duration) -> anyhow::Result<String> {
        self.sign(user, Use::Page, lifetime)
    }

    fn sign(&self, user: UserId, r#use: Use, lifetime: Duration) -> anyhow::Result<String> {
        let now = since_1970();
        let claims = Claims {
            sub: user.to_string(),
            jti: Uuid::now_v7(),
            iat: now.as_secs_f64(),
            exp: (now + lifetime).as_secs(),
            r#use,
        };
        Ok(encode(
            &Header::new(Algorithm::HS256),
            &claims,
            &self.encoding,
        )?)
    }

    /// Returns the caller that holds `token`, or `None` if it is invalid, expired, revoked or for
    /// another use. Returns an error if the database is unavailable.
    pub async fn verify(&self, token: &str, r#use: Use) -> anyhow::Result<Option<Caller>> {
        let rules = &self.rules;
        let mut decoded = self.decoding.iter().map(|key| decode(token, key, rules));
        let Some(Ok(decoded)) = decoded.find(Result::is_ok) else {
            return Ok(None);
        };
        let claims: Claims = decoded.claims;
        if claims.r#use != r#use {
            return Ok(None);
        }
        let Ok(user) = claims.sub.parse().map(UserId) else {
            return Ok(None);
        };
        let status = if let Some(status) = self.status_cache.get(&claims.jti).await {
            status
        } else {
            let check = TokenCheck {
                user,
                token: claims.jti,
                issued_at: claims.issued_at(),
            };
            let status = self.checks.submit(check).await??;
            // Keeps the entry of a concurrent `revoke`, since this status may be older.
            let entry = self.status_cache.entry(claims.jti);
            entry.or_insert(status).await.into_value()
        };
        Ok(match status {
            Status::Invalid => None,
            Status::Valid { role } => Some(Caller {
                user,
                token: claims.jti,
                expires: claims.exp,
                role,
            }),
        })
    }

    /// Revokes the caller's token: at once in this process, within 1 s in all others.
    pub async fn revoke(&self, caller: Caller) -> anyhow::Result<()> {
        let mut connection = self.db.connection().await?;
        queries::revoke(&mut connection, caller.token, caller.expires).await?;
        self.status_cache
            .insert(caller.token, Status::Invalid)
            .await;
        Ok(())
    }
}

async fn run_checks(db: &Db, checks: &[TokenCheck]) -> Vec<Result<Status, SharedError>> {
    let statuses = db::with_timeout(async {
        let mut connection = db.connection().await?;
        queries::check(&mut connection, checks).await
    });
    batch::split_result(statuses.await, checks.len())
}

fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
}
