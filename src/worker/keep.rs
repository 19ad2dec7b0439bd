//! Protection of a running job by heartbeats for its row and visibility extensions for its message.
//! They run independently, so that an unresponsive broker delays no heartbeat.

use std::{convert::Infallible, future::Future, time::Duration};

use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{outage::OutageLog, within};
use crate::queue::Delivery;

/// Renewals per lease and per visibility timeout.
const RENEWALS: u32 = 3;

/// Renews lease and message until `heartbeat` reports that the claim is lost. If the database is
/// unavailable, the job continues, and the next successful heartbeat shows whether the claim holds.
pub async fn keep<F>(
    lease: Duration,
    visibility: Duration,
    delivery: &Delivery,
    heartbeat: impl Fn() -> F,
) where
    F: Future<Output = anyhow::Result<bool>>,
{
    tokio::select! {
        () = renew_lease(lease, heartbeat) => {}
        never = extend_message(visibility, delivery) => match never {},
    }
}

async fn renew_lease<F>(lease: Duration, heartbeat: impl Fn() -> F)
where
    F: Future<Output = anyhow::Result<bool>>,
{
    let mut ticks = ticks(lease / RENEWALS).await;
    let mut outage = OutageLog::of("heartbeat failed, the job continues");
    loop {
        ticks.tick().await;
        // Waits long for a slow response, because a new query would queue behind it.
        let held = within(lease, heartbeat()).await;
        outage.note(&held);
        if matches!(held, Ok(false)) {
            return;
        }
    }
}

async fn extend_message(visibility: Duration, delivery: &Delivery) -> Infallible {
    let mut ticks = ticks(visibility / RENEWALS).await;
    let mut outage = OutageLog::of("failed to extend the message, the job continues");
    loop {
        ticks.tick().await;
        outage.note(&within(visibility, delivery.extend()).await);
    }
}

/// Returns an interval whose first tick comes after one period, because claim and message are new.
async fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    ticks
}
