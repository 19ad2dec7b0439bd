//! What only Redis can suffer.

use anb::{
    dev::{Folder, Options, Redis},
    queue::Queue,
};

use tempfile::TempDir;

use super::{FOR_EVER, NOW, VISIBILITY, WAIT, eventually_one, job, one, push};
use crate::support::RedisBroker;

#[tokio::test]
async fn a_consumer_that_left_is_forgotten_unless_messages_are_pending() {
    let broker = RedisBroker::fresh().await;
    let (idle, busy) = (broker.queue(FOR_EVER).await, broker.queue(FOR_EVER).await);
    push(&busy).await;
    let delivery = one(&busy, WAIT).await;
    push(&idle).await;
    one(&idle, WAIT).await.ack().await.unwrap();
    assert_eq!(broker.consumers().await, 2);
    idle.leave().await.unwrap();
    busy.leave().await.unwrap();
    assert_eq!(broker.consumers().await, 1);
    delivery.ack().await.unwrap();
    busy.leave().await.unwrap();
    assert_eq!(broker.consumers().await, 0);
}

#[tokio::test]
async fn an_entry_without_our_field_is_a_message_without_a_payload() {
    let broker = RedisBroker::fresh().await;
    let queue = broker.queue(FOR_EVER).await;
    let _: String = broker.run(&["XADD", "anb:jobs", "*", "other", "x"]).await;
    let delivery = one(&queue, WAIT).await;
    assert_eq!(delivery.payload, "");
    delivery.dead_letter("unknown_job").await.unwrap();
    let dead = [(String::new(), "unknown_job".to_owned())];
    assert_eq!(broker.dead().await, dead);
}

/// Returns a folder for a server of a test's own, and its options.
fn folder(data: &TempDir) -> (Folder, Options) {
    let options = Options {
        redis_databases: 1,
        ..Options::durable(data.path())
    };
    (Folder::claim(&options.data_dir).unwrap(), options)
}

#[tokio::test]
async fn a_user_without_a_command_is_told_which() {
    let data = tempfile::tempdir().unwrap();
    let (folder, options) = folder(&data);
    let redis = Redis::start(&folder, &options).await.unwrap();
    let broker = RedisBroker::at(&redis.url()).await;
    // As the documentation tells.
    let page = include_str!("../../../docs/operations.md");
    let line = page
        .lines()
        .find(|line| line.starts_with("ACL SETUSER anb "));
    let line: Vec<&str> = line.unwrap().split(' ').collect();
    let url = format!("{}?user=anb&pass=secret", redis.url());
    for (taken, named) in [
        (None, ""),
        (Some("-xautoclaim"), "XAUTOCLAIM"),
        (Some("-multi"), "MULTI"),
        (Some("-xgroup|create"), "XGROUP CREATE"),
        (Some("resetkeys"), "XADD"),
    ] {
        let user: Vec<&str> = line.iter().copied().chain(taken).collect();
        let _: String = broker.run(&user).await;
        let queue = RedisBroker::at(&url).await.queue(VISIBILITY).await;
        if taken.is_none() {
            queue.ready().await.unwrap();
            push(&queue).await;
            one(&queue, WAIT).await.dead_letter("why").await.unwrap();
            push(&queue).await;
            let delivery = one(&queue, WAIT).await;
            delivery.extend().await.unwrap();
            delivery.ack().await.unwrap();
            queue.leave().await.unwrap();
            assert_eq!(queue.stats().await.unwrap().dead, 1);
            assert_eq!(queue.take_dead(10).await.unwrap().len(), 1);
        } else {
            let error = format!("{:#}", queue.ready().await.unwrap_err());
            assert!(error.contains("REDIS_URL"), "{error}");
            assert!(error.contains(&format!("may not run {named}")), "{error}");
        }
    }
    redis.stop().await;
}

#[tokio::test]
async fn a_restarted_redis_is_found_again() {
    let data = tempfile::tempdir().unwrap();
    let (folder, options) = folder(&data);
    let redis = Redis::start(&folder, &options).await.unwrap();
    let queue: Queue = RedisBroker::at(&redis.url()).await.queue(VISIBILITY).await;
    push(&queue).await;
    redis.stop().await;

    assert!(queue.receive(1, NOW).await.is_err());
    assert!(queue.push(&job()).await.is_err());
    assert!(queue.ready().await.is_err());

    let redis = Redis::start(&folder, &options).await.unwrap();
    eventually_one(&queue).await.ack().await.unwrap();
    queue.ready().await.unwrap();
    redis.stop().await;
}
