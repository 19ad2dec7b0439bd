//! The rounds that every worker goes beside its jobs: sweeping, which keeps jobs alive, and cleaning, which may take
//! long and so delays no sweep.

use std::time::Duration;

use super::{Worker, outage::Outage, within};
use crate::{
    db,
    videos::{
        clean,
        sweep::{self, Contact},
    },
};

/// Longest round of either kind.
const TIMEOUT: Duration = Duration::from_mins(1);

impl Worker {
    /// Sweeps until the shutdown is requested.
    pub(super) async fn sweep(self) {
        let mut contact = Contact::default();
        let mut outage = Outage::of("the sweep failed");
        while !self.shutdown.is_requested() {
            let swept = within(TIMEOUT, Box::pin(self.sweep_once(&mut contact)));
            tokio::select! {
                swept = swept => outage.note(&swept),
                // What it marked and did not push is pushed again later.
                () = self.shutdown.insisted() => return,
            }
            self.pause(sweep::INTERVAL).await;
        }
    }

    /// Cleans until the shutdown is requested.
    pub(super) async fn clean(self) {
        let mut outage = Outage::of("the cleaning failed");
        while !self.shutdown.is_requested() {
            tokio::select! {
                cleaned = within(TIMEOUT, Box::pin(self.clean_once())) => outage.note(&cleaned),
                () = self.shutdown.insisted() => return,
            }
            self.pause(clean::INTERVAL).await;
        }
    }

    async fn sweep_once(&self, contact: &mut Contact) -> anyhow::Result<()> {
        let asked = async {
            let mut connection = self.workshop.db.connection().await?;
            db::time(&mut connection).await
        };
        let now = asked.await;
        if now.is_err() {
            contact.lose();
        }
        let leases = contact.note(now?, self.workshop.settings.lease);
        sweep::run(&self.workshop.as_ref().into(), leases).await?;
        Ok(())
    }

    async fn clean_once(&self) -> anyhow::Result<()> {
        // The start of a worker is too early for the folders of one that was killed just before.
        let cleared = self.workshop.media.clear_scratch().await;
        // The notes of what is to be deleted must not be forgotten over another installation's storage.
        self.workshop.installation.verify().await?;
        clean::run(&self.workshop.as_ref().into()).await?;
        cleared
    }
}
