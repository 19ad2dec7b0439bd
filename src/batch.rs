//! Batching (as in group commit) of work that costs about the same for one item as for many. Items
//! that arrive during a batch form the next one. Under low load no item is delayed.

use std::{error::Error, fmt, future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::shutdown::{Shutdown, Task};

/// Maximum batch size. Larger batches bring no gain, and a batch fails as a whole.
const MAX_BATCH: usize = 256;

/// Maximum waiting items. At a thousand per second, they wait for seconds, longer than clients do.
const MAX_WAITING: usize = 4096;

/// How long a batch waits to reach the size of the previous one. Clients answered together usually
/// send their next requests together, which would otherwise make a batch of one and a batch of the
/// rest. Tokio's timer has a resolution of 1 ms.
const LINGER: Duration = Duration::from_millis(1);

/// More items are waiting than can be processed in time.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("too many items are waiting")]
pub struct Overloaded;

/// The error of a batch, shared by its callers.
#[derive(Debug, Clone)]
pub struct SharedError(Arc<anyhow::Error>);

impl From<anyhow::Error> for SharedError {
    fn from(error: anyhow::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl From<Arc<anyhow::Error>> for SharedError {
    fn from(error: Arc<anyhow::Error>) -> Self {
        Self(error)
    }
}

impl From<Overloaded> for SharedError {
    fn from(busy: Overloaded) -> Self {
        anyhow::Error::from(busy).into()
    }
}

/// Splits the result of a batch of `count` items. An error goes to every caller.
pub fn split_result<R>(batch: anyhow::Result<Vec<R>>, count: usize) -> Vec<Result<R, SharedError>> {
    match batch {
        Ok(results) => results.into_iter().map(Ok).collect(),
        Err(error) => vec![SharedError::from(error); count]
            .into_iter()
            .map(Err)
            .collect(),
    }
}

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("process a batch")
    }
}

impl Error for SharedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some((*self.0).as_ref())
    }
}

/// Accepts items and processes them in batches. Cheap to clone; clones share state.
pub struct Batcher<T, R> {
    sender: mpsc::Sender<Entry<T, R>>,
}

type Entry<T, R> = (T, oneshot::Sender<R>);

impl<T, R> Clone for Batcher<T, R> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
        }
    }
}

impl<T: Send + 'static, R: Send + 'static> Batcher<T, R> {
    /// Starts `task`. It processes batches with `work`, which returns one result per item, in the
    /// same order. A cancelled caller does not cancel the batch.
    pub fn start<F>(
        shutdown: &Shutdown,
        task: Task,
        work: impl Fn(Vec<T>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Vec<R>> + Send + 'static,
    {
        let (sender, mut receiver) = mpsc::channel(MAX_WAITING);
        let stop = shutdown.clone();
        shutdown.spawn(task, async move {
            let mut last = 0;
            loop {
                let entries = tokio::select! {
                    entries = gather(&mut receiver, last) => entries,
                    // Requests have been drained, so no caller is waiting.
                    () = stop.forced() => return,
                };
                if entries.is_empty() {
                    return;
                }
                last = entries.len();
                let (items, waiting): (Vec<T>, Vec<oneshot::Sender<R>>) =
                    entries.into_iter().unzip();
                for (result, waiting) in work(items).await.into_iter().zip(waiting) {
                    // A cancelled caller receives no result.
                    drop(waiting.send(result));
                }
            }
        });
        Self { sender }
    }

    pub async fn submit(&self, item: T) -> Result<R, Overloaded> {
        let (sender, receiver) = oneshot::channel();
        self.sender
            .try_send((item, sender))
            .map_err(|_full| Overloaded)?;
        // The sender is dropped without a result only at the end of the process.
        receiver.await.map_err(|_ended| Overloaded)
    }
}

/// Returns the waiting items: at least one, or none once all senders are dropped. Waits for up to
/// [`LINGER`] if there are fewer than `last`.
async fn gather<E>(receiver: &mut mpsc::Receiver<E>, last: usize) -> Vec<E> {
    let mut entries = Vec::new();
    receiver.recv_many(&mut entries, MAX_BATCH).await;
    let rest = async {
        while !entries.is_empty() && entries.len() < last {
            let room = MAX_BATCH - entries.len();
            if receiver.recv_many(&mut entries, room).await == 0 {
                return;
            }
        }
    };
    // After a timeout, `entries` holds the items received until then.
    timeout(LINGER, rest).await.unwrap_or_default();
    entries
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures_util::{
        FutureExt as _, StreamExt as _, future::join_all, stream::FuturesUnordered,
    };

    use super::*;

    /// Doubles numbers, and records the size of each batch.
    fn doubler(shutdown: &Shutdown) -> (Batcher<u32, u32>, Arc<Mutex<Vec<usize>>>) {
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let recorded = Arc::clone(&sizes);
        let batcher = Batcher::start(shutdown, Task::VoteCommits, move |items: Vec<u32>| {
            recorded.lock().unwrap().push(items.len());
            async move { items.into_iter().map(|item| item * 2).collect() }
        });
        (batcher, sizes)
    }

    #[tokio::test]
    async fn each_caller_gets_its_own_result() {
        let (batcher, sizes) = doubler(&Shutdown::new(Duration::ZERO));
        let results = join_all((0..1000).map(|item| batcher.submit(item))).await;
        for (item, result) in (0..1000).zip(results) {
            assert_eq!(result.unwrap(), item * 2);
        }
        assert_eq!(*sizes.lock().unwrap(), [256, 256, 256, 232]);
    }

    #[tokio::test]
    async fn single_item_is_not_delayed() {
        let (batcher, sizes) = doubler(&Shutdown::new(Duration::ZERO));
        join_all((0..32).map(|item| batcher.submit(item))).await;
        for _ in 0..2 {
            assert_eq!(batcher.submit(1).await.unwrap(), 2);
        }
        assert_eq!(*sizes.lock().unwrap(), [32, 1, 1]);
    }

    #[tokio::test]
    async fn cancelled_caller_does_not_affect_batch() {
        let (batcher, sizes) = doubler(&Shutdown::new(Duration::ZERO));
        assert!(batcher.submit(1).now_or_never().is_none());
        assert_eq!(batcher.submit(2).await.unwrap(), 4);
        assert_eq!(sizes.lock().unwrap().iter().sum::<usize>(), 2);
    }

    #[tokio::test]
    async fn full_queue_refuses_items() {
        let shutdown = Shutdown::new(Duration::ZERO);
        let never = |_: Vec<u32>| std::future::pending::<Vec<u32>>();
        let batcher = Batcher::start(&shutdown, Task::VoteCommits, never);
        let many = (0..MAX_WAITING + MAX_BATCH + 10).map(|_| batcher.submit(1));
        let mut many: FuturesUnordered<_> = many.collect();
        assert!(matches!(many.next().await, Some(Err(Overloaded))));
    }
}
