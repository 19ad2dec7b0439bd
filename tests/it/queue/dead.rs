//! The dead-letter queue: its content, and how messages are taken, removed and redriven.

use anb::queue::DeadMessage;

use super::{NEVER_EXPIRES, NOW, VISIBILITY, WAIT, cases, eventually_one, none, one, push, stats};
use crate::support::Broker;

cases! {
    dead_letter_is_kept_unchanged_and_counted,
    dead_letter_does_not_return_after_its_visibility_time,
    reason_may_be_any_text,
    expired_message_can_be_dead_lettered_twice,
    empty_dead_letter_queue_yields_nothing,
    take_dead_respects_its_limit,
    returned_dead_letter_can_be_taken_again,
    removed_dead_letter_does_not_return,
    redriven_message_arrives_unchanged,
    thirty_dead_letters_are_all_redriven,
}

async fn dead_letter_is_kept_unchanged_and_counted(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    let payload = r#"{"kind":"of_the_future", "ñ": "\u0000 "}"#;
    broker.push_raw(&[payload]).await;
    let delivery = one(&queue, WAIT).await;
    assert_eq!(delivery.payload, payload);
    delivery.dead_letter("unknown_job").await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 1));
    let dead = [(payload.to_owned(), "unknown_job".to_owned())];
    assert_eq!(broker.dead().await, dead);
}

async fn dead_letter_does_not_return_after_its_visibility_time(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    push(&queue).await;
    push(&queue).await;
    let mut deliveries = queue.receive(2, WAIT).await.unwrap();
    let (dead, left) = (deliveries.remove(0), deliveries.remove(0));
    dead.dead_letter("processing_failed").await.unwrap();
    // The other message shows that the visibility time is over.
    let again = eventually_one(&queue).await;
    assert_eq!(again.payload, left.payload);
    // Otherwise it would come a third time.
    again.ack().await.unwrap();
    none(&queue).await;
}

async fn reason_may_be_any_text(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
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

/// This happens if the visibility time ends while the first consumer dead-letters the message.
async fn expired_message_can_be_dead_lettered_twice(broker: &Broker) {
    let queue = broker.queue(VISIBILITY).await;
    push(&queue).await;
    let late = one(&queue, WAIT).await;
    let again = eventually_one(&queue).await;
    late.dead_letter("processing_failed").await.unwrap();
    again.dead_letter("processing_failed").await.unwrap();
    none(&queue).await;
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 2));
}

async fn empty_dead_letter_queue_yields_nothing(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    push(&queue).await;
    assert!(queue.receive_dead(10).await.unwrap().is_empty());
    assert_eq!(queue.stats().await.unwrap(), stats(1, 0, 0));
}

async fn take_dead_respects_its_limit(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    let payloads = dead_letter(broker, 12).await;
    assert_eq!(queue.receive_dead(0).await.unwrap().len(), 0);
    let taken = queue.receive_dead(11).await.unwrap();
    assert_eq!(taken.len(), 11);
    assert!(taken.iter().all(|dead| payloads.contains(&dead.payload)));
}

async fn returned_dead_letter_can_be_taken_again(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    let payloads = dead_letter(broker, 1).await;
    for _ in 0..3 {
        let dead = one_dead(broker).await;
        assert_eq!(dead.payload, payloads[0]);
        assert_eq!(dead.reason.as_deref(), Some("processing_failed"));
        dead.put_back().await.unwrap();
    }
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 1));
}

async fn removed_dead_letter_does_not_return(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    dead_letter(broker, 2).await;
    let mut taken = queue.receive_dead(2).await.unwrap();
    taken.remove(0).remove().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 1));
    taken.remove(0).put_back().await.unwrap();
    one_dead(broker).await.remove().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

async fn redriven_message_arrives_unchanged(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    let payloads = dead_letter(broker, 1).await;
    one_dead(broker).await.send_again(&queue).await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(1, 0, 0));
    assert_eq!(one(&queue, NOW).await.payload, payloads[0]);
}

async fn thirty_dead_letters_are_all_redriven(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    let mut expected = dead_letter(broker, 30).await;
    for dead in queue.receive_dead(100).await.unwrap() {
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

/// Creates dead letters and returns their payloads.
async fn dead_letter(broker: &Broker, count: usize) -> Vec<String> {
    let queue = broker.queue(NEVER_EXPIRES).await;
    let mut payloads = Vec::new();
    for _ in 0..count {
        let job = push(&queue).await;
        let delivery = one(&queue, WAIT).await;
        delivery.dead_letter("processing_failed").await.unwrap();
        payloads.push(job.to_payload().unwrap());
    }
    payloads
}

/// Takes the single expected dead letter.
async fn one_dead(broker: &Broker) -> DeadMessage {
    let queue = broker.queue(NEVER_EXPIRES).await;
    let mut dead = queue.receive_dead(1).await.unwrap();
    assert_eq!(dead.len(), 1);
    dead.remove(0)
}
