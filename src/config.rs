//! Settings. Environment variables are the interface, and flags override them. Both are clap
//! arguments, with one `Args` struct per concern. Each command combines the concerns it needs. clap
//! derives flag and variable from the name of the field.
//!
//! There is no silent fallback. An invalid value stops the start with the variable's name
//! ([`crate::cli`]), and so does an impossible combination (`validate`).

pub mod auth;
pub mod aws;
pub mod database;
pub mod http;
pub mod log;
pub mod media;
pub mod queue;
pub mod storage;
pub mod worker;

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

/// `on` or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

/// Settings of database, queue and storage.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Backends {
    #[command(flatten)]
    pub database: database::Settings,
    #[command(flatten)]
    pub queue: queue::Settings,
    #[command(flatten)]
    pub storage: storage::Settings,
    #[command(flatten)]
    pub aws: aws::Settings,
}

impl Backends {
    pub fn validate(&self) -> anyhow::Result<()> {
        self.database.validate()?;
        self.queue.validate()?;
        self.storage.validate()
    }
}

/// Settings of `anb serve`.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Serve {
    /// Internal listener with `/metrics`; `off` for none
    #[arg(long, env, default_value = "127.0.0.1:9464", value_name = "ADDRESS")]
    pub metrics_addr: http::Listener,
    #[command(flatten)]
    pub http: http::Settings,
    #[command(flatten)]
    pub auth: auth::Settings,
    #[command(flatten)]
    pub upload: storage::UploadSettings,
    #[command(flatten)]
    pub quota: storage::QuotaSettings,
    #[command(flatten)]
    pub rules: media::RuleSettings,
    #[command(flatten)]
    pub backends: Backends,
    #[command(flatten)]
    pub stop: StopSettings,
}

impl Serve {
    pub fn validate(&self) -> anyhow::Result<()> {
        self.auth.validate()?;
        self.rules.validate().map_err(anyhow::Error::msg)?;
        self.backends.validate()
    }

    /// Returns whether this is a production site that does not know its https origin.
    pub fn lacks_https(&self) -> bool {
        let is_https = |url: &String| url.starts_with("https://");
        self.auth.environment == auth::Environment::Production
            && !self.http.public_url.as_ref().is_some_and(is_https)
    }
}

/// Settings of `anb work`.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Work {
    /// Internal listener with `/health`, `/ready` and `/metrics`; `off` for none
    #[arg(long, env, default_value = "127.0.0.1:9465", value_name = "ADDRESS")]
    pub metrics_addr: http::Listener,
    #[command(flatten)]
    pub worker: worker::Settings,
    #[command(flatten)]
    pub machine: worker::MachineSettings,
    #[command(flatten)]
    pub media: media::Settings,
    #[command(flatten)]
    pub upload: storage::UploadSettings,
    #[command(flatten)]
    pub backends: Backends,
    #[command(flatten)]
    pub stop: StopSettings,
}

impl Work {
    pub fn validate(&self) -> anyhow::Result<()> {
        self.worker.validate()?;
        self.media.validate().map_err(anyhow::Error::msg)?;
        self.backends.validate()?;
        self.backends.queue.validate_grace(self.stop.shutdown_grace)
    }
}

/// Settings of `anb dev`: those of `serve` and `work`, without the services that `dev` starts.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Dev {
    /// Folder for the private databases, the media and the logs
    #[arg(long, env = "ANB_DATA_DIR")]
    #[arg(default_value = ".anb", value_name = "FOLDER")]
    pub data_dir: PathBuf,
    #[command(flatten)]
    pub http: http::Settings,
    #[command(flatten)]
    pub auth: auth::Settings,
    #[command(flatten)]
    pub worker: worker::Settings,
    #[command(flatten)]
    pub media: media::Settings,
    #[command(flatten)]
    pub upload: storage::UploadSettings,
    #[command(flatten)]
    pub quota: storage::QuotaSettings,
    #[command(flatten)]
    pub stop: StopSettings,
}

/// Shutdown settings.
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(next_help_heading = "Stopping")]
pub struct StopSettings {
    /// Time to finish running work after SIGTERM; a second signal ends it at once [unit: 90s, 2m …]
    #[arg(long, env, default_value = "90s", value_name = "TIME", value_parser = duration)]
    pub shutdown_grace: Duration,
}

/// Parses a duration: a number with its unit (`500ms`, `45m`, `1h 30m`). Refuses zero.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text)
        .map_err(|error| format!("{error}: write a number with its unit, as in 10s, 45m or 1h"))?;
    if span.is_zero() {
        return Err("must be longer than zero".to_owned());
    }
    Ok(span)
}

/// Checks an `http://` or `https://` URL, and returns it without trailing slashes.
pub(crate) fn http_url(text: &str) -> Result<String, String> {
    let is_web = url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.host().is_some() && url.query().is_none()
    });
    if !is_web {
        return Err("write an http:// or https:// URL".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_a_unit() {
        assert_eq!(duration("45m"), Ok(Duration::from_mins(45)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["10", "", "0s", "-1s", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
