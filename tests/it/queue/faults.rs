//! What must not lose a message: dropped calls, broken connections, a broker that is away or forgets.

use std::{cell::Cell, collections::HashSet, time::Duration};

use anb::{job::Job, queue::Queue};
use futures_util::future::join_all;

use super::{FOR_EVER, NOW, VISIBILITY, WAIT, cases, eventually_one, job, none, one, push, stats};
use crate::support::{Broker, eventually};

/// A receive that is interrupted long before its end.
const LONG: Duration = Duration::from_secs(20);

cases! {
    a_dropped_receive_loses_no_message,
    receives_dropped_while_messages_come_lose_none,
    a_queue_that_is_wiped_under_a_reader_works_again,
    a_message_in_flight_survives_a_wipe_of_the_queue,
    a_message_in_flight_can_be_extended_and_given_back_after_a_wipe,
    a_cut_connection_is_made_again,
    a_broker_that_is_away_is_an_error_and_is_found_again,
    a_message_in_flight_survives_an_outage,
    an_end_that_failed_brings_the_message_back,
    an_answering_broker_is_ready,
    errors_are_one_line,
}

async fn a_dropped_receive_loses_no_message(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    tokio::select! {
        _ = queue.receive(1, LONG) => panic!("nothing was pushed"),
        () = broker.relay.until_read() => {}
    }
    push(&queue).await;
    eventually_one(&queue).await;
}

async fn receives_dropped_while_messages_come_lose_none(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    let mut lost = HashSet::new();
    for _ in 0..8 {
        let reading = queue.receive(1, LONG);
        let pushing = async {
            broker.relay.until_read().await;
            push(&queue).await.to_payload().unwrap()
        };
        // The read is dropped when the broker has the message, and may be about to hand it out.
        tokio::select! {
            received = reading => drop(received.unwrap()),
            payload = pushing => drop(lost.insert(payload)),
        }
    }
    assert!(!lost.is_empty(), "no receive was dropped");
    eventually("every message comes", 60, async || {
        for delivery in queue.receive(10, NOW).await.unwrap() {
            lost.remove(&delivery.payload);
            delivery.ack().await.unwrap();
        }
        lost.is_empty()
    })
    .await;
}

async fn a_queue_that_is_wiped_under_a_reader_works_again(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    let wiping = async {
        broker.relay.until_read().await;
        broker.wipe().await;
    };
    Box::pin(while_reading(&queue, wiping)).await;
    push(&queue).await;
    eventually_one(&queue).await.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn a_message_in_flight_survives_a_wipe_of_the_queue(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    push(&queue).await;
    push(&queue).await;
    let mut deliveries = queue.receive(2, WAIT).await.unwrap();
    broker.wipe().await;
    let (first, second) = (deliveries.remove(0), deliveries.remove(0));
    first.ack().await.unwrap();
    second.dead_letter("processing_failed").await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 1));
}

async fn a_message_in_flight_can_be_extended_and_given_back_after_a_wipe(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    push(&queue).await;
    // So that there is a queue after the wipe.
    let delivery = one(&queue, WAIT).await;
    broker.wipe().await;
    none(&queue).await;
    delivery.extend().await.unwrap();
    delivery.release().await.unwrap();
}

async fn a_cut_connection_is_made_again(broker: &Broker) {
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

/// Reads until `event` is over, and to the end of the last read; whether that is an error is its own affair.
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

async fn a_broker_that_is_away_is_an_error_and_is_found_again(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
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
    eventually("it is found again", 60, async || {
        queue.ready().await.is_ok()
    })
    .await;
    let delivery = eventually_one(&queue).await;
    assert_eq!(Job::from_payload(&delivery.payload).unwrap(), kept);
    delivery.ack().await.unwrap();
    push(&queue).await;
    assert_eq!(queue.stats().await.unwrap(), stats(1, 0, 0));
}

async fn a_message_in_flight_survives_an_outage(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    push(&queue).await;
    let delivery = one(&queue, WAIT).await;
    broker.relay.close();
    assert!(delivery.extend().await.is_err());
    broker.relay.open();
    eventually("it can be extended", 60, async || {
        delivery.extend().await.is_ok()
    })
    .await;
    delivery.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn an_end_that_failed_brings_the_message_back(broker: &Broker) {
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

async fn an_answering_broker_is_ready(broker: &Broker) {
    broker.queue(FOR_EVER).await.ready().await.unwrap();
}

async fn errors_are_one_line(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
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
