//! The instance that a worker runs on, as a member of an auto scaling group: keeps it from being taken away
//! in the middle of a job, notices that it will be taken away all the same, and says when it may go.
//!
//! What EC2 and the group want is read from the instance's metadata, which costs nothing and needs no
//! permission. Without a permission to answer the group, jobs are still finished as far as time allows.

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
    group::{Group, Told},
    metadata::{Metadata, Notice},
};
use crate::shutdown::Shutdown;

/// Time that a Spot interruption leaves for giving jobs back.
const GIVE_BACK: Duration = Duration::from_secs(20);

/// How often and how soon things are done.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two looks at the metadata; AWS recommends 5 s.
    pub poll: Duration,
    /// How long a worker is idle before it gives its protection up: each change is a call to AWS.
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

/// This instance.
pub struct Instance {
    metadata: Metadata,
    group: Group,
    shutdown: Shutdown,
    pace: Pace,
}

/// How a worker was told that its instance goes.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    notice: Option<Notice>,
    /// The notice is why the worker stops, no signal.
    stops: bool,
    /// The metadata cannot be read; said once, until it can.
    is_deaf: bool,
}

impl Instance {
    /// Asks the metadata who this instance is.
    pub async fn find(
        aws: &SdkConfig,
        metadata: imds::Client,
        shutdown: Shutdown,
        pace: Pace,
    ) -> anyhow::Result<Self> {
        let metadata = Metadata::new(metadata);
        let id = metadata.instance_id().await;
        let id = id.context("EC2_LIFECYCLE=on: ask the metadata for the instance's id")?;
        Ok(Self {
            metadata,
            group: Group::new(aws, id),
            shutdown,
            pace,
        })
    }

    /// Runs `work`, which ends when the shutdown is requested; `jobs` counts what runs in it. Returns when
    /// the process may end.
    pub async fn accompany(&self, jobs: watch::Receiver<usize>, work: impl Future<Output = ()>) {
        // Before any work: a program that was started again on its way out takes none.
        let mut heard = Heard::default();
        self.look(&mut heard).await;
        let mut is_protected = None;
        tokio::select! {
            () = work => {}
            () = self.watch(&mut heard) => {}
            () = self.protect(jobs, &mut is_protected) => {}
        }
        // A signal may be the first word of it.
        self.look(&mut heard).await;
        self.leave(heard, is_protected).await;
    }

    /// Looks again and again; hurries the stop if EC2 leaves too little time, keeps the hook waiting else.
    async fn watch(&self, heard: &mut Heard) {
        let mut ticks = interval(self.pace.poll);
        let mut heartbeat = None;
        loop {
            ticks.tick().await;
            self.look(heard).await;
            match heard.notice {
                Some(Notice::Interrupted { at }) if at <= Utc::now() + GIVE_BACK => {
                    self.shutdown.insist();
                }
                Some(Notice::Terminated) => self.group.keep_waiting(&mut heartbeat).await,
                Some(Notice::Interrupted { .. } | Notice::AtRisk) | None => {}
            }
        }
    }

    async fn look(&self, heard: &mut Heard) {
        match self.metadata.notice().await {
            Ok(notice) => {
                heard.is_deaf = false;
                self.heed(notice, heard);
            }
            Err(error) if !heard.is_deaf => {
                heard.is_deaf = true;
                tracing::warn!("the instance's metadata cannot be read: {error:#}");
            }
            Err(_) => {}
        }
    }

    /// Asks for a stop at the first notice, and keeps the most urgent one.
    fn heed(&self, notice: Option<Notice>, heard: &mut Heard) {
        if notice <= heard.notice {
            return;
        }
        tracing::info!(?notice, "the instance goes: finishing what runs");
        heard.notice = notice;
        if !self.shutdown.is_requested() {
            heard.stops = true;
            self.shutdown.request();
        }
    }

    /// Keeps the group from taking a busy instance. Whoever is chosen between a job's start and the answer
    /// of the group has the hook's time to finish it.
    async fn protect(&self, mut jobs: watch::Receiver<usize>, is_protected: &mut Option<bool>) {
        loop {
            let is_busy = *jobs.borrow_and_update() > 0;
            if *is_protected == Some(is_busy) {
                if jobs.changed().await.is_err() {
                    // The worker is gone, and `work` ends with it.
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
            // Unknown until it has been answered; unknown, too, what a killed predecessor left.
            *is_protected = None;
            match self.group.protect(is_busy).await {
                Told::Done | Told::Refused => *is_protected = Some(is_busy),
                Told::Failed => sleep(self.pace.poll).await,
            }
        }
    }

    /// Nothing runs any more: lets the instance go.
    async fn leave(&self, heard: Heard, is_protected: Option<bool>) {
        if is_protected != Some(false) {
            self.group.protect(false).await;
        }
        match heard.notice {
            None => return,
            Some(Notice::Terminated | Notice::Interrupted { .. }) => {
                self.insistently(|| self.group.complete()).await;
            }
            Some(Notice::AtRisk) => self.insistently(|| self.group.replace()).await,
        }
        if heard.stops {
            // Whatever starts this program again would find the same notice, until the machine is gone.
            tracing::info!("drained: waiting for the instance's end");
            self.shutdown.insisted().await;
        }
    }

    /// Tells the group until it has heard, or the process must end.
    async fn insistently<F: Future<Output = Told>>(&self, tell: impl Fn() -> F) {
        while tell().await == Told::Failed && !self.is_insisted_within(self.pace.poll).await {}
    }

    async fn is_insisted_within(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.shutdown.insisted())
            .await
            .is_ok()
    }
}
