//! HTTP settings: the API's address, the origins that browsers may call it from, and rate limits.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::{Args, value_parser};
use url::Url;

/// HTTP settings.
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(next_help_heading = "HTTP")]
pub struct Settings {
    /// Address the API listens on
    #[arg(long, env, default_value = "0.0.0.0", value_name = "ADDRESS")]
    pub host: IpAddr,
    /// Port the API listens on; 0 picks a free one
    #[arg(long, env, default_value_t = 8080)]
    pub port: u16,
    /// Origin of absolute links, as in `https://anb.example`; unset for links relative to the root
    #[arg(long, env, value_name = "ORIGIN", value_parser = origin)]
    pub public_url: Option<String>,
    /// Text file with the data policy that the pages show; unset for a draft. Empty lines separate
    /// paragraphs, and `# ` begins a heading
    #[arg(long, env, value_name = "FILE")]
    pub privacy_policy: Option<PathBuf>,
    /// Origins whose pages may call the API, separated by commas; if unset, only the same origin
    #[arg(long, env, value_name = "ORIGINS", value_delimiter = ',', value_parser = origin)]
    pub cors_allowed_origins: Vec<String>,
    /// Number of trusted reverse proxies: this many last hops of `X-Forwarded-For` are trusted
    #[arg(long, env, default_value_t = 0, value_name = "COUNT",
          value_parser = value_parser!(u8).range(..=10))]
    pub trusted_proxies: u8,
    /// Failed logins per account and address; 10 times as many per account, 100 times per address
    #[arg(long, env, default_value = "10/min", value_name = "RATE")]
    pub login_rate: Rate,
    /// Sign-ups per address
    #[arg(long, env, default_value = "300/min", value_name = "RATE")]
    pub signup_rate: Rate,
    /// Uploads, votes and changes per account
    #[arg(long, env, default_value = "600/min", value_name = "RATE")]
    pub write_rate: Rate,
    /// Requests per address
    #[arg(long, env, default_value = "off", value_name = "RATE")]
    pub address_rate: Rate,
}

impl Settings {
    /// Returns the address that the API listens on.
    pub fn listen(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}

/// Accepts `scheme://host[:port]` and returns it as browsers serialize it (RFC 6454 §6.2).
fn origin(text: &str) -> anyhow::Result<String> {
    let url = Url::parse(text.trim()).context("write an origin, as in https://anb.example")?;
    ensure!(
        matches!(url.scheme(), "http" | "https") && url.path() == "/" && url.query().is_none(),
        "write only an origin, as in https://anb.example, with http or https and no path"
    );
    Ok(url.origin().ascii_serialization())
}

/// An internal listener: an address, a socket, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listener {
    Address(SocketAddr),
    /// A Unix socket, written as `unix:` and its path.
    Socket(PathBuf),
    Off,
}

impl FromStr for Listener {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Off);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Socket(PathBuf::from(path)));
        }
        text.parse()
            .map(Self::Address)
            .map_err(|error| format!("{error}: write 127.0.0.1:9464, unix:/path, or off"))
    }
}

/// A rate limit: `10/min`, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    Off,
    /// At most `count` per `period`, possibly in one burst.
    Limit {
        count: NonZeroU32,
        period: Duration,
    },
}

impl Rate {
    /// Returns the same rate for a group `factor` times as large.
    #[must_use]
    pub fn times(self, factor: NonZeroU32) -> Self {
        match self {
            Self::Off => Self::Off,
            Self::Limit { count, period } => Self::Limit {
                count: count.saturating_mul(factor),
                period,
            },
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "write a count and a unit, as in 10/s, 10/min or 10/h, or off";
        if text == "off" {
            return Ok(Self::Off);
        }
        let (count, unit) = text.split_once('/').ok_or(SHAPE)?;
        let seconds = match unit.trim() {
            "s" | "sec" | "second" => 1,
            "m" | "min" | "minute" => 60,
            "h" | "hour" => 3600,
            _ => return Err(SHAPE.to_owned()),
        };
        let count = count
            .trim()
            .parse()
            .map_err(|error| format!("{error}: {SHAPE}"))?;
        Ok(Self::Limit {
            count,
            period: Duration::from_secs(seconds),
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Limit { count, period } => write!(f, "{count} per {} s", period.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_count_per_unit_or_off() {
        let limit = |count, seconds| Rate::Limit {
            count: NonZeroU32::new(count).unwrap(),
            period: Duration::from_secs(seconds),
        };
        assert_eq!("10/min".parse(), Ok(limit(10, 60)));
        assert_eq!("5 / s".parse(), Ok(limit(5, 1)));
        assert_eq!("off".parse(), Ok(Rate::Off));
        for wrong in ["10", "0/min", "-1/s", "10/day", "/s", ""] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_origin_has_no_path() {
        assert_eq!(
            origin("https://anb.example/").unwrap(),
            "https://anb.example"
        );
        assert_eq!(
            origin(" http://localhost:3000").unwrap(),
            "http://localhost:3000"
        );
        for wrong in [
            "anb.example",
            "https://anb.example/app",
            "ftp://anb.example",
            "*",
            "",
        ] {
            assert!(origin(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_listener_can_be_off() {
        assert_eq!("off".parse(), Ok(Listener::Off));
        assert_eq!(
            "127.0.0.1:1".parse(),
            Ok(Listener::Address(([127, 0, 0, 1], 1).into()))
        );
        assert_eq!("unix:/run/x".parse(), Ok(Listener::Socket("/run/x".into())));
        assert!("localhost".parse::<Listener>().is_err());
    }
}
