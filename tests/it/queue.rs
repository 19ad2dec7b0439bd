//! What every broker must do, written against [`Queue`] alone; then what only Redis can suffer.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use anb::{
    dev::{Folder, Options, Redis},
    ids::VideoId,
    job::Job,
    queue::{Delivery, Queue, Stats},
};

use crate::support::{Broker, eventually};

/// Short enough to see it pass.
const VISIBILITY: Duration = Duration::from_millis(600);

/// Too long for any test to see it pass.
const FOR_EVER: Duration = Duration::from_mins(10);

/// A wait in which nothing is expected to come.
const MOMENT: Duration = Duration::from_millis(30);

/// Longest wait for what must come.
const WAIT: Duration = Duration::from_secs(2);

#[tokio::test]
async fn an_acknowledged_message_is_gone() {
    let broker = Broker::fresh().await;
    let queue = broker.queue(FOR_EVER).await;
    let job = push(&queue).await;
    let delivery = one(&queue, WAIT).await;
    assert_eq!(Job::from_payload(&delivery.payload).unwrap(), job);
    delivery.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

#[tokio::test]
async fn a_message_comes_back_after_the_visibility_time_and_not_before() {
    let broker = Broker::fresh().await;
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

#[tokio::test]
async fn an_extended_message_stays_hidden() {
    let broker = Broker::fresh().await;
    let (first, second) = (
        broker.queue(VISIBILITY).await,
        broker.queue(VISIBILITY).await,
    );
    push(&first).await;
    let delivery = one(&first, WAIT).await;
    let received = Instant::now();
    while received.elapsed() < 3 * VISIBILITY {
        delivery.extend().await.unwrap();
        assert!(second.receive(1, MOMENT).await.unwrap().is_empty());
    }
    eventually_one(&second).await;
}

#[tokio::test]
async fn a_released_message_is_there_at_once_for_everybody() {
    let broker = Broker::fresh().await;
    // Their visibility differs, as it does while a new setting is rolled out.
    let (first, second) = (
        broker.queue(FOR_EVER).await,
        broker.queue(2 * FOR_EVER).await,
    );
    push(&first).await;
    one(&first, WAIT).await.release().await.unwrap();
    one(&second, MOMENT).await.release().await.unwrap();
    one(&first, MOMENT).await.ack().await.unwrap();
}

#[tokio::test]
async fn a_released_message_is_found_among_many_in_flight() {
    let broker = Broker::fresh().await;
    let (first, second) = (broker.queue(FOR_EVER).await, broker.queue(FOR_EVER).await);
    for _ in 0..25 {
        push(&first).await;
    }
    let mut deliveries = first.receive(25, WAIT).await.unwrap();
    assert_eq!(deliveries.len(), 25);
    for place in [0, 23, 11] {
        assert!(second.receive(1, MOMENT).await.unwrap().is_empty());
        let delivery = deliveries.remove(place);
        let payload = delivery.payload.clone();
        delivery.release().await.unwrap();
        assert_eq!(one(&second, MOMENT).await.payload, payload);
    }
}

#[tokio::test]
async fn a_dead_message_is_kept_untouched_and_counted() {
    let broker = Broker::fresh().await;
    let queue = broker.queue(FOR_EVER).await;
    let payload = r#"{"kind":"of_the_future", "ñ": "\u0000 "}"#;
    broker.push_raw(payload).await;
    let delivery = one(&queue, WAIT).await;
    assert_eq!(delivery.payload, payload);
    delivery.dead_letter("unknown_job").await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 1));
    let dead = [(payload.to_owned(), "unknown_job".to_owned())];
    assert_eq!(broker.dead().await, dead);
}

#[tokio::test]
async fn stats_tell_waiting_from_in_flight_and_dead() {
    let broker = Broker::fresh().await;
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

#[tokio::test]
async fn no_more_messages_come_than_were_asked_for() {
    let broker = Broker::fresh().await;
    let queue = broker.queue(VISIBILITY).await;
    for _ in 0..5 {
        push(&queue).await;
    }
    assert_eq!(queue.receive(2, WAIT).await.unwrap().len(), 2);
    assert_eq!(queue.receive(9, WAIT).await.unwrap().len(), 3);
    // Also of those that come back.
    let mut sizes = Vec::new();
    eventually("all five come back", 10, async || {
        sizes.push(queue.receive(2, MOMENT).await.unwrap().len());
        sizes.iter().sum::<usize>() >= 5
    })
    .await;
    assert!(sizes.iter().all(|size| *size <= 2), "{sizes:?}");
}

#[tokio::test]
async fn an_empty_queue_is_waited_for() {
    let broker = Broker::fresh().await;
    let queue = broker.queue(FOR_EVER).await;
    let wait = Duration::from_millis(300);
    let started = Instant::now();
    assert!(queue.receive(1, wait).await.unwrap().is_empty());
    let waited = started.elapsed();
    assert!(waited >= wait && waited < wait * 5, "{waited:?}");
}

#[tokio::test]
async fn a_waiting_receive_returns_as_soon_as_a_message_comes() {
    let broker = Broker::fresh().await;
    let queue = broker.queue(FOR_EVER).await;
    let received = async {
        let delivery = one(&queue, Duration::from_secs(20)).await;
        (delivery, Instant::now())
    };
    let pushed = async {
        broker.until_read().await;
        let pushed = Instant::now();
        push(&queue).await;
        pushed
    };
    let ((_, received), pushed) = tokio::join!(received, pushed);
    let delay = received.duration_since(pushed);
    assert!(delay < Duration::from_millis(500), "{delay:?}");
}

#[tokio::test]
async fn two_consumers_never_get_the_same_message() {
    let broker = Broker::fresh().await;
    let (first, second) = (broker.queue(FOR_EVER).await, broker.queue(FOR_EVER).await);
    for _ in 0..60 {
        push(&first).await;
    }
    let drain = async |queue: &Queue| {
        let mut payloads = Vec::new();
        loop {
            let deliveries = queue.receive(4, MOMENT).await.unwrap();
            if deliveries.is_empty() {
                return payloads;
            }
            payloads.extend(deliveries.into_iter().map(|delivery| delivery.payload));
        }
    };
    let (mut payloads, others) = tokio::join!(drain(&first), drain(&second));
    payloads.extend(others);
    assert_eq!(payloads.len(), 60);
    assert_eq!(payloads.into_iter().collect::<HashSet<_>>().len(), 60);
}

#[tokio::test]
async fn a_dropped_receive_loses_no_message() {
    let broker = Broker::fresh().await;
    let queue = broker.queue(VISIBILITY).await;
    tokio::select! {
        _ = queue.receive(1, Duration::from_secs(20)) => panic!("nothing was pushed"),
        () = broker.until_read() => {}
    }
    push(&queue).await;
    eventually_one(&queue).await;
}

#[tokio::test]
async fn what_nobody_ended_is_found_by_the_next_process() {
    let broker = Broker::fresh().await;
    let queue = broker.queue(VISIBILITY).await;
    push(&queue).await;
    drop(one(&queue, WAIT).await);
    // It stops in order and still does not take its message along.
    queue.leave().await.unwrap();
    drop(queue);
    eventually_one(&broker.queue(VISIBILITY).await).await;
}

#[tokio::test]
async fn a_message_that_somebody_else_ended_can_be_ended_again() {
    let broker = Broker::fresh().await;
    let (first, second) = (
        broker.queue(VISIBILITY).await,
        broker.queue(VISIBILITY).await,
    );
    push(&first).await;
    let late = one(&first, WAIT).await;
    eventually_one(&second).await.ack().await.unwrap();
    late.extend().await.unwrap();
    late.release().await.unwrap();
    assert!(second.receive(1, MOMENT).await.unwrap().is_empty());
    assert_eq!(first.stats().await.unwrap(), stats(0, 0, 0));
}

// Redis alone from here on.

#[tokio::test]
async fn a_consumer_that_left_is_forgotten_unless_messages_are_pending() {
    let broker = Broker::fresh().await;
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
async fn leaving_a_queue_that_was_never_read_is_no_error() {
    let broker = Broker::fresh().await;
    broker.queue(FOR_EVER).await.leave().await.unwrap();
}

#[tokio::test]
async fn a_queue_that_is_wiped_under_a_reader_works_again() {
    let broker = Broker::fresh().await;
    let queue = broker.queue(FOR_EVER).await;
    let reading = queue.receive(1, Duration::from_secs(20));
    let wiping = async {
        broker.until_read().await;
        broker.wipe().await;
    };
    // Whether the read ends with an error is its own affair.
    drop(tokio::join!(reading, wiping));
    push(&queue).await;
    eventually_one(&queue).await.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 0));
}

#[tokio::test]
async fn a_message_in_flight_survives_a_wipe_of_the_queue() {
    let broker = Broker::fresh().await;
    let queue = broker.queue(FOR_EVER).await;
    push(&queue).await;
    push(&queue).await;
    let mut deliveries = queue.receive(2, WAIT).await.unwrap();
    broker.wipe().await;
    let (first, second) = (deliveries.remove(0), deliveries.remove(0));
    first.ack().await.unwrap();
    second.dead_letter("processing_failed").await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 1));
}

#[tokio::test]
async fn a_cut_connection_is_made_again() {
    let broker = Broker::fresh().await;
    let queue = broker.queue(VISIBILITY).await;
    let reading = queue.receive(1, Duration::from_secs(20));
    let cutting = async {
        broker.until_read().await;
        broker.cut_readers().await;
    };
    drop(tokio::join!(reading, cutting));
    push(&queue).await;
    let delivery = eventually_one(&queue).await;
    broker.cut_all().await;
    eventually("an idle connection is replaced", 10, async || {
        queue.stats().await.is_ok()
    })
    .await;
    delivery.ack().await.unwrap();
}

#[tokio::test]
async fn a_restarted_redis_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        redis_databases: 1,
        ..Options::durable(folder.path())
    };
    let folder = Folder::claim(&options.data_dir).unwrap();
    let redis = Redis::start(&folder, &options).await.unwrap();
    let broker = Broker::at(&redis.url()).await;
    let queue = broker.queue(VISIBILITY).await;
    push(&queue).await;
    redis.stop().await;

    assert!(queue.receive(1, MOMENT).await.is_err());
    let job = Job::process_video(VideoId::generate(), String::new());
    assert!(queue.push(&job).await.is_err());
    assert!(queue.ready().await.is_err());

    let redis = Redis::start(&folder, &options).await.unwrap();
    eventually_one(&queue).await.ack().await.unwrap();
    queue.ready().await.unwrap();
    redis.stop().await;
}

async fn push(queue: &Queue) -> Job {
    let job = Job::process_video(VideoId::generate(), "test".to_owned());
    queue.push(&job).await.unwrap();
    job
}

/// Receives the one message that must be there.
async fn one(queue: &Queue, wait: Duration) -> Delivery {
    let mut deliveries = queue.receive(1, wait).await.unwrap();
    assert_eq!(deliveries.len(), 1);
    deliveries.remove(0)
}

/// Receives one message sooner or later; errors may come before it.
async fn eventually_one(queue: &Queue) -> Delivery {
    let mut delivery = None;
    eventually("a message comes", 10, async || {
        let received = queue.receive(1, MOMENT).await.unwrap_or_default();
        delivery = received.into_iter().next();
        delivery.is_some()
    })
    .await;
    delivery.unwrap()
}

fn stats(waiting: u64, in_flight: u64, dead: u64) -> Stats {
    Stats {
        waiting,
        in_flight,
        dead,
    }
}
