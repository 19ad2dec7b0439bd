//! Graceful shutdown. The first SIGTERM or SIGINT requests it (soft); a second signal or the end of
//! the grace period forces it (hard). The drain waits for the background tasks spawned here.

use std::{future::Future, time::Duration};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Every background task, with its roles and when it works. Work that ends with its caller is not
/// listed, such as the heartbeats of a job or the EC2 lifecycle of `anb work`.
#[derive(Debug, Clone, Copy)]
pub enum Task {
    /// All roles, until the stop is forced: waits for SIGTERM and SIGINT.
    Signals,
    /// API and worker, at the start: probes the dependencies and logs failures, then verifies the
    /// storage marker, every 5 s until that succeeds.
    DependencyReport,
    /// API and worker: serves `/health`, `/ready` and `/metrics` on `METRICS_ADDR`.
    InternalListener,
    /// API and worker, every 5 s: aggregates recorded metrics.
    MetricsUpkeep,
    /// API, when requests wait: checks in one statement whether their tokens are revoked.
    TokenChecks,
    /// API, when votes wait: commits them in one statement.
    VoteCommits,
    /// API, every 200 ms, without a pause while there are many: counts committed votes.
    VoteCounting,
    /// API, every second while players watch: reads how far their videos are.
    LiveProgress,
    /// API, per request of a resumable upload: stores its bytes, even if the connection breaks.
    UploadWriter,
    /// API and worker, every 2 s: tags the clips that the CDN may read, where another process did
    /// not.
    Tagging,
    /// Worker, per received message: runs the next job.
    Job,
    /// Worker, every 2 s: repairs in the rows what a crash or the broker lost.
    Sweep,
    /// Worker, every 10 s: removes orphaned files and expired tokens.
    Cleanup,
}

/// Handle to the shutdown of a process. Cheap to clone; clones share state.
#[derive(Debug, Clone)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    grace: Duration,
}

impl Shutdown {
    /// Creates a handle with no stop requested. `grace` is the time that running work has after the
    /// first signal.
    pub fn new(grace: Duration) -> Self {
        Self {
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            tasks: TaskTracker::new(),
            grace,
        }
    }

    /// Starts listening for SIGTERM and SIGINT.
    pub fn listen(&self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
        let this = self.clone();
        // Does not block the drain: this task ends with `hard`, which `drain` cancels.
        self.spawn(Task::Signals, async move {
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
            tracing::info!(signal = first, grace = ?this.grace, "stopping: finishing running work");
            this.soft.cancel();
            match tokio::time::timeout(this.grace, next()).await {
                Ok("end") => {}
                Ok(name) => tracing::warn!(signal = name, "stopping now: second signal"),
                Err(_) => tracing::warn!(grace = ?this.grace, "stopping now: grace period expired"),
            }
            this.hard.cancel();
        });
        Ok(())
    }

    /// Requests a stop, like the first signal.
    pub fn request(&self) {
        self.soft.cancel();
    }

    /// Forces a stop, like a second signal.
    pub fn force(&self) {
        // In this order, so that a task that sees the request also sees that it is forced.
        self.hard.cancel();
        self.soft.cancel();
    }

    /// Waits until no new work may be started.
    pub async fn requested(&self) {
        self.soft.cancelled().await;
    }

    /// Waits until running work must be aborted.
    pub async fn forced(&self) {
        self.hard.cancelled().await;
    }

    /// Returns whether no new work may be started.
    pub fn is_requested(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Returns whether running work must be aborted.
    pub fn is_forced(&self) -> bool {
        self.hard.is_cancelled()
    }

    /// Runs `work`, which must be cancel-safe, such as a start. Returns `None` if a stop is
    /// requested before it completes.
    pub async fn unless_requested<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.requested() => None,
        }
    }

    /// Returns the time that running work has after the first signal.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// Spawns a background task that the drain waits for.
    pub fn spawn<F>(&self, task: Task, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tracing::debug!(?task, "background task started");
        self.tasks.spawn(work);
    }

    /// Forces the stop and waits for all background tasks. Call it after the main work has ended.
    pub async fn drain(&self) {
        self.force();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
