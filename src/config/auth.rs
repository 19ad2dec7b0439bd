//! Access tokens: the secrets that sign them, and their lifetime.

use std::time::Duration;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};

use super::duration;

/// Default signing secret. It is public, and therefore refused in production.
const DEVELOPMENT_SECRET: &str = "anb-development-secret-not-for-production";

/// Minimum length of a secret for HMAC-SHA-256, in bytes (RFC 7518 §3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Authentication settings.
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(next_help_heading = "Authentication")]
pub struct Settings {
    /// `production` refuses weak secrets
    #[arg(long, env, default_value = "development", value_name = "NAME")]
    pub environment: Environment,
    /// Secret that signs access tokens and media URLs; at least 32 bytes in production
    #[arg(long, env, default_value = DEVELOPMENT_SECRET, hide_default_value = true,
          hide_env_values = true, value_name = "SECRET")]
    pub jwt_secret: SecretString,
    /// Second secret whose tokens and media URLs are also accepted, for rotating secrets
    #[arg(long, env, hide_env_values = true, value_name = "SECRET")]
    pub jwt_secret_other: Option<SecretString>,
    /// Lifetime of an access token [unit: 45m, 1h, 24h …]
    #[arg(long, env, default_value = "1h", value_name = "TIME", value_parser = duration)]
    pub jwt_expiration: Duration,
    /// Lifetime of a browser's session that is to stay open; others end with the browser, at the
    /// latest after 12 h [unit: 12h, 30d …]
    #[arg(long, env, default_value = "30d", value_name = "TIME", value_parser = duration)]
    pub session_expiration: Duration,
}

/// The kind of deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// A laptop or a test; accepts weak secrets.
    Development,
    /// A deployment with players' data; refuses weak secrets.
    Production,
}

impl Settings {
    /// Refuses a weak secret in production.
    pub fn validate(&self) -> anyhow::Result<()> {
        if self.environment == Environment::Development {
            return Ok(());
        }
        for (name, secret) in [
            ("JWT_SECRET", Some(&self.jwt_secret)),
            ("JWT_SECRET_OTHER", self.jwt_secret_other.as_ref()),
        ] {
            let Some(secret) = secret else { continue };
            let secret = secret.expose_secret();
            ensure!(
                secret != DEVELOPMENT_SECRET,
                "{name} is not set, or is the public development secret: ENVIRONMENT=production needs a \
                 private one, for example from `openssl rand -hex 32`"
            );
            let bytes = secret.len();
            ensure!(
                bytes >= MIN_SECRET_BYTES,
                "{name} has {bytes} bytes: ENVIRONMENT=production needs at least \
                 {MIN_SECRET_BYTES}, for example from `openssl rand -hex 32`"
            );
        }
        Ok(())
    }
}
