//! The sweeper: what a crash or a broker lost is found in the rows and put right.

use std::{fs, time::Duration};

use anb::{
    app::Workshop,
    ids::VideoId,
    job::{Job, JobError},
    storage::StorageKey,
    videos::{
        Failure,
        process::{self, Recorded},
        sweep::{self, Leases, Swept},
    },
};
use anyhow::anyhow;
use reqwest::Method;

use crate::support::{RedisBroker, Row, TestApp, mp4};

/// What rule (c) calls long ago.
const LONG_AGO: &str = "enqueued_at = now() - interval '3 minutes'";

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
    assert_eq!(first.due + second.due, 20);
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
        "status = 'processing', attempt = 1, lease_until = now() + interval '5 seconds'",
    )
    .await;
    let expired = Swept {
        expired: 1,
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
async fn messages_that_a_wiped_broker_lost_are_pushed_again() {
    let (app, workshop) = open().await;
    let mut videos = Vec::new();
    for _ in 0..3 {
        let video = app.add_row().await;
        app.set(video, LONG_AGO).await;
        videos.push(video);
    }
    let recent = app.add_row().await;
    app.set(recent, "enqueued_at = now() - interval '1 minute'")
        .await;
    let overdue = Swept {
        overdue: 3,
        ..Swept::default()
    };
    assert_eq!(sweep(&workshop).await.unwrap(), overdue);
    assert_eq!(sweep(&workshop).await.unwrap(), Swept::default());
    let mut again = pushed(&app).await;
    again.sort();
    videos.sort();
    assert_eq!(again, videos);
}

#[tokio::test]
async fn only_as_many_messages_are_pushed_again_as_are_missing() {
    let (app, workshop) = open().await;
    let mut videos = Vec::new();
    for minutes in [3, 5, 4] {
        let video = app.add_row().await;
        let age = format!("enqueued_at = now() - interval '{minutes} minutes'");
        app.set(video, &age).await;
        videos.push(video);
    }
    // A long queue is not a lost one.
    for video in &videos {
        app.push(*video).await;
    }
    assert_eq!(sweep(&workshop).await.unwrap(), Swept::default());
    let delivery = app.queue.receive(1, Duration::from_secs(1)).await.unwrap();
    for lost in delivery {
        lost.ack().await.unwrap();
    }
    assert_eq!(sweep(&workshop).await.unwrap().overdue, 1);
    let pushed = pushed(&app).await;
    assert_eq!(pushed.last(), Some(&videos[1]), "the oldest");
    assert_eq!(pushed.len(), 3);
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

#[tokio::test]
async fn an_absent_broker_keeps_no_leftover() {
    let (app, workshop) = open().await;
    app.add_row().await;
    let leftover = add_upload(&app, "32 minutes").await;
    let absent = Workshop {
        queue: RedisBroker::absent().await,
        ..workshop
    };
    assert!(sweep(&absent).await.is_err());
    assert!(!app.original(leftover).exists());
}

#[tokio::test]
async fn what_a_killed_upload_left_is_removed_in_time() {
    let (app, workshop) = open().await;
    let leftover = add_upload(&app, "32 minutes").await;
    let running = add_upload(&app, "30 minutes").await;
    let part = app.original(leftover).with_extension("mp4.part");
    fs::write(&part, "half").unwrap();
    let removed = Swept {
        uploads: 1,
        ..Swept::default()
    };
    assert_eq!(sweep(&workshop).await.unwrap(), removed);
    assert!(!app.original(leftover).exists() && !part.exists());
    assert!(app.original(running).exists());
    assert_eq!(sweep(&workshop).await.unwrap(), Swept::default());
}

#[tokio::test]
async fn a_leftover_that_cannot_be_removed_keeps_no_other() {
    let (app, workshop) = open().await;
    let stuck = add_upload(&app, "40 minutes").await;
    fs::remove_file(app.original(stuck)).unwrap();
    fs::create_dir(app.original(stuck)).unwrap();
    let leftover = add_upload(&app, "32 minutes").await;
    assert!(sweep(&workshop).await.is_err());
    assert!(!app.original(leftover).exists());
}

#[tokio::test]
async fn what_a_lost_attempt_stored_is_removed_when_its_worker_can_store_no_more() {
    let (app, workshop) = open().await;
    let lost = app.add_row().await;
    expire(&app, lost, 0).await;
    assert_eq!(sweep(&workshop).await.unwrap().expired, 1);
    let failed = app.add_row().await;
    expire(&app, failed, 9).await;
    assert_eq!(sweep(&workshop).await.unwrap().lost, 1);
    let done = "status = 'processed', attempt = 2, processed_at = now()";
    app.set(lost, done).await;
    app.set(failed, "attempt = 2").await;
    for video in [lost, failed] {
        fs::create_dir_all(app.processed().join(video.to_string())).unwrap();
        // The third began after the sweeper read the row.
        for name in ["1.mp4", "1.jpg.part", "2.mp4", "2.jpg", "3.mp4"] {
            fs::write(app.processed().join(format!("{video}/{name}")), "x").unwrap();
        }
    }
    assert_eq!(sweep(&workshop).await.unwrap().strays, 0);
    for video in [lost, failed] {
        app.set(video, "strays_at = strays_at - interval '32 minutes'")
            .await;
    }
    assert_eq!(sweep(&workshop).await.unwrap().strays, 2);
    assert_eq!(app.outputs(lost), ["2.jpg", "2.mp4", "3.mp4"]);
    assert_eq!(app.outputs(failed), ["3.mp4"]);
    assert_eq!(sweep(&workshop).await.unwrap().strays, 0);
}

#[tokio::test]
async fn what_arrives_after_an_attempt_was_given_up_is_removed() {
    let (app, workshop) = open().await;
    let clip = app.folder.path().join("clip.mp4");
    fs::write(&clip, "x").unwrap();
    let [released, retried, failed] = [
        app.add_row().await,
        app.add_row().await,
        app.add_row().await,
    ];
    for video in [released, retried, failed] {
        let claim = process::claim(&workshop, video).await.unwrap().unwrap();
        let refused = JobError::fail(Failure::WorkerLost);
        if video == released {
            process::release(&workshop, claim).await.unwrap();
        } else if video == retried {
            let error = JobError::retry(anyhow!("no answer to a PUT"));
            let recorded = process::record_failure(&workshop, claim, error).await;
            assert_eq!(recorded.unwrap(), Recorded::Waiting);
        } else {
            let recorded = process::record_failure(&workshop, claim, refused).await;
            assert_eq!(recorded.unwrap(), Recorded::Failed);
        }
        let key = StorageKey::Clip(video, 1);
        workshop.storage.store(key, &clip).await.unwrap();
    }
    app.sql("UPDATE videos SET strays_at = strays_at - interval '32 minutes'")
        .await;
    // One that waits may yet be revived.
    assert_eq!(sweep(&workshop).await.unwrap().strays, 1);
    let done = "UPDATE videos SET status = 'processed', attempt = 3, processed_at = now()";
    app.sql(&format!("{done} WHERE status = 'uploaded'")).await;
    assert_eq!(sweep(&workshop).await.unwrap().strays, 2);
    assert!(app.files().is_empty(), "{:?}", app.files());
}

#[tokio::test]
async fn what_a_worker_stores_after_the_delete_is_removed_when_it_can_store_no_more() {
    let (app, workshop) = open().await;
    let ana = app.member("Ana", "Cali").await;
    let running = app.uploaded(&ana, mp4(5000), false).await;
    let lost = app.uploaded(&ana, mp4(5000), false).await;
    let waiting = app.uploaded(&ana, mp4(5000), false).await;
    for id in [&running, &lost] {
        let video = VideoId::parse(id).unwrap();
        let claim = process::claim(&workshop, video).await.unwrap();
        assert_eq!(claim.unwrap().attempt, 1);
    }
    app.set(
        VideoId::parse(&lost).unwrap(),
        "lease_until = now() - interval '1 second'",
    )
    .await;
    assert_eq!(sweep(&workshop).await.unwrap().expired, 1);
    for id in [&running, &lost, &waiting] {
        let path = format!("/api/videos/{id}");
        app.call(&ana, Method::DELETE, &path).await.ok();
    }
    let clip = app.folder.path().join("clip.mp4");
    fs::write(&clip, "x").unwrap();
    for id in [&running, &lost] {
        let key = StorageKey::Clip(VideoId::parse(id).unwrap(), 1);
        workshop.storage.store(key, &clip).await.unwrap();
    }
    assert_eq!(sweep(&workshop).await.unwrap(), Swept::default());
    app.sql("UPDATE uploads SET started_at = started_at - interval '32 minutes'")
        .await;
    assert_eq!(sweep(&workshop).await.unwrap().uploads, 3);
    assert!(app.files().is_empty(), "{:?}", app.files());
    assert_eq!(sweep(&workshop).await.unwrap(), Swept::default());
}

#[tokio::test]
async fn a_revoked_token_is_forgotten_when_it_has_expired() {
    let (app, workshop) = open().await;
    app.sql(
        "INSERT INTO revoked_tokens (jti, expires_at) VALUES
         (gen_random_uuid(), now() - interval '1 second'),
         (gen_random_uuid(), now() + interval '1 minute')",
    )
    .await;
    sweep(&workshop).await.unwrap();
    assert_eq!(app.sql("DELETE FROM revoked_tokens").await, 1);
}

async fn sweep(workshop: &Workshop) -> anyhow::Result<Swept> {
    sweep::run(&workshop.into(), Leases::Expire).await
}

async fn open() -> (TestApp, Workshop) {
    let app = TestApp::spawn().await;
    let workshop = app.workshop().await;
    (app, workshop)
}

/// Makes `video` one whose worker is gone, as it was `losses` times before.
async fn expire(app: &TestApp, video: VideoId, losses: i32) {
    let assignments = format!(
        "status = 'processing', attempt = 1, losses = {losses}, enqueued_at = now(),
         lease_until = now() - interval '1 second'"
    );
    app.set(video, &assignments).await;
}

/// Adds a note and an original of an upload that started `age` ago and never became a video.
async fn add_upload(app: &TestApp, age: &str) -> VideoId {
    let video = app.add_row().await;
    app.sql(&format!(
        "INSERT INTO uploads (video_id, user_id, started_at)
         SELECT id, user_id, now() - interval '{age}' FROM videos WHERE id = '{video}'"
    ))
    .await;
    app.sql(&format!("DELETE FROM videos WHERE id = '{video}'"))
        .await;
    fs::write(app.original(video), "half a film").unwrap();
    video
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
