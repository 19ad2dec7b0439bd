//! Stopping: the first SIGTERM or SIGINT asks (soft), the end of the grace or a second signal insists
//! (hard). Every background task of the process is spawned here, so that a drain waits for it.

use std::{future::Future, time::Duration};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Handle of one process's shutdown; clones are the same shutdown.
#[derive(Debug, Clone)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    grace: Duration,
}

impl Shutdown {
    /// Makes a shutdown that nobody has asked for yet. `grace` is how long running work may go on
    /// after the first signal.
    pub fn new(grace: Duration) -> Self {
        Self {
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            tasks: TaskTracker::new(),
            grace,
        }
    }

    /// Listens for SIGTERM and SIGINT from now on.
    pub fn listen(&self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
        let this = self.clone();
        // Not counted by the tracker's drain: it ends with `hard`, which `drain` cancels.
        self.spawn(async move {
            let mut next = async || {
                tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                    () = this.hard.cancelled() => "end",
                }
            };
            let first = tokio::select! {
                name = next() => name,
                () = this.soft.cancelled() => "request",
            };
            if this.hard.is_cancelled() {
                return;
            }
            tracing::info!(signal = first, grace = ?this.grace, "stopping: finishing what runs");
            this.soft.cancel();
            match tokio::time::timeout(this.grace, next()).await {
                Ok("end") => {}
                Ok(name) => tracing::warn!(signal = name, "stopping at once: second signal"),
                Err(_) => tracing::warn!(grace = ?this.grace, "stopping at once: grace is over"),
            }
            this.hard.cancel();
        });
        Ok(())
    }

    /// Asks for a stop, as the first signal does.
    pub fn request(&self) {
        self.soft.cancel();
    }

    /// Insists on a stop, as a second signal does.
    pub fn insist(&self) {
        // In this order: whoever sees the request sees that it is insisted on.
        self.hard.cancel();
        self.soft.cancel();
    }

    /// Completes when no new work may be taken.
    pub async fn requested(&self) {
        self.soft.cancelled().await;
    }

    /// Completes when running work must be given up.
    pub async fn insisted(&self) {
        self.hard.cancelled().await;
    }

    /// Tells whether new work may no longer be taken.
    pub fn is_requested(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Tells whether running work must be given up.
    pub fn is_insisted(&self) -> bool {
        self.hard.is_cancelled()
    }

    /// Does `work` that can be dropped at any time, such as a start. Returns none if a stop is requested before its end.
    pub async fn unless_requested<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.requested() => None,
        }
    }

    /// How long running work may go on after the first signal.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// Starts a background task that the drain waits for.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(task);
    }

    /// Waits for every background task. Call it when the main work is over.
    pub async fn drain(&self) {
        self.insist();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
