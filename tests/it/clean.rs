//! Cleanup of orphaned files from crashes, deletions and expired attempts.

use std::fs;

use anb::{
    app::WorkerContext,
    ids::VideoId,
    storage::StorageKey,
    videos::{
        Failure,
        clean::{self, Cleaned},
        process::{self, FailureOutcome, JobError},
    },
};
use anyhow::anyhow;
use reqwest::Method;

use crate::{
    support::{TestApp, mp4},
    sweep::{expire, open, sweep},
};

#[tokio::test]
async fn files_of_abandoned_upload_are_removed_after_timeout() {
    let (app, context) = open().await;
    let orphan = add_upload(&app, "32 minutes").await;
    let running = add_upload(&app, "30 minutes").await;
    let part = app.original(orphan).with_extension("mp4.part");
    fs::write(&part, "half").unwrap();
    let removed = Cleaned {
        uploads: 1,
        ..Cleaned::default()
    };
    assert_eq!(clean(&context).await.unwrap(), removed);
    assert!(!app.original(orphan).exists() && !part.exists());
    assert!(app.original(running).exists());
    assert_eq!(clean(&context).await.unwrap(), Cleaned::default());
}

#[tokio::test]
async fn failed_removal_does_not_block_others() {
    let (app, context) = open().await;
    let stuck = add_upload(&app, "40 minutes").await;
    fs::remove_file(app.original(stuck)).unwrap();
    fs::create_dir(app.original(stuck)).unwrap();
    let orphan = add_upload(&app, "32 minutes").await;
    assert!(clean(&context).await.is_err());
    assert!(!app.original(orphan).exists());
}

#[tokio::test]
async fn outputs_of_expired_attempt_are_removed_once_its_worker_cannot_store() {
    let (app, context) = open().await;
    let lost = app.add_row().await;
    expire(&app, lost, 0).await;
    assert_eq!(sweep(&context).await.unwrap().expired, 1);
    let failed = app.add_row().await;
    expire(&app, failed, 9).await;
    assert_eq!(sweep(&context).await.unwrap().lost, 1);
    let done = "status = 'processed', attempt = 2, processed_at = now()";
    app.set(lost, done).await;
    app.set(failed, "attempt = 2").await;
    for video in [lost, failed] {
        fs::create_dir_all(app.processed().join(video.to_string())).unwrap();
        // Attempt 3 started after the sweeper read the row.
        for name in [
            "1.mp4",
            "1.jpg.part",
            "1-l.mp4",
            "1-s.jpg.part",
            "2.mp4",
            "2.jpg",
            "2-l.mp4",
            "3.mp4",
            "3-l.mp4.part",
        ] {
            fs::write(app.processed().join(format!("{video}/{name}")), "x").unwrap();
        }
    }
    assert_eq!(clean(&context).await.unwrap().strays, 0);
    for video in [lost, failed] {
        app.set(video, "strays_at = strays_at - interval '32 minutes'")
            .await;
    }
    assert_eq!(clean(&context).await.unwrap().strays, 2);
    let later = ["3-l.mp4.part", "3.mp4"];
    let of_row = ["2-l.mp4", "2.jpg", "2.mp4"];
    let mut left = [&of_row[..], &later].concat();
    left.sort_unstable();
    assert_eq!(app.outputs(lost), left);
    assert_eq!(app.outputs(failed), later);
    assert_eq!(clean(&context).await.unwrap().strays, 0);
}

#[tokio::test]
async fn outputs_stored_after_their_attempt_ended_are_removed() {
    let (app, context) = open().await;
    let clip = app.folder.path().join("clip.mp4");
    fs::write(&clip, "x").unwrap();
    let [released, retried, failed] = [
        app.add_row().await,
        app.add_row().await,
        app.add_row().await,
    ];
    for video in [released, retried, failed] {
        let claim = process::claim(&context).await.unwrap().unwrap();
        assert_eq!(claim.video, video);
        let refused = JobError::Rejected(Failure::WorkerLost.into());
        if video == released {
            process::release(&context, claim).await.unwrap();
            app.set(video, "run_after = now() + interval '1 minute'")
                .await;
        } else if video == retried {
            let error = JobError::failed(anyhow!("no response to a PUT"));
            let recorded = process::record_failure(&context, claim, error).await;
            assert_eq!(recorded.unwrap(), FailureOutcome::Waiting);
        } else {
            let recorded = process::record_failure(&context, claim, refused).await;
            assert_eq!(recorded.unwrap(), FailureOutcome::Rejected);
        }
        let key = StorageKey::Clip(video, 1);
        context.backends.storage.store(key, &clip).await.unwrap();
    }
    app.execute("UPDATE videos SET strays_at = strays_at - interval '32 minutes'")
        .await;
    // The attempt of a waiting video may be revived, so its outputs stay.
    assert_eq!(clean(&context).await.unwrap().strays, 1);
    let done = "UPDATE videos SET status = 'processed', attempt = 3, processed_at = now()";
    app.execute(&format!("{done} WHERE status = 'uploaded'"))
        .await;
    assert_eq!(clean(&context).await.unwrap().strays, 2);
    assert!(app.files().is_empty(), "{:?}", app.files());
}

#[tokio::test]
async fn outputs_stored_after_deletion_are_removed_once_their_worker_cannot_store() {
    let (app, context) = open().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let running = app.uploaded(&ana, mp4(5000), false).await;
    let lost = app.uploaded(&ana, mp4(5000), false).await;
    let waiting = app.uploaded(&ana, mp4(5000), false).await;
    for id in [&running, &lost] {
        let video = VideoId::parse(id).unwrap();
        let claim = process::claim(&context).await.unwrap().unwrap();
        assert_eq!((claim.video, claim.attempt), (video, 1));
    }
    app.set(
        VideoId::parse(&lost).unwrap(),
        "lease_until = now() - interval '1 second'",
    )
    .await;
    assert_eq!(sweep(&context).await.unwrap().expired, 1);
    for id in [&running, &lost, &waiting] {
        let path = format!("/api/videos/{id}");
        app.call(&ana, Method::DELETE, &path).await.ok();
    }
    let clip = app.folder.path().join("clip.mp4");
    fs::write(&clip, "x").unwrap();
    for id in [&running, &lost] {
        let key = StorageKey::Clip(VideoId::parse(id).unwrap(), 1);
        context.backends.storage.store(key, &clip).await.unwrap();
    }
    assert_eq!(clean(&context).await.unwrap(), Cleaned::default());
    app.execute("UPDATE uploads SET started_at = started_at - interval '32 minutes'")
        .await;
    assert_eq!(clean(&context).await.unwrap().uploads, 3);
    assert!(app.files().is_empty(), "{:?}", app.files());
    assert_eq!(clean(&context).await.unwrap(), Cleaned::default());
}

#[tokio::test]
async fn revocation_of_expired_token_is_deleted() {
    let (app, context) = open().await;
    app.execute(
        "INSERT INTO revoked_tokens (jti, expires_at) VALUES
         (gen_random_uuid(), now() - interval '1 second'),
         (gen_random_uuid(), now() + interval '1 minute')",
    )
    .await;
    clean(&context).await.unwrap();
    assert_eq!(app.execute("DELETE FROM revoked_tokens").await, 1);
}

async fn clean(context: &WorkerContext) -> anyhow::Result<Cleaned> {
    clean::run(&context.backends, &context.upload).await
}

/// Adds an `uploads` row and an original for an upload that started `age` ago and never finished.
async fn add_upload(app: &TestApp, age: &str) -> VideoId {
    let video = app.add_row().await;
    app.execute(&format!(
        "INSERT INTO uploads (video_id, user_id, started_at)
         SELECT id, user_id, now() - interval '{age}' FROM videos WHERE id = '{video}'"
    ))
    .await;
    app.execute(&format!("DELETE FROM videos WHERE id = '{video}'"))
        .await;
    fs::write(app.original(video), "half a film").unwrap();
    video
}
