//! The worker's instance as a member of an Auto Scaling group. Protects it from scale-in during a
//! job, detects its termination, and reports when it can be terminated.
//!
//! Termination notices come from the instance metadata, which is free and needs no permission.
//! Without permission to call the group, running jobs are still finished as far as time allows.

mod group;
mod metadata;

use std::{future::Future, time::Duration};

use anyhow::Context as _;
use aws_config::{SdkConfig, imds};
use chrono::Utc;
use tokio::{
    sync::watch,
    time::{interval, sleep},
};

use self::{
    group::{AutoScalingGroup, CallResult},
    metadata::{Metadata, Notice},
};
use crate::shutdown::Shutdown;

/// Time reserved before a Spot interruption for releasing jobs.
const RELEASE_TIME: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Polling interval of the metadata; AWS recommends 5 s.
    pub poll: Duration,
    /// How long a worker is idle before it drops its protection, since each change is an AWS call.
    pub linger: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(5),
            linger: Duration::from_mins(1),
        }
    }
}

pub struct Instance {
    metadata: Metadata,
    group: AutoScalingGroup,
    shutdown: Shutdown,
    pace: Pace,
}

#[derive(Debug, Clone, Copy, Default)]
struct NoticeState {
    notice: Option<Notice>,
    /// Whether the notice, not a signal, stopped the worker.
    stops: bool,
    /// Whether the last read of the metadata failed, which is logged once.
    is_unavailable: bool,
}

impl Instance {
    /// Reads the instance's id from the metadata.
    pub async fn find(
        aws: &SdkConfig,
        metadata: imds::Client,
        shutdown: Shutdown,
        pace: Pace,
    ) -> anyhow::Result<Self> {
        let metadata = Metadata::new(metadata);
        let id = metadata.instance_id().await;
        let id = id.context("EC2_LIFECYCLE=on: read the instance id from the metadata")?;
        Ok(Self {
            metadata,
            group: AutoScalingGroup::new(aws, id),
            shutdown,
            pace,
        })
    }

    /// Runs `work`, which ends on shutdown; `jobs` is its number of running jobs. Returns when the
    /// process may exit.
    pub async fn run_protected(
        &self,
        jobs: watch::Receiver<usize>,
        work: impl Future<Output = ()>,
    ) {
        // Checked first, so that a process restarted on a terminating instance takes no job.
        let mut state = NoticeState::default();
        self.poll_metadata(&mut state).await;
        let mut is_protected = None;
        tokio::select! {
            () = work => {}
            () = self.watch(&mut state) => {}
            () = self.protect(jobs, &mut is_protected) => {}
        }
        // A signal may arrive before the notice is read.
        self.poll_metadata(&mut state).await;
        self.release_instance(state, is_protected).await;
    }

    /// Polls the metadata. Forces the stop shortly before a Spot interruption; sends heartbeats to
    /// the lifecycle hook during a termination.
    async fn watch(&self, state: &mut NoticeState) {
        let mut ticks = interval(self.pace.poll);
        let mut heartbeat = None;
        loop {
            ticks.tick().await;
            self.poll_metadata(state).await;
            match state.notice {
                Some(Notice::Interrupted { at }) if at <= Utc::now() + RELEASE_TIME => {
                    self.shutdown.force();
                }
                Some(Notice::Terminated) => self.group.send_heartbeat(&mut heartbeat).await,
                Some(Notice::Interrupted { .. } | Notice::AtRisk) | None => {}
            }
        }
    }

    async fn poll_metadata(&self, state: &mut NoticeState) {
        match self.metadata.notice().await {
            Ok(notice) => {
                state.is_unavailable = false;
                self.apply_notice(notice, state);
            }
            Err(error) if !state.is_unavailable => {
                state.is_unavailable = true;
                tracing::warn!("cannot read the instance metadata: {error:#}");
            }
            Err(_) => {}
        }
    }

    /// Requests the shutdown at the first notice, and keeps the most urgent notice.
    fn apply_notice(&self, notice: Option<Notice>, state: &mut NoticeState) {
        if notice <= state.notice {
            return;
        }
        tracing::info!(?notice, "instance is being removed: finishing running jobs");
        state.notice = notice;
        if !self.shutdown.is_requested() {
            state.stops = true;
            self.shutdown.request();
        }
    }

    /// Protects a busy instance from scale-in. If the group selects the instance before the
    /// protection takes effect, the lifecycle hook leaves time to finish the job.
    async fn protect(&self, mut jobs: watch::Receiver<usize>, is_protected: &mut Option<bool>) {
        loop {
            let is_busy = *jobs.borrow_and_update() > 0;
            if *is_protected == Some(is_busy) {
                if jobs.changed().await.is_err() {
                    // The worker has ended, and `work` ends with it.
                    std::future::pending::<()>().await;
                }
                continue;
            }
            if !is_busy {
                tokio::select! {
                    _ = jobs.changed() => continue,
                    () = sleep(self.pace.linger) => {}
                }
            }
            // Unknown until the call succeeds, also because a killed predecessor may have set it.
            *is_protected = None;
            match self.group.protect(is_busy).await {
                CallResult::Done | CallResult::Rejected => *is_protected = Some(is_busy),
                CallResult::Failed => sleep(self.pace.poll).await,
            }
        }
    }

    /// Lets the group terminate or replace the instance once no job runs.
    async fn release_instance(&self, state: NoticeState, is_protected: Option<bool>) {
        if is_protected != Some(false) {
            self.group.protect(false).await;
        }
        match state.notice {
            None => return,
            Some(Notice::Terminated | Notice::Interrupted { .. }) => {
                self.retry_until_forced(|| self.group.complete()).await;
            }
            Some(Notice::AtRisk) => self.retry_until_forced(|| self.group.replace()).await,
        }
        if state.stops {
            // A restarted process would find the same notice until the instance is terminated.
            tracing::info!("drained, waiting for the instance to terminate");
            self.shutdown.forced().await;
        }
    }

    /// Retries `call` until it does not fail or the process must exit.
    async fn retry_until_forced<F: Future<Output = CallResult>>(&self, call: impl Fn() -> F) {
        while call().await == CallResult::Failed && !self.is_forced_within(self.pace.poll).await {}
    }

    async fn is_forced_within(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.shutdown.forced())
            .await
            .is_ok()
    }
}
