//! Requirements on every broker, tested through [`Queue`] and run with each of them, and tests of
//! faults that only one of them can have.

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

/// Short enough to expire during a test. SQS supports whole seconds only.
const VISIBILITY: Duration = Duration::from_secs(1);

/// Too long to expire during any test.
const NEVER_EXPIRES: Duration = Duration::from_mins(10);

/// Receives available messages without waiting.
const NOW: Duration = Duration::ZERO;

/// Maximum wait for an expected message.
const WAIT: Duration = Duration::from_secs(2);

/// Turns each case into a test with Redis and a test with SQS.
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

/// Receives the single expected message.
async fn one(queue: &Queue, wait: Duration) -> Delivery {
    let mut deliveries = queue.receive(1, wait).await.unwrap();
    assert_eq!(deliveries.len(), 1);
    deliveries.remove(0)
}

/// Receives one message eventually, ignoring errors before it.
async fn eventually_one(queue: &Queue) -> Delivery {
    let mut delivery = None;
    eventually("a message arrives", 60, async || {
        let received = queue.receive(1, NOW).await.unwrap_or_default();
        delivery = received.into_iter().next();
        delivery.is_some()
    })
    .await;
    delivery.unwrap()
}

/// Asserts that no message is available.
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
