//! The sweeper: what a crash or a broker lost is found in the rows and put right.

use std::time::Duration;

use anb::{
    app::Workshop,
    ids::VideoId,
    job::Job,
    videos::sweep::{self, Leases, Swept},
};

use crate::support::{RedisBroker, Row, TestApp};

/// What rule (c) calls long ago.
const LONG_AGO: &str = "enqueued_at = now() - interval '6 seconds'";

#[tokio::test]
async fn a_due_video_that_was_never_pushed_is_pushed_once() {
    let (app, workshop) = open().await;
    let video = app.add_row().await;
    let due = Swept {
        due: 1,
        ..Swept::default()
    };
    assert_eq!(sweep(&workshop).await.unwrap(), due);
    assert_eq!(sweep(&workshop).await.unwrap(), Swept::default());
    assert!(app.row(video).await.unwrap().is_enqueued);
    assert_eq!(pushed(&app).await, [video]);
}

#[tokio::test]
async fn a_fresh_upload_and_a_postponed_retry_are_left_alone() {
    let (app, workshop) = open().await;
    // The API pushes a fresh upload itself.
    let fresh = app.add_row().await;
    app.set(fresh, "run_after = now()").await;
    let later = app.add_row().await;
    app.set(later, "run_after = now() + interval '1 minute'")
        .await;
    assert_eq!(sweep(&workshop).await.unwrap(), Swept::default());
}

#[tokio::test]
async fn two_sweepers_at_once_push_each_video_once() {
    let (app, workshop) = open().await;
    for _ in 0..20 {
        app.add_row().await;
        expire(&app, app.add_row().await, 0).await;
    }
    let (first, second) = tokio::join!(sweep(&workshop), sweep(&workshop));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.due + second.due, 40);
    assert_eq!(first.expired + second.expired, 20);
    assert_eq!(app.queue.stats().await.unwrap().waiting, 40);
}

#[tokio::test]
async fn an_expired_lease_is_given_to_another_worker() {
    let (app, workshop) = open().await;
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
    assert_eq!(sweep(&workshop).await.unwrap(), expired);
    assert_eq!(sweep(&workshop).await.unwrap(), Swept::default());
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
async fn an_expired_lease_can_be_spared() {
    let (app, workshop) = open().await;
    for losses in [0, 9] {
        expire(&app, app.add_row().await, losses).await;
    }
    let swept = sweep::run(&(&workshop).into(), Leases::Keep).await.unwrap();
    assert_eq!(swept, Swept::default());
}

#[tokio::test]
async fn the_tenth_lost_lease_fails_the_video() {
    let (app, workshop) = open().await;
    let video = app.add_row().await;
    expire(&app, video, 9).await;
    let lost = Swept {
        lost: 1,
        ..Swept::default()
    };
    assert_eq!(sweep(&workshop).await.unwrap(), lost);
    let row = app.row(video).await.unwrap();
    assert_eq!((row.status.as_str(), row.losses), ("failed", 10));
    assert_eq!(row.code.as_deref(), Some("worker_lost"));
    assert_eq!(app.queue.stats().await.unwrap().waiting, 0);
}

#[tokio::test]
async fn an_empty_queue_with_waiting_videos_is_filled_at_once() {
    let (app, workshop) = open().await;
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
    assert_eq!(sweep(&workshop).await.unwrap(), again);
    assert_eq!(sweep(&workshop).await.unwrap(), Swept::default());
    let mut again = pushed(&app).await;
    again.sort();
    videos.sort();
    assert_eq!(again, videos);
}

#[tokio::test]
async fn a_queue_that_is_not_empty_is_not_filled() {
    let (app, workshop) = open().await;
    for _ in 0..3 {
        let video = app.add_row().await;
        app.set(video, LONG_AGO).await;
    }
    // Two messages are lost, but the one that is left wakes a worker, whatever it names.
    app.push(VideoId::generate()).await;
    assert_eq!(sweep(&workshop).await.unwrap(), Swept::default());
}

#[tokio::test]
async fn what_an_absent_broker_did_not_take_is_pushed_when_it_is_back() {
    let (app, workshop) = open().await;
    let waiting = app.add_row().await;
    let expired = app.add_row().await;
    expire(&app, expired, 0).await;
    let absent = Workshop {
        queue: RedisBroker::absent().await,
        ..workshop.clone()
    };
    assert!(sweep(&absent).await.is_err());
    for video in [waiting, expired] {
        let row = app.row(video).await.unwrap();
        assert_eq!((row.status.as_str(), row.is_enqueued), ("uploaded", false));
    }
    assert_eq!(sweep(&workshop).await.unwrap().due, 2);
    assert_eq!(app.queue.stats().await.unwrap().waiting, 2);
}

pub async fn sweep(workshop: &Workshop) -> anyhow::Result<Swept> {
    let leases = Leases::expired(&workshop.db).await?;
    sweep::run(&workshop.into(), leases).await
}

pub async fn open() -> (TestApp, Workshop) {
    let app = TestApp::spawn().await;
    let workshop = app.workshop().await;
    (app, workshop)
}

/// Makes `video` one whose worker is gone, as it was `losses` times before.
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
            let Job::ProcessVideo { video_id, .. } = Job::from_payload(&delivery.payload).unwrap();
            video_id
        })
        .collect()
}
