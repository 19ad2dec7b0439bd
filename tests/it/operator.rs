//! `anb queue` on either broker: statistics, dead letters, and the redrive of failed jobs.

mod dev;
mod unreachable;

use std::time::Duration;

use anb::{ids::VideoId, job::Job};
use serde_json::{Value, json};

use crate::{
    processes::process::SystemUnderTest,
    support::{Broker, TestApp, film, on_both},
};

const WAIT: Duration = Duration::from_secs(5);

/// A message of a later program version.
const UNKNOWN: &str = r#"{"kind":"of_the_future"}"#;

on_both! {
    stats_count_videos_and_messages,
    peek_shows_dead_letters_and_keeps_them,
    redrive_retries_system_failures_and_nothing_else,
    redriven_video_is_processed,
}

async fn stats_count_videos_and_messages(app: &TestApp) {
    let empty = json!({
        "waiting": 0, "in_flight": 0, "dead": 0, "oldest_age_seconds": null,
        "messages": {"waiting": 0, "in_flight": 0, "dead": 0},
    });
    assert_eq!(tool(app, "stats").await, empty);

    let waiting = app.add_row().await;
    app.set(waiting, "uploaded_at = now() - interval '90 seconds'")
        .await;
    app.push(waiting).await;
    app.push(waiting).await;
    let running = app.add_row().await;
    app.set(running, "status = 'processing', lease_until = now()")
        .await;
    failed(app, "too_short").await;
    failed(app, "worker_lost").await;
    add_dead(app, UNKNOWN, "unknown_job").await;
    let mut stats = tool(app, "stats").await;
    let age = stats["oldest_age_seconds"].take().as_i64().unwrap();
    assert!((90..100).contains(&age), "{age}");
    let expected = json!({
        "waiting": 1, "in_flight": 1, "dead": 1, "oldest_age_seconds": null,
        "messages": {"waiting": 2, "in_flight": 0, "dead": 1},
    });
    assert_eq!(stats, expected);
}

async fn peek_shows_dead_letters_and_keeps_them(app: &TestApp) {
    add_dead(app, UNKNOWN, "unknown_job").await;
    let dead = json!([{"reason": "unknown_job", "payload": UNKNOWN}]);
    for _ in 0..2 {
        assert_eq!(tool(app, "peek").await, dead);
    }
    let text = SystemUnderTest::of(app).run("queue peek").await;
    assert_eq!(text, format!("unknown_job\t{UNKNOWN}\n"));
}

async fn redrive_retries_system_failures_and_nothing_else(app: &TestApp) {
    let retryable = failed(app, "processing_failed").await;
    let lost = failed(app, "worker_lost").await;
    let rejected = failed(app, "too_short").await;
    for video in [retryable, rejected, VideoId::generate()] {
        let payload = Job::process_video(video, "test".to_owned()).to_payload();
        add_dead(app, &payload.unwrap(), "processing_failed").await;
    }
    add_dead(app, UNKNOWN, "unknown_job").await;

    let first = tool(app, "redrive").await;
    assert_eq!(
        first,
        json!({"videos": 2, "removed": 3, "sent_again": 1, "left": 0})
    );
    for video in [retryable, lost] {
        let row = app.row(video).await.unwrap();
        assert_eq!(
            (row.status.as_str(), row.code.as_deref()),
            ("uploaded", None)
        );
        assert_eq!((row.failures, row.losses), (0, 0));
        assert!(row.is_due && row.is_enqueued, "{row:?}");
    }
    assert_eq!(
        app.row(rejected).await.unwrap().code.as_deref(),
        Some("too_short")
    );
    assert!(Broker::of(app).await.dead().await.is_empty());
    // The two videos and the unknown message.
    assert_eq!(app.queue.stats().await.unwrap().waiting, 3);

    let second = tool(app, "redrive").await;
    assert_eq!(
        second,
        json!({"videos": 0, "removed": 0, "sent_again": 0, "left": 0})
    );
}

async fn redriven_video_is_processed(app: &TestApp) {
    let video = app.add_video(&film().await).await;
    let job = app.queue.receive(1, WAIT).await.unwrap().pop().unwrap();
    job.dead_letter("processing_failed").await.unwrap();
    let failure = r#"status = 'failed', failure = '{"code": "processing_failed"}', failures = 3"#;
    app.set(video, failure).await;

    let redriven = tool(app, "redrive").await;
    assert_eq!(
        redriven,
        json!({"videos": 1, "removed": 1, "sent_again": 0, "left": 0})
    );
    app.run_pending_jobs().await;
    assert_eq!(app.status(video).await, "processed");
}

async fn tool(app: &TestApp, action: &str) -> Value {
    let said = SystemUnderTest::of(app)
        .run(&format!("queue {action} --json"))
        .await;
    serde_json::from_str(&said).unwrap()
}

async fn failed(app: &TestApp, code: &str) -> VideoId {
    let video = app.add_row().await;
    let failure = format!(r#"failure = '{{"code": "{code}"}}', status = 'failed'"#);
    app.set(video, &format!("{failure}, failures = 3, losses = 2"))
        .await;
    video
}

/// Adds a payload to the dead-letter queue.
async fn add_dead(app: &TestApp, payload: &str, reason: &str) {
    Broker::of(app).await.dead_letter(payload, reason).await;
}
