//! The dead-letter queue: what is in it, and how it is looked at, emptied and sent again.

use anb::queue::DeadMessage;

use super::{FOR_EVER, NOW, VISIBILITY, WAIT, cases, eventually_one, none, one, push, stats};
use crate::support::Broker;

cases! {
    a_dead_message_is_kept_untouched_and_counted,
    a_dead_message_does_not_come_back_after_its_time,
    a_reason_may_be_any_text,
    a_message_may_die_twice,
    nothing_dead_is_nothing_to_take,
    no_more_dead_are_taken_than_were_asked_for,
    a_dead_message_that_is_put_back_can_be_taken_again,
    a_removed_dead_message_is_gone,
    a_dead_message_that_is_sent_again_comes_as_it_was,
    thirty_dead_messages_are_all_sent_again,
}

async fn a_dead_message_is_kept_untouched_and_counted(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    let payload = r#"{"kind":"of_the_future", "ñ": "\u0000 "}"#;
    broker.push_raw(&[payload]).await;
    let delivery = one(&queue, WAIT).await;
    assert_eq!(delivery.payload, payload);
    delivery.dead_letter("unknown_job").await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 1));
    let dead = [(payload.to_owned(), "unknown_job".to_owned())];
    assert_eq!(broker.dead().await, dead);
}

async fn a_dead_message_does_not_come_back_after_its_time(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    push(&queue).await;
    push(&queue).await;
    let mut deliveries = queue.receive(2, WAIT).await.unwrap();
    let (dead, left) = (deliveries.remove(0), deliveries.remove(0));
    dead.dead_letter("processing_failed").await.unwrap();
    // The one that was left shows that the time is over.
    let again = eventually_one(&queue).await;
    assert_eq!(again.payload, left.payload);
    // So that it does not come a third time.
    again.ack().await.unwrap();
    none(&queue).await;
}

async fn a_reason_may_be_any_text(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    let reasons = [
        "processing_failed".to_owned(),
        "ñandú 🎥\n\"'<&>".to_owned(),
        "x".repeat(2000),
    ];
    for reason in &reasons {
        push(&queue).await;
        one(&queue, WAIT).await.dead_letter(reason).await.unwrap();
    }
    let mut dead: Vec<_> = broker
        .dead()
        .await
        .into_iter()
        .map(|(_, reason)| reason)
        .collect();
    dead.sort();
    let mut expected = reasons.to_vec();
    expected.sort();
    assert_eq!(dead, expected);
}

/// As it happens when its time ends while the first holder gives it up.
async fn a_message_may_die_twice(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    push(&queue).await;
    let late = one(&queue, WAIT).await;
    let again = eventually_one(&queue).await;
    late.dead_letter("processing_failed").await.unwrap();
    again.dead_letter("processing_failed").await.unwrap();
    none(&queue).await;
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 2));
}

async fn nothing_dead_is_nothing_to_take(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    push(&queue).await;
    assert!(queue.take_dead(10).await.unwrap().is_empty());
    assert_eq!(queue.stats().await.unwrap(), stats(1, 0, 0));
}

async fn no_more_dead_are_taken_than_were_asked_for(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    let payloads = bury(broker, 12).await;
    assert_eq!(queue.take_dead(0).await.unwrap().len(), 0);
    let taken = queue.take_dead(11).await.unwrap();
    assert_eq!(taken.len(), 11);
    assert!(taken.iter().all(|dead| payloads.contains(&dead.payload)));
}

async fn a_dead_message_that_is_put_back_can_be_taken_again(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    let payloads = bury(broker, 1).await;
    for _ in 0..3 {
        let dead = one_dead(broker).await;
        assert_eq!(dead.payload, payloads[0]);
        assert_eq!(dead.reason.as_deref(), Some("processing_failed"));
        dead.put_back().await.unwrap();
    }
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 1));
}

async fn a_removed_dead_message_is_gone(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    bury(broker, 2).await;
    let mut taken = queue.take_dead(2).await.unwrap();
    taken.remove(0).remove().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 1));
    taken.remove(0).put_back().await.unwrap();
    one_dead(broker).await.remove().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn a_dead_message_that_is_sent_again_comes_as_it_was(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    let payloads = bury(broker, 1).await;
    one_dead(broker).await.send_again(&queue).await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(1, 0, 0));
    assert_eq!(one(&queue, NOW).await.payload, payloads[0]);
}

async fn thirty_dead_messages_are_all_sent_again(broker: &Broker) {
    let queue = broker.queue(FOR_EVER).await;
    let mut expected = bury(broker, 30).await;
    for dead in queue.take_dead(100).await.unwrap() {
        dead.send_again(&queue).await.unwrap();
    }
    assert_eq!(queue.stats().await.unwrap(), stats(30, 0, 0));
    let mut payloads = Vec::new();
    while payloads.len() < 30 {
        let deliveries = queue.receive(10, WAIT).await.unwrap();
        payloads.extend(deliveries.into_iter().map(|delivery| delivery.payload));
    }
    payloads.sort();
    expected.sort();
    assert_eq!(payloads, expected);
}

/// Makes dead messages, and returns their payloads.
async fn bury(broker: &Broker, count: usize) -> Vec<String> {
    let queue = broker.queue(FOR_EVER).await;
    let mut payloads = Vec::new();
    for _ in 0..count {
        let job = push(&queue).await;
        let delivery = one(&queue, WAIT).await;
        delivery.dead_letter("processing_failed").await.unwrap();
        payloads.push(job.to_payload().unwrap());
    }
    payloads
}

/// Takes the one dead message that must be there.
async fn one_dead(broker: &Broker) -> DeadMessage {
    let queue = broker.queue(FOR_EVER).await;
    let mut dead = queue.take_dead(1).await.unwrap();
    assert_eq!(dead.len(), 1);
    dead.remove(0)
}
