//! Faults that must not lose a message: dropped calls, broken connections, outages and data loss.

use std::{cell::Cell, collections::HashSet, time::Duration};

use anb::{job::Job, queue::Queue};
use futures_util::future::join_all;

use super::{
    NEVER_EXPIRES, NOW, VISIBILITY, WAIT, cases, eventually_one, job, none, one, push, stats,
};
use crate::support::{Broker, eventually};

/// Wait of a receive that is dropped long before it ends.
const LONG: Duration = Duration::from_secs(20);

cases! {
    dropped_receive_loses_no_message,
    receives_dropped_during_delivery_lose_no_message,
    queue_works_after_a_wipe_during_a_receive,
    message_in_flight_can_be_settled_after_a_wipe,
    message_in_flight_can_be_extended_and_released_after_a_wipe,
    broken_connection_is_restored,
    broker_outage_is_an_error_until_it_ends,
    message_in_flight_survives_an_outage,
    message_returns_after_a_failed_settlement,
    responding_broker_is_ready,
    errors_fit_on_one_line,
}

async fn dropped_receive_loses_no_message(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    tokio::select! {
        _ = queue.receive(1, LONG) => panic!("nothing was pushed"),
        () = broker.relay.until_read() => {}
    }
    push(&queue).await;
    eventually_one(&queue).await;
}

async fn receives_dropped_during_delivery_lose_no_message(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    let mut lost = HashSet::new();
    for _ in 0..8 {
        let reading = queue.receive(1, LONG);
        let pushing = async {
            broker.relay.until_read().await;
            push(&queue).await.to_payload().unwrap()
        };
        // The receive is dropped once the broker has the message and may be about to deliver it.
        tokio::select! {
            received = reading => drop(received.unwrap()),
            payload = pushing => drop(lost.insert(payload)),
        }
    }
    assert!(!lost.is_empty(), "no receive was dropped");
    eventually("every message arrives", 60, async || {
        for delivery in queue.receive(10, NOW).await.unwrap() {
            lost.remove(&delivery.payload);
            delivery.ack().await.unwrap();
        }
        lost.is_empty()
    })
    .await;
}

async fn queue_works_after_a_wipe_during_a_receive(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    let wiping = async {
        broker.relay.until_read().await;
        broker.wipe().await;
    };
    Box::pin(while_reading(&queue, wiping)).await;
    push(&queue).await;
    eventually_one(&queue).await.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn message_in_flight_can_be_settled_after_a_wipe(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    push(&queue).await;
    push(&queue).await;
    let mut deliveries = queue.receive(2, WAIT).await.unwrap();
    broker.wipe().await;
    let (first, second) = (deliveries.remove(0), deliveries.remove(0));
    first.ack().await.unwrap();
    second.dead_letter("processing_failed").await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 1));
}

async fn message_in_flight_can_be_extended_and_released_after_a_wipe(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    push(&queue).await;
    // Creates the queue again after the wipe.
    let delivery = one(&queue, WAIT).await;
    broker.wipe().await;
    none(&queue).await;
    delivery.extend().await.unwrap();
    delivery.release().await.unwrap();
}

async fn broken_connection_is_restored(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    let cutting = async {
        broker.relay.until_read().await;
        broker.relay.cut();
    };
    while_reading(&queue, cutting).await;
    push(&queue).await;
    let delivery = eventually_one(&queue).await;
    broker.relay.cut();
    eventually("an idle connection is replaced", 60, async || {
        queue.stats().await.is_ok()
    })
    .await;
    delivery.ack().await.unwrap();
}

/// Receives until `event` and the last receive are over. Receives may fail.
async fn while_reading(queue: &Queue, event: impl Future<Output = ()>) {
    let is_over = Cell::new(false);
    let reading = async {
        while !is_over.get() {
            drop(queue.receive(1, WAIT).await);
        }
    };
    let happening = async {
        event.await;
        is_over.set(true);
    };
    tokio::join!(reading, happening);
}

async fn broker_outage_is_an_error_until_it_ends(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    let kept = push(&queue).await;
    broker.relay.close();
    let job = job();
    let (pushed, received, counted, ready) = tokio::join!(
        queue.push(&job),
        queue.receive(1, NOW),
        queue.stats(),
        queue.ready(),
    );
    assert!(pushed.is_err() && received.is_err() && counted.is_err() && ready.is_err());

    broker.relay.open();
    eventually("the broker is ready again", 60, async || {
        queue.ready().await.is_ok()
    })
    .await;
    let delivery = eventually_one(&queue).await;
    assert_eq!(Job::from_payload(&delivery.payload).unwrap(), kept);
    delivery.ack().await.unwrap();
    push(&queue).await;
    assert_eq!(queue.stats().await.unwrap(), stats(1, 0, 0));
}

async fn message_in_flight_survives_an_outage(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    push(&queue).await;
    let delivery = one(&queue, WAIT).await;
    broker.relay.close();
    assert!(delivery.extend().await.is_err());
    broker.relay.open();
    eventually("the message can be extended", 60, async || {
        delivery.extend().await.is_ok()
    })
    .await;
    delivery.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn message_returns_after_a_failed_settlement(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    broker.push_raw(&["ack", "release", "die"]).await;
    let deliveries = queue.receive(3, WAIT).await.unwrap();
    assert_eq!(deliveries.len(), 3);
    broker.relay.close();
    let ends = deliveries
        .into_iter()
        .map(async |delivery| match delivery.payload.as_str() {
            "ack" => delivery.ack().await,
            "release" => delivery.release().await,
            _ => delivery.dead_letter("processing_failed").await,
        });
    for ended in join_all(ends).await {
        assert!(ended.is_err());
    }
    broker.relay.open();
    for _ in 0..3 {
        eventually_one(&queue).await.ack().await.unwrap();
    }
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn responding_broker_is_ready(broker: &Broker) {
    broker.queue(NEVER_EXPIRES).await.ready().await.unwrap();
}

async fn errors_fit_on_one_line(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    broker.relay.close();
    let job = job();
    let (pushed, counted, ready) = tokio::join!(queue.push(&job), queue.stats(), queue.ready());
    for error in [
        pushed.unwrap_err(),
        counted.unwrap_err(),
        ready.unwrap_err(),
    ] {
        let error = format!("{error:#}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.len() < 300, "{error}");
    }
}
