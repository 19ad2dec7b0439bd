//! Presigned URLs. One that was made with temporary credentials dies with them, whatever lifetime
//! it names (AWS Knowledge Center, *Why is my presigned URL for an Amazon S3 bucket expiring before
//! the expiration time that I specified?*; botocore issue 2604). So it names no longer lifetime
//! than that, and is made with the newest credentials.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use aws_sdk_s3::{
    Client,
    config::{Credentials, IdentityCache, ProvideCredentials as _, SharedCredentialsProvider},
    operation::get_object::builders::GetObjectFluentBuilder,
    presigning::PresigningConfig,
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::super::signature::{BUCKET_SECS, seconds};
use crate::aws::explain;

/// Maximum lifetime of a URL. Two time buckets, so that it is stable for one and lives for at least
/// another one.
const LIFETIME: Duration = Duration::from_secs(2 * BUCKET_SECS);

/// How often newer credentials are requested while those at hand outlive no URL. The metadata
/// service offers them at least five minutes before the old ones expire (Amazon EC2 User Guide,
/// *Retrieve security credentials from instance metadata*).
const REFRESH_EVERY: Duration = Duration::from_mins(1);

/// Timeout of a request for credentials.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A URL at which its holder can read an object until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresignedUrl {
    pub url: String,
    pub expires: SystemTime,
}

/// Signs with the newest credentials.
pub struct Presigner {
    client: Client,
    source: Option<SharedCredentialsProvider>,
    latest: Mutex<Option<Latest>>,
}

/// The newest credentials.
#[derive(Clone)]
struct Latest {
    /// Signs with them.
    client: Client,
    expiry: Option<SystemTime>,
    asked_at: Instant,
}

impl Presigner {
    /// Creates a presigner whose requests are those of `client`.
    pub fn new(client: &Client, source: Option<SharedCredentialsProvider>) -> Self {
        Self {
            client: client.clone(),
            source,
            latest: Mutex::new(None),
        }
    }

    /// Presigns a read. The URL is the same for one to two hours, unless the credentials change.
    /// Makes no request while the credentials outlive the URL.
    pub async fn presign(
        &self,
        read: impl FnOnce(&Client) -> GetObjectFluentBuilder,
    ) -> anyhow::Result<PresignedUrl> {
        let now = SystemTime::now();
        let Latest { client, expiry, .. } = self.latest(now).await?;
        let start = UNIX_EPOCH + Duration::from_secs(seconds(now) / BUCKET_SECS * BUCKET_SECS);
        let end = start + LIFETIME;
        let expires = expiry.map_or(end, |expiry| expiry.min(end));
        let lifetime = expires.duration_since(start).unwrap_or_default();
        let valid = PresigningConfig::builder()
            .start_time(start)
            // S3 counts whole seconds.
            .expires_in(Duration::from_secs(lifetime.as_secs()))
            .build()
            .context("configure a presigned URL")?;
        let signed = read(&client).presigned(valid).await;
        let signed = signed.map_err(explain).context("presign a URL")?;
        Ok(PresignedUrl {
            url: signed.uri().to_owned(),
            expires,
        })
    }

    /// Returns the newest credentials. Concurrent callers wait for one request. If it fails, the
    /// credentials at hand are used until they expire.
    async fn latest(&self, now: SystemTime) -> anyhow::Result<Latest> {
        let mut latest = self.latest.lock().await;
        if let Some(known) = latest.as_ref().filter(|known| !known.is_due(now)) {
            return Ok(known.clone());
        }
        let fresh = match (self.ask().await, latest.take()) {
            (Ok(credentials), _) => self.sign_with(credentials),
            (Err(error), Some(known)) if !known.is_expired(now) => {
                tracing::warn!("failed to refresh the credentials, will retry: {error:#}");
                Latest {
                    asked_at: Instant::now(),
                    ..known
                }
            }
            (Err(error), _) => return Err(error),
        };
        Ok(latest.insert(fresh).clone())
    }

    async fn ask(&self) -> anyhow::Result<Credentials> {
        let source = self.source.as_ref().context("there are no credentials")?;
        let asked = timeout(TIMEOUT, source.provide_credentials()).await;
        asked
            .context("credentials")?
            .context("credentials for a presigned URL")
    }

    fn sign_with(&self, credentials: Credentials) -> Latest {
        let expiry = credentials.expiry();
        let config = self.client.config().to_builder();
        let config = config
            .identity_cache(IdentityCache::no_cache())
            .credentials_provider(credentials);
        Latest {
            client: Client::from_conf(config.build()),
            expiry,
            asked_at: Instant::now(),
        }
    }
}

impl Latest {
    /// Returns whether newer credentials should be requested.
    fn is_due(&self, now: SystemTime) -> bool {
        let outlives_urls = self.expiry.is_none_or(|expiry| expiry >= now + LIFETIME);
        let is_recent = self.asked_at.elapsed() < REFRESH_EVERY;
        !outlives_urls && (!is_recent || self.is_expired(now))
    }

    fn is_expired(&self, now: SystemTime) -> bool {
        self.expiry.is_some_and(|expiry| expiry <= now)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::config::{BehaviorVersion, Config};

    use super::*;

    /// Returns credentials that expire in `left` and were requested `ago` before now.
    fn credentials(left: Option<Duration>, ago: Duration) -> Latest {
        let config = Config::builder().behavior_version(BehaviorVersion::latest());
        Latest {
            client: Client::from_conf(config.build()),
            expiry: left.map(|left| SystemTime::now() + left),
            asked_at: Instant::now().checked_sub(ago).unwrap(),
        }
    }

    #[test]
    fn credentials_are_refreshed_once_a_minute_unless_they_outlive_every_url() {
        let is_due = |left, ago| credentials(left, ago).is_due(SystemTime::now());
        let long = Some(LIFETIME + Duration::from_mins(1));
        let soon = Some(LIFETIME / 2);
        assert!(!is_due(None, 2 * REFRESH_EVERY));
        assert!(!is_due(long, 2 * REFRESH_EVERY));
        assert!(!is_due(soon, Duration::ZERO));
        assert!(is_due(soon, REFRESH_EVERY));
        // Expired ones are of no use.
        assert!(is_due(Some(Duration::ZERO), Duration::ZERO));
    }

    #[tokio::test]
    async fn credentials_are_used_until_they_expire_if_there_are_no_newer_ones() {
        let known = credentials(Some(Duration::from_mins(10)), REFRESH_EVERY);
        let presigner = Presigner {
            client: known.client.clone(),
            source: None,
            latest: Mutex::new(Some(known.clone())),
        };
        let now = SystemTime::now();
        let used = presigner.latest(now).await.unwrap();
        assert_eq!(used.expiry, known.expiry);
        assert!(!used.is_due(now), "the next request waits a minute");
        let later = now + Duration::from_mins(11);
        assert!(presigner.latest(later).await.is_err());
    }
}
