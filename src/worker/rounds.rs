//! Periodic tasks of every worker: the sweep, which keeps jobs running, and the cleanup. They run
//! independently, because a long cleanup must not delay a sweep.

use std::time::Duration;

use super::{Worker, outage::OutageLog, within};
use crate::{
    db,
    videos::{
        clean,
        sweep::{self, Contact},
    },
};

/// Timeout of one sweep or cleanup.
const TIMEOUT: Duration = Duration::from_mins(1);

impl Worker {
    /// Sweeps until the shutdown is requested.
    pub(super) async fn sweep(self) {
        let mut contact = Contact::default();
        let mut outage = OutageLog::of("sweep failed");
        while !self.shutdown.is_requested() {
            let swept = within(TIMEOUT, Box::pin(self.sweep_once(&mut contact)));
            tokio::select! {
                swept = swept => outage.note(&swept),
                // Rule (c) later pushes the videos that it marked as pushed but did not push.
                () = self.shutdown.forced() => return,
            }
            self.pause(sweep::INTERVAL).await;
        }
    }

    /// Cleans up until the shutdown is requested.
    pub(super) async fn clean(self) {
        let mut outage = OutageLog::of("cleanup failed");
        while !self.shutdown.is_requested() {
            tokio::select! {
                cleaned = within(TIMEOUT, Box::pin(self.clean_once())) => outage.note(&cleaned),
                () = self.shutdown.forced() => return,
            }
            self.pause(clean::INTERVAL).await;
        }
    }

    async fn sweep_once(&self, contact: &mut Contact) -> anyhow::Result<()> {
        let time = async {
            let mut connection = self.context.backends.db.connection().await?;
            db::time(&mut connection).await
        };
        let now = time.await;
        if now.is_err() {
            contact.lose();
        }
        let leases = contact.note(now?, self.context.settings.job_lease);
        sweep::run(&self.context.backends, leases).await?;
        Ok(())
    }

    async fn clean_once(&self) -> anyhow::Result<()> {
        // At its start, the worker cannot yet remove the folders of one that was just killed.
        let cleared = self.context.media.clear_scratch().await;
        // With another installation's storage, `uploads` would lose rows whose files still exist.
        let backends = &self.context.backends;
        backends.installation.verify().await?;
        clean::run(backends, &self.context.upload).await?;
        cleared
    }
}
