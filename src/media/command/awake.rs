//! Time limits that do not count the pauses of this process: stopped, frozen with its container or suspended with its
//! machine, it heard nothing, and so did nobody wait.

use std::{future::Future, pin::pin, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

/// A limit is as many ticks long.
const TICKS: u32 = 30;

/// Longest time between two ticks.
const LONGEST_TICK: Duration = Duration::from_secs(1);

/// The time is over.
#[derive(Debug, PartialEq, Eq)]
pub struct Elapsed;

/// Waits for `work`, but not longer than `limit` while this process runs: of a pause it counts one tick.
pub async fn timeout<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, Elapsed> {
    let tick = (limit / TICKS).clamp(Duration::from_millis(1), LONGEST_TICK);
    let mut ticks = interval(tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut work = pin!(work);
    let mut waited = Duration::ZERO;
    // The first tick is immediate.
    ticks.tick().await;
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            _ = ticks.tick() => waited += tick,
        }
        if waited >= limit {
            return Err(Elapsed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, thread};

    use super::*;

    #[tokio::test]
    async fn a_limit_ends_what_takes_longer() {
        let limit = Duration::from_millis(50);
        assert_eq!(timeout(limit, async { 7 }).await, Ok(7));
        assert_eq!(timeout(limit, pending::<()>()).await, Err(Elapsed));
    }

    #[tokio::test]
    async fn a_pause_of_the_process_is_not_counted() {
        let limit = Duration::from_millis(300);
        let slept = async {
            // Nothing else of this thread's runtime runs meanwhile, as in a process that is stopped.
            thread::sleep(2 * limit);
            tokio::time::sleep(limit / 10).await;
        };
        assert_eq!(timeout(limit, slept).await, Ok(()));
    }
}
