//! Which broker wakes the workers, and how to reach it.

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use deadpool_redis::redis::{ConnectionInfo, IntoConnectionInfo as _};
use secrecy::{ExposeSecret as _, SecretString};

/// Queue settings.
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(next_help_heading = "Queue")]
pub struct Settings {
    /// Which broker wakes the workers
    #[arg(
        long = "queue-type",
        env = "QUEUE_TYPE",
        default_value = "redis",
        value_name = "BROKER"
    )]
    pub queue_type: QueueType,
    /// Redis: `host:port`, or a URL (`redis://`, `rediss://` with TLS, `redis+unix://` a socket)
    #[arg(long = "redis-url", env = "REDIS_URL", default_value = "redis:6379", hide_env_values = true,
          value_name = "ADDRESS", value_parser = super::secret)]
    pub redis_url: SecretString,
}

/// Which broker wakes the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum QueueType {
    /// Redis Streams.
    Redis,
}

impl Settings {
    /// Returns the settings for the Redis at `url`.
    pub fn redis_at(url: &str) -> Self {
        Self {
            queue_type: QueueType::Redis,
            redis_url: SecretString::from(url),
        }
    }

    /// Refuses an address that cannot be read.
    pub fn validate(&self) -> anyhow::Result<()> {
        self.redis().map(drop)
    }

    /// Reads `REDIS_URL`.
    pub fn redis(&self) -> anyhow::Result<ConnectionInfo> {
        let address = self.redis_url.expose_secret();
        let url = if address.contains("://") {
            address.to_owned()
        } else {
            format!("redis://{address}")
        };
        url.into_connection_info()
            .context("REDIS_URL: write host:port or a redis://, rediss:// or redis+unix:// URL")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_pair_or_a_url() {
        for good in [
            "redis:6379",
            "localhost",
            "redis://:secret@host:1/2",
            "rediss://host:6380",
            "redis+unix:///run/redis.sock?db=3",
        ] {
            Settings::redis_at(good).redis().unwrap();
        }
        for wrong in ["http://host", "redis://host:port:9", "://"] {
            let error = Settings::redis_at(wrong).redis().unwrap_err().to_string();
            assert!(error.starts_with("REDIS_URL: "), "{wrong}: {error}");
        }
    }
}
