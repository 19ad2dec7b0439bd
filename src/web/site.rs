//! What all pages of a process share: the public address, the security headers, the cities.

use std::{sync::Arc, time::Duration};

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use anyhow::Context as _;
use moka::future::Cache;
use tokio::sync::OnceCell;

use super::result_cache::ResultCache;
use crate::{
    app::App,
    batch::SharedError,
    cities,
    config::http::Settings,
    listing::{self, City},
};

/// Maximum number of cities in a list of choices.
const MAX_CITIES: i64 = 60;

/// How long a list of cities is kept. It changes slowly, and counting reads all public videos.
const CITIES_TTL: Duration = Duration::from_mins(1);

/// Features of browsers that no page uses.
const PERMISSIONS: HeaderValue =
    HeaderValue::from_static("camera=(), microphone=(), geolocation=()");

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// How long browsers insist on https (RFC 6797), on an https site.
const TRANSPORT_SECURITY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Shared by all pages of a process.
pub struct Site {
    /// Origin of absolute addresses.
    pub public_url: Option<String>,
    /// The organisers' data policy, in place of the draft.
    pub privacy_policy: Option<String>,
    content_policy: HeaderValue,
    pub results: ResultCache,
    cities: Cache<(), Arc<Vec<City>>>,
    places: OnceCell<Vec<String>>,
}

impl Site {
    /// Returns an error naming the variable if the data policy cannot be read.
    pub async fn new(app: &App, settings: &Settings) -> anyhow::Result<Self> {
        let privacy_policy = match &settings.privacy_policy {
            None => None,
            Some(file) => {
                let text = tokio::fs::read_to_string(file).await;
                Some(text.with_context(|| format!("PRIVACY_POLICY={}", file.display()))?)
            }
        };
        let media = app.media_urls.origins().await?;
        let policy = content_policy(&media.join(" "));
        Ok(Self {
            public_url: settings.public_url.clone(),
            privacy_policy,
            content_policy: HeaderValue::try_from(policy).context("content security policy")?,
            results: ResultCache::new(),
            cities: Cache::builder()
                .max_capacity(1)
                .time_to_live(CITIES_TTL)
                .build(),
            places: OnceCell::new(),
        })
    }

    /// Returns the cities with the most public videos. One request at a time reads them.
    pub async fn cities(&self, app: &App) -> anyhow::Result<Arc<Vec<City>>> {
        let read = async {
            let cities = listing::cities(&app.backends.db, MAX_CITIES).await;
            cities.map(Arc::new)
        };
        let cities = self.cities.try_get_with((), read).await;
        Ok(cities.map_err(SharedError::from)?)
    }

    /// Returns the most populous places, as `name, department`. They change with migrations only.
    pub async fn places(&self, app: &App) -> anyhow::Result<&[String]> {
        let read = async || {
            let places = cities::find(app, "").await?;
            let names = places
                .iter()
                .map(|place| format!("{}, {}", place.name, place.department));
            anyhow::Ok(names.collect())
        };
        Ok(self.places.get_or_try_init(read).await?)
    }

    /// Returns the absolute address of a path, if the public address is known.
    pub fn absolute(&self, path: &str) -> Option<String> {
        let origin = self.public_url.as_ref()?;
        Some(format!("{origin}{path}"))
    }

    /// Adds the security headers of pages.
    pub fn protect(&self, headers: &mut HeaderMap) {
        headers.insert(header::CONTENT_SECURITY_POLICY, self.content_policy.clone());
        // Sites that pages link to learn nothing; our own requests name their page.
        headers.insert(
            header::REFERRER_POLICY,
            HeaderValue::from_static("same-origin"),
        );
        headers.insert(
            header::CROSS_ORIGIN_OPENER_POLICY,
            HeaderValue::from_static("same-origin"),
        );
        headers.insert(PERMISSIONS_POLICY, PERMISSIONS);
        let url = self.public_url.as_deref();
        if url.is_some_and(|url| url.starts_with("https://")) {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, TRANSPORT_SECURITY);
        }
    }
}

/// Returns the content security policy (CSP level 3) of pages whose media have these origins.
/// Nothing is inline, and no script can turn text into markup (Trusted Types).
fn content_policy(media: &str) -> String {
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        &format!("img-src 'self' {media}"),
        &format!("media-src 'self' {media}"),
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
    .map(str::trim)
    .join("; ")
}
