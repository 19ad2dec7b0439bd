//! How long a received message stays hidden, and what changes that.

use std::time::{Duration, Instant};

use super::{FOR_EVER, NOW, VISIBILITY, WAIT, cases, eventually_one, none, one, push, stats};
use crate::support::Broker;

/// So many times the shortest visibility a busy machine may take from one extension to the next.
const AMPLE: u32 = 3;

/// Time between two extensions.
const PAUSE: Duration = Duration::from_millis(100);

cases! {
    a_message_comes_back_after_the_visibility_time_and_not_before,
    a_message_comes_back_to_the_consumer_that_had_it,
    an_expired_message_is_delivered_twice_and_can_be_ended_twice,
    an_extended_message_stays_hidden_and_then_comes_back,
    an_extension_of_one_message_is_none_of_the_others,
    a_released_message_is_there_at_once_for_everybody,
    a_released_message_is_found_among_many_in_flight,
    a_message_can_be_released_again_and_again,
    a_release_of_one_message_is_none_of_the_others,
    what_nobody_ended_is_found_by_the_next_process,
}

async fn a_message_comes_back_after_the_visibility_time_and_not_before(broker: &Broker) {
    let (first, second) = (
        broker.queue(VISIBILITY).await,
        broker.queue(VISIBILITY).await,
    );
    push(&first).await;
    let received = Instant::now();
    let delivery = one(&first, WAIT).await;
    let again = eventually_one(&second).await;
    assert!(received.elapsed() >= VISIBILITY, "{:?}", received.elapsed());
    assert_eq!(again.payload, delivery.payload);
}

async fn a_message_comes_back_to_the_consumer_that_had_it(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    push(&queue).await;
    let delivery = one(&queue, WAIT).await;
    let again = eventually_one(&queue).await;
    assert_eq!(again.payload, delivery.payload);
    again.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn an_expired_message_is_delivered_twice_and_can_be_ended_twice(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    push(&queue).await;
    let late = one(&queue, WAIT).await;
    let again = eventually_one(&queue).await;
    again.ack().await.unwrap();
    late.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn an_extended_message_stays_hidden_and_then_comes_back(broker: &Broker) {
    let visibility = AMPLE * VISIBILITY;
    let (first, second) = (
        broker.queue(visibility).await,
        broker.queue(visibility).await,
    );
    push(&first).await;
    let delivery = one(&first, WAIT).await;
    let received = Instant::now();
    while received.elapsed() < visibility + VISIBILITY {
        delivery.extend().await.unwrap();
        none(&second).await;
        tokio::time::sleep(PAUSE).await;
    }
    eventually_one(&second).await;
}

async fn an_extension_of_one_message_is_none_of_the_others(broker: &Broker) {
    let visibility = AMPLE * VISIBILITY;
    let queue = broker.queue(visibility).await;
    push(&queue).await;
    push(&queue).await;
    let mut deliveries = queue.receive(2, WAIT).await.unwrap();
    let (kept, left) = (deliveries.remove(0), deliveries.remove(0));
    let mut again = Vec::new();
    while again.is_empty() {
        tokio::time::sleep(PAUSE).await;
        kept.extend().await.unwrap();
        again = queue.receive(2, NOW).await.unwrap();
    }
    let payloads: Vec<_> = again.iter().map(|message| &message.payload).collect();
    assert_eq!(payloads, [&left.payload]);
}

async fn a_released_message_is_there_at_once_for_everybody(broker: &Broker) {
    // Their visibility differs, as it does while a new setting is rolled out.
    let (first, second) = (
        broker.queue(FOR_EVER).await,
        broker.queue(2 * FOR_EVER).await,
    );
    push(&first).await;
    one(&first, WAIT).await.release().await.unwrap();
    one(&second, NOW).await.release().await.unwrap();
    one(&first, NOW).await.ack().await.unwrap();
}

async fn a_released_message_is_found_among_many_in_flight(broker: &Broker) {
    let (first, second) = (broker.queue(FOR_EVER).await, broker.queue(FOR_EVER).await);
    let mut deliveries = Vec::new();
    for _ in 0..25 {
        push(&first).await;
        deliveries.push(one(&first, WAIT).await);
    }
    for place in [0, 23, 11] {
        none(&second).await;
        let delivery = deliveries.remove(place);
        let payload = delivery.payload.clone();
        delivery.release().await.unwrap();
        assert_eq!(one(&second, NOW).await.payload, payload);
    }
}

async fn a_message_can_be_released_again_and_again(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    let job = push(&queue).await;
    for _ in 0..8 {
        let delivery = one(&queue, NOW).await;
        assert_eq!(delivery.payload, job.to_payload().unwrap());
        delivery.release().await.unwrap();
    }
    one(&queue, NOW).await.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn a_release_of_one_message_is_none_of_the_others(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    for _ in 0..3 {
        push(&queue).await;
    }
    let mut deliveries = queue.receive(3, WAIT).await.unwrap();
    let released = deliveries.remove(1);
    let payload = released.payload.clone();
    released.release().await.unwrap();
    let again = queue.receive(10, NOW).await.unwrap();
    let payloads: Vec<_> = again.into_iter().map(|message| message.payload).collect();
    assert_eq!(payloads, [payload]);
}

async fn what_nobody_ended_is_found_by_the_next_process(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    push(&queue).await;
    drop(one(&queue, WAIT).await);
    // It stops in order and still does not take its message along.
    queue.leave().await.unwrap();
    drop(queue);
    eventually_one(&broker.queue(VISIBILITY).await).await;
}
