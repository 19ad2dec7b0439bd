//! The uploads that this process is receiving at the moment. The newest request for an upload wins:
//! a phone that changes networks leaves a connection behind that looks alive for minutes.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    ids::{UserId, VideoId},
    metric,
    shutdown::{Shutdown, Task},
};

/// Maximum time to wait until a writer has recorded what it received.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// An upload of a player, so that nobody ends the writer of another player's upload.
pub type Upload = (UserId, VideoId);

/// The running writers. Cheap to clone; clones share state.
#[derive(Clone)]
pub struct Writers {
    running: Arc<Mutex<HashMap<Upload, Running>>>,
    count: Arc<AtomicU64>,
    shutdown: Shutdown,
    /// Outlives the threads of the HTTP server, whose runtimes end with their requests.
    runtime: Handle,
}

#[derive(Clone)]
struct Running {
    number: u64,
    stop: CancellationToken,
    ended: CancellationToken,
}

/// The registration of a writer, which ends when it is dropped.
pub struct Registration {
    writers: Writers,
    upload: Upload,
    running: Running,
}

impl Writers {
    /// Creates an empty list. Writers end when `shutdown` is requested.
    pub fn new(shutdown: &Shutdown) -> Self {
        Self {
            running: Arc::default(),
            count: Arc::default(),
            shutdown: shutdown.clone(),
            runtime: Handle::current(),
        }
    }

    /// Registers a writer of `upload` in place of the running one, which it asks to end and waits for.
    pub async fn replace(&self, upload: Upload) -> Registration {
        let running = Running {
            number: self.count.fetch_add(1, Ordering::Relaxed),
            stop: CancellationToken::new(),
            ended: CancellationToken::new(),
        };
        metrics::gauge!(metric::UPLOADS_OPEN).increment(1);
        let replaced = self.lock().insert(upload, running.clone());
        let registration = Registration {
            writers: self.clone(),
            upload,
            running,
        };
        if let Some(replaced) = replaced {
            replaced.end(upload).await;
        }
        registration
    }

    /// Asks the writer of `upload` to end, and waits until it has.
    pub async fn end(&self, upload: Upload) {
        let running = self.lock().get(&upload).cloned();
        if let Some(running) = running {
            running.end(upload).await;
        }
    }

    /// Runs a writer. The drain waits for it.
    pub fn spawn(&self, writer: impl Future<Output = ()> + Send + 'static) {
        let _entered = self.runtime.enter();
        self.shutdown.spawn(Task::UploadWriter, writer);
    }

    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Upload, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    async fn end(&self, (_, video): Upload) {
        self.stop.cancel();
        let ended = timeout(END_TIMEOUT, self.ended.cancelled()).await;
        if ended.is_err() {
            tracing::warn!(%video, "the previous request of an upload does not end");
        }
    }
}

impl Registration {
    /// Waits until a newer request asks this writer to end.
    pub async fn replaced(&self) {
        self.running.stop.cancelled().await;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut running = self.writers.lock();
        let is_ours = |other: &Running| other.number == self.running.number;
        if running.get(&self.upload).is_some_and(is_ours) {
            running.remove(&self.upload);
        }
        drop(running);
        metrics::gauge!(metric::UPLOADS_OPEN).decrement(1);
        self.running.ended.cancel();
    }
}
