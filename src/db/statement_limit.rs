//! Limits the concurrency and rate of expensive statements available to any client, so that they
//! leave enough connections and database CPU for votes and tokens.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout},
};

use crate::batch::Overloaded;

/// Maximum statements that wait for a turn or hold one.
const MAX_IN_QUEUE: usize = 1024;

/// Maximum wait for a turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(3);

/// A limit on concurrent statements and their rate. Cheap to clone; clones share the limit.
#[derive(Clone)]
pub struct StatementLimit {
    places: Arc<Semaphore>,
    running: Arc<Semaphore>,
    /// Minimum time between the starts of two statements.
    spacing: Duration,
    next: Arc<Mutex<Instant>>,
}

/// A permit to run one statement, released on drop.
pub struct StatementPermit {
    _running: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl StatementLimit {
    /// Creates a limit of `count` concurrent statements and `per_second` starts.
    pub fn new(count: usize, per_second: u32) -> Self {
        Self {
            places: Arc::new(Semaphore::new(MAX_IN_QUEUE)),
            running: Arc::new(Semaphore::new(count)),
            spacing: Duration::from_secs(1) / per_second,
            next: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Waits for a permit in FIFO order. Returns [`Overloaded`] if the queue is full or the wait
    /// times out.
    pub async fn acquire(&self) -> Result<StatementPermit, Overloaded> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_full| Overloaded)?;
        let turn = async {
            let turn = Arc::clone(&self.running).acquire_owned().await;
            self.pace().await;
            turn
        };
        let turn = timeout(TURN_TIMEOUT, turn)
            .await
            .map_err(|_elapsed| Overloaded)?;
        Ok(StatementPermit {
            _running: turn.map_err(|_closed| Overloaded)?,
            _place: place,
        })
    }

    /// Waits until the next turn may begin. The timer has a resolution of 1 ms, so excess waiting
    /// shortens the following waits.
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
    async fn search_waits_while_all_turns_are_taken() {
        let statement_limit = StatementLimit::new(2, 1000);
        let taken = join_all([statement_limit.acquire(), statement_limit.acquire()]).await;
        let mut third = Box::pin(statement_limit.acquire());
        assert!((&mut third).now_or_never().is_none());
        drop(taken);
        assert!(third.await.is_ok());
    }

    #[tokio::test]
    async fn turns_are_paced_evenly() {
        let statement_limit = StatementLimit::new(2, 400);
        let start = Instant::now();
        for _ in 0..41 {
            drop(statement_limit.acquire().await.unwrap());
        }
        assert!(start.elapsed() >= Duration::from_millis(95));
    }

    #[tokio::test]
    async fn search_fails_immediately_when_queue_is_full() {
        let statement_limit = StatementLimit::new(1, 1000);
        let _taken = statement_limit.acquire().await.unwrap();
        let mut waiting: Vec<_> = (1..MAX_IN_QUEUE)
            .map(|_| Box::pin(statement_limit.acquire()))
            .collect();
        for wait in &mut waiting {
            assert!(wait.now_or_never().is_none());
        }
        assert!(matches!(
            statement_limit.acquire().now_or_never(),
            Some(Err(Overloaded))
        ));
    }
}
