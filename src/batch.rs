//! Work that costs about the same for one as for many: what arrives while some of it runs is done together
//! next. Nothing is delayed while there is little to do.

use std::{error::Error, fmt, future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::shutdown::Shutdown;

/// Most that is done together: more makes nothing cheaper, and all of it fails together.
const MOST: usize = 256;

/// Most that waits: at a thousand a second it would wait for seconds, longer than anybody does.
const QUEUE: usize = 4096;

/// How long the next round waits for as many as the one before had: who was answered together mostly comes
/// back together, and would else make a round of one and a round of the rest. Tokio's clock has steps of 1 ms.
const LINGER: Duration = Duration::from_millis(1);

/// More waits than can be done in time.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("too much waits to be done")]
pub struct Busy;

/// The error of work that was done for several.
#[derive(Debug, Clone)]
pub struct Shared(Arc<anyhow::Error>);

impl From<anyhow::Error> for Shared {
    fn from(error: anyhow::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl From<Arc<anyhow::Error>> for Shared {
    fn from(error: Arc<anyhow::Error>) -> Self {
        Self(error)
    }
}

impl From<Busy> for Shared {
    fn from(busy: Busy) -> Self {
        anyhow::Error::from(busy).into()
    }
}

/// Deals out what was done for `count` together: an error is everybody's.
pub fn deal<R>(together: anyhow::Result<Vec<R>>, count: usize) -> Vec<Result<R, Shared>> {
    match together {
        Ok(results) => results.into_iter().map(Ok).collect(),
        Err(error) => vec![Shared::from(error); count]
            .into_iter()
            .map(Err)
            .collect(),
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("do it together with others")
    }
}

impl Error for Shared {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some((*self.0).as_ref())
    }
}

/// Where work is handed in; clones are the same.
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
    /// Starts a task that does with `work` what is handed in: one result for each, in the same order. It
    /// runs apart from those who wait: one who goes away breaks nothing off.
    pub fn start<F>(shutdown: &Shutdown, work: impl Fn(Vec<T>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Vec<R>> + Send + 'static,
    {
        let (sender, mut receiver) = mpsc::channel(QUEUE);
        let stop = shutdown.clone();
        shutdown.spawn(async move {
            let mut last = 0;
            loop {
                let entries = tokio::select! {
                    entries = gather(&mut receiver, last) => entries,
                    // Requests are drained before: nobody waits any more.
                    () = stop.insisted() => return,
                };
                if entries.is_empty() {
                    return;
                }
                last = entries.len();
                let (items, waiting): (Vec<T>, Vec<oneshot::Sender<R>>) =
                    entries.into_iter().unzip();
                for (result, waiting) in work(items).await.into_iter().zip(waiting) {
                    // Whoever went away does not want it.
                    drop(waiting.send(result));
                }
            }
        });
        Self { sender }
    }

    /// Hands `item` in and returns its result.
    pub async fn submit(&self, item: T) -> Result<R, Busy> {
        let (sender, receiver) = oneshot::channel();
        self.sender.try_send((item, sender)).map_err(|_full| Busy)?;
        // It is dropped without a result only at the end of the process.
        receiver.await.map_err(|_ended| Busy)
    }
}

/// Returns what waits, at least one, none at the end; after a short while if it is less than `last` time.
async fn gather<E>(receiver: &mut mpsc::Receiver<E>, last: usize) -> Vec<E> {
    let mut entries = Vec::new();
    receiver.recv_many(&mut entries, MOST).await;
    let rest = async {
        while !entries.is_empty() && entries.len() < last {
            let room = MOST - entries.len();
            if receiver.recv_many(&mut entries, room).await == 0 {
                return;
            }
        }
    };
    // Elapsed or not, what came is in.
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

    /// Doubles numbers, and writes down how many were doubled together.
    fn doubler(shutdown: &Shutdown) -> (Batcher<u32, u32>, Arc<Mutex<Vec<usize>>>) {
        let rounds = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&rounds);
        let batcher = Batcher::start(shutdown, move |items: Vec<u32>| {
            written.lock().unwrap().push(items.len());
            async move { items.into_iter().map(|item| item * 2).collect() }
        });
        (batcher, rounds)
    }

    #[tokio::test]
    async fn each_gets_its_own_result() {
        let (batcher, rounds) = doubler(&Shutdown::new(Duration::ZERO));
        let results = join_all((0..1000).map(|item| batcher.submit(item))).await;
        for (item, result) in (0..1000).zip(results) {
            assert_eq!(result.unwrap(), item * 2);
        }
        assert_eq!(*rounds.lock().unwrap(), [256, 256, 256, 232]);
    }

    #[tokio::test]
    async fn a_lone_one_is_not_kept_for_others() {
        let (batcher, rounds) = doubler(&Shutdown::new(Duration::ZERO));
        join_all((0..32).map(|item| batcher.submit(item))).await;
        for _ in 0..2 {
            assert_eq!(batcher.submit(1).await.unwrap(), 2);
        }
        assert_eq!(*rounds.lock().unwrap(), [32, 1, 1]);
    }

    #[tokio::test]
    async fn who_goes_away_takes_nothing_along() {
        let (batcher, rounds) = doubler(&Shutdown::new(Duration::ZERO));
        assert!(batcher.submit(1).now_or_never().is_none());
        assert_eq!(batcher.submit(2).await.unwrap(), 4);
        assert_eq!(rounds.lock().unwrap().iter().sum::<usize>(), 2);
    }

    #[tokio::test]
    async fn what_cannot_be_done_in_time_is_refused() {
        let shutdown = Shutdown::new(Duration::ZERO);
        let batcher = Batcher::start(&shutdown, |_: Vec<u32>| std::future::pending::<Vec<u32>>());
        let many = (0..QUEUE + MOST + 10).map(|_| batcher.submit(1));
        let mut many: FuturesUnordered<_> = many.collect();
        assert!(matches!(many.next().await, Some(Err(Busy))));
    }
}
