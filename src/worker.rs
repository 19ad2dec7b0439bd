//! The queue worker: receives as many messages as it has free slots, does for each the job whose turn it is, keeps it
//! with heartbeats, and ends the message by what became of it.
//!
//! A job that fails by its surroundings makes the worker stop taking jobs, until its own test of them passes.

mod keep;
mod outage;
mod rounds;
mod trouble;

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
use tracing::{Instrument as _, Span, field};

use self::{keep::keep, outage::Outage, trouble::Trouble};
use crate::{
    app::Workshop,
    internal::Dependencies,
    job::{Job, JobError},
    queue::Delivery,
    shutdown::Shutdown,
    videos::{
        Claim,
        process::{self, Outcome, Recorded},
        remake::{self, Remake},
    },
};

/// Longest wait of one receive; the broker may answer earlier with nothing.
const RECEIVE_WAIT: Duration = Duration::from_secs(20);

/// Longest wait for whoever does not answer, at the end of a job.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// The same once a stop is insisted on: what is not told then comes back by lease and visibility.
const LAST_TIMEOUT: Duration = Duration::from_millis(300);

/// A worker; clones share its slots.
#[derive(Clone)]
pub struct Worker {
    workshop: Arc<Workshop>,
    dependencies: Dependencies,
    shutdown: Shutdown,
    slots: Arc<Semaphore>,
    jobs: watch::Sender<usize>,
    trouble: Arc<Trouble>,
}

/// A slot with a job in it; free again when it is dropped.
struct Slot {
    jobs: watch::Sender<usize>,
    _permit: OwnedSemaphorePermit,
}

/// How a job left its slot.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The message has done its duty.
    Ack,
    /// The message goes back: another worker shall have it.
    Release,
    /// The message goes to the dead-letter queue: nobody knows what it is.
    Unknown,
    /// The job that was given up goes to the dead-letter queue.
    Dead(Job),
}

impl Worker {
    /// Makes a worker with all slots free.
    pub fn new(workshop: Workshop, shutdown: Shutdown) -> Self {
        let slots = Arc::new(Semaphore::new(workshop.settings.concurrency.into()));
        Self {
            dependencies: Dependencies::of_workshop(&workshop, &shutdown),
            workshop: Arc::new(workshop),
            shutdown,
            slots,
            jobs: watch::Sender::new(0),
            trouble: Arc::default(),
        }
    }

    /// Returns what it needs to take jobs.
    pub fn dependencies(&self) -> &Dependencies {
        &self.dependencies
    }

    /// Returns the number of jobs that run, as it changes.
    pub fn jobs(&self) -> watch::Receiver<usize> {
        self.jobs.subscribe()
    }

    /// Works until the shutdown is requested, then finishes or gives back what runs.
    pub async fn run(&self) {
        self.shutdown.spawn(self.clone().sweep());
        self.shutdown.spawn(self.clone().clean());
        tracing::info!(slots = self.workshop.settings.concurrency, "worker started");
        let mut outage = Outage::of("no job can be received");
        Box::pin(self.until_well()).await;
        while !self.shutdown.is_requested() {
            let stepped = self.step(RECEIVE_WAIT).await;
            outage.note(&stepped);
            if stepped.is_err() {
                self.trouble.note();
            }
            if self.trouble.is_new() {
                Box::pin(self.until_well()).await;
            }
        }
        tracing::info!(running = *self.jobs.borrow(), "worker takes no more jobs");
        // Every job ends, by itself or because the shutdown insists.
        self.idle().await;
        if let Err(error) = within(self.patience(), self.workshop.queue.leave()).await {
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
        let received = async {
            // Jobs would find no film in another installation's storage.
            self.workshop.installation.verify().await?;
            self.workshop.queue.receive(permits.len(), wait).await
        };
        let deliveries = tokio::select! {
            received = received => received?,
            // A request waits for the end: what was received must be given back. Who insists waits for nothing, and the
            // message comes back by itself.
            () = self.shutdown.insisted() => return Ok(0),
        };
        let mut started = 0;
        for delivery in deliveries {
            match permits.pop() {
                Some(permit) if self.takes_jobs() => {
                    self.shutdown
                        .spawn(self.clone().handle(delivery, self.fill(permit)));
                    started += 1;
                }
                _ => self.end(delivery, End::Release).await,
            }
        }
        Ok(started)
    }

    fn takes_jobs(&self) -> bool {
        !self.shutdown.is_requested() && !self.trouble.is_new()
    }

    /// Completes when no job runs.
    pub async fn idle(&self) {
        let all = self.workshop.settings.concurrency.into();
        drop(self.slots.acquire_many(all).await);
    }

    async fn handle(self, delivery: Delivery, slot: Slot) {
        match Job::from_payload(&delivery.payload) {
            Ok(ticket) => Box::pin(self.next(ticket, delivery)).await,
            Err(unknown) => {
                tracing::error!(error = %unknown, "message of an unknown kind");
                self.end(delivery, End::Unknown).await;
            }
        }
        drop(slot);
    }

    /// Does the next job: a message is a ticket for whatever video is next, not for the one that it names.
    async fn next(&self, ticket: Job, delivery: Delivery) {
        let claimed = async {
            let claim = process::claim(&self.workshop).await?;
            let remake = match claim {
                Some(_) => None,
                None => remake::claim(&self.workshop).await?,
            };
            anyhow::Ok((claim, remake))
        };
        let claimed = tokio::select! {
            claimed = claimed => claimed,
            // A claim that was made all the same comes back by its lease.
            () = self.shutdown.insisted() => return self.end(delivery, End::Release).await,
        };
        let ended = match claimed {
            Ok((Some(claim), _)) => {
                let video = claim.video;
                let span = tracing::info_span!("job", %video, trace = field::Empty, attempt = claim.attempt);
                let job = Box::pin(self.process_video(claim, ticket, &delivery));
                job.instrument(span).await
            }
            Ok((None, Some(remake))) => {
                let span =
                    tracing::info_span!("remake", video = %remake.video, attempt = remake.next);
                let job = Box::pin(self.remake_video(remake, &delivery));
                job.instrument(span).await
            }
            Ok((None, None)) => {
                tracing::debug!("nothing to do: no video waits and is due");
                End::Ack
            }
            Err(error) => {
                tracing::warn!("no video can be claimed now: {error:#}");
                self.trouble.note();
                End::Release
            }
        };
        self.end(delivery, ended).await;
    }

    async fn process_video(&self, claim: Claim, ticket: Job, delivery: &Delivery) -> End {
        let Job::ProcessVideo {
            video_id, trace, ..
        } = ticket;
        if video_id == claim.video {
            Span::current().record("trace", trace);
        }
        tracing::info!("job started");
        let started = Instant::now();
        let heartbeat = || Box::pin(process::heartbeat(&self.workshop, claim));
        let ended = tokio::select! {
            biased;
            () = self.shutdown.insisted() => self.give_back(claim).await,
            () = self.keep(delivery, heartbeat) => {
                tracing::warn!("claim lost: the video was deleted or went to another worker");
                tokio::select! {
                    () = process::discard(&self.workshop, claim) => {}
                    () = self.shutdown.insisted() => {}
                }
                End::Ack
            }
            ended = self.work(claim) => ended,
        };
        metrics::histogram!("anb_job_seconds").record(started.elapsed());
        ended
    }

    /// Makes the lost clip of a processed video again.
    async fn remake_video(&self, remake: Remake, delivery: &Delivery) -> End {
        let heartbeat = || Box::pin(remake::heartbeat(&self.workshop, remake));
        let outcome = tokio::select! {
            biased;
            () = self.shutdown.insisted() => {
                let released = within(LAST_TIMEOUT, remake::release(&self.workshop, remake));
                if let Err(error) = released.await {
                    tracing::warn!("the remake waits for its lease to expire: {error:#}");
                }
                return End::Release;
            }
            () = self.keep(delivery, heartbeat) => "superseded",
            outcome = remake::run(&self.workshop, remake) => outcome,
        };
        metrics::counter!("anb_jobs_total", "outcome" => outcome).increment(1);
        End::Ack
    }

    /// Runs the job and records how it ended. A panic counts as the job's failure.
    async fn work(&self, claim: Claim) -> End {
        let run = AssertUnwindSafe(process::run(&self.workshop, claim)).catch_unwind();
        let result = run
            .await
            .unwrap_or_else(|_| Err(JobError::Job(anyhow!("the job panicked"))));
        if let Err(JobError::Surroundings(_) | JobError::Killed(_)) = &result {
            self.trouble.note();
        }
        let (outcome, ended) = match result {
            Ok(outcome) => {
                self.trouble.forget();
                match outcome {
                    Outcome::Processed => ("processed", End::Ack),
                    Outcome::Superseded => ("superseded", End::Ack),
                }
            }
            Err(error) => match process::record_failure(&self.workshop, claim, error).await {
                Ok(Recorded::Waiting) => ("retried", End::Ack),
                Ok(Recorded::SetBack) => ("set_back", End::Ack),
                Ok(Recorded::Failed) => ("refused", End::Ack),
                Ok(Recorded::Dead) => ("failed", dead(claim)),
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

    async fn keep<F>(&self, delivery: &Delivery, heartbeat: impl Fn() -> F)
    where
        F: Future<Output = anyhow::Result<bool>>,
    {
        let settings = &self.workshop.settings;
        Box::pin(keep(
            settings.lease,
            settings.visibility,
            delivery,
            heartbeat,
        ))
        .await;
    }

    async fn give_back(&self, claim: Claim) -> End {
        tracing::warn!("job given back: the worker stops");
        let released = within(LAST_TIMEOUT, process::release(&self.workshop, claim));
        if let Err(error) = released.await {
            tracing::warn!("the video waits for its lease to expire: {error:#}");
        }
        End::Release
    }

    /// Ends a message. If the broker does not take it, the message comes back later, and is another ticket.
    async fn end(&self, delivery: Delivery, end: End) {
        let patience = self.patience();
        let ended = match &end {
            End::Ack => within(patience, delivery.ack()).await,
            End::Release => within(patience, delivery.release()).await,
            End::Unknown => within(patience, delivery.dead_letter("unknown_job")).await,
            End::Dead(job) => {
                within(patience, delivery.dead_letter_job(job, "processing_failed")).await
            }
        };
        if let Err(error) = ended {
            tracing::warn!(
                ?end,
                "the message was not ended and will come back: {error:#}"
            );
        }
    }

    /// How long to wait for whoever does not answer.
    fn patience(&self) -> Duration {
        if self.shutdown.is_insisted() {
            LAST_TIMEOUT
        } else {
            END_TIMEOUT
        }
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

/// The message of a video that was given up, for the operator.
fn dead(claim: Claim) -> End {
    let trace = format!("attempt {}", claim.attempt);
    End::Dead(Job::process_video(claim.video, trace))
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
