//! Ends of a message: acknowledged once, late, twice, or in the hands of somebody else by now.

use anb::queue::{Delivery, Queue};

use super::{FOR_EVER, NOW, VISIBILITY, WAIT, cases, eventually_one, none, one, push, stats};
use crate::support::Broker;

cases! {
    an_acknowledged_message_is_gone,
    an_acknowledgement_of_one_message_is_none_of_the_others,
    an_acknowledged_message_does_not_come_back_after_its_time,
    a_message_that_expired_and_was_not_taken_can_still_be_acknowledged,
    a_message_that_somebody_else_ended_can_be_ended_again,
    a_late_acknowledgement_leaves_the_next_holder_able_to_end,
    a_late_extension_leaves_the_next_holder_able_to_end,
    a_late_release_loses_nothing,
    a_late_extension_of_what_nobody_took_loses_nothing,
    stats_tell_waiting_from_in_flight_and_dead,
    acknowledgements_at_once_end_all_of_their_messages,
    leaving_a_queue_that_was_never_read_is_no_error,
    a_queue_that_was_left_can_be_used_again,
    the_order_of_the_ends_does_not_matter,
}

async fn an_acknowledged_message_is_gone(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    push(&queue).await;
    one(&queue, WAIT).await.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
    none(&queue).await;
}

async fn an_acknowledgement_of_one_message_is_none_of_the_others(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    for _ in 0..3 {
        push(&queue).await;
    }
    let mut deliveries = queue.receive(3, WAIT).await.unwrap();
    deliveries.remove(1).ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 2, 0));
}

async fn an_acknowledged_message_does_not_come_back_after_its_time(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    push(&queue).await;
    push(&queue).await;
    let mut deliveries = queue.receive(2, WAIT).await.unwrap();
    let (ended, left) = (deliveries.remove(0), deliveries.remove(0));
    ended.ack().await.unwrap();
    // The one that was left shows that the time is over.
    let again = eventually_one(&queue).await;
    assert_eq!(again.payload, left.payload);
    // So that it does not come a third time.
    again.ack().await.unwrap();
    none(&queue).await;
}

async fn a_message_that_expired_and_was_not_taken_can_still_be_acknowledged(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    expired(&queue).await.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn a_message_that_somebody_else_ended_can_be_ended_again(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    for end in End::ALL {
        let late = late(&queue).await;
        eventually_one(&queue).await.ack().await.unwrap();
        late.extend().await.unwrap();
        end.of(late).await;
        none(&queue).await;
        let left = queue.stats().await.unwrap();
        assert_eq!((left.waiting, left.in_flight), (0, 0), "{end:?}");
    }
}

async fn a_late_acknowledgement_leaves_the_next_holder_able_to_end(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    for end in End::ALL {
        let late = late(&queue).await;
        let again = eventually_one(&queue).await;
        late.ack().await.unwrap();
        again.extend().await.unwrap();
        end.of(again).await;
        broker.wipe().await;
    }
}

async fn a_late_extension_leaves_the_next_holder_able_to_end(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    let late = late(&queue).await;
    let again = eventually_one(&queue).await;
    late.extend().await.unwrap();
    again.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn a_late_release_loses_nothing(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    let late = late(&queue).await;
    let again = eventually_one(&queue).await;
    late.release().await.unwrap();
    assert_eq!(eventually_one(&queue).await.payload, again.payload);
}

async fn a_late_extension_of_what_nobody_took_loses_nothing(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    let delivery = expired(&queue).await;
    delivery.extend().await.unwrap();
    assert_eq!(eventually_one(&queue).await.payload, delivery.payload);
}

async fn stats_tell_waiting_from_in_flight_and_dead(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
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

async fn acknowledgements_at_once_end_all_of_their_messages(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
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

async fn leaving_a_queue_that_was_never_read_is_no_error(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    queue.leave().await.unwrap();
    queue.leave().await.unwrap();
}

async fn a_queue_that_was_left_can_be_used_again(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    for _ in 0..2 {
        push(&queue).await;
        one(&queue, NOW).await.ack().await.unwrap();
        queue.leave().await.unwrap();
    }
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn the_order_of_the_ends_does_not_matter(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    for _ in 0..6 {
        push(&queue).await;
    }
    let deliveries = queue.receive(6, WAIT).await.unwrap();
    for (delivery, end) in deliveries
        .into_iter()
        .rev()
        .zip(End::ALL.into_iter().cycle())
    {
        end.of(delivery).await;
    }
    // Two of each: two are gone, two wait again, two are dead.
    assert_eq!(queue.stats().await.unwrap().dead, 2);
    assert_eq!(queue.receive(10, NOW).await.unwrap().len(), 2);
}

/// A way to end a message.
#[derive(Debug, Clone, Copy)]
enum End {
    Ack,
    Release,
    DeadLetter,
}

impl End {
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

/// Receives a message whose time is over when the next receive brings it.
async fn late(queue: &Queue) -> Delivery {
    push(queue).await;
    one(queue, WAIT).await
}

/// Receives a message whose time is over now, and which nobody has taken.
async fn expired(queue: &Queue) -> Delivery {
    push(queue).await;
    push(queue).await;
    let mut deliveries = queue.receive(2, WAIT).await.unwrap();
    assert_eq!(deliveries.len(), 2);
    // Their time is the same: when one of them comes back, the other one's is over, too.
    let again = eventually_one(queue).await;
    deliveries.retain(|delivery| delivery.payload != again.payload);
    again.ack().await.unwrap();
    deliveries.remove(0)
}
