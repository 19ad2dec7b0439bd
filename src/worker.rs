//! The queue worker. It receives one message per free slot, runs the next job in turn for each,
//! protects the job with heartbeats, and settles the message according to the outcome.
//!
//! After an environment failure, the worker takes no jobs until a probe succeeds.

mod environment_failures;
mod keep;
mod outage;
mod rounds;
mod settlement;

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use futures_util::FutureExt as _;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};
use tracing::{Instrument as _, field};

use self::{
    environment_failures::EnvironmentFailures, keep::keep, outage::OutageLog,
    settlement::Settlement,
};
use crate::{
    app::WorkerContext,
    ids::VideoId,
    job::Job,
    metric,
    monitoring::Dependencies,
    queue::Delivery,
    shutdown::{Shutdown, Task},
    videos::{
        Claim,
        process::{self, FailureOutcome, JobError, Outcome},
        remake::{self, Remake},
        tagging,
    },
};

/// Maximum wait of one receive. The broker may return earlier with no message.
const RECEIVE_WAIT: Duration = Duration::from_secs(20);

/// Timeout of a call at the end of a job.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The same once the stop is forced. Unsettled jobs return by lease and visibility timeout.
const LAST_TIMEOUT: Duration = Duration::from_millis(300);

/// A worker. Cheap to clone; clones share its slots.
#[derive(Clone)]
pub struct Worker {
    context: Arc<WorkerContext>,
    dependencies: Dependencies,
    shutdown: Shutdown,
    slots: Arc<Semaphore>,
    jobs: watch::Sender<usize>,
    environment_failures: Arc<EnvironmentFailures>,
}

/// A slot occupied by a job, freed on drop.
struct Slot {
    jobs: watch::Sender<usize>,
    _permit: OwnedSemaphorePermit,
}

impl Worker {
    pub fn new(context: WorkerContext, shutdown: Shutdown) -> Self {
        let slots = Arc::new(Semaphore::new(context.settings.worker_concurrency.into()));
        Self {
            dependencies: Dependencies::of_worker(&context, &shutdown),
            context: Arc::new(context),
            shutdown,
            slots,
            jobs: watch::Sender::new(0),
            environment_failures: Arc::default(),
        }
    }

    pub fn dependencies(&self) -> &Dependencies {
        &self.dependencies
    }

    /// Watches the number of running jobs.
    pub fn jobs(&self) -> watch::Receiver<usize> {
        self.jobs.subscribe()
    }

    /// Works until the shutdown is requested, then finishes or releases the running jobs.
    pub async fn run(&self) {
        self.shutdown.spawn(Task::Sweep, self.clone().sweep());
        self.shutdown.spawn(Task::Cleanup, self.clone().clean());
        let tagging = tagging::keep_settled(self.context.backends.clone(), self.shutdown.clone());
        self.shutdown.spawn(Task::Tagging, tagging);
        tracing::info!(
            slots = self.context.settings.worker_concurrency,
            "worker started"
        );
        let mut outage = OutageLog::of("failed to receive jobs");
        Box::pin(self.wait_for_environment()).await;
        while !self.shutdown.is_requested() {
            let stepped = self.step(RECEIVE_WAIT).await;
            outage.note(&stepped);
            if stepped.is_err() {
                self.environment_failures.note();
            }
            if self.environment_failures.is_new() {
                Box::pin(self.wait_for_environment()).await;
            }
        }
        tracing::info!(running = *self.jobs.borrow(), "worker takes no more jobs");
        // Every job ends, at the latest when the stop is forced.
        self.idle().await;
        let queue = &self.context.backends.queue;
        if let Err(error) = within(self.settle_timeout(), queue.leave()).await {
            tracing::warn!("failed to deregister consumer: {error:#}");
        }
        tracing::info!("worker stopped");
    }

    /// Waits for a free slot, receives one message per free slot, and starts their jobs. Returns
    /// the number of started jobs. Errors are environment failures, not job failures.
    pub async fn step(&self, wait: Duration) -> anyhow::Result<usize> {
        let first = tokio::select! {
            permit = Arc::clone(&self.slots).acquire_owned() => permit?,
            () = self.shutdown.requested() => return Ok(0),
        };
        let mut permits = vec![first];
        while let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() {
            permits.push(permit);
        }
        let backends = &self.context.backends;
        let received = async {
            // Jobs would find no originals in another installation's storage.
            backends.installation.verify().await?;
            backends.queue.receive(permits.len(), wait).await
        };
        let deliveries = tokio::select! {
            received = received => received?,
            // A mere request waits for the receive, so that its messages can be released. Once the
            // stop is forced, they return when their visibility timeout expires.
            () = self.shutdown.forced() => return Ok(0),
        };
        let mut started = 0;
        for delivery in deliveries {
            match permits.pop() {
                Some(permit) if self.takes_jobs() => {
                    let job = self.clone().handle(delivery, self.fill(permit));
                    self.shutdown.spawn(Task::Job, job);
                    started += 1;
                }
                _ => self.settle(delivery, Settlement::Release).await,
            }
        }
        Ok(started)
    }

    fn takes_jobs(&self) -> bool {
        !self.shutdown.is_requested() && !self.environment_failures.is_new()
    }

    /// Waits until no job is running.
    pub async fn idle(&self) {
        let all = self.context.settings.worker_concurrency.into();
        drop(self.slots.acquire_many(all).await);
    }

    async fn handle(self, delivery: Delivery, slot: Slot) {
        match Job::from_payload(&delivery.payload) {
            Ok(Job::ProcessVideo {
                video_id, trace, ..
            }) => Box::pin(self.next(video_id, trace, delivery)).await,
            Err(unknown) => {
                tracing::error!(error = %unknown, "message of an unknown kind");
                self.settle(delivery, Settlement::Unknown).await;
            }
        }
        drop(slot);
    }

    /// Processes the next video. A message is a ticket for the next one, not for `named`.
    async fn next(&self, named: VideoId, trace: String, delivery: Delivery) {
        let claimed = async {
            let claim = process::claim(&self.context).await?;
            let remake = match claim {
                Some(_) => None,
                None => remake::claim(&self.context).await?,
            };
            anyhow::Ok((claim, remake))
        };
        let claimed = tokio::select! {
            claimed = claimed => claimed,
            // If the claim still succeeds, its lease expires.
            () = self.shutdown.forced() => {
                return self.settle(delivery, Settlement::Release).await;
            }
        };
        let settlement = match claimed {
            Ok((Some(claim), _)) => {
                let video = claim.video;
                let span = tracing::info_span!("job", %video, trace = field::Empty, attempt = claim.attempt);
                if video == named {
                    span.record("trace", trace);
                }
                let job = Box::pin(self.process_video(claim, &delivery));
                job.instrument(span).await
            }
            Ok((None, Some(remake))) => {
                let span =
                    tracing::info_span!("remake", video = %remake.video, attempt = remake.next);
                let job = Box::pin(self.remake_video(remake, &delivery));
                job.instrument(span).await
            }
            Ok((None, None)) => {
                tracing::debug!("no video is due");
                Settlement::Ack
            }
            Err(error) => {
                tracing::warn!("cannot claim a video: {error:#}");
                self.environment_failures.note();
                Settlement::Release
            }
        };
        self.settle(delivery, settlement).await;
    }

    async fn process_video(&self, claim: Claim, delivery: &Delivery) -> Settlement {
        tracing::info!("job started");
        let started = Instant::now();
        let heartbeat = || Box::pin(process::heartbeat(&self.context, claim));
        let settlement = tokio::select! {
            biased;
            () = self.shutdown.forced() => self.release(claim).await,
            () = self.keep(delivery, heartbeat) => {
                tracing::warn!("claim lost: the video was deleted or claimed by another worker");
                tokio::select! {
                    () = process::remove_outputs(&self.context, claim) => {}
                    () = self.shutdown.forced() => {}
                }
                Settlement::Ack
            }
            settlement = self.work(claim) => settlement,
        };
        metrics::histogram!(metric::JOB_DURATION).record(started.elapsed());
        settlement
    }

    /// Recreates the lost outputs of a processed video.
    async fn remake_video(&self, remake: Remake, delivery: &Delivery) -> Settlement {
        let heartbeat = || Box::pin(remake::heartbeat(&self.context, remake));
        let outcome = tokio::select! {
            biased;
            () = self.shutdown.forced() => {
                let released = within(LAST_TIMEOUT, remake::release(&self.context, remake));
                if let Err(error) = released.await {
                    tracing::warn!(
                        "failed to release the remake, its lease will expire: {error:#}"
                    );
                }
                return Settlement::Release;
            }
            () = self.keep(delivery, heartbeat) => "superseded",
            outcome = remake::run(&self.context, remake) => outcome,
        };
        metrics::counter!(metric::JOBS, "outcome" => outcome).increment(1);
        Settlement::Ack
    }

    /// Runs the job and records its outcome. A panic counts as a job failure.
    async fn work(&self, claim: Claim) -> Settlement {
        let run = AssertUnwindSafe(process::run(&self.context, claim)).catch_unwind();
        let result = run
            .await
            .unwrap_or_else(|_| Err(JobError::failed(anyhow!("the job panicked"))));
        if let Err(JobError::Environment(_) | JobError::Killed(_)) = &result {
            self.environment_failures.note();
        }
        let (outcome, settlement) = match result {
            Ok(outcome) => {
                self.environment_failures.forget();
                match outcome {
                    Outcome::Processed => ("processed", Settlement::Ack),
                    Outcome::Superseded => ("superseded", Settlement::Ack),
                }
            }
            Err(error) => match process::record_failure(&self.context, claim, error).await {
                Ok(FailureOutcome::Waiting) => ("retried", Settlement::Ack),
                Ok(FailureOutcome::Postponed) => ("set_back", Settlement::Ack),
                Ok(FailureOutcome::Rejected) => ("refused", Settlement::Ack),
                Ok(FailureOutcome::DeadLettered) => ("failed", Settlement::dead_letter(claim)),
                Ok(FailureOutcome::Superseded) => ("superseded", Settlement::Ack),
                Err(error) => {
                    // The lease expires, and the sweeper pushes the video again.
                    tracing::error!("failed to record the result, it is lost: {error:#}");
                    ("unrecorded", Settlement::Ack)
                }
            },
        };
        metrics::counter!(metric::JOBS, "outcome" => outcome).increment(1);
        settlement
    }

    async fn keep<F>(&self, delivery: &Delivery, heartbeat: impl Fn() -> F)
    where
        F: Future<Output = anyhow::Result<bool>>,
    {
        let settings = &self.context.settings;
        Box::pin(keep(
            settings.job_lease,
            settings.job_visibility,
            delivery,
            heartbeat,
        ))
        .await;
    }

    async fn release(&self, claim: Claim) -> Settlement {
        tracing::warn!("job released, the worker is stopping");
        let released = within(LAST_TIMEOUT, process::release(&self.context, claim));
        if let Err(error) = released.await {
            tracing::warn!("failed to release the video, its lease will expire: {error:#}");
        }
        Settlement::Release
    }

    async fn settle(&self, delivery: Delivery, settlement: Settlement) {
        settlement.settle(delivery, self.settle_timeout()).await;
    }

    /// Returns the current timeout of a call at the end of a job.
    fn settle_timeout(&self) -> Duration {
        if self.shutdown.is_forced() {
            LAST_TIMEOUT
        } else {
            SETTLE_TIMEOUT
        }
    }

    /// Waits for `time`, or until the shutdown is requested.
    async fn pause(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.shutdown.requested() => {}
        }
    }

    fn fill(&self, permit: OwnedSemaphorePermit) -> Slot {
        self.jobs.send_modify(|jobs| *jobs += 1);
        Slot {
            jobs: self.jobs.clone(),
            _permit: permit,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.jobs.send_modify(|jobs| *jobs -= 1);
    }
}

/// Runs `work` for at most `time`.
async fn within<T>(
    time: Duration,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    timeout(time, work)
        .await
        .unwrap_or_else(|_| Err(anyhow!("no answer within {time:?}")))
}
