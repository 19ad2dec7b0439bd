//! Remakes: a processed video whose clip is lost gets a new one, and keeps what is left until then.

use anb::{
    app::Workshop,
    ids::VideoId,
    job::Job,
    videos::{
        clean,
        remake::{self, Remake},
        sweep::{self, Leases},
    },
};

use std::time::Duration;

use crate::support::{TestApp, film};

const WAIT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_remake_that_fails_changes_nothing_and_comes_again() {
    let (app, workshop, video) = start().await;
    // An original that cannot be read.
    let original = format!("uploads/{video}.mp4");
    app.remove(&original);
    app.plant(&format!("{original}/in_the_way"));
    let claim = claim(&workshop).await.unwrap();
    assert_eq!(remake::run(&workshop, claim).await, "remake_failed");
    assert_unchanged(&app, video).await;
    let soon = "SELECT count(*) FROM videos WHERE remake_after BETWEEN now() + interval '4 minutes' \
                AND now() + interval '5 minutes'";
    assert_eq!(app.number(soon).await, 1);
}

#[tokio::test]
async fn a_remake_whose_film_is_refused_is_dropped() {
    let (app, workshop, video) = start().await;
    app.plant(&format!("uploads/{video}.mp4"));
    let claim = claim(&workshop).await.unwrap();
    assert_eq!(remake::run(&workshop, claim).await, "remake_refused");
    assert_unchanged(&app, video).await;
    let ordered = "SELECT count(*) FROM videos WHERE remake_after IS NOT NULL";
    assert_eq!(app.number(ordered).await, 0);
}

#[tokio::test]
async fn of_two_claims_the_later_one_counts() {
    let (app, workshop, video) = start().await;
    let early = claim(&workshop).await.unwrap();
    assert!(claim(&workshop).await.is_none(), "leased");
    assert!(remake::heartbeat(&workshop, early).await.unwrap());
    app.set(video, "remake_after = now()").await;
    let late = claim(&workshop).await.unwrap();
    assert!(!remake::heartbeat(&workshop, early).await.unwrap());
    let (early, late) = tokio::join!(remake::run(&workshop, early), remake::run(&workshop, late));
    assert_eq!((early, late), ("superseded", "remade"));
    assert!(
        app.outputs(video)
            .ends_with(&["3.jpg".to_owned(), "3.mp4".to_owned()])
    );
    assert_eq!(app.row(video).await.unwrap().attempt, 3);
    // What the superseded one stored is removed once nothing can still be stored.
    app.set(video, "strays_at = now() - interval '1 day'").await;
    clean::run(&(&workshop).into()).await.unwrap();
    assert_eq!(app.outputs(video), ["3.jpg", "3.mp4"]);
}

#[tokio::test]
async fn a_remake_that_is_released_can_be_claimed_at_once() {
    let (app, workshop, video) = start().await;
    let released = claim(&workshop).await.unwrap();
    remake::release(&workshop, released).await.unwrap();
    assert_unchanged(&app, video).await;
    let next = claim(&workshop).await.unwrap();
    assert_eq!(remake::run(&workshop, released).await, "superseded");
    assert_eq!(remake::run(&workshop, next).await, "remade");
}

#[tokio::test]
async fn remakes_wait_until_the_queue_is_empty() {
    let (app, workshop, _video) = start().await;
    let job = Job::process_video(VideoId::generate(), "test".to_owned());
    app.queue.push(&job).await.unwrap();
    assert_eq!(sweep(&workshop).await, 0);
    app.queue.receive(1, WAIT).await.unwrap();
    assert_eq!(sweep(&workshop).await, 1);
    assert_eq!(sweep(&workshop).await, 0, "it is pushed once");
}

/// Returns a video whose poster is lost, and whose remake is ordered.
async fn start() -> (TestApp, Workshop, VideoId) {
    let app = TestApp::spawn().await;
    let video = app.add_video(&film().await).await;
    Box::pin(app.work_off()).await;
    app.remove(&format!("processed/{video}/1.jpg"));
    app.set(video, "remake_after = now(), enqueued_at = NULL")
        .await;
    let workshop = app.workshop().await;
    (app, workshop, video)
}

async fn claim(workshop: &Workshop) -> Option<Remake> {
    remake::claim(workshop).await.unwrap()
}

/// Sweeps, and returns how many remakes were pushed.
async fn sweep(workshop: &Workshop) -> usize {
    let swept = sweep::run(&workshop.into(), Leases::Keep).await.unwrap();
    swept.remakes
}

/// Checks that the video is shown as it was.
async fn assert_unchanged(app: &TestApp, video: VideoId) {
    let row = app.row(video).await.unwrap();
    assert_eq!((row.status.as_str(), row.failures), ("processed", 0));
    assert_eq!(row.attempt, 1);
    assert_eq!(app.outputs(video), ["1.mp4"]);
}
