//! Live progress: server-sent events (WHATWG HTML §9.2) of the videos that players are watching.
//!
//! One task per process asks the database once a second about all watched videos, and only while
//! somebody watches. Browsers that get no events, for example behind a proxy that holds them back,
//! poll the same values.

use std::{
    collections::HashMap,
    convert::Infallible,
    hash::Hash,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{HttpResponse, http::header, web::Bytes};
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    db::{self, Db},
    http::{Code, Error},
    ids::{UserId, VideoId},
    shutdown::{Shutdown, Task},
    videos::board::{self, Progress},
};

/// Time between two looks at the database.
const TICK: Duration = Duration::from_secs(1);

/// Time without an event after which a comment keeps the connection alive. Load balancers and CDNs
/// close idle ones after 60 s.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Maximum streams of one account: browsers open one per tab.
const MAX_PER_USER: usize = 3;

/// Maximum streams of a process.
const MAX_STREAMS: usize = 2000;

/// Reconnection time of browsers.
const RETRY: &[u8] = b"retry: 2000\n\n";

type Snapshot = Arc<HashMap<VideoId, Progress>>;

/// The streams of a process. Cheap to clone; clones share state.
#[derive(Clone)]
pub struct Live {
    inner: Arc<Inner>,
    shutdown: Shutdown,
}

struct Inner {
    /// How many streams watch each video.
    watched: Mutex<HashMap<VideoId, usize>>,
    /// How many streams each user has.
    streams: Mutex<HashMap<UserId, usize>>,
    open: AtomicUsize,
    is_watched: Notify,
    latest: watch::Sender<Snapshot>,
}

impl Live {
    pub fn new(db: &Db, shutdown: &Shutdown) -> Self {
        let inner = Arc::new(Inner {
            watched: Mutex::default(),
            streams: Mutex::default(),
            open: AtomicUsize::new(0),
            is_watched: Notify::new(),
            latest: watch::Sender::new(Snapshot::default()),
        });
        let ticker = tick(db.clone(), Arc::clone(&inner), shutdown.clone());
        shutdown.spawn(Task::LiveProgress, ticker);
        Self {
            inner,
            shutdown: shutdown.clone(),
        }
    }

    /// Returns the handle by which streams end when the process stops.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Reserves a stream for a user. Returns 503 if the user or the process has too many: then the
    /// browser polls.
    pub fn reserve(&self, user: UserId) -> Result<Reservation, Error> {
        let mut streams = lock(&self.inner.streams);
        let of_user = streams.entry(user).or_default();
        if *of_user >= MAX_PER_USER || self.inner.open.load(Ordering::Relaxed) >= MAX_STREAMS {
            return Err(Code::Unavailable.into());
        }
        *of_user += 1;
        self.inner.open.fetch_add(1, Ordering::Relaxed);
        Ok(Reservation {
            user,
            inner: Arc::clone(&self.inner),
        })
    }

    /// Begins to watch videos.
    fn watch(&self, videos: Vec<VideoId>) -> Watched {
        let mut watched = lock(&self.inner.watched);
        for video in &videos {
            *watched.entry(*video).or_default() += 1;
        }
        drop(watched);
        self.inner.is_watched.notify_one();
        Watched {
            videos,
            inner: Arc::clone(&self.inner),
        }
    }

    /// Returns a response that sends `event` of the progress of `videos` at once, and again whenever
    /// it changes, until the process stops.
    pub fn stream<T: Serialize + 'static>(
        &self,
        reservation: Reservation,
        videos: Vec<VideoId>,
        first: Vec<Progress>,
        event: impl Fn(&[Progress]) -> T + 'static,
    ) -> HttpResponse {
        let updates = Updates {
            latest: self.inner.latest.subscribe(),
            watched: self.watch(videos),
            shown: first,
            _reservation: reservation,
        };
        let shutdown = self.shutdown.clone();
        let start = event_text(&event(&updates.shown));
        let events = stream::unfold((updates, event), move |(mut updates, event)| {
            let shutdown = shutdown.clone();
            async move {
                let changed = tokio::select! {
                    () = shutdown.requested() => return None,
                    changed = updates.next() => changed,
                };
                let text = if changed {
                    event_text(&event(&updates.shown))
                } else {
                    Bytes::from_static(b":\n\n")
                };
                Some((text, (updates, event)))
            }
        });
        respond(start, events)
    }
}

/// Returns a response that streams events.
pub fn respond(start: Bytes, events: impl Stream<Item = Bytes> + 'static) -> HttpResponse {
    use futures_util::StreamExt as _;

    let start = stream::iter([Bytes::from_static(RETRY), start]);
    let events = start.chain(events).map(Ok::<_, Infallible>);
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // The compressing middleware would hold back small events (actix-web #3410).
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .streaming(events)
}

/// Returns an event whose data is `value` in JSON, which has no line breaks.
pub fn event_text(value: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(value).unwrap_or_default();
    format!("event: state\ndata: {data}\n\n").into()
}

/// The right to one stream. Dropping it returns it.
pub struct Reservation {
    user: UserId,
    inner: Arc<Inner>,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.inner.open.fetch_sub(1, Ordering::Relaxed);
        release(&self.inner.streams, &self.user);
    }
}

/// Videos that a stream watches. Dropping it ends that.
struct Watched {
    videos: Vec<VideoId>,
    inner: Arc<Inner>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        for video in &self.videos {
            release(&self.inner.watched, video);
        }
    }
}

fn release<K: Hash + Eq>(counts: &Mutex<HashMap<K, usize>>, key: &K) {
    let mut counts = lock(counts);
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The changes of watched videos.
struct Updates {
    latest: watch::Receiver<Snapshot>,
    watched: Watched,
    /// What the browser was told last.
    shown: Vec<Progress>,
    _reservation: Reservation,
}

impl Updates {
    /// Waits for a change. Returns false if there was none for [`KEEP_ALIVE`].
    async fn next(&mut self) -> bool {
        let idle = Instant::now() + KEEP_ALIVE;
        loop {
            tokio::select! {
                () = sleep_until(idle) => return false,
                changed = self.latest.changed() => {
                    if changed.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            }
            let snapshot = Arc::clone(&self.latest.borrow_and_update());
            let videos = self.watched.videos.iter();
            let now: Vec<Progress> = videos
                .filter_map(|video| snapshot.get(video).copied())
                .collect();
            // A snapshot from before this stream began lacks its videos, as do deleted ones.
            if !now.is_empty() && now != self.shown {
                self.shown = now;
                return true;
            }
        }
    }
}

/// Reads the progress of all watched videos once a second, while there are any.
async fn tick(db: Db, inner: Arc<Inner>, shutdown: Shutdown) {
    let work = async {
        loop {
            let videos: Vec<VideoId> = lock(&inner.watched).keys().copied().collect();
            if videos.is_empty() {
                inner.is_watched.notified().await;
                continue;
            }
            match db::with_timeout(board::progress(&db, &videos)).await {
                Ok(progress) => {
                    let snapshot = progress.into_iter().map(|video| (video.id, video));
                    inner.latest.send_replace(Arc::new(snapshot.collect()));
                }
                // The pages keep what they show.
                Err(error) => tracing::debug!("failed to read progress: {error:#}"),
            }
            sleep(TICK).await;
        }
    };
    shutdown.unless_requested::<Infallible>(work).await;
}
