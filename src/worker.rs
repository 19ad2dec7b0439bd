//! The queue worker: receives as many messages as it has free slots, runs each job with a heartbeat,
//! and ends each message by what became of it.

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
    time::{MissedTickBehavior, interval, timeout},
};
use tracing::{Instrument as _, Span, field};

use crate::{
    app::Workshop,
    ids::VideoId,
    job::{Job, JobError},
    queue::Delivery,
    shutdown::Shutdown,
    videos::{
        Claim,
        process::{self, Outcome, Recorded},
        remake,
        sweep::{self, Leases},
    },
};

/// Longest wait of one receive; the broker may answer earlier with nothing.
const RECEIVE_WAIT: Duration = Duration::from_secs(20);

/// Wait after an error of broker or database, before the next try.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// Longest wait for a broker that does not answer, at the end of a message.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest sweep.
const SWEEP_TIMEOUT: Duration = Duration::from_mins(1);

/// A worker; clones share its slots.
#[derive(Clone)]
pub struct Worker {
    workshop: Arc<Workshop>,
    shutdown: Shutdown,
    slots: Arc<Semaphore>,
    jobs: watch::Sender<usize>,
}

/// A slot with a job in it; free again when it is dropped.
struct Slot {
    jobs: watch::Sender<usize>,
    _permit: OwnedSemaphorePermit,
}

/// How a job left its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The message has done its duty.
    Ack,
    /// The message goes back: another worker shall have it.
    Release,
    /// The message goes to the dead-letter queue.
    Dead(&'static str),
}

impl Worker {
    /// Makes a worker with all slots free.
    pub fn new(workshop: Workshop, shutdown: Shutdown) -> Self {
        let slots = Arc::new(Semaphore::new(workshop.settings.concurrency.into()));
        Self {
            workshop: Arc::new(workshop),
            shutdown,
            slots,
            jobs: watch::Sender::new(0),
        }
    }

    /// Returns the number of jobs that run, as it changes.
    pub fn jobs(&self) -> watch::Receiver<usize> {
        self.jobs.subscribe()
    }

    /// Works until the shutdown is requested, then finishes or gives back what runs.
    pub async fn run(&self) {
        self.shutdown.spawn(self.clone().sweep());
        tracing::info!(slots = self.workshop.settings.concurrency, "worker started");
        while !self.shutdown.is_requested() {
            if let Err(error) = self.step(RECEIVE_WAIT).await {
                tracing::warn!("no job can be received: {error:#}");
                self.pause(ERROR_PAUSE).await;
            }
        }
        tracing::info!(running = *self.jobs.borrow(), "worker takes no more jobs");
        // Every job ends, by itself or because the shutdown insists.
        self.idle().await;
        if let Err(error) = within(END_TIMEOUT, self.workshop.queue.leave()).await {
            tracing::warn!("the queue was not left: {error:#}");
        }
        tracing::info!("worker stopped");
    }

    /// Waits for a free slot, receives as many messages as there are free slots, and starts them.
    /// Returns how many were started. Errors are of what it works with, not of a job.
    pub async fn step(&self, wait: Duration) -> anyhow::Result<usize> {
        let first = tokio::select! {
            permit = Arc::clone(&self.slots).acquire_owned() => permit?,
            () = self.shutdown.requested() => return Ok(0),
        };
        let mut permits = vec![first];
        while let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() {
            permits.push(permit);
        }
        // Jobs would find no film in another installation's storage.
        self.workshop.installation.verify().await?;
        // Awaited to its end, also when a stop is requested: what it received must be given back.
        let deliveries = self.workshop.queue.receive(permits.len(), wait).await?;
        let mut started = 0;
        for delivery in deliveries {
            match permits.pop() {
                Some(permit) if !self.shutdown.is_requested() => {
                    self.shutdown
                        .spawn(self.clone().handle(delivery, self.fill(permit)));
                    started += 1;
                }
                _ => end(delivery, End::Release).await,
            }
        }
        Ok(started)
    }

    /// Completes when no job runs.
    pub async fn idle(&self) {
        let all = self.workshop.settings.concurrency.into();
        drop(self.slots.acquire_many(all).await);
    }

    async fn handle(self, delivery: Delivery, slot: Slot) {
        match Job::from_payload(&delivery.payload) {
            Ok(Job::ProcessVideo {
                video_id, trace, ..
            }) => {
                let span =
                    tracing::info_span!("job", video = %video_id, trace, attempt = field::Empty);
                async {
                    let ended = Box::pin(self.process_video(video_id, &delivery)).await;
                    end(delivery, ended).await;
                }
                .instrument(span)
                .await;
            }
            Err(unknown) => {
                tracing::error!(error = %unknown, "message of an unknown kind");
                end(delivery, End::Dead("unknown_job")).await;
            }
        }
        drop(slot);
    }

    async fn process_video(&self, video: VideoId, delivery: &Delivery) -> End {
        let claim = match process::claim(&self.workshop, video).await {
            Ok(Some(claim)) => claim,
            Ok(None) => return Box::pin(self.remake_video(video, delivery)).await,
            Err(error) => {
                tracing::warn!("the video cannot be claimed now: {error:#}");
                // The message would come back at once, and again, as long as the database is away.
                self.pause(ERROR_PAUSE).await;
                return End::Release;
            }
        };
        Span::current().record("attempt", claim.attempt);
        tracing::info!("job started");
        let started = Instant::now();
        let ended = tokio::select! {
            biased;
            () = self.shutdown.insisted() => self.give_back(claim).await,
            () = self.keep_lease(claim, delivery) => {
                tracing::warn!("claim lost: the video was deleted or went to another worker");
                process::discard(&self.workshop, claim).await;
                End::Ack
            }
            ended = self.work(claim) => ended,
        };
        metrics::histogram!("anb_job_seconds").record(started.elapsed());
        ended
    }

    /// Makes the lost clip of a processed video again, if that is ordered.
    async fn remake_video(&self, video: VideoId, delivery: &Delivery) -> End {
        let claim = match remake::claim(&self.workshop, video).await {
            Ok(Some(claim)) => claim,
            Ok(None) => {
                tracing::debug!(
                    "nothing to do: the video is done, runs elsewhere, waits or is gone"
                );
                return End::Ack;
            }
            Err(error) => {
                // The sweeper pushes it again.
                tracing::warn!("the remake cannot be claimed now: {error:#}");
                return End::Ack;
            }
        };
        let outcome = tokio::select! {
            biased;
            () = self.shutdown.insisted() => {
                let released = within(END_TIMEOUT, remake::release(&self.workshop, claim));
                if let Err(error) = released.await {
                    tracing::warn!("the remake waits for its lease to expire: {error:#}");
                }
                return End::Release;
            }
            () = Box::pin(self.keep(delivery, || remake::heartbeat(&self.workshop, claim))) => "superseded",
            outcome = Box::pin(remake::run(&self.workshop, claim)) => outcome,
        };
        metrics::counter!("anb_jobs_total", "outcome" => outcome).increment(1);
        End::Ack
    }

    /// Runs the job and records how it ended. A panic counts as a failure that may pass.
    async fn work(&self, claim: Claim) -> End {
        let run = AssertUnwindSafe(process::run(&self.workshop, claim)).catch_unwind();
        let result = run
            .await
            .unwrap_or_else(|_| Err(JobError::retry(anyhow!("the job panicked"))));
        let (outcome, ended) = match result {
            Ok(Outcome::Processed) => ("processed", End::Ack),
            Ok(Outcome::Superseded) => ("superseded", End::Ack),
            Err(error) => match process::record_failure(&self.workshop, claim, error).await {
                Ok(Recorded::Waiting) => ("retried", End::Ack),
                Ok(Recorded::Failed) => ("refused", End::Ack),
                Ok(Recorded::Dead) => ("failed", End::Dead("processing_failed")),
                Ok(Recorded::Superseded) => ("superseded", End::Ack),
                Err(error) => {
                    // The lease expires, and the sweeper pushes the video again.
                    tracing::error!("the result is lost: {error:#}");
                    ("unrecorded", End::Ack)
                }
            },
        };
        metrics::counter!("anb_jobs_total", "outcome" => outcome).increment(1);
        ended
    }

    /// Completes when the claim is lost. A database that cannot be reached is no loss: the job goes on,
    /// and the first heartbeat that gets through tells.
    async fn keep_lease(&self, claim: Claim, delivery: &Delivery) {
        let heartbeat = || Box::pin(process::heartbeat(&self.workshop, claim));
        Box::pin(self.keep(delivery, heartbeat)).await;
    }

    /// Extends a lease with `heartbeat`, and with it the message, until it says that the lease is lost.
    async fn keep<F>(&self, delivery: &Delivery, heartbeat: impl Fn() -> F)
    where
        F: Future<Output = anyhow::Result<bool>>,
    {
        let lease = self.workshop.settings.lease;
        let mut ticks = interval(lease / 3);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is immediate, and the claim is fresh.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let beat = within(lease, heartbeat());
            let (beat, extended) = tokio::join!(beat, within(lease, delivery.extend()));
            match beat {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!("heartbeat failed, the job goes on: {error:#}"),
            }
            if let Err(error) = extended {
                tracing::warn!("the message was not extended, the job goes on: {error:#}");
            }
        }
    }

    async fn give_back(&self, claim: Claim) -> End {
        tracing::warn!("job given back: the worker stops");
        if let Err(error) = within(END_TIMEOUT, process::release(&self.workshop, claim)).await {
            tracing::warn!("the video waits for its lease to expire: {error:#}");
        }
        End::Release
    }

    /// Sweeps until the shutdown is requested.
    async fn sweep(self) {
        let mut is_failing = false;
        let mut spared_until = Instant::now();
        while !self.shutdown.is_requested() {
            let swept = tokio::select! {
                swept = self.sweep_once(&mut spared_until) => swept,
                // What it marked and did not push is pushed again later.
                () = self.shutdown.insisted() => return,
            };
            match swept {
                Ok(()) => is_failing = false,
                // Logged once, not every two seconds of an outage.
                Err(error) if !is_failing => {
                    tracing::warn!("the sweep failed: {error:#}");
                    is_failing = true;
                }
                Err(_) => {}
            }
            self.pause(sweep::INTERVAL).await;
        }
    }

    /// Sweeps once. After the database was away all leases are expired, though their jobs went on: those
    /// have the time of one lease to revive them, else every running job would begin anew.
    async fn sweep_once(&self, spared_until: &mut Instant) -> anyhow::Result<()> {
        // The start of a worker is too early for the folders of one that was killed just before.
        let cleared = self.workshop.media.clear_scratch().await;
        if let Err(error) = self.workshop.db.connection().await {
            *spared_until = Instant::now() + self.workshop.settings.lease;
            return Err(error);
        }
        let leases = if Instant::now() < *spared_until {
            Leases::Keep
        } else {
            Leases::Expire
        };
        // The notes of what is to be deleted must not be forgotten over another installation's storage.
        self.workshop.installation.verify().await?;
        let sweeper = self.workshop.as_ref().into();
        let swept = Box::pin(sweep::run(&sweeper, leases));
        within(SWEEP_TIMEOUT, swept).await?;
        cleared
    }

    /// Waits, but not longer than to the shutdown's request.
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

/// Ends a message. If the broker does not take it, the message comes back later, finds nothing to do,
/// and is ended then.
async fn end(delivery: Delivery, end: End) {
    let ended = match end {
        End::Ack => within(END_TIMEOUT, delivery.ack()).await,
        End::Release => within(END_TIMEOUT, delivery.release()).await,
        End::Dead(reason) => within(END_TIMEOUT, delivery.dead_letter(reason)).await,
    };
    if let Err(error) = ended {
        tracing::warn!(
            ?end,
            "the message was not ended and will come back: {error:#}"
        );
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
