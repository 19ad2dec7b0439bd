//! Tokens: the secret that signs them and how long they live.

use std::time::Duration;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};

/// Signs tokens where nobody set a secret. Public, and so refused in production.
const DEVELOPMENT_SECRET: &str = "anb-development-secret-not-for-production";

/// Shortest secret for HMAC-SHA-256, in bytes (RFC 7518 §3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Authentication settings.
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(next_help_heading = "Authentication")]
pub struct Settings {
    /// `production` refuses weak secrets
    #[arg(
        long,
        env = "ENVIRONMENT",
        default_value = "development",
        value_name = "NAME"
    )]
    pub environment: Environment,
    /// Signs access tokens and media addresses; at least 32 bytes in production
    #[arg(long, env = "JWT_SECRET", default_value = DEVELOPMENT_SECRET, hide_default_value = true,
          hide_env_values = true, value_name = "SECRET", value_parser = super::secret)]
    pub jwt_secret: SecretString,
    /// Another secret, whose tokens and media addresses are accepted as well while secrets are rotated
    #[arg(long, env = "JWT_SECRET_OTHER", hide_env_values = true, value_name = "SECRET",
          value_parser = super::secret)]
    pub jwt_secret_other: Option<SecretString>,
    /// How long an access token is good for [unit: 45m, 1h, 24h …]
    #[arg(long, env = "JWT_EXPIRATION", default_value = "1h", value_name = "TIME",
          value_parser = super::duration)]
    pub jwt_expiration: Duration,
}

/// Where the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// A laptop or a test: weak secrets are accepted.
    Development,
    /// Players' data is at stake: weak secrets are refused.
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
                "{name} is not set, or is the public one of development: ENVIRONMENT=production needs a \
                 secret of its own, for example from `openssl rand -hex 32`"
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
