//! Receiving: which consumer gets which messages, how many, and when.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use anb::{
    job::Job,
    queue::{Delivery, Queue},
};

use super::{NEVER_EXPIRES, NOW, VISIBILITY, WAIT, cases, none, one, push, stats};
use crate::support::{Broker, eventually};

cases! {
    message_contains_the_pushed_job,
    messages_wait_for_a_future_consumer,
    clones_share_the_queue,
    receive_respects_its_limit,
    one_receive_returns_many_messages,
    receive_accepts_a_limit_above_the_maximum,
    receive_waits_on_an_empty_queue,
    receive_without_wait_returns_at_once,
    waiting_receive_returns_when_a_message_arrives,
    receive_returns_waiting_messages_at_once,
    two_consumers_never_receive_the_same_message,
    concurrent_receives_share_the_messages,
    queues_of_different_tests_are_isolated,
}

async fn message_contains_the_pushed_job(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    let job = push(&queue).await;
    let delivery = one(&queue, WAIT).await;
    assert_eq!(Job::from_payload(&delivery.payload).unwrap(), job);
}

async fn messages_wait_for_a_future_consumer(broker: &Broker) {
    let sender = broker.queue(NEVER_EXPIRES).await;
    for _ in 0..3 {
        push(&sender).await;
    }
    drop(sender);
    let queue = broker.queue(NEVER_EXPIRES).await;
    assert_eq!(queue.receive(5, WAIT).await.unwrap().len(), 3);
}

async fn clones_share_the_queue(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    let clone = queue.clone();
    push(&queue).await;
    let delivery = one(&clone, WAIT).await;
    none(&queue).await;
    drop(clone);
    delivery.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn receive_respects_its_limit(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    for _ in 0..5 {
        push(&queue).await;
    }
    let some = queue.receive(2, WAIT).await.unwrap();
    let rest = queue.receive(9, WAIT).await.unwrap();
    assert_eq!((some.len(), rest.len()), (2, 3));
    for delivery in some.into_iter().chain(rest) {
        delivery.ack().await.unwrap();
    }
    // The limit also applies to messages that come back.
    let queue = broker.queue(VISIBILITY).await;
    for _ in 0..5 {
        push(&queue).await;
    }
    let mut sizes = Vec::new();
    eventually("all five arrive twice", 60, async || {
        sizes.push(queue.receive(2, NOW).await.unwrap().len());
        sizes.iter().sum::<usize>() >= 10
    })
    .await;
    assert!(sizes.iter().all(|size| *size <= 2), "{sizes:?}");
}

async fn one_receive_returns_many_messages(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    broker.push_raw(&["x"; 10]).await;
    assert_eq!(queue.receive(10, WAIT).await.unwrap().len(), 10);
}

async fn receive_accepts_a_limit_above_the_maximum(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    for _ in 0..3 {
        broker.push_raw(&["x"; 10]).await;
    }
    let mut received = 0;
    while received < 30 {
        let deliveries = queue.receive(1000, NOW).await.unwrap();
        assert!(!deliveries.is_empty(), "{received} received");
        received += deliveries.len();
    }
    assert_eq!(received, 30);
}

async fn receive_waits_on_an_empty_queue(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    let wait = Duration::from_secs(1);
    let started = Instant::now();
    assert!(queue.receive(1, wait).await.unwrap().is_empty());
    let waited = started.elapsed();
    assert!(waited >= wait && waited < wait * 60, "{waited:?}");
}

async fn receive_without_wait_returns_at_once(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    // The first call may open a connection.
    none(&queue).await;
    within(Duration::from_millis(800), async || {
        let started = Instant::now();
        none(&queue).await;
        started.elapsed()
    })
    .await;
}

async fn waiting_receive_returns_when_a_message_arrives(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    within(Duration::from_millis(1500), async || {
        let received = async {
            one(&queue, Duration::from_secs(20)).await;
            Instant::now()
        };
        let pushed = async {
            broker.relay.until_read().await;
            let pushed = Instant::now();
            push(&queue).await;
            pushed
        };
        let (received, pushed) = tokio::join!(received, pushed);
        received.duration_since(pushed)
    })
    .await;
}

async fn receive_returns_waiting_messages_at_once(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    within(Duration::from_millis(1500), async || {
        push(&queue).await;
        let started = Instant::now();
        let deliveries = queue.receive(10, Duration::from_secs(20)).await.unwrap();
        assert_eq!(deliveries.len(), 1);
        started.elapsed()
    })
    .await;
}

async fn two_consumers_never_receive_the_same_message(broker: &Broker) {
    let (first, second) = (
        broker.queue(NEVER_EXPIRES).await,
        broker.queue(NEVER_EXPIRES).await,
    );
    let pushed = push_distinct(broker, 60).await;
    let (mut payloads, others) = tokio::join!(drain(&first, 4), drain(&second, 4));
    payloads.extend(others);
    assert_eq!(payloads.len(), 60);
    assert_eq!(payloads.into_iter().collect::<HashSet<_>>(), pushed);
}

async fn concurrent_receives_share_the_messages(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    let pushed = push_distinct(broker, 40).await;
    let drained = futures_util::future::join_all((0..8).map(|_| drain(&queue, 3))).await;
    let payloads = drained.concat();
    assert_eq!(payloads.len(), 40);
    assert_eq!(payloads.into_iter().collect::<HashSet<_>>(), pushed);
}

async fn queues_of_different_tests_are_isolated(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    for other in [Broker::redis().await, Broker::sqs().await] {
        push(&other.queue(NEVER_EXPIRES).await).await;
    }
    none(&queue).await;
}

/// Asserts that one of several attempts takes less than `limit`. A busy machine may delay others.
async fn within(limit: Duration, mut attempt: impl AsyncFnMut() -> Duration) {
    let mut took = Vec::new();
    while took.len() < 10 {
        took.push(attempt().await);
        if took.last().is_some_and(|last| *last < limit) {
            return;
        }
    }
    panic!("{took:?}, none within {limit:?}");
}

async fn push_distinct(broker: &Broker, count: u32) -> HashSet<String> {
    let payloads: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    let all: Vec<&str> = payloads.iter().map(String::as_str).collect();
    for ten in all.chunks(10) {
        broker.push_raw(ten).await;
    }
    payloads.into_iter().collect()
}

/// Receives until the queue is empty.
async fn drain(queue: &Queue, max: usize) -> Vec<String> {
    let mut payloads = Vec::new();
    loop {
        let deliveries = queue.receive(max, NOW).await.unwrap();
        if deliveries.is_empty() {
            return payloads;
        }
        let payload = |delivery: Delivery| delivery.payload;
        payloads.extend(deliveries.into_iter().map(payload));
    }
}
