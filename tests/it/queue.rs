//! What every broker must do, written against [`Queue`] alone and run with each of them; then what only
//! one of them can suffer.

mod dead;
mod ending;
mod faults;
mod load;
mod only_redis;
mod only_sqs;
mod payloads;
mod rates;
mod receiving;
mod scripted;
mod visibility;

use std::time::Duration;

use anb::{
    ids::VideoId,
    job::Job,
    queue::{Delivery, Queue, Stats},
};

use crate::support::eventually;

/// Short enough to see it pass. SQS knows whole seconds only.
const VISIBILITY: Duration = Duration::from_secs(1);

/// Too long for any test to see it pass.
const FOR_EVER: Duration = Duration::from_mins(10);

/// Takes what is there and waits for nothing.
const NOW: Duration = Duration::ZERO;

/// Longest wait for what must come.
const WAIT: Duration = Duration::from_secs(2);

/// Makes of each case a test with Redis and a test with SQS.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        cases!(redis: $($case),+);
        cases!(sqs: $($case),+);
    };
    ($broker:ident: $($case:ident),+) => {
        mod $broker {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(&crate::support::Broker::$broker().await).await;
                }
            )+
        }
    };
}
use cases;

async fn push(queue: &Queue) -> Job {
    let job = job();
    queue.push(&job).await.unwrap();
    job
}

fn job() -> Job {
    Job::process_video(VideoId::generate(), "test".to_owned())
}

/// Receives the one message that must be there.
async fn one(queue: &Queue, wait: Duration) -> Delivery {
    let mut deliveries = queue.receive(1, wait).await.unwrap();
    assert_eq!(deliveries.len(), 1);
    deliveries.remove(0)
}

/// Receives one message sooner or later; errors may come before it.
async fn eventually_one(queue: &Queue) -> Delivery {
    let mut delivery = None;
    eventually("a message comes", 60, async || {
        let received = queue.receive(1, NOW).await.unwrap_or_default();
        delivery = received.into_iter().next();
        delivery.is_some()
    })
    .await;
    delivery.unwrap()
}

/// Fails if a message is there.
async fn none(queue: &Queue) {
    let received = queue.receive(10, NOW).await.unwrap();
    let payloads: Vec<_> = received
        .into_iter()
        .map(|message| message.payload)
        .collect();
    assert!(payloads.is_empty(), "{payloads:?}");
}

fn stats(waiting: u64, in_flight: u64, dead: u64) -> Stats {
    Stats {
        waiting,
        in_flight,
        dead,
    }
}
