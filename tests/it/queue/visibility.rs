//! The visibility timeout of received messages, its extension and release.

use std::time::{Duration, Instant};

use super::{NEVER_EXPIRES, NOW, VISIBILITY, WAIT, cases, eventually_one, none, one, push, stats};
use crate::support::Broker;

/// Multiple of the shortest visibility that a busy machine may need between two extensions.
const AMPLE: u32 = 3;

/// Time between two extensions.
const PAUSE: Duration = Duration::from_millis(100);

cases! {
    message_returns_after_its_visibility_time_and_not_before,
    message_may_return_to_the_same_consumer,
    expired_message_is_redelivered_and_can_be_acknowledged_twice,
    extended_message_stays_hidden_and_then_returns,
    extension_does_not_affect_other_messages,
    released_message_is_available_to_all_at_once,
    released_message_is_found_among_many_in_flight,
    message_can_be_released_repeatedly,
    release_does_not_affect_other_messages,
    next_process_receives_unsettled_messages,
}

async fn message_returns_after_its_visibility_time_and_not_before(broker: &Broker) {
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

async fn message_may_return_to_the_same_consumer(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    push(&queue).await;
    let delivery = one(&queue, WAIT).await;
    let again = eventually_one(&queue).await;
    assert_eq!(again.payload, delivery.payload);
    again.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn expired_message_is_redelivered_and_can_be_acknowledged_twice(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    push(&queue).await;
    let late = one(&queue, WAIT).await;
    let again = eventually_one(&queue).await;
    again.ack().await.unwrap();
    late.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn extended_message_stays_hidden_and_then_returns(broker: &Broker) {
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

async fn extension_does_not_affect_other_messages(broker: &Broker) {
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

async fn released_message_is_available_to_all_at_once(broker: &Broker) {
    // Visibility settings differ while a new value is rolled out.
    let (first, second) = (
        broker.queue(NEVER_EXPIRES).await,
        broker.queue(2 * NEVER_EXPIRES).await,
    );
    push(&first).await;
    one(&first, WAIT).await.release().await.unwrap();
    one(&second, NOW).await.release().await.unwrap();
    one(&first, NOW).await.ack().await.unwrap();
}

async fn released_message_is_found_among_many_in_flight(broker: &Broker) {
    let (first, second) = (
        broker.queue(NEVER_EXPIRES).await,
        broker.queue(NEVER_EXPIRES).await,
    );
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

async fn message_can_be_released_repeatedly(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    let job = push(&queue).await;
    for _ in 0..8 {
        let delivery = one(&queue, NOW).await;
        assert_eq!(delivery.payload, job.to_payload().unwrap());
        delivery.release().await.unwrap();
    }
    one(&queue, NOW).await.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn release_does_not_affect_other_messages(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
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

async fn next_process_receives_unsettled_messages(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    push(&queue).await;
    drop(one(&queue, WAIT).await);
    // A graceful stop does not remove the message.
    queue.leave().await.unwrap();
    drop(queue);
    eventually_one(&broker.queue(VISIBILITY).await).await;
}
