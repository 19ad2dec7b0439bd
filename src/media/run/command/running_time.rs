//! Time limits that exclude pauses of this process. While it is stopped, frozen with its container
//! or suspended with its machine, it receives no output, so the time does not count.

use std::{future::Future, pin::pin, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

/// Number of ticks per limit.
const TICKS: u32 = 30;

/// Maximum time between two ticks.
const MAX_TICK: Duration = Duration::from_secs(1);

/// The limit has passed.
#[derive(Debug, PartialEq, Eq)]
pub struct Elapsed;

/// Waits for `work` for at most `limit` of this process's running time. A pause counts as one tick.
pub async fn timeout<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, Elapsed> {
    let tick = (limit / TICKS).clamp(Duration::from_millis(1), MAX_TICK);
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
    async fn work_beyond_the_limit_times_out() {
        let limit = Duration::from_millis(50);
        assert_eq!(timeout(limit, async { 7 }).await, Ok(7));
        assert_eq!(timeout(limit, pending::<()>()).await, Err(Elapsed));
    }

    #[tokio::test]
    async fn pauses_of_the_process_are_not_counted() {
        let limit = Duration::from_millis(300);
        let slept = async {
            // Blocks this thread's whole runtime, as if the process were stopped.
            thread::sleep(2 * limit);
            tokio::time::sleep(limit / 10).await;
        };
        assert_eq!(timeout(limit, slept).await, Ok(()));
    }
}
