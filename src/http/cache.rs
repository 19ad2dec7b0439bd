//! Cache of public lists and pages. Each process caches pages for a moment, so that the load on the
//! database does not depend on the number of clients. Browsers and CDNs may cache pages while they
//! are current, and get 304 for an unchanged one (RFC 9110 §8.8.3, §13.1.2; RFC 9111 §5.1).

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, EntityTag, HeaderValue},
    },
    web::Bytes,
};
use moka::{Expiry, future::Cache};
use serde::Serialize;

use super::{
    page::{Next, Page},
    representation::{Complete, HTML, accepts_gzip, begin_response, gzip, tag_of},
};
use crate::{app::counting, batch::SharedError};

/// Age from which the next request refreshes a page while all others get the cached one
/// (stale-while-revalidate). Ages include the counters' maximum lag ([`counting::MAX_LAG`]).
const FRESH: Duration = Duration::from_millis(1500);

/// Maximum age of a page that is served.
const STALE: Duration = Duration::from_secs(2);

/// HTTP caches add the `Age` header, rounded down, so none shows a page older than [`STALE`].
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=1");

/// Maximum size of the cache (bytes).
const CAPACITY: u64 = 32 * 1024 * 1024;

/// Memory that a page takes in addition to its key and body (bytes).
const OVERHEAD: usize = 512;

/// Cache of recent pages. Cheap to clone; clones share state.
#[derive(Clone)]
pub struct PageCache {
    pages: Cache<String, Arc<CachedPage>>,
}

/// A page as it was built.
pub struct Built {
    status: StatusCode,
    body: Vec<u8>,
    content_type: &'static str,
    next: Next,
}

impl Built {
    /// One page of a list, in JSON.
    pub fn list<T: Serialize>(entries: &[T], next: Next) -> anyhow::Result<Self> {
        Ok(Self {
            status: StatusCode::OK,
            body: serde_json::to_vec(entries)?,
            content_type: "application/json",
            next,
        })
    }

    /// A page for people. A page that says what is missing is cached as well.
    pub fn html(status: StatusCode, body: String) -> Self {
        Self {
            status,
            body: body.into_bytes(),
            content_type: HTML,
            next: Next::Nothing,
        }
    }
}

/// One page, as it is sent.
pub struct CachedPage {
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
    /// The body in gzip, compressed on first request.
    gzipped: OnceLock<Bytes>,
    tag: EntityTag,
    /// How the next page is addressed.
    next: Next,
    /// Time as of which the data is current.
    since: Instant,
    /// Set while a request refreshes this page.
    is_refreshing: AtomicBool,
}

struct Expires;

impl Expiry<String, Arc<CachedPage>> for Expires {
    fn expire_after_create(
        &self,
        _: &String,
        page: &Arc<CachedPage>,
        _: Instant,
    ) -> Option<Duration> {
        Some(STALE.saturating_sub(page.since.elapsed()))
    }

    fn expire_after_update(
        &self,
        key: &String,
        page: &Arc<CachedPage>,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, page, now)
    }
}

impl Default for PageCache {
    fn default() -> Self {
        let weight = |key: &String, page: &Arc<CachedPage>| {
            u32::try_from(key.len() + page.body.len() + OVERHEAD).unwrap_or(u32::MAX)
        };
        Self {
            pages: Cache::builder()
                .max_capacity(CAPACITY)
                .weigher(weight)
                .expire_after(Expires)
                .build(),
        }
    }
}

impl PageCache {
    /// Returns the page under `key`, built with `build` if it is missing or due for a refresh.
    /// Concurrent requests for a missing page are single-flight: one builds it, the others wait.
    pub async fn get(
        &self,
        key: String,
        build: impl AsyncFnOnce() -> anyhow::Result<Built>,
    ) -> Result<Arc<CachedPage>, SharedError> {
        let cached = async || {
            let since = Instant::now();
            let since = since.checked_sub(counting::MAX_LAG).unwrap_or(since);
            let page = CachedPage::new(build().await?, since);
            anyhow::Ok(Arc::new(page))
        };
        // Boxed, so that cache hits do not carry the 34 kB future of building a page.
        let Some(page) = self.pages.get(&key).await else {
            let page = self.pages.try_get_with(key, Box::pin(cached()));
            return page.await.map_err(SharedError::from);
        };
        let Some(guard) = page.begin_refresh() else {
            return Ok(page);
        };
        match Box::pin(cached()).await {
            Ok(refreshed) => {
                self.pages.insert(key, Arc::clone(&refreshed)).await;
                Ok(refreshed)
            }
            Err(error) if page.since.elapsed() < STALE => {
                tracing::warn!("failed to refresh a public page: {error:#}");
                drop(guard);
                Ok(page)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Exclusive right to refresh a page. A cancelled request releases it by dropping the guard.
struct RefreshGuard<'a>(&'a AtomicBool);

impl Drop for RefreshGuard<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl CachedPage {
    fn new(built: Built, since: Instant) -> Self {
        let Built {
            status,
            body,
            content_type,
            next,
        } = built;
        Self {
            status,
            content_type,
            tag: tag_of(&body),
            body: body.into(),
            gzipped: OnceLock::new(),
            next,
            since,
            is_refreshing: AtomicBool::new(false),
        }
    }

    fn begin_refresh(&self) -> Option<RefreshGuard<'_>> {
        let is_due = self.since.elapsed() >= FRESH;
        (is_due && !self.is_refreshing.swap(true, Ordering::Relaxed))
            .then(|| RefreshGuard(&self.is_refreshing))
    }

    /// Responds with a page of a list.
    pub fn respond(&self, request: &HttpRequest, page: Page) -> HttpResponse {
        let mut response = self.respond_as_is(request);
        let link = page.link(self.next, request);
        if let Some(link) = link.and_then(|link| HeaderValue::try_from(link).ok()) {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }

    /// Responds with the page, or 304 if the client has it.
    pub fn respond_as_is(&self, request: &HttpRequest) -> HttpResponse {
        let (mut response, is_known) = begin_response(request, &self.tag, CACHE_CONTROL);
        response.insert_header((header::AGE, self.since.elapsed().as_secs()));
        if is_known {
            return response.finish();
        }
        response.status(self.status);
        response.extensions_mut().insert(Complete);
        response.content_type(self.content_type);
        if accepts_gzip(request) {
            response.insert_header((header::CONTENT_ENCODING, "gzip"));
            return response.body(self.gzipped.get_or_init(|| gzip(&self.body)).clone());
        }
        response.body(self.body.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use actix_web::test::TestRequest;
    use futures_util::future::join_all;
    use tokio::task::yield_now;

    use super::*;

    fn page() -> Page {
        Page::parse(None, None).unwrap()
    }

    fn list(entry: &str) -> Built {
        Built::list(&[entry], Next::Nothing).unwrap()
    }

    /// Returns a cache that contains one page of the given age.
    async fn cache_with_page(age: Duration) -> PageCache {
        let cache = PageCache::default();
        let since = Instant::now().checked_sub(age).unwrap();
        let page = CachedPage::new(list("old"), since);
        cache.pages.insert("key".to_owned(), Arc::new(page)).await;
        cache
    }

    /// Sends 100 concurrent requests. Returns the number of builds and of old pages received.
    async fn send_requests(cache: &PageCache) -> (usize, usize) {
        let built = AtomicUsize::new(0);
        let pages = join_all((0..100).map(async |_| {
            let list = async || {
                built.fetch_add(1, Ordering::Relaxed);
                // Lets the other requests run.
                yield_now().await;
                Ok(list("new"))
            };
            cache.get("key".to_owned(), list).await.unwrap()
        }))
        .await;
        let old = pages
            .iter()
            .filter(|page| page.body.as_ref() == b"[\"old\"]");
        (built.load(Ordering::Relaxed), old.count())
    }

    #[tokio::test]
    async fn concurrent_requests_build_a_page_once() {
        assert_eq!(send_requests(&PageCache::default()).await, (1, 0));
        let at_age = async |age| send_requests(&cache_with_page(age).await).await;
        assert_eq!(at_age(Duration::ZERO).await, (0, 100));
        assert_eq!(at_age(FRESH).await, (1, 99));
        assert_eq!(at_age(STALE).await, (1, 0));
    }

    #[tokio::test]
    async fn capacity_includes_keys() {
        let cache = PageCache::default();
        let long = "x".repeat(1024 * 1024);
        for number in 0..2 * CAPACITY / (1024 * 1024) {
            let list = async || Ok(list("new"));
            cache.get(format!("{number} {long}"), list).await.unwrap();
        }
        cache.pages.run_pending_tasks().await;
        assert!(cache.pages.weighted_size() <= CAPACITY);
        assert!(cache.pages.entry_count() <= CAPACITY / (1024 * 1024));
    }

    #[tokio::test]
    async fn cancelled_refresh_is_taken_over() {
        let cache = cache_with_page(FRESH).await;
        let never = cache.get("key".to_owned(), async || {
            std::future::pending::<anyhow::Result<Built>>().await
        });
        assert!(tokio::time::timeout(Duration::ZERO, never).await.is_err());
        assert_eq!(send_requests(&cache).await, (1, 99));
    }

    #[tokio::test]
    async fn page_is_served_until_stale_while_the_database_is_unavailable() {
        for (age, is_served) in [(FRESH, true), (STALE, false)] {
            let cache = cache_with_page(age).await;
            let fail = async || Err(anyhow::anyhow!("unavailable"));
            let page = cache.get("key".to_owned(), fail).await;
            assert_eq!(page.is_ok(), is_served, "{age:?}");
        }
    }

    #[test]
    fn client_with_the_current_page_gets_304() {
        let cached = |entry| CachedPage::new(list(entry), Instant::now());
        let request = TestRequest::default().to_http_request();
        let first = cached("one").respond(&request, page());
        assert_eq!(first.status(), 200);
        let tag = first.headers().get(header::ETAG).unwrap().clone();
        let again = TestRequest::default()
            .insert_header((header::IF_NONE_MATCH, tag))
            .to_http_request();
        assert_eq!(cached("one").respond(&again, page()).status(), 304);
        assert_eq!(cached("other").respond(&again, page()).status(), 200);
    }
}
