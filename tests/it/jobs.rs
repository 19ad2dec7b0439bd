//! How jobs in the worker end, and what interrupts them.

mod interrupted;
mod late;
mod progress;

use std::{
    fs,
    time::{Duration, SystemTime},
};

use anb::{shutdown::Shutdown, worker::Worker};
use serde_json::json;

use crate::support::{RedisBroker, Row, TestApp, eventually, film, outputs_of};

/// Long enough to receive a message if there is one.
const WAIT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn message_of_unknown_kind_is_dead_lettered_unchanged() {
    let app = TestApp::spawn().await;
    let broker = RedisBroker::at(&app.place.redis_url).await;
    let newer = json!({
        "kind": "process_video", "v": 2, "video_id": "018f3c1e-0000-7000-8000-000000000000",
        "trace": "", "more": 1,
    });
    let payloads = [
        r#"{"kind":"send_mail","v":1}"#.to_owned(),
        newer.to_string(),
        "ñ no JSON".to_owned(),
    ];
    broker
        .push_raw(&payloads.each_ref().map(String::as_str))
        .await;
    app.run_pending_jobs().await;
    let mut dead = broker.dead().await;
    dead.sort();
    let mut expected = payloads.map(|payload| (payload, "unknown_job".to_owned()));
    expected.sort();
    assert_eq!(dead, expected);
    assert_eq!(held(&app).await, 0);
}

#[tokio::test]
async fn redelivery_of_processed_video_changes_nothing() {
    let app = TestApp::spawn().await;
    let video = app.add_video(&film().await).await;
    app.run_pending_jobs().await;
    let (row, outputs) = (app.row(video).await, app.outputs(video));
    assert_eq!(row.as_ref().unwrap().status, "processed");
    assert_eq!(outputs, outputs_of(1));

    app.push(video).await;
    app.run_pending_jobs().await;
    assert_eq!(app.row(video).await, row);
    assert_eq!(app.outputs(video), outputs);
    assert_eq!(held(&app).await, 0);
}

#[tokio::test]
async fn light_rendition_can_be_switched_off() {
    let app = TestApp::spawn_with(&[], &["--light-rendition=off"]).await;
    let video = app.add_video(&film().await).await;
    app.run_pending_jobs().await;
    assert_eq!(app.status(video).await, "processed");
    assert_eq!(app.outputs(video), ["1-s.jpg", "1.jpg", "1.mp4"]);
    let recorded = "SELECT count(*) FROM videos
        WHERE clip_bytes > 0 AND light_bytes IS NULL AND has_thumb AND colour IS NOT NULL";
    assert_eq!(app.number(recorded).await, 1);
}

#[tokio::test]
async fn concurrent_workers_process_a_video_once() {
    let app = TestApp::spawn().await;
    let video = app.add_video(&film().await).await;
    app.push(video).await;
    app.push(video).await;
    tokio::join!(app.run_pending_jobs(), app.run_pending_jobs());
    let row = app.row(video).await.unwrap();
    assert_eq!((row.status.as_str(), row.attempt), ("processed", 1));
    assert_eq!(app.outputs(video), outputs_of(1));
    assert_eq!(held(&app).await, 0);
}

#[tokio::test]
async fn transient_failure_postpones_the_video() {
    let app = TestApp::spawn().await;
    let video = app.add_video(&film().await).await;
    fs::rename(app.original(video), app.folder.path().join("lost")).unwrap();
    app.run_pending_jobs().await;
    let expected = Row {
        status: "uploaded".to_owned(),
        attempt: 1,
        failures: 1,
        losses: 0,
        is_due: false,
        is_enqueued: false,
        code: None,
    };
    assert_eq!(app.row(video).await.unwrap(), expected);
    assert_eq!(held(&app).await, 0);

    // Once the original is back, the next attempt succeeds.
    fs::rename(app.folder.path().join("lost"), app.original(video)).unwrap();
    app.set(video, "run_after = now()").await;
    app.push(video).await;
    app.run_pending_jobs().await;
    assert_eq!(app.status(video).await, "processed");
    assert_eq!(app.outputs(video), outputs_of(2));
}

#[tokio::test]
async fn video_that_is_not_due_is_not_processed() {
    let app = TestApp::spawn().await;
    let video = app.add_video(&film().await).await;
    app.set(
        video,
        "run_after = now() + interval '1 hour', enqueued_at = NULL",
    )
    .await;
    let row = app.row(video).await;
    app.run_pending_jobs().await;
    assert_eq!(app.row(video).await, row);
    assert_eq!(held(&app).await, 0);
}

#[tokio::test]
async fn last_failure_dead_letters_the_message() {
    let app = TestApp::spawn_with(&[], &["--job-max-attempts=2"]).await;
    let broker = RedisBroker::at(&app.place.redis_url).await;
    let video = app.add_video(&film().await).await;
    app.remove(&format!("uploads/{video}.mp4"));
    app.run_pending_jobs().await;
    assert_eq!(app.row(video).await.unwrap().failures, 1);
    assert!(broker.dead().await.is_empty());

    app.set(video, "run_after = now()").await;
    app.push(video).await;
    app.run_pending_jobs().await;
    let row = app.row(video).await.unwrap();
    assert_eq!(row.status, "failed");
    assert_eq!(row.code.as_deref(), Some("processing_failed"));
    let dead = broker.dead().await;
    assert_eq!(dead.len(), 1);
    assert!(dead[0].0.contains(&video.to_string()), "{dead:?}");
    assert_eq!(dead[0].1, "processing_failed");
    assert_eq!(held(&app).await, 0);
}

#[tokio::test]
async fn worker_receives_no_more_messages_than_it_has_slots() {
    let app = TestApp::spawn_with(&[], &["--worker-concurrency=1"]).await;
    let first = app.add_video(&film().await).await;
    let second = app.add_video(&film().await).await;
    let (worker, _shutdown) = app.worker().await;
    assert_eq!(worker.step(WAIT).await.unwrap(), 1);
    let stats = app.queue.stats().await.unwrap();
    assert_eq!((stats.waiting, stats.in_flight), (1, 1));
    worker.idle().await;
    assert_eq!(worker.step(WAIT).await.unwrap(), 1);
    worker.idle().await;
    for video in [first, second] {
        assert_eq!(app.status(video).await, "processed");
    }
}

#[tokio::test]
async fn worker_survives_wiped_broker_and_cut_connections() {
    let app = TestApp::spawn().await;
    let broker = RedisBroker::at(&app.place.redis_url).await;
    let (worker, shutdown) = app.worker().await;
    let running = run(worker);
    broker.until_read().await;
    broker.cut_all().await;
    broker.wipe().await;
    let video = app.add_video(&film().await).await;
    eventually("the video is processed", 600, async || {
        app.status(video).await == "processed"
    })
    .await;
    shutdown.request();
    running.await.unwrap();
    assert_eq!(broker.consumers().await, 0);
}

#[tokio::test]
async fn worker_removes_job_folders_of_killed_workers() {
    let app = TestApp::spawn().await;
    let (running, shutdown) = start(&app).await;
    let left = app.scratch().join("job-left");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("source.mp4"), "film").unwrap();
    let long_ago = SystemTime::now() - Duration::from_mins(2);
    let folder = fs::File::open(&left).unwrap();
    folder.set_modified(long_ago).unwrap();
    eventually("the folder is removed", 60, async || !left.exists()).await;
    shutdown.request();
    running.await.unwrap();
}

/// Returns the number of unsettled messages.
async fn held(app: &TestApp) -> u64 {
    let stats = app.queue.stats().await.unwrap();
    stats.waiting + stats.in_flight
}

/// Runs a worker in the background, as `anb work` does.
#[expect(clippy::disallowed_methods, reason = "the test acts as the process")]
fn run(worker: Worker) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move { worker.run().await })
}

/// Starts a worker with a scratch folder of its own.
async fn start(app: &TestApp) -> (tokio::task::JoinHandle<()>, Shutdown) {
    let shutdown = Shutdown::new(Duration::from_secs(30));
    let worker = Worker::new(app.worker_context().await, shutdown.clone());
    (run(worker), shutdown)
}
