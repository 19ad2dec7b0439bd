//! The lag of the vote counters behind the acknowledged votes, and the backpressure that bounds it.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

/// Maximum lag of the vote counters. It counts towards the maximum age of public lists, two
/// seconds; the rest is the time for which they are cached (`http/cache.rs`).
pub const MAX_LAG: Duration = Duration::from_millis(500);

const BACKPRESSURE_LAG: Duration = Duration::from_millis(400);

/// Maximum time for which a batch of votes is held back. Late counters are better than no votes.
const MAX_HOLD: Duration = Duration::from_secs(1);

/// State of vote counting, shared by clones. Every API process counts the votes of all of them.
#[derive(Clone)]
pub struct Counting {
    last: watch::Sender<Round>,
}

/// The last round of counting.
#[derive(Debug, Clone, Copy)]
struct Round {
    ended: Instant,
    /// Age of the oldest vote that it left uncounted.
    left: Duration,
    is_failing: bool,
}

impl Default for Counting {
    fn default() -> Self {
        let round = Round {
            ended: Instant::now(),
            left: Duration::ZERO,
            is_failing: false,
        };
        Self {
            last: watch::Sender::new(round),
        }
    }
}

impl Counting {
    /// Records a successful round, and the age of the oldest vote that it left uncounted.
    pub fn succeeded(&self, left: Duration) {
        self.last.send_replace(Round {
            ended: Instant::now(),
            left,
            is_failing: false,
        });
    }

    /// Records a failed round, and returns whether the previous round succeeded. Votes are still
    /// accepted, and counted later.
    pub fn failed(&self) -> bool {
        let mut is_first = false;
        self.last.send_modify(|round| {
            is_first = !round.is_failing;
            round.is_failing = true;
        });
        is_first
    }

    /// Returns the maximum age of a vote that is not in its counter yet.
    pub fn lag(&self) -> Duration {
        let round = *self.last.borrow();
        round.left + round.ended.elapsed()
    }

    pub fn is_late(&self) -> bool {
        self.lag() > MAX_LAG
    }

    /// Applies backpressure: while the counters lag, waits for the end of a round. Each round then
    /// admits one batch of votes, which is less than a round counts.
    pub async fn backpressure(&self) {
        let mut rounds = self.last.subscribe();
        if self.lag() < BACKPRESSURE_LAG || rounds.borrow_and_update().is_failing {
            return;
        }
        // The votes are admitted even after the timeout.
        drop(timeout(MAX_HOLD, rounds.changed()).await);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn lag_adds_the_time_since_the_last_round() {
        let counting = Counting::default();
        assert!(!counting.is_late());
        counting.succeeded(Duration::from_millis(200));
        assert!(!counting.is_late());
        let ended = Instant::now()
            .checked_sub(Duration::from_millis(301))
            .unwrap();
        counting.last.send_modify(|round| round.ended = ended);
        assert!(counting.is_late());
        assert!(counting.failed());
        assert!(!counting.failed());
        assert!(counting.is_late());
        counting.succeeded(Duration::ZERO);
        assert!(!counting.is_late());
    }

    #[tokio::test]
    async fn lagging_counters_hold_votes_until_a_round_ends() {
        let counting = Counting::default();
        assert!(counting.backpressure().now_or_never().is_some());

        counting.succeeded(BACKPRESSURE_LAG);
        let mut held = pin!(counting.backpressure());
        assert!(held.as_mut().now_or_never().is_none());
        counting.succeeded(BACKPRESSURE_LAG);
        assert!(held.now_or_never().is_some());
        assert!(counting.backpressure().now_or_never().is_none());
    }

    #[tokio::test]
    async fn hanging_or_failing_rounds_do_not_block_votes() {
        let counting = Counting::default();
        counting.succeeded(BACKPRESSURE_LAG);
        counting.backpressure().await;
        counting.failed();
        assert!(counting.backpressure().now_or_never().is_some());
    }
}
