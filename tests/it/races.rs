//! Everything that can happen to one video, at once: a worker processes it while its player publishes,
//! hides and deletes it and the public votes.

use std::ops::Range;

use anb::{ids::VideoId, storage::StorageKey, videos::clean};
use futures_util::{StreamExt as _, future::join_all, stream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Player, Seed, TestApp, eventually, film};

/// Videos, each with another moment of its delete.
const LIVES: usize = 20;

/// Videos at once: more than the worker has slots.
const AT_ONCE: usize = 5;

/// Longest that one video may take, on a busy machine (s).
const PATIENCE: u64 = 180;

/// When its player deletes a video.
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
async fn a_video_is_whole_or_gone_whatever_happens_at_once() {
    let app = TestApp::spawn_with(&["--write-rate=off"], &["--worker-concurrency=2"]).await;
    let ana = app.member("Ana", "Cali").await;
    let fans = app.members(4).await;
    let (worker, shutdown) = app.worker().await;
    let lives = async {
        let lives = MOMENTS.into_iter().cycle().take(LIVES);
        let lives = stream::iter(lives).map(|moment| live(&app, &ana, &fans, moment));
        let survivors: Vec<_> = lives.buffer_unordered(AT_ONCE).collect().await;
        eventually("every message is ended", 60, async || {
            let stats = app.queue.stats().await.unwrap();
            stats.waiting + stats.in_flight == 0
        })
        .await;
        shutdown.request();
        survivors
    };
    let ((), survivors) = tokio::join!(worker.run(), lives);
    sweep_leftovers(&app).await;
    let mut survivors: Vec<_> = survivors.into_iter().flatten().collect();
    survivors.sort();
    assert_eq!(survivors.len(), LIVES / MOMENTS.len());
    app.counted().await;
    assert_eq!(app.misranked().await, 0);

    let listed = app.get("/api/public/videos").await.ok();
    let listed = listed.as_array().unwrap();
    let mut ids: Vec<_> = listed.iter().map(|video| text(video, "video_id")).collect();
    ids.sort_unstable();
    assert_eq!(ids, survivors);
    for video in listed {
        assert_eq!(video["votes"], fans.len());
        for url in ["processed_url", "poster_url"] {
            assert_eq!(app.get(text(video, url)).await.status, 200);
        }
    }
    let votes = app.number("SELECT count(*) FROM votes").await;
    assert_eq!(usize::try_from(votes), Ok(fans.len() * survivors.len()));
    let rows = app.number("SELECT count(*) FROM videos").await;
    assert_eq!(usize::try_from(rows), Ok(survivors.len()));
    assert_eq!(app.files().len(), 3 * survivors.len(), "{:?}", app.files());
}

/// Uploads a video and does all to it at once. Returns its id if it is not deleted.
async fn live(app: &TestApp, ana: &Player, fans: &[Player], moment: Moment) -> Option<String> {
    let id = app.uploaded(ana, film().await, false).await;
    let is_kept = matches!(moment, Moment::Never);
    tokio::join!(
        publish_and_hide(app, ana, &id, is_kept),
        delete(app, ana, &id, moment),
        join_all(fans.iter().map(|fan| vote(app, fan, &id))),
    );
    is_kept.then_some(id)
}

/// Goes on until the video is deleted; one that is kept is published at last.
async fn publish_and_hide(app: &TestApp, ana: &Player, id: &str, is_kept: bool) {
    let path = format!("/api/videos/{id}");
    let mut is_public = false;
    eventually("the video ends", PATIENCE, async || {
        is_public = !is_public;
        let change = app.as_player(ana, Method::PATCH, &path);
        let answer = Answer::of(change.json(&json!({ "is_public": is_public }))).await;
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

/// Waits for the moment, then asks until the video is hidden or not yet in the vote.
async fn delete(app: &TestApp, ana: &Player, id: &str, moment: Moment) {
    let video = VideoId::parse(id).unwrap();
    let status = match moment {
        Moment::Never => return,
        Moment::Waiting => "uploaded",
        Moment::Processing | Moment::Stored => "processing",
        Moment::Processed => "processed",
    };
    eventually(status, PATIENCE, async || {
        let is_stored = !app.outputs(video).is_empty();
        let now = app.status(video).await;
        now == "processed" || (now == status && (is_stored || !matches!(moment, Moment::Stored)))
    })
    .await;
    let path = format!("/api/videos/{id}");
    eventually("the video is deleted", PATIENCE, async || {
        let answer = app.call(ana, Method::DELETE, &path).await;
        if answer.refusal() == (400, "published_video") {
            return false;
        }
        answer.ok();
        true
    })
    .await;
}

/// Votes until the vote counts or the video is gone.
async fn vote(app: &TestApp, fan: &Player, id: &str) {
    let video = VideoId::parse(id).unwrap();
    eventually("the vote is decided", PATIENCE, async || {
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
async fn a_delete_stands_while_a_worker_still_stores() {
    /// So many that one of them is being written when the folder is removed.
    const ATTEMPTS: Range<i32> = 2..12;
    let app = TestApp::spawn_with(&["--write-rate=off"], &[]).await;
    let ana = app.member("Ana", "Cali").await;
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
        // As a worker does that finds its claim gone.
        for attempt in ATTEMPTS {
            app.storage.delete_outputs(video, attempt).await.unwrap();
        }
    }
    sweep_leftovers(&app).await;
    assert_eq!(app.files(), [""; 0]);
}

/// Sweeps as if everything had been left long ago.
async fn sweep_leftovers(app: &TestApp) {
    let long_ago = "UPDATE uploads SET started_at = started_at - interval '1 hour'";
    let count = app.sql(long_ago).await;
    let workshop = app.workshop().await;
    let cleaned = clean::run(&(&workshop).into()).await.unwrap();
    assert_eq!(cleaned.uploads, count);
    assert_eq!(app.number("SELECT count(*) FROM uploads").await, 0);
}
