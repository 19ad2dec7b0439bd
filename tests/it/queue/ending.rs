//! Settlement of messages: once, twice, late, or while another consumer holds the message.

use anb::queue::{Delivery, Queue};

use super::{NEVER_EXPIRES, NOW, VISIBILITY, WAIT, cases, eventually_one, none, one, push, stats};
use crate::support::Broker;

cases! {
    acknowledged_message_is_removed,
    acknowledgement_does_not_affect_other_messages,
    acknowledged_message_does_not_return_after_its_visibility_time,
    expired_message_can_be_acknowledged_until_it_is_taken,
    message_settled_by_another_consumer_can_be_settled_again,
    next_consumer_can_settle_after_a_late_acknowledgement,
    next_consumer_can_settle_after_a_late_extension,
    late_release_loses_no_message,
    late_extension_of_an_untaken_message_loses_no_message,
    stats_distinguish_waiting_in_flight_and_dead,
    concurrent_acknowledgements_all_take_effect,
    leaving_an_unread_queue_succeeds,
    queue_can_be_used_after_leaving_it,
    settlement_order_does_not_matter,
}

async fn acknowledged_message_is_removed(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    push(&queue).await;
    one(&queue, WAIT).await.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
    none(&queue).await;
}

async fn acknowledgement_does_not_affect_other_messages(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    for _ in 0..3 {
        push(&queue).await;
    }
    let mut deliveries = queue.receive(3, WAIT).await.unwrap();
    deliveries.remove(1).ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 2, 0));
}

async fn acknowledged_message_does_not_return_after_its_visibility_time(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    push(&queue).await;
    push(&queue).await;
    let mut deliveries = queue.receive(2, WAIT).await.unwrap();
    let (ended, left) = (deliveries.remove(0), deliveries.remove(0));
    ended.ack().await.unwrap();
    // The other message shows that the visibility time is over.
    let again = eventually_one(&queue).await;
    assert_eq!(again.payload, left.payload);
    // Otherwise it would come a third time.
    again.ack().await.unwrap();
    none(&queue).await;
}

async fn expired_message_can_be_acknowledged_until_it_is_taken(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    expired(&queue).await.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn message_settled_by_another_consumer_can_be_settled_again(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    for end in Settlement::ALL {
        let late = late(&queue).await;
        eventually_one(&queue).await.ack().await.unwrap();
        late.extend().await.unwrap();
        end.of(late).await;
        none(&queue).await;
        let left = queue.stats().await.unwrap();
        assert_eq!((left.waiting, left.in_flight), (0, 0), "{end:?}");
    }
}

async fn next_consumer_can_settle_after_a_late_acknowledgement(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    for end in Settlement::ALL {
        let late = late(&queue).await;
        let again = eventually_one(&queue).await;
        late.ack().await.unwrap();
        again.extend().await.unwrap();
        end.of(again).await;
        broker.wipe().await;
    }
}

async fn next_consumer_can_settle_after_a_late_extension(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    let late = late(&queue).await;
    let again = eventually_one(&queue).await;
    late.extend().await.unwrap();
    again.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn late_release_loses_no_message(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    let late = late(&queue).await;
    let again = eventually_one(&queue).await;
    late.release().await.unwrap();
    assert_eq!(eventually_one(&queue).await.payload, again.payload);
}

async fn late_extension_of_an_untaken_message_loses_no_message(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    let delivery = expired(&queue).await;
    delivery.extend().await.unwrap();
    assert_eq!(eventually_one(&queue).await.payload, delivery.payload);
}

async fn stats_distinguish_waiting_in_flight_and_dead(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
    for _ in 0..5 {
        push(&queue).await;
    }
    assert_eq!(queue.stats().await.unwrap(), stats(5, 0, 0));
    let mut deliveries = queue.receive(3, WAIT).await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(2, 3, 0));
    let dead = deliveries.remove(0);
    dead.dead_letter("processing_failed").await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(2, 2, 1));
}

async fn concurrent_acknowledgements_all_take_effect(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    for _ in 0..4 {
        broker.push_raw(&["x"; 10]).await;
    }
    let mut acknowledged = 0;
    while acknowledged < 40 {
        let deliveries = queue.receive(10, WAIT).await.unwrap();
        acknowledged += deliveries.len();
        let acks = deliveries.into_iter().map(Delivery::ack);
        for ended in futures_util::future::join_all(acks).await {
            ended.unwrap();
        }
    }
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn leaving_an_unread_queue_succeeds(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    queue.leave().await.unwrap();
    queue.leave().await.unwrap();
}

async fn queue_can_be_used_after_leaving_it(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    for _ in 0..2 {
        push(&queue).await;
        one(&queue, NOW).await.ack().await.unwrap();
        queue.leave().await.unwrap();
    }
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn settlement_order_does_not_matter(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    for _ in 0..6 {
        push(&queue).await;
    }
    let deliveries = queue.receive(6, WAIT).await.unwrap();
    for (delivery, end) in deliveries
        .into_iter()
        .rev()
        .zip(Settlement::ALL.into_iter().cycle())
    {
        end.of(delivery).await;
    }
    // Two of each: two are removed, two wait again, two are dead-lettered.
    assert_eq!(queue.stats().await.unwrap().dead, 2);
    assert_eq!(queue.receive(10, NOW).await.unwrap().len(), 2);
}

#[derive(Debug, Clone, Copy)]
enum Settlement {
    Ack,
    Release,
    DeadLetter,
}

impl Settlement {
    const ALL: [Self; 3] = [Self::Ack, Self::Release, Self::DeadLetter];

    async fn of(self, delivery: Delivery) {
        let ended = match self {
            Self::Ack => delivery.ack().await,
            Self::Release => delivery.release().await,
            Self::DeadLetter => delivery.dead_letter("processing_failed").await,
        };
        ended.unwrap();
    }
}

/// Receives a message that expires before the next receive returns it.
async fn late(queue: &Queue) -> Delivery {
    push(queue).await;
    one(queue, WAIT).await
}

/// Receives a message that has expired and that no consumer has taken since.
async fn expired(queue: &Queue) -> Delivery {
    push(queue).await;
    push(queue).await;
    let mut deliveries = queue.receive(2, WAIT).await.unwrap();
    assert_eq!(deliveries.len(), 2);
    // Both expire together, so when one of them comes back, the other has expired as well.
    let again = eventually_one(queue).await;
    deliveries.retain(|delivery| delivery.payload != again.payload);
    again.ack().await.unwrap();
    deliveries.remove(0)
}
