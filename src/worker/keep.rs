//! Keeping a job: heartbeats for its row and extensions for its message, each by itself, so that a broker that hangs
//! delays no heartbeat.

use std::{convert::Infallible, future::Future, time::Duration};

use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{outage::Outage, within};
use crate::queue::Delivery;

/// How often each is renewed within its time.
const RENEWALS: u32 = 3;

/// Completes when `heartbeat` tells that the claim is lost. A database that cannot be reached is no loss: the job goes
/// on, and the first heartbeat that gets through tells. The message is extended meanwhile.
pub async fn keep<F>(
    lease: Duration,
    visibility: Duration,
    delivery: &Delivery,
    heartbeat: impl Fn() -> F,
) where
    F: Future<Output = anyhow::Result<bool>>,
{
    tokio::select! {
        () = beat(lease, heartbeat) => {}
        never = extend(visibility, delivery) => match never {},
    }
}

async fn beat<F>(lease: Duration, heartbeat: impl Fn() -> F)
where
    F: Future<Output = anyhow::Result<bool>>,
{
    let mut ticks = ticks(lease / RENEWALS).await;
    let mut outage = Outage::of("heartbeat failed, the job goes on");
    loop {
        ticks.tick().await;
        // A slow answer is better than none: a new question would wait behind it.
        let held = within(lease, heartbeat()).await;
        outage.note(&held);
        if matches!(held, Ok(false)) {
            return;
        }
    }
}

async fn extend(visibility: Duration, delivery: &Delivery) -> Infallible {
    let mut ticks = ticks(visibility / RENEWALS).await;
    let mut outage = Outage::of("the message was not extended, the job goes on");
    loop {
        ticks.tick().await;
        outage.note(&within(visibility, delivery.extend()).await);
    }
}

/// Returns ticks, the first after one span: what was just claimed and received is fresh.
async fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    ticks
}
