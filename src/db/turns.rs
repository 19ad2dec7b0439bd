//! Turns for statements that anybody may have run and that cost more than most: they never take all connections, nor
//! all of the database's processors, from those that votes and tokens need.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::batch::Busy;

/// Most that wait for their turn or have it.
const MOST_WAITING: usize = 1024;

/// Longest wait for a turn.
const PATIENCE: Duration = Duration::from_secs(3);

/// A bound on how many run at once; clones share it.
#[derive(Clone)]
pub struct Turns {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

/// A turn, which ends when it is dropped.
pub struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Turns {
    /// Makes turns for `count` at once.
    pub fn new(count: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(MOST_WAITING)),
            turns: Arc::new(Semaphore::new(count)),
        }
    }

    /// Waits for a turn, first come, first served. Returns [`Busy`] if too many wait, or if it takes too long.
    pub async fn take(&self) -> Result<Turn, Busy> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_full| Busy)?;
        let turn = timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned());
        let turn = turn.await.map_err(|_elapsed| Busy)?;
        Ok(Turn {
            _turn: turn.map_err(|_closed| Busy)?,
            _place: place,
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, future::join_all};

    use super::*;

    #[tokio::test]
    async fn a_search_waits_while_all_turns_are_taken() {
        let turns = Turns::new(2);
        let taken = join_all([turns.take(), turns.take()]).await;
        let mut third = Box::pin(turns.take());
        assert!((&mut third).now_or_never().is_none());
        drop(taken);
        assert!(third.await.is_ok());
    }

    #[tokio::test]
    async fn a_search_beyond_the_longest_queue_is_refused_at_once() {
        let turns = Turns::new(1);
        let _taken = turns.take().await.unwrap();
        let mut waiting: Vec<_> = (1..MOST_WAITING).map(|_| Box::pin(turns.take())).collect();
        for wait in &mut waiting {
            assert!(wait.now_or_never().is_none());
        }
        assert!(matches!(turns.take().now_or_never(), Some(Err(Busy))));
    }
}
