//! Trouble in the surroundings: whoever met it takes no job until all is well.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use super::Worker;

/// Shortest wait before the surroundings are tested.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// Longest wait before they are tested again.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// What the worker and its jobs met in their surroundings.
#[derive(Default)]
pub struct Trouble {
    is_new: AtomicBool,
    times: AtomicU32,
}

impl Trouble {
    pub fn note(&self) {
        self.is_new.store(true, Ordering::Relaxed);
        self.times.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a job went well.
    pub fn forget(&self) {
        self.times.store(0, Ordering::Relaxed);
    }

    /// Tells whether there was some since the last test.
    pub fn is_new(&self) -> bool {
        self.is_new.load(Ordering::Relaxed)
    }

    /// How long to wait before the test: longer each time, since it may not see what the trouble is.
    fn pause(&self) -> Duration {
        let times = self.times.load(Ordering::Relaxed);
        MIN_PAUSE.saturating_mul(times).min(MAX_PAUSE)
    }
}

impl Worker {
    /// Completes when everything is there that jobs need, or a stop is requested.
    pub(super) async fn until_well(&self) {
        let mut wait = self.trouble.pause();
        while !self.shutdown.is_requested() {
            self.pause(wait).await;
            self.trouble.is_new.store(false, Ordering::Relaxed);
            tokio::select! {
                failing = Box::pin(self.dependencies.failing()) => if failing.is_empty() {
                    return;
                },
                () = self.shutdown.insisted() => return,
            }
            wait = (wait * 2).clamp(MIN_PAUSE, MAX_PAUSE);
        }
    }
}
