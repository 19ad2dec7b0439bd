//! The sweeper restores, from the rows, jobs that a crash or a broker lost.

use std::time::Duration;

use anb::{
    app::WorkerContext,
    ids::VideoId,
    job::Job,
    videos::sweep::{self, Leases, Swept},
};

use crate::support::{RedisBroker, Row, TestApp};

/// Old enough for rule (c).
const LONG_AGO: &str = "enqueued_at = now() - interval '6 seconds'";

#[tokio::test]
async fn due_video_that_was_never_pushed_is_pushed_once() {
    let (app, context) = open().await;
    let video = app.add_row().await;
    let due = Swept {
        due: 1,
        ..Swept::default()
    };
    assert_eq!(sweep(&context).await.unwrap(), due);
    assert_eq!(sweep(&context).await.unwrap(), Swept::default());
    assert!(app.row(video).await.unwrap().is_enqueued);
    assert_eq!(pushed(&app).await, [video]);
}

#[tokio::test]
async fn fresh_upload_and_postponed_retry_are_not_pushed() {
    let (app, context) = open().await;
    // The API pushes a fresh upload itself.
    let fresh = app.add_row().await;
    app.set(fresh, "run_after = now()").await;
    let later = app.add_row().await;
    app.set(later, "run_after = now() + interval '1 minute'")
        .await;
    assert_eq!(sweep(&context).await.unwrap(), Swept::default());
}

#[tokio::test]
async fn concurrent_sweepers_push_each_video_once() {
    let (app, context) = open().await;
    for _ in 0..20 {
        app.add_row().await;
        expire(&app, app.add_row().await, 0).await;
    }
    let (first, second) = tokio::join!(sweep(&context), sweep(&context));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.due + second.due, 40);
    assert_eq!(first.expired + second.expired, 20);
    assert_eq!(app.queue.stats().await.unwrap().waiting, 40);
}

#[tokio::test]
async fn video_with_expired_lease_is_pushed_for_another_worker() {
    let (app, context) = open().await;
    let video = app.add_row().await;
    expire(&app, video, 2).await;
    let running = app.add_row().await;
    app.set(
        running,
        "status = 'processing', attempt = 1, lease_until = now() + interval '1 minute'",
    )
    .await;
    let expired = Swept {
        expired: 1,
        due: 1,
        ..Swept::default()
    };
    assert_eq!(sweep(&context).await.unwrap(), expired);
    assert_eq!(sweep(&context).await.unwrap(), Swept::default());
    let expected = Row {
        status: "uploaded".to_owned(),
        attempt: 1,
        failures: 0,
        losses: 3,
        is_due: true,
        is_enqueued: true,
        code: None,
    };
    assert_eq!(app.row(video).await.unwrap(), expected);
    assert_eq!(app.status(running).await, "processing");
    assert_eq!(pushed(&app).await, [video]);
}

#[tokio::test]
async fn expired_leases_can_be_kept() {
    let (app, context) = open().await;
    for losses in [0, 9] {
        expire(&app, app.add_row().await, losses).await;
    }
    let swept = sweep::run(&context.backends, Leases::Keep).await.unwrap();
    assert_eq!(swept, Swept::default());
}

#[tokio::test]
async fn tenth_lease_expiration_fails_the_video() {
    let (app, context) = open().await;
    let video = app.add_row().await;
    expire(&app, video, 9).await;
    let lost = Swept {
        lost: 1,
        ..Swept::default()
    };
    assert_eq!(sweep(&context).await.unwrap(), lost);
    let row = app.row(video).await.unwrap();
    assert_eq!((row.status.as_str(), row.losses), ("failed", 10));
    assert_eq!(row.code.as_deref(), Some("worker_lost"));
    assert_eq!(app.queue.stats().await.unwrap().waiting, 0);
}

#[tokio::test]
async fn empty_queue_with_waiting_videos_is_refilled_at_once() {
    let (app, context) = open().await;
    let mut videos = Vec::new();
    for _ in 0..3 {
        let video = app.add_row().await;
        app.set(video, LONG_AGO).await;
        videos.push(video);
    }
    // A worker may have received its message a moment ago.
    let recent = app.add_row().await;
    app.set(recent, "enqueued_at = now()").await;
    let later = app.add_row().await;
    app.set(
        later,
        "enqueued_at = NULL, run_after = now() + interval '1 minute'",
    )
    .await;
    let again = Swept {
        again: 3,
        ..Swept::default()
    };
    assert_eq!(sweep(&context).await.unwrap(), again);
    assert_eq!(sweep(&context).await.unwrap(), Swept::default());
    let mut again = pushed(&app).await;
    again.sort();
    videos.sort();
    assert_eq!(again, videos);
}

#[tokio::test]
async fn non_empty_queue_is_not_refilled() {
    let (app, context) = open().await;
    for _ in 0..3 {
        let video = app.add_row().await;
        app.set(video, LONG_AGO).await;
    }
    // Two messages are lost, but any remaining message wakes a worker.
    app.push(VideoId::generate()).await;
    assert_eq!(sweep(&context).await.unwrap(), Swept::default());
}

#[tokio::test]
async fn videos_are_pushed_once_an_absent_broker_is_back() {
    let (app, context) = open().await;
    let waiting = app.add_row().await;
    let expired = app.add_row().await;
    expire(&app, expired, 0).await;
    let mut absent = context.clone();
    absent.backends.queue = RedisBroker::absent().await;
    assert!(sweep(&absent).await.is_err());
    for video in [waiting, expired] {
        let row = app.row(video).await.unwrap();
        assert_eq!((row.status.as_str(), row.is_enqueued), ("uploaded", false));
    }
    assert_eq!(sweep(&context).await.unwrap().due, 2);
    assert_eq!(app.queue.stats().await.unwrap().waiting, 2);
}

pub async fn sweep(context: &WorkerContext) -> anyhow::Result<Swept> {
    let leases = Leases::expired(&context.backends.db).await?;
    sweep::run(&context.backends, leases).await
}

pub async fn open() -> (TestApp, WorkerContext) {
    let app = TestApp::spawn().await;
    let context = app.context().await;
    (app, context)
}

/// Expires the lease of `video`, which has `losses` earlier lease expirations.
pub async fn expire(app: &TestApp, video: VideoId, losses: i32) {
    let assignments = format!(
        "status = 'processing', attempt = 1, losses = {losses}, enqueued_at = now(),
         lease_until = now() - interval '1 second'"
    );
    app.set(video, &assignments).await;
}

/// Receives all messages and returns their videos, in order.
async fn pushed(app: &TestApp) -> Vec<VideoId> {
    let deliveries = app.queue.receive(100, Duration::from_millis(50)).await;
    let deliveries = deliveries.unwrap().into_iter();
    deliveries
        .map(|delivery| {
            let job = Job::from_payload(&delivery.payload).unwrap();
            job.video().unwrap()
        })
        .collect()
}
