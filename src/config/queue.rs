//! The broker that wakes the workers, and how to reach it.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use deadpool_redis::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};
use secrecy::{ExposeSecret as _, SecretString};

use super::http_url;

/// Minimum drain time with SQS: a long poll of 20 s, and the release of its messages.
const MIN_SQS_GRACE: Duration = Duration::from_secs(25);

/// Queue settings.
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(next_help_heading = "Queue")]
pub struct Settings {
    /// Broker that wakes the workers
    #[arg(long, env, default_value = "redis", value_name = "BROKER")]
    pub queue_type: QueueType,
    /// Redis: `host:port`, or a URL (`redis://`, `rediss://` for TLS, `redis+unix://` for sockets)
    #[arg(long, env, default_value = "redis:6379", value_name = "ADDRESS")]
    #[arg(hide_env_values = true)]
    pub redis_url: SecretString,
    /// PEM file with the certificate authorities for `rediss://`; if unset, the system's
    #[arg(long, env, value_name = "FILE")]
    pub redis_ssl_root_cert: Option<PathBuf>,
    /// SQS: region of the queue
    #[arg(long, env, default_value = "us-east-1", value_name = "REGION")]
    pub sqs_region: String,
    /// SQS: URL of the queue, a standard queue; required with `QUEUE_TYPE=sqs`
    #[arg(long, env, value_name = "URL", value_parser = http_url)]
    pub sqs_queue_url: Option<String>,
    /// SQS: URL of the dead-letter queue; if unset, the one in the queue's redrive policy
    #[arg(long, env, value_name = "URL", value_parser = http_url)]
    pub sqs_dlq_url: Option<String>,
    /// SQS: endpoint of an emulator; if unset, `AWS_ENDPOINT_URL`, else the host of `SQS_QUEUE_URL`
    #[arg(long, env = "AWS_ENDPOINT_URL_SQS", value_name = "URL", value_parser = http_url)]
    pub sqs_endpoint_url: Option<String>,
}

/// Broker that wakes the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum QueueType {
    /// Redis Streams.
    Redis,
    /// Amazon SQS.
    Sqs,
}

impl Settings {
    pub fn redis_at(url: &str) -> Self {
        Self {
            queue_type: QueueType::Redis,
            redis_url: SecretString::from(url),
            redis_ssl_root_cert: None,
            sqs_region: "us-east-1".to_owned(),
            sqs_queue_url: None,
            sqs_dlq_url: None,
            sqs_endpoint_url: None,
        }
    }

    /// Refuses an invalid address, or one that contradicts the other settings.
    pub fn validate(&self) -> anyhow::Result<()> {
        match self.queue_type {
            QueueType::Redis => self.validate_redis(),
            QueueType::Sqs => self.validate_sqs(),
        }
    }

    /// Refuses a drain time that is too short for a receive from SQS.
    pub fn validate_grace(&self, grace: Duration) -> anyhow::Result<()> {
        ensure!(
            self.queue_type != QueueType::Sqs || grace >= MIN_SQS_GRACE,
            "SHUTDOWN_GRACE={grace:?} is below {MIN_SQS_GRACE:?}: with QUEUE_TYPE=sqs a receive alone \
             may take 20s"
        );
        Ok(())
    }

    /// Refuses an invalid address, and certificate authorities for a connection without TLS.
    fn validate_redis(&self) -> anyhow::Result<()> {
        let address = self.redis()?;
        let is_encrypted = matches!(address.addr(), ConnectionAddr::TcpTls { .. });
        ensure!(
            self.redis_ssl_root_cert.is_none() || is_encrypted,
            "REDIS_SSL_ROOT_CERT is set, but only REDIS_URL=rediss://… checks certificates"
        );
        Ok(())
    }

    /// Refuses a queue that is missing, in another region or of the wrong kind.
    fn validate_sqs(&self) -> anyhow::Result<()> {
        let queue = self.sqs_queue()?;
        for (variable, url) in [
            ("SQS_QUEUE_URL", Some(&queue)),
            ("SQS_DLQ_URL", self.sqs_dlq_url.as_ref()),
        ] {
            let Some(url) = url else { continue };
            ensure!(
                url.rsplit_once('.').is_none_or(|(_, end)| end != "fifo"),
                "{variable}={url} is a FIFO queue: use a standard queue"
            );
            if let Some(region) = region_of(url) {
                ensure!(
                    region == self.sqs_region,
                    "{variable}={url} is in {region}, but SQS_REGION={}",
                    self.sqs_region
                );
            }
        }
        ensure!(
            self.sqs_dlq_url.as_ref() != Some(&queue),
            "SQS_DLQ_URL is SQS_QUEUE_URL: dead jobs would be delivered again"
        );
        Ok(())
    }

    pub fn sqs_queue(&self) -> anyhow::Result<String> {
        self.sqs_queue_url
            .clone()
            .context("SQS_QUEUE_URL is not set, and QUEUE_TYPE=sqs needs it")
    }

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

/// Returns the region from the host of a queue's URL at AWS, `sqs.<region>.amazonaws.com`.
fn region_of(url: &str) -> Option<&str> {
    let host = url.split('/').nth(2)?;
    let region = host.strip_prefix("sqs.")?;
    region
        .strip_suffix(".amazonaws.com")
        .or_else(|| region.strip_suffix(".amazonaws.com.cn"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqs_queues_are_set_and_in_their_region() {
        let sqs = |queue: &str, dead: Option<&str>| Settings {
            queue_type: QueueType::Sqs,
            sqs_queue_url: Some(queue.to_owned()),
            sqs_dlq_url: dead.map(str::to_owned),
            ..Settings::redis_at("unused")
        };
        let url = "https://sqs.us-east-1.amazonaws.com/123456789012/anb";
        sqs(url, None).validate().unwrap();
        sqs("http://127.0.0.1:4566/000000000000/anb", Some(url))
            .validate()
            .unwrap();
        let elsewhere = "https://sqs.us-west-2.amazonaws.com/123456789012/anb";
        for (settings, variable) in [
            (sqs(elsewhere, None), "SQS_QUEUE_URL="),
            (sqs(url, Some(elsewhere)), "SQS_DLQ_URL="),
            (sqs(&format!("{url}.fifo"), None), "SQS_QUEUE_URL="),
            (sqs(url, Some(url)), "SQS_DLQ_URL is SQS_QUEUE_URL"),
            (
                Settings {
                    sqs_queue_url: None,
                    ..sqs(url, None)
                },
                "SQS_QUEUE_URL is not set",
            ),
        ] {
            let error = settings.validate().unwrap_err().to_string();
            assert!(error.starts_with(variable), "{error}");
        }
        let short = sqs(url, None).validate_grace(Duration::from_secs(24));
        let error = short.unwrap_err().to_string();
        assert!(error.starts_with("SHUTDOWN_GRACE=24s "), "{error}");
    }

    #[test]
    fn an_address_is_host_and_port_or_a_url() {
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
    fn certificate_authorities_require_tls() {
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
