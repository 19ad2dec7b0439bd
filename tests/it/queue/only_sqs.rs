//! Cases that only SQS has, as far as its emulator reproduces them.

use anb::{config::queue::Settings, queue::Queue};
use aws_sdk_sqs::types::QueueAttributeName as Attribute;

use super::{NEVER_EXPIRES, NOW, VISIBILITY, WAIT, eventually_one, none, one, push, stats};
use crate::support::{SqsBroker, aws, eventually, free_port};

#[tokio::test]
async fn acknowledgement_with_a_stale_handle_has_no_effect() {
    let broker = SqsBroker::fresh().await;
    let (first, second) = (
        broker.queue(VISIBILITY).await,
        broker.queue(NEVER_EXPIRES).await,
    );
    push(&first).await;
    let late = one(&first, WAIT).await;
    let again = eventually_one(&second).await;
    late.extend().await.unwrap();
    late.ack().await.unwrap();
    assert_eq!(first.stats().await.unwrap(), stats(0, 1, 0));
    again.release().await.unwrap();
    one(&second, NOW).await;
}

#[tokio::test]
async fn release_with_a_stale_handle_has_no_effect() {
    let broker = SqsBroker::fresh().await;
    let (first, second) = (
        broker.queue(VISIBILITY).await,
        broker.queue(NEVER_EXPIRES).await,
    );
    push(&first).await;
    let late = one(&first, WAIT).await;
    let _again = eventually_one(&second).await;
    late.release().await.unwrap();
    none(&second).await;
}

#[tokio::test]
async fn visibility_is_set_per_consumer() {
    let broker = SqsBroker::fresh().await;
    let (short, long) = (
        broker.queue(VISIBILITY).await,
        broker.queue(NEVER_EXPIRES).await,
    );
    push(&long).await;
    let kept = one(&long, WAIT).await;
    push(&short).await;
    let left = one(&short, WAIT).await;
    let again = eventually_one(&short).await;
    assert_eq!(again.payload, left.payload);
    assert_ne!(again.payload, kept.payload);
}

#[tokio::test]
async fn message_dead_lettered_by_sqs_has_no_reason() {
    let broker = SqsBroker::fresh().await;
    broker.die_after(1).await;
    let queue = broker.queue(VISIBILITY).await;
    let job = push(&queue).await;
    one(&queue, WAIT).await;
    eventually("the message is dead", 60, async || {
        none(&queue).await;
        queue.stats().await.unwrap().dead == 1
    })
    .await;
    let dead = queue.receive_dead(1).await.unwrap().remove(0);
    assert_eq!(
        (&dead.payload, &dead.reason),
        (&job.to_payload().unwrap(), &None)
    );
    dead.send_again(&queue).await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(1, 0, 0));
}

#[tokio::test]
async fn taken_dead_letter_is_hidden_from_others_and_counted() {
    let broker = SqsBroker::fresh().await;
    let queue = broker.queue(NEVER_EXPIRES).await;
    push(&queue).await;
    let delivery = one(&queue, WAIT).await;
    delivery.dead_letter("processing_failed").await.unwrap();
    let taken = queue.receive_dead(10).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert!(queue.receive_dead(10).await.unwrap().is_empty());
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 1));
}

#[tokio::test]
async fn delayed_message_counts_as_waiting() {
    let broker = SqsBroker::fresh().await;
    let queue = broker.queue(NEVER_EXPIRES).await;
    let send = broker.client.send_message().queue_url(&broker.url);
    let delayed = send.message_body("x").delay_seconds(60);
    delayed.send().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(1, 0, 0));
}

#[tokio::test]
async fn dead_letter_queue_can_be_configured() {
    let broker = SqsBroker::fresh().await;
    let other = SqsBroker::fresh().await;
    let settings = Settings {
        sqs_dlq_url: Some(other.dead_url.clone()),
        ..broker.settings().await
    };
    let queue = connect(&settings).await.unwrap();
    push(&queue).await;
    one(&queue, WAIT).await.dead_letter("x").await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 1));
    assert_eq!(broker.dead().await.len(), 0);
    assert_eq!(other.dead().await.len(), 1);
}

#[tokio::test]
async fn missing_queue_prevents_the_start() {
    let broker = SqsBroker::fresh().await;
    let settings = Settings {
        sqs_queue_url: Some(format!("{}-nowhere", broker.url)),
        ..broker.settings().await
    };
    assert_fails(
        &settings,
        &["SQS_QUEUE_URL=http", "-nowhere", "NonExistentQueue"],
    )
    .await;
}

#[tokio::test]
async fn missing_dead_letter_queue_prevents_the_start() {
    let broker = SqsBroker::fresh().await;
    let settings = Settings {
        sqs_dlq_url: Some(format!("{}-nowhere", broker.url)),
        ..broker.settings().await
    };
    assert_fails(
        &settings,
        &["SQS_DLQ_URL=http", "-nowhere", "NonExistentQueue"],
    )
    .await;
}

#[tokio::test]
async fn queue_without_dead_letter_queue_prevents_the_start() {
    let broker = SqsBroker::fresh().await;
    let set = broker.client.set_queue_attributes().queue_url(&broker.url);
    let set = set.attributes(Attribute::RedrivePolicy, "");
    set.send().await.unwrap();
    assert_fails(&broker.settings().await, &["SQS_DLQ_URL is not set"]).await;
}

#[tokio::test]
async fn unreachable_endpoint_prevents_the_start() {
    let broker = SqsBroker::fresh().await;
    let settings = Settings {
        sqs_endpoint_url: Some(format!("http://127.0.0.1:{}", free_port())),
        ..broker.settings().await
    };
    assert_fails(&settings, &["SQS_QUEUE_URL=http"]).await;
}

async fn connect(settings: &Settings) -> anyhow::Result<Queue> {
    Queue::connect(settings, NEVER_EXPIRES, &aws::config().await).await
}

/// Asserts that connecting fails with a one-line error that contains all `parts`.
async fn assert_fails(settings: &Settings, parts: &[&str]) {
    let Err(error) = connect(settings).await else {
        panic!("{settings:?} must fail");
    };
    let error = format!("{error:#}");
    assert_eq!(error.lines().count(), 1, "{error}");
    for part in parts {
        assert!(error.contains(part), "{part}: {error}");
    }
}
