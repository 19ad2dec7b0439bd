//! Who gets which message, how many, and when.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use anb::{
    job::Job,
    queue::{Delivery, Queue},
};

use super::{FOR_EVER, NOW, VISIBILITY, WAIT, cases, none, one, push, stats};
use crate::support::{Broker, eventually};

cases! {
    a_message_carries_the_job_that_was_pushed,
    messages_wait_for_a_consumer_that_does_not_exist_yet,
    a_clone_is_the_same_queue,
    no_more_messages_come_than_were_asked_for,
    one_call_brings_many_messages,
    asking_for_more_than_one_call_can_bring_is_no_error,
    an_empty_queue_is_waited_for,
    an_empty_queue_is_not_waited_for_without_a_wait,
    a_waiting_receive_returns_as_soon_as_a_message_comes,
    a_message_that_waits_is_not_waited_for,
    two_consumers_never_get_the_same_message,
    eight_receives_at_once_share_the_messages,
    queues_of_different_tests_do_not_meet,
}

async fn a_message_carries_the_job_that_was_pushed(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    let job = push(&queue).await;
    let delivery = one(&queue, WAIT).await;
    assert_eq!(Job::from_payload(&delivery.payload).unwrap(), job);
}

async fn messages_wait_for_a_consumer_that_does_not_exist_yet(broker: &Broker) {
    let sender = broker.queue(FOR_EVER).await;
    for _ in 0..3 {
        push(&sender).await;
    }
    drop(sender);
    let queue = broker.queue(FOR_EVER).await;
    assert_eq!(queue.receive(5, WAIT).await.unwrap().len(), 3);
}

async fn a_clone_is_the_same_queue(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    let clone = queue.clone();
    push(&queue).await;
    let delivery = one(&clone, WAIT).await;
    none(&queue).await;
    drop(clone);
    delivery.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn no_more_messages_come_than_were_asked_for(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    for _ in 0..5 {
        push(&queue).await;
    }
    let some = queue.receive(2, WAIT).await.unwrap();
    let rest = queue.receive(9, WAIT).await.unwrap();
    assert_eq!((some.len(), rest.len()), (2, 3));
    for delivery in some.into_iter().chain(rest) {
        delivery.ack().await.unwrap();
    }
    // Also of those that come back.
    let queue = broker.queue(VISIBILITY).await;
    for _ in 0..5 {
        push(&queue).await;
    }
    let mut sizes = Vec::new();
    eventually("all five come, and come back", 60, async || {
        sizes.push(queue.receive(2, NOW).await.unwrap().len());
        sizes.iter().sum::<usize>() >= 10
    })
    .await;
    assert!(sizes.iter().all(|size| *size <= 2), "{sizes:?}");
}

async fn one_call_brings_many_messages(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    broker.push_raw(&["x"; 10]).await;
    assert_eq!(queue.receive(10, WAIT).await.unwrap().len(), 10);
}

async fn asking_for_more_than_one_call_can_bring_is_no_error(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    for _ in 0..3 {
        broker.push_raw(&["x"; 10]).await;
    }
    let mut received = 0;
    while received < 30 {
        let deliveries = queue.receive(1000, NOW).await.unwrap();
        assert!(!deliveries.is_empty(), "{received} came");
        received += deliveries.len();
    }
    assert_eq!(received, 30);
}

async fn an_empty_queue_is_waited_for(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    let wait = Duration::from_secs(1);
    let started = Instant::now();
    assert!(queue.receive(1, wait).await.unwrap().is_empty());
    let waited = started.elapsed();
    assert!(waited >= wait && waited < wait * 60, "{waited:?}");
}

async fn an_empty_queue_is_not_waited_for_without_a_wait(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    // The first call may have to open a connection.
    none(&queue).await;
    within(Duration::from_millis(800), async || {
        let started = Instant::now();
        none(&queue).await;
        started.elapsed()
    })
    .await;
}

async fn a_waiting_receive_returns_as_soon_as_a_message_comes(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
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

async fn a_message_that_waits_is_not_waited_for(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    within(Duration::from_millis(1500), async || {
        push(&queue).await;
        let started = Instant::now();
        let deliveries = queue.receive(10, Duration::from_secs(20)).await.unwrap();
        assert_eq!(deliveries.len(), 1);
        started.elapsed()
    })
    .await;
}

async fn two_consumers_never_get_the_same_message(broker: &Broker) {
    let (first, second) = (broker.queue(FOR_EVER).await, broker.queue(FOR_EVER).await);
    let pushed = push_different(broker, 60).await;
    let (mut payloads, others) = tokio::join!(drain(&first, 4), drain(&second, 4));
    payloads.extend(others);
    assert_eq!(payloads.len(), 60);
    assert_eq!(payloads.into_iter().collect::<HashSet<_>>(), pushed);
}

async fn eight_receives_at_once_share_the_messages(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    let pushed = push_different(broker, 40).await;
    let drained = futures_util::future::join_all((0..8).map(|_| drain(&queue, 3))).await;
    let payloads = drained.concat();
    assert_eq!(payloads.len(), 40);
    assert_eq!(payloads.into_iter().collect::<HashSet<_>>(), pushed);
}

async fn queues_of_different_tests_do_not_meet(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    for other in [Broker::redis().await, Broker::sqs().await] {
        push(&other.queue(FOR_EVER).await).await;
    }
    none(&queue).await;
}

/// Fails unless one of several tries takes no longer than `limit`: a busy machine may delay some of them.
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

async fn push_different(broker: &Broker, count: u32) -> HashSet<String> {
    let payloads: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    let all: Vec<&str> = payloads.iter().map(String::as_str).collect();
    for ten in all.chunks(10) {
        broker.push_raw(ten).await;
    }
    payloads.into_iter().collect()
}

/// Receives until nothing comes.
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
