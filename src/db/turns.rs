//! Turns for statements that anybody may have run and that cost more than most: they never take all connections, nor
//! all of the database's processors, from those that votes and tokens need.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout},
};

use crate::batch::Busy;

/// Most that wait for their turn or have it.
const MOST_WAITING: usize = 1024;

/// Longest wait for a turn.
const PATIENCE: Duration = Duration::from_secs(3);

/// A bound on how many run at once and in a second; clones share it.
#[derive(Clone)]
pub struct Turns {
    places: Arc<Semaphore>,
    running: Arc<Semaphore>,
    /// Time from the beginning of one turn to that of the next.
    spacing: Duration,
    next: Arc<Mutex<Instant>>,
}

/// A turn, which ends when it is dropped.
pub struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Turns {
    /// Makes turns for `count` at once, and `per_second`.
    pub fn new(count: usize, per_second: u32) -> Self {
        Self {
            places: Arc::new(Semaphore::new(MOST_WAITING)),
            running: Arc::new(Semaphore::new(count)),
            spacing: Duration::from_secs(1) / per_second,
            next: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Waits for a turn, first come, first served. Returns [`Busy`] if too many wait, or if it takes too long.
    pub async fn take(&self) -> Result<Turn, Busy> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_full| Busy)?;
        let turn = async {
            let turn = Arc::clone(&self.running).acquire_owned().await;
            self.pace().await;
            turn
        };
        let turn = timeout(PATIENCE, turn).await.map_err(|_elapsed| Busy)?;
        Ok(Turn {
            _turn: turn.map_err(|_closed| Busy)?,
            _place: place,
        })
    }

    /// Waits until the next turn may begin. The clock ticks in milliseconds; what one waits too long the next ones wait
    /// less.
    async fn pace(&self) {
        let mut next = self.next.lock().await;
        sleep_until(*next).await;
        *next = (*next).max(Instant::now() - self.spacing) + self.spacing;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, future::join_all};

    use super::*;

    #[tokio::test]
    async fn a_search_waits_while_all_turns_are_taken() {
        let turns = Turns::new(2, 1000);
        let taken = join_all([turns.take(), turns.take()]).await;
        let mut third = Box::pin(turns.take());
        assert!((&mut third).now_or_never().is_none());
        drop(taken);
        assert!(third.await.is_ok());
    }

    #[tokio::test]
    async fn turns_of_a_second_are_spread_over_it() {
        let turns = Turns::new(2, 400);
        let start = Instant::now();
        for _ in 0..41 {
            drop(turns.take().await.unwrap());
        }
        assert!(start.elapsed() >= Duration::from_millis(95));
    }

    #[tokio::test]
    async fn a_search_beyond_the_longest_queue_is_refused_at_once() {
        let turns = Turns::new(1, 1000);
        let _taken = turns.take().await.unwrap();
        let mut waiting: Vec<_> = (1..MOST_WAITING).map(|_| Box::pin(turns.take())).collect();
        for wait in &mut waiting {
            assert!(wait.now_or_never().is_none());
        }
        assert!(matches!(turns.take().now_or_never(), Some(Err(Busy))));
    }
}
