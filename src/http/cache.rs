//! Public lists. This process keeps each answer for a moment, so that what they cost does not depend on how
//! many ask; browsers and CDNs may keep it as long as it is still true, and who has it gets 304 (RFC 9110
//! §8.8.3, §13.1.2; RFC 9111 §5.1).

use std::{
    io::Write as _,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{
        self, AcceptEncoding, Encoding, EntityTag, Header as _, HeaderValue, IfNoneMatch,
    },
    web::Bytes,
};
use flate2::{Compression, write::GzEncoder};
use moka::{Expiry, future::Cache};
use ring::digest;
use serde::Serialize;

use super::page::{Next, Page};
use crate::{app::counting, batch::Shared};

/// An older answer is renewed by the next who asks; meanwhile all others get it. What the database tells may be
/// [`counting::MAX_LAG`] old itself.
const FRESH: Duration = Duration::from_millis(1500);

/// Nobody gets an older answer.
const STALE: Duration = Duration::from_secs(2);

/// Those who keep an answer count its `Age` in, which is rounded down: so nobody shows one beyond [`STALE`].
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=1");

/// Most that all answers together take (bytes).
const CAPACITY: u64 = 32 * 1024 * 1024;

/// What an answer takes beside its body (bytes).
const OVERHEAD: usize = 512;

/// The answers of the last moment; clones share them.
#[derive(Clone)]
pub struct Answers {
    kept: Cache<String, Arc<Answer>>,
}

/// One page of a list, as it is sent.
pub struct Answer {
    body: Bytes,
    /// With gzip, once somebody has asked for that.
    packed: OnceLock<Bytes>,
    tag: EntityTag,
    /// How the next page is found.
    next: Next,
    /// What was true then is in it.
    since: Instant,
    /// Somebody renews it.
    is_claimed: AtomicBool,
}

struct Expires;

impl Expiry<String, Arc<Answer>> for Expires {
    fn expire_after_create(
        &self,
        _: &String,
        answer: &Arc<Answer>,
        _: Instant,
    ) -> Option<Duration> {
        Some(STALE.saturating_sub(answer.since.elapsed()))
    }

    fn expire_after_update(
        &self,
        key: &String,
        answer: &Arc<Answer>,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, answer, now)
    }
}

impl Default for Answers {
    fn default() -> Self {
        let weight = |key: &String, answer: &Arc<Answer>| {
            u32::try_from(key.len() + answer.body.len() + OVERHEAD).unwrap_or(u32::MAX)
        };
        Self {
            kept: Cache::builder()
                .max_capacity(CAPACITY)
                .weigher(weight)
                .expire_after(Expires)
                .build(),
        }
    }
}

impl Answers {
    /// Returns the answer under `key`, made by `list` if there is none that is new enough. Of those who ask
    /// at once for one that is not there, one makes it and the others wait for it.
    pub async fn get<T: Serialize>(
        &self,
        key: String,
        list: impl AsyncFnOnce() -> anyhow::Result<(Vec<T>, Next)>,
    ) -> Result<Arc<Answer>, Shared> {
        let make = async || {
            let since = Instant::now();
            let since = since.checked_sub(counting::MAX_LAG).unwrap_or(since);
            let (entries, next) = list().await?;
            Answer::new(&entries, next, since).map(Arc::new)
        };
        // Boxed, so that those who find an answer carry no room for making one: 34 kB.
        let Some(answer) = self.kept.get(&key).await else {
            let answer = self.kept.try_get_with(key, Box::pin(make()));
            return answer.await.map_err(Shared::from);
        };
        let Some(claim) = answer.claim() else {
            return Ok(answer);
        };
        match Box::pin(make()).await {
            Ok(renewed) => {
                self.kept.insert(key, Arc::clone(&renewed)).await;
                Ok(renewed)
            }
            Err(error) if answer.since.elapsed() < STALE => {
                tracing::warn!("a list could not be renewed: {error:#}");
                drop(claim);
                Ok(answer)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The right to renew an answer, given back unless it is renewed: also by one whose client goes away.
struct Claim<'a>(&'a AtomicBool);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Answer {
    fn new<T: Serialize>(entries: &[T], next: Next, since: Instant) -> anyhow::Result<Self> {
        let body = serde_json::to_vec(entries)?;
        let digest = digest::digest(&digest::SHA256, &body);
        Ok(Self {
            // Weak, since compression changes the bytes and not the meaning.
            tag: EntityTag::new_weak(hex::encode(digest)),
            body: body.into(),
            packed: OnceLock::new(),
            next,
            since,
            is_claimed: AtomicBool::new(false),
        })
    }

    fn claim(&self) -> Option<Claim<'_>> {
        let is_due = self.since.elapsed() >= FRESH;
        (is_due && !self.is_claimed.swap(true, Ordering::Relaxed)).then(|| Claim(&self.is_claimed))
    }

    /// Answers a request for this page.
    pub fn respond(&self, request: &HttpRequest, page: Page) -> HttpResponse {
        let is_known = match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&self.tag)),
            Err(_) => false,
        };
        let mut response = if is_known {
            HttpResponse::NotModified()
        } else {
            HttpResponse::Ok()
        };
        response
            .insert_header((header::ETAG, self.tag.to_string()))
            .insert_header((header::CACHE_CONTROL, CACHE_CONTROL))
            .insert_header((header::AGE, self.since.elapsed().as_secs()))
            .insert_header((header::VARY, "accept-encoding"));
        if let Some(link) = page.link(self.next, request) {
            response.insert_header((header::LINK, link));
        }
        if is_known {
            return response.finish();
        }
        response.content_type("application/json");
        if takes_gzip(request) {
            response.insert_header((header::CONTENT_ENCODING, "gzip"));
            return response.body(self.packed.get_or_init(|| pack(&self.body)).clone());
        }
        response.body(self.body.clone())
    }
}

fn takes_gzip(request: &HttpRequest) -> bool {
    request.headers().contains_key(header::ACCEPT_ENCODING)
        && AcceptEncoding::parse(request).is_ok_and(|accepted| {
            let ours = [Encoding::gzip(), Encoding::identity()];
            accepted.negotiate(ours.iter()) == Some(Encoding::gzip())
        })
}

/// Compresses a body, once for all who ask for it in its moment.
fn pack(body: &Bytes) -> Bytes {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    // Memory takes whatever is written.
    match packed.write_all(body).and_then(|()| packed.finish()) {
        Ok(packed) => packed.into(),
        Err(_) => Bytes::new(),
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

    /// Keeps a list that was made some time ago.
    async fn kept(age: Duration) -> Answers {
        let answers = Answers::default();
        let since = Instant::now().checked_sub(age).unwrap();
        let answer = Answer::new(&["old"], Next::Nothing, since).unwrap();
        answers
            .kept
            .insert("key".to_owned(), Arc::new(answer))
            .await;
        answers
    }

    /// Asks a hundred times at once. Returns how often the list was made, and how many got the old one.
    async fn ask(answers: &Answers) -> (usize, usize) {
        let made = AtomicUsize::new(0);
        let asked = join_all((0..100).map(async |_| {
            let list = async || {
                made.fetch_add(1, Ordering::Relaxed);
                // All others ask meanwhile.
                yield_now().await;
                Ok((vec!["new"], Next::Nothing))
            };
            answers.get("key".to_owned(), list).await.unwrap()
        }))
        .await;
        let old = asked
            .iter()
            .filter(|answer| answer.body.as_ref() == b"[\"old\"]");
        (made.load(Ordering::Relaxed), old.count())
    }

    #[tokio::test]
    async fn of_many_who_ask_at_once_one_makes_the_answer() {
        assert_eq!(ask(&Answers::default()).await, (1, 0));
        assert_eq!(ask(&kept(Duration::ZERO).await).await, (0, 100));
        assert_eq!(ask(&kept(FRESH).await).await, (1, 99));
        assert_eq!(ask(&kept(STALE).await).await, (1, 0));
    }

    #[tokio::test]
    async fn long_keys_are_weighed() {
        let answers = Answers::default();
        let long = "x".repeat(1024 * 1024);
        for number in 0..2 * CAPACITY / (1024 * 1024) {
            let list = async || Ok((vec![number], Next::Nothing));
            answers.get(format!("{number} {long}"), list).await.unwrap();
        }
        answers.kept.run_pending_tasks().await;
        assert!(answers.kept.weighted_size() <= CAPACITY);
        assert!(answers.kept.entry_count() <= CAPACITY / (1024 * 1024));
    }

    #[tokio::test]
    async fn who_gives_up_renewing_leaves_it_to_the_next() {
        let answers = kept(FRESH).await;
        let never = answers.get("key".to_owned(), async || {
            std::future::pending::<anyhow::Result<(Vec<u8>, _)>>().await
        });
        assert!(tokio::time::timeout(Duration::ZERO, never).await.is_err());
        assert_eq!(ask(&answers).await, (1, 99));
    }

    #[tokio::test]
    async fn while_the_database_is_away_a_list_is_shown_until_it_is_too_old() {
        for (age, is_shown) in [(FRESH, true), (STALE, false)] {
            let answers = kept(age).await;
            let away = async || anyhow::Result::<(Vec<u8>, _)>::Err(anyhow::anyhow!("away"));
            let answer = answers.get("key".to_owned(), away).await;
            assert_eq!(answer.is_ok(), is_shown, "{age:?}");
        }
    }

    #[test]
    fn who_has_the_body_gets_304() {
        let answer = |list: &[u8]| Answer::new(list, Next::Nothing, Instant::now()).unwrap();
        let request = TestRequest::default().to_http_request();
        let first = answer(&[1, 2]).respond(&request, page());
        assert_eq!(first.status(), 200);
        let tag = first.headers().get(header::ETAG).unwrap().clone();
        let again = TestRequest::default()
            .insert_header((header::IF_NONE_MATCH, tag))
            .to_http_request();
        assert_eq!(answer(&[1, 2]).respond(&again, page()).status(), 304);
        assert_eq!(answer(&[1, 3]).respond(&again, page()).status(), 200);
    }
}
