//! Which broker wakes the workers, and how to reach it.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use deadpool_redis::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};
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
    /// PEM file with the authorities that `rediss://` trusts; unset: the system's
    #[arg(
        long = "redis-ssl-root-cert",
        env = "REDIS_SSL_ROOT_CERT",
        value_name = "FILE"
    )]
    pub redis_ssl_root_cert: Option<PathBuf>,
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
            redis_ssl_root_cert: None,
        }
    }

    /// Refuses an address that cannot be read, and authorities for a connection without TLS.
    pub fn validate(&self) -> anyhow::Result<()> {
        let address = self.redis()?;
        let is_encrypted = matches!(address.addr(), ConnectionAddr::TcpTls { .. });
        ensure!(
            self.redis_ssl_root_cert.is_none() || is_encrypted,
            "REDIS_SSL_ROOT_CERT is set, but only REDIS_URL=rediss://… checks certificates"
        );
        Ok(())
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

    #[test]
    fn authorities_without_tls_are_a_mistake() {
        let with_root = |url| Settings {
            redis_ssl_root_cert: Some("ca.pem".into()),
            ..Settings::redis_at(url)
        };
        with_root("rediss://redis:6380").validate().unwrap();
        for url in [
            "redis:6379",
            "redis://redis",
            "redis+unix:///run/redis.sock",
        ] {
            let error = with_root(url).validate().unwrap_err().to_string();
            assert!(error.starts_with("REDIS_SSL_ROOT_CERT "), "{error}");
        }
    }
}
