//! Keeping a job: heartbeats for its row and extensions for its message, each by itself, so that a broker that hangs
//! delays no heartbeat.

use std::{convert::Infallible, future::Future, time::Duration};

use tokio::time::{Interval, MissedTickBehavior, interval};

use super::within;
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
        () = beat(lease / RENEWALS, heartbeat) => {}
        never = extend(visibility / RENEWALS, delivery) => match never {},
    }
}

async fn beat<F>(every: Duration, heartbeat: impl Fn() -> F)
where
    F: Future<Output = anyhow::Result<bool>>,
{
    let mut ticks = ticks(every).await;
    let mut is_failing = false;
    loop {
        ticks.tick().await;
        match within(every, heartbeat()).await {
            Ok(true) => is_failing = false,
            Ok(false) => return,
            // Told once in an outage.
            Err(error) => {
                if !is_failing {
                    tracing::warn!("heartbeat failed, the job goes on: {error:#}");
                }
                is_failing = true;
            }
        }
    }
}

async fn extend(every: Duration, delivery: &Delivery) -> Infallible {
    let mut ticks = ticks(every).await;
    let mut is_failing = false;
    loop {
        ticks.tick().await;
        match within(every, delivery.extend()).await {
            Ok(()) => is_failing = false,
            Err(error) => {
                if !is_failing {
                    tracing::warn!("the message was not extended, the job goes on: {error:#}");
                }
                is_failing = true;
            }
        }
    }
}

/// Returns ticks, the first after one span: what was just claimed and received is fresh.
async fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    ticks
}
