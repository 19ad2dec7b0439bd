//! Cases that only Redis has.

use anb::{
    dev::{Folder, Options, Redis},
    queue::Queue,
};

use tempfile::TempDir;

use super::{NEVER_EXPIRES, NOW, VISIBILITY, WAIT, eventually_one, job, one, push};
use crate::support::RedisBroker;

#[tokio::test]
async fn leaving_deregisters_a_consumer_without_pending_messages() {
    let broker = RedisBroker::fresh().await;
    let (idle, busy) = (
        broker.queue(NEVER_EXPIRES).await,
        broker.queue(NEVER_EXPIRES).await,
    );
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
async fn entry_without_payload_field_has_an_empty_payload() {
    let broker = RedisBroker::fresh().await;
    let queue = broker.queue(NEVER_EXPIRES).await;
    let _: String = broker.run(&["XADD", "anb:jobs", "*", "other", "x"]).await;
    let delivery = one(&queue, WAIT).await;
    assert_eq!(delivery.payload, "");
    delivery.dead_letter("unknown_job").await.unwrap();
    let dead = [(String::new(), "unknown_job".to_owned())];
    assert_eq!(broker.dead().await, dead);
}

/// Returns the folder and options of a test's own server.
fn folder(data: &TempDir) -> (Folder, Options) {
    let options = Options {
        redis_databases: 1,
        ..Options::durable(data.path())
    };
    (Folder::claim(&options.data_dir).unwrap(), options)
}

#[tokio::test]
async fn missing_acl_permission_is_reported_with_its_command() {
    let data = tempfile::tempdir().unwrap();
    let (folder, options) = folder(&data);
    let redis = Redis::start(&folder, &options).await.unwrap();
    let broker = RedisBroker::at(&redis.url()).await;
    // The documented command.
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
            assert_eq!(queue.receive_dead(10).await.unwrap().len(), 1);
        } else {
            let error = format!("{:#}", queue.ready().await.unwrap_err());
            assert!(error.contains("REDIS_URL"), "{error}");
            assert!(error.contains(&format!("may not run {named}")), "{error}");
        }
    }
    redis.stop().await;
}

#[tokio::test]
async fn queue_reconnects_after_a_redis_restart() {
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
