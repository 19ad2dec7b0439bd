//! Remakes: a processed video with a lost clip gets a new one and keeps its other files until then.

use anb::{
    app::WorkerContext,
    ids::VideoId,
    job::Job,
    videos::{
        clean,
        remake::{self, Remake},
        sweep::{self, Leases},
    },
};

use std::time::Duration;

use crate::support::{TestApp, film, outputs_of};

const WAIT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn failed_remake_changes_nothing_and_is_retried() {
    let (app, context, video) = start().await;
    // Makes the original unreadable.
    let original = format!("uploads/{video}.mp4");
    app.remove(&original);
    app.plant(&format!("{original}/in_the_way"));
    let claim = claim(&context).await.unwrap();
    assert_eq!(remake::run(&context, claim).await, "remake_failed");
    assert_unchanged(&app, video).await;
    let soon = "SELECT count(*) FROM videos WHERE remake_after BETWEEN now() + interval '4 minutes' \
                AND now() + interval '5 minutes'";
    assert_eq!(app.number(soon).await, 1);
}

#[tokio::test]
async fn remake_of_rejected_original_is_dropped() {
    let (app, context, video) = start().await;
    app.plant(&format!("uploads/{video}.mp4"));
    let claim = claim(&context).await.unwrap();
    assert_eq!(remake::run(&context, claim).await, "remake_refused");
    assert_unchanged(&app, video).await;
    let ordered = "SELECT count(*) FROM videos WHERE remake_after IS NOT NULL";
    assert_eq!(app.number(ordered).await, 0);
}

#[tokio::test]
async fn later_claim_supersedes_the_earlier_one() {
    let (app, context, video) = start().await;
    let early = claim(&context).await.unwrap();
    assert!(claim(&context).await.is_none(), "leased");
    assert!(remake::heartbeat(&context, early).await.unwrap());
    app.set(video, "remake_after = now()").await;
    let late = claim(&context).await.unwrap();
    assert!(!remake::heartbeat(&context, early).await.unwrap());
    let (early, late) = tokio::join!(remake::run(&context, early), remake::run(&context, late));
    assert_eq!((early, late), ("superseded", "remade"));
    assert!(app.outputs(video).ends_with(&outputs_of(3)));
    assert_eq!(app.row(video).await.unwrap().attempt, 3);
    // The superseded attempt's outputs are removed once it cannot store any more.
    app.set(video, "strays_at = now() - interval '1 day'").await;
    clean::run(&context.backends, &context.upload)
        .await
        .unwrap();
    assert_eq!(app.outputs(video), outputs_of(3));
}

#[tokio::test]
async fn finished_remake_does_not_lose_its_claim() {
    let (app, context, video) = start().await;
    let claim = claim(&context).await.unwrap();
    assert_eq!(remake::run(&context, claim).await, "remade");
    assert!(remake::heartbeat(&context, claim).await.unwrap());
    app.set(video, "attempt = 3").await;
    assert!(!remake::heartbeat(&context, claim).await.unwrap());
}

#[tokio::test]
async fn released_remake_can_be_claimed_at_once() {
    let (app, context, video) = start().await;
    let released = claim(&context).await.unwrap();
    remake::release(&context, released).await.unwrap();
    assert_unchanged(&app, video).await;
    let next = claim(&context).await.unwrap();
    assert_eq!(remake::run(&context, released).await, "superseded");
    assert_eq!(remake::run(&context, next).await, "remade");
}

#[tokio::test]
async fn remake_of_an_old_video_adds_what_it_lacks() {
    let (app, context, video) = start().await;
    // As an earlier version left it.
    app.set(
        video,
        "clip_bytes = NULL, light_bytes = NULL, has_thumb = false, colour = NULL",
    )
    .await;
    let claim = claim(&context).await.unwrap();
    assert_eq!(remake::run(&context, claim).await, "remade");
    assert_eq!(app.outputs(video), outputs_of(2));
    for (column, file) in [("clip_bytes", "2.mp4"), ("light_bytes", "2-l.mp4")] {
        let file = app.processed().join(format!("{video}/{file}"));
        let bytes = i64::try_from(file.metadata().unwrap().len()).unwrap();
        let select = format!("SELECT {column} FROM videos");
        assert_eq!(app.number(&select).await, bytes, "{column}");
    }
    let complete = "SELECT count(*) FROM videos WHERE has_thumb AND colour ~ '^[0-9a-f]{6}$'";
    assert_eq!(app.number(complete).await, 1);
}

#[tokio::test]
async fn remake_without_light_rendition_forgets_the_old_one() {
    let app = TestApp::spawn_with(&[], &["--light-rendition=off"]).await;
    let video = app.add_video(&film().await).await;
    Box::pin(app.run_pending_jobs()).await;
    let state = "light_bytes = 1, remake_after = now(), enqueued_at = NULL";
    app.set(video, state).await;
    let context = app.context().await;
    let claim = claim(&context).await.unwrap();
    assert_eq!(remake::run(&context, claim).await, "remade");
    assert_eq!(app.outputs(video), ["2-s.jpg", "2.jpg", "2.mp4"]);
    let forgotten = "SELECT count(*) FROM videos WHERE light_bytes IS NULL AND has_thumb";
    assert_eq!(app.number(forgotten).await, 1);
}

#[tokio::test]
async fn remakes_wait_until_the_queue_is_empty() {
    let (app, context, _video) = start().await;
    let job = Job::process_video(VideoId::generate(), "test".to_owned());
    app.queue.push(&job).await.unwrap();
    assert_eq!(sweep(&context).await, 0);
    app.queue.receive(1, WAIT).await.unwrap();
    assert_eq!(sweep(&context).await, 1);
    assert_eq!(sweep(&context).await, 0, "it is pushed once");
}

/// Adds a video whose poster is lost and whose remake is due.
async fn start() -> (TestApp, WorkerContext, VideoId) {
    let app = TestApp::spawn().await;
    let video = app.add_video(&film().await).await;
    Box::pin(app.run_pending_jobs()).await;
    app.remove(&format!("processed/{video}/1.jpg"));
    app.set(video, "remake_after = now(), enqueued_at = NULL")
        .await;
    let context = app.context().await;
    (app, context, video)
}

async fn claim(context: &WorkerContext) -> Option<Remake> {
    remake::claim(context).await.unwrap()
}

/// Sweeps and returns the number of remakes pushed.
async fn sweep(context: &WorkerContext) -> usize {
    let swept = sweep::run(&context.backends, Leases::Keep).await.unwrap();
    swept.remakes
}

/// Asserts that the video is still shown unchanged.
async fn assert_unchanged(app: &TestApp, video: VideoId) {
    let row = app.row(video).await.unwrap();
    assert_eq!((row.status.as_str(), row.failures), ("processed", 0));
    assert_eq!(row.attempt, 1);
    let mut left = outputs_of(1).to_vec();
    left.retain(|name| name != "1.jpg");
    assert_eq!(app.outputs(video), left);
}
