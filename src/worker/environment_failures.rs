//! Environment failures. After one, the worker takes no job until a probe succeeds.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use super::Worker;

/// Minimum delay before a probe.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// Maximum delay before a probe.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// The environment failures of the worker and its jobs.
#[derive(Default)]
pub struct EnvironmentFailures {
    is_new: AtomicBool,
    times: AtomicU32,
}

impl EnvironmentFailures {
    pub fn note(&self) {
        self.is_new.store(true, Ordering::Relaxed);
        self.times.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that a job succeeded.
    pub fn forget(&self) {
        self.times.store(0, Ordering::Relaxed);
    }

    /// Returns whether there was a failure since the last probe.
    pub fn is_new(&self) -> bool {
        self.is_new.load(Ordering::Relaxed)
    }

    /// Returns the delay before a probe. Grows with each failure, since a probe may miss its cause.
    fn pause(&self) -> Duration {
        let times = self.times.load(Ordering::Relaxed);
        MIN_PAUSE.saturating_mul(times).min(MAX_PAUSE)
    }
}

impl Worker {
    /// Waits until all dependencies of jobs are available, or the shutdown is requested.
    pub(super) async fn wait_for_environment(&self) {
        let mut wait = self.environment_failures.pause();
        while !self.shutdown.is_requested() {
            self.pause(wait).await;
            self.environment_failures
                .is_new
                .store(false, Ordering::Relaxed);
            tokio::select! {
                failing = Box::pin(self.dependencies.failing()) => if failing.is_empty() {
                    return;
                },
                () = self.shutdown.forced() => return,
            }
            wait = (wait * 2).clamp(MIN_PAUSE, MAX_PAUSE);
        }
    }
}
