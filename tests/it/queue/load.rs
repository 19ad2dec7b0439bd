//! Many messages: each arrives at least once.

use std::{collections::HashSet, sync::Mutex};

use anb::{ids::VideoId, job::Job, queue::Queue};
use futures_util::future::join_all;
use tokio::sync::Semaphore;

use super::{NEVER_EXPIRES, WAIT, cases, stats};
use crate::support::Broker;

const MESSAGES: usize = 10_000;

/// Maximum number of waiting messages, since the emulator slows down with their number.
const BACKLOG: usize = 200;

const CONSUMERS: usize = 4;

cases! {
    ten_thousand_messages_all_arrive,
    concurrent_pushes_all_arrive,
}

async fn ten_thousand_messages_all_arrive(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    let room = Semaphore::new(BACKLOG);
    let missing: HashSet<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    let payloads: Vec<String> = missing.iter().cloned().collect();
    let missing = Mutex::new(missing);
    let produce = async {
        for ten in payloads.chunks(10) {
            room.acquire_many(10).await.unwrap().forget();
            let ten: Vec<&str> = ten.iter().map(String::as_str).collect();
            broker.push_raw(&ten).await;
        }
    };
    let consumers = join_all((0..CONSUMERS).map(|_| consume(&queue, &room, &missing)));
    tokio::join!(produce, consumers);
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

/// Receives and acknowledges until no message is missing.
async fn consume(queue: &Queue, room: &Semaphore, missing: &Mutex<HashSet<String>>) {
    while !missing.lock().unwrap().is_empty() {
        let deliveries = queue.receive(10, WAIT).await.unwrap();
        let ends = deliveries.into_iter().map(async |delivery| {
            missing.lock().unwrap().remove(&delivery.payload);
            delivery.ack().await.unwrap();
            room.add_permits(1);
        });
        join_all(ends).await;
    }
}

async fn concurrent_pushes_all_arrive(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    let pushes = (0..100).map(async |number: usize| {
        let job = Job::process_video(VideoId::generate(), number.to_string());
        queue.push(&job).await.unwrap();
        job.to_payload().unwrap()
    });
    let mut expected: Vec<String> = join_all(pushes).await;
    assert_eq!(queue.stats().await.unwrap(), stats(100, 0, 0));
    let mut received = Vec::new();
    while received.len() < 100 {
        let deliveries = queue.receive(10, WAIT).await.unwrap();
        received.extend(deliveries.into_iter().map(|delivery| delivery.payload));
    }
    expected.sort();
    received.sort();
    assert_eq!(received, expected);
}
