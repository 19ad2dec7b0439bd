//! What only SQS can suffer: what its emulator shows of it.

use anb::{config::queue::Settings, queue::Queue};
use aws_sdk_sqs::types::QueueAttributeName as Attribute;

use super::{FOR_EVER, NOW, VISIBILITY, WAIT, eventually_one, none, one, push, stats};
use crate::support::{SqsBroker, aws, eventually, free_port};

#[tokio::test]
async fn a_stale_handle_ends_nothing_that_somebody_else_holds() {
    let broker = SqsBroker::fresh().await;
    let (first, second) = (broker.queue(VISIBILITY).await, broker.queue(FOR_EVER).await);
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
async fn a_stale_handle_gives_nothing_back_that_somebody_else_holds() {
    let broker = SqsBroker::fresh().await;
    let (first, second) = (broker.queue(VISIBILITY).await, broker.queue(FOR_EVER).await);
    push(&first).await;
    let late = one(&first, WAIT).await;
    let _again = eventually_one(&second).await;
    late.release().await.unwrap();
    none(&second).await;
}

#[tokio::test]
async fn each_consumer_has_its_own_visibility() {
    let broker = SqsBroker::fresh().await;
    let (short, long) = (broker.queue(VISIBILITY).await, broker.queue(FOR_EVER).await);
    push(&long).await;
    let kept = one(&long, WAIT).await;
    push(&short).await;
    let left = one(&short, WAIT).await;
    let again = eventually_one(&short).await;
    assert_eq!(again.payload, left.payload);
    assert_ne!(again.payload, kept.payload);
}

#[tokio::test]
async fn what_the_broker_moved_itself_has_no_reason() {
    let broker = SqsBroker::fresh().await;
    broker.die_after(1).await;
    let queue = broker.queue(VISIBILITY).await;
    let job = push(&queue).await;
    one(&queue, WAIT).await;
    eventually("it is moved", 60, async || {
        none(&queue).await;
        queue.stats().await.unwrap().dead == 1
    })
    .await;
    let dead = queue.take_dead(1).await.unwrap().remove(0);
    assert_eq!(
        (&dead.payload, &dead.reason),
        (&job.to_payload().unwrap(), &None)
    );
    dead.send_again(&queue).await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(1, 0, 0));
}

#[tokio::test]
async fn a_dead_message_that_somebody_looks_at_is_hidden_from_others_and_counted() {
    let broker = SqsBroker::fresh().await;
    let queue = broker.queue(FOR_EVER).await;
    push(&queue).await;
    let delivery = one(&queue, WAIT).await;
    delivery.dead_letter("processing_failed").await.unwrap();
    let taken = queue.take_dead(10).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert!(queue.take_dead(10).await.unwrap().is_empty());
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 1));
}

#[tokio::test]
async fn a_message_with_a_delay_counts_as_waiting() {
    let broker = SqsBroker::fresh().await;
    let queue = broker.queue(FOR_EVER).await;
    let send = broker.client.send_message().queue_url(&broker.url);
    let delayed = send.message_body("x").delay_seconds(60);
    delayed.send().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(1, 0, 0));
}

#[tokio::test]
async fn the_dead_letter_queue_can_be_named() {
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
async fn a_queue_that_is_not_there_stops_the_start() {
    let broker = SqsBroker::fresh().await;
    let settings = Settings {
        sqs_queue_url: Some(format!("{}-nowhere", broker.url)),
        ..broker.settings().await
    };
    refuses(
        &settings,
        &["SQS_QUEUE_URL=http", "-nowhere", "NonExistentQueue"],
    )
    .await;
}

#[tokio::test]
async fn a_dead_letter_queue_that_is_not_there_stops_the_start() {
    let broker = SqsBroker::fresh().await;
    let settings = Settings {
        sqs_dlq_url: Some(format!("{}-nowhere", broker.url)),
        ..broker.settings().await
    };
    refuses(
        &settings,
        &["SQS_DLQ_URL=http", "-nowhere", "NonExistentQueue"],
    )
    .await;
}

#[tokio::test]
async fn a_queue_without_a_dead_letter_queue_stops_the_start() {
    let broker = SqsBroker::fresh().await;
    let set = broker.client.set_queue_attributes().queue_url(&broker.url);
    let set = set.attributes(Attribute::RedrivePolicy, "");
    set.send().await.unwrap();
    refuses(&broker.settings().await, &["SQS_DLQ_URL is not set"]).await;
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_stops_the_start() {
    let broker = SqsBroker::fresh().await;
    let settings = Settings {
        sqs_endpoint_url: Some(format!("http://127.0.0.1:{}", free_port())),
        ..broker.settings().await
    };
    refuses(&settings, &["SQS_QUEUE_URL=http"]).await;
}

async fn connect(settings: &Settings) -> anyhow::Result<Queue> {
    Queue::connect(settings, FOR_EVER, &aws::config().await).await
}

/// Fails unless connecting fails with one line that contains all `parts`.
async fn refuses(settings: &Settings, parts: &[&str]) {
    let Err(error) = connect(settings).await else {
        panic!("{settings:?} is good");
    };
    let error = format!("{error:#}");
    assert_eq!(error.lines().count(), 1, "{error}");
    for part in parts {
        assert!(error.contains(part), "{part}: {error}");
    }
}
