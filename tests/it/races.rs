//! Concurrent operations on one video: a worker processes it while its player publishes, hides and
//! deletes it and fans vote for it.

use std::ops::Range;

use anb::{ids::VideoId, storage::StorageKey, videos::clean};
use futures_util::{StreamExt as _, future::join_all, stream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Player, Response, Seed, TestApp, eventually, film};

/// Number of videos, which are deleted at different moments.
const VIDEOS: usize = 20;

/// Number of concurrent videos, more than the worker has slots.
const CONCURRENCY: usize = 5;

/// Maximum time for one video on a busy machine.
const TIMEOUT_SECONDS: u64 = 180;

/// When the player deletes a video.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Waiting,
    Processing,
    /// Its clip is being stored.
    Stored,
    Processed,
    Never,
}

const MOMENTS: [Moment; 5] = [
    Moment::Waiting,
    Moment::Processing,
    Moment::Stored,
    Moment::Processed,
    Moment::Never,
];

#[tokio::test]
async fn concurrent_operations_leave_each_video_complete_or_deleted() {
    let app = TestApp::spawn_with(&["--write-rate=off"], &["--worker-concurrency=2"]).await;
    let ana = app.insert_user("Ana", "Cali").await;
    let fans = app.insert_users(4).await;
    let (worker, shutdown) = app.worker().await;
    let runs = async {
        let runs = MOMENTS.into_iter().cycle().take(VIDEOS);
        let runs = stream::iter(runs).map(|moment| run(&app, &ana, &fans, moment));
        let survivors: Vec<_> = runs.buffer_unordered(CONCURRENCY).collect().await;
        eventually("every message is settled", 60, async || {
            let stats = app.queue.stats().await.unwrap();
            stats.waiting + stats.in_flight == 0
        })
        .await;
        shutdown.request();
        survivors
    };
    let ((), survivors) = tokio::join!(worker.run(), runs);
    sweep_orphans(&app).await;
    let mut survivors: Vec<_> = survivors.into_iter().flatten().collect();
    survivors.sort();
    assert_eq!(survivors.len(), VIDEOS / MOMENTS.len());
    app.counted().await;
    assert_eq!(app.stale_standings().await, 0);

    let listed = app.get("/api/public/videos").await.ok();
    let listed = listed.as_array().unwrap();
    let mut ids: Vec<_> = listed.iter().map(|video| text(video, "video_id")).collect();
    ids.sort_unstable();
    assert_eq!(ids, survivors);
    for video in listed {
        assert_eq!(video["votes"], fans.len());
        for url in ["processed_url", "poster_url", "light_url", "thumb_url"] {
            assert_eq!(app.get(text(video, url)).await.status, 200);
        }
    }
    let votes = app.number("SELECT count(*) FROM votes").await;
    assert_eq!(usize::try_from(votes), Ok(fans.len() * survivors.len()));
    let rows = app.number("SELECT count(*) FROM videos").await;
    assert_eq!(usize::try_from(rows), Ok(survivors.len()));
    assert_eq!(app.files().len(), 5 * survivors.len(), "{:?}", app.files());
}

/// Uploads a video and runs all operations on it concurrently. Returns its id if it is kept.
async fn run(app: &TestApp, ana: &Player, fans: &[Player], moment: Moment) -> Option<String> {
    let id = app.uploaded(ana, film().await, false).await;
    let is_kept = matches!(moment, Moment::Never);
    tokio::join!(
        publish_and_hide(app, ana, &id, is_kept),
        delete(app, ana, &id, moment),
        join_all(fans.iter().map(|fan| vote(app, fan, &id))),
    );
    is_kept.then_some(id)
}

/// Toggles the visibility until the video is deleted. A video that is kept ends up public.
async fn publish_and_hide(app: &TestApp, ana: &Player, id: &str, is_kept: bool) {
    let path = format!("/api/videos/{id}");
    let mut is_public = false;
    eventually("the video ends", TIMEOUT_SECONDS, async || {
        is_public = !is_public;
        let change = app.as_player(ana, Method::PATCH, &path);
        let answer = Response::of(change.json(&json!({ "is_public": is_public }))).await;
        if answer.refusal() == (404, "not_found") {
            return true;
        }
        let video = answer.ok();
        assert_eq!(video["is_public"], is_public);
        assert_ne!(video["status"], "failed", "{video}");
        is_kept && is_public && video["status"] == "processed"
    })
    .await;
}

/// Waits for the moment, then retries the deletion as long as the video is published.
async fn delete(app: &TestApp, ana: &Player, id: &str, moment: Moment) {
    let video = VideoId::parse(id).unwrap();
    let status = match moment {
        Moment::Never => return,
        Moment::Waiting => "uploaded",
        Moment::Processing | Moment::Stored => "processing",
        Moment::Processed => "processed",
    };
    eventually(status, TIMEOUT_SECONDS, async || {
        let is_stored = !app.outputs(video).is_empty();
        let now = app.status(video).await;
        now == "processed" || (now == status && (is_stored || !matches!(moment, Moment::Stored)))
    })
    .await;
    let path = format!("/api/videos/{id}");
    eventually("the video is deleted", TIMEOUT_SECONDS, async || {
        let answer = app.call(ana, Method::DELETE, &path).await;
        if answer.refusal() == (400, "published_video") {
            return false;
        }
        answer.ok();
        true
    })
    .await;
}

/// Votes until the vote counts or the video is deleted.
async fn vote(app: &TestApp, fan: &Player, id: &str) {
    let video = VideoId::parse(id).unwrap();
    eventually("the vote is decided", TIMEOUT_SECONDS, async || {
        let answer = app.vote(fan, id).await;
        if answer.refusal() == (404, "not_found") {
            return app.row(video).await.is_none();
        }
        answer.ok();
        true
    })
    .await;
}

fn text<'a>(video: &'a Value, name: &str) -> &'a str {
    video[name].as_str().unwrap()
}

#[tokio::test]
async fn deletion_holds_while_a_worker_still_stores() {
    /// Enough attempts that one of them is writing when the folder is removed.
    const ATTEMPTS: Range<i32> = 2..12;
    let app = TestApp::spawn_with(&["--write-rate=off"], &[]).await;
    let ana = app.insert_user("Ana", "Cali").await;
    for _ in 0..80 {
        let id = app.add(&ana, Seed::PRIVATE.in_state("processing")).await;
        app.add_files(&id);
        let video = VideoId::parse(&id).unwrap();
        let (original, path) = (app.original(video), format!("/api/videos/{id}"));
        let store = async {
            for attempt in ATTEMPTS {
                let clip = StorageKey::Clip(video, attempt);
                // The original or the folder may be gone.
                drop(app.storage.store(clip, &original).await);
            }
        };
        let (answer, ()) = tokio::join!(app.call(&ana, Method::DELETE, &path), store);
        assert_eq!(answer.status, 200, "{answer:?}");
        // As a worker does when it has lost its claim.
        for attempt in ATTEMPTS {
            app.storage.delete_outputs(video, attempt).await.unwrap();
        }
    }
    sweep_orphans(&app).await;
    assert_eq!(app.files(), [""; 0]);
}

/// Sweeps orphans as if all of them were old.
async fn sweep_orphans(app: &TestApp) {
    let long_ago = "UPDATE uploads SET started_at = started_at - interval '1 hour'";
    let count = app.execute(long_ago).await;
    let context = app.context().await;
    let cleaned = clean::run(&context.backends, &context.upload)
        .await
        .unwrap();
    assert_eq!(cleaned.uploads, count);
    assert_eq!(app.number("SELECT count(*) FROM uploads").await, 0);
}
