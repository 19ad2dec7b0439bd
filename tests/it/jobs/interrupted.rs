//! Jobs that are interrupted: by a delete, a lost lease, an absent database, a stop.

use std::time::{Duration, Instant};

use anb::{
    ids::VideoId,
    shutdown::Shutdown,
    videos::sweep::{self, Leases},
    worker::Worker,
};

use super::{held, run, start};
use crate::support::{Frozen, Row, TestApp, eventually, film, hold, long_film, processes_about};

/// A lease that passes while one waits, and not while a busy machine delays a heartbeat.
const LEASE: Duration = Duration::from_secs(3);
const SHORT_LEASE: &[&str] = &["--job-lease=3s"];

/// Shorter than a held program may be silent (s): what has ended by then was ended.
const BEFORE_SILENCE: u64 = 25;

#[tokio::test]
async fn a_deleted_video_stops_its_job() {
    let app = TestApp::spawn_with(&[], SHORT_LEASE).await;
    let (running, shutdown) = start(&app).await;
    let video = app.add_video(&long_film().await).await;
    let _programs = until_held(&app, video).await;

    app.sql(&format!("DELETE FROM videos WHERE id = '{video}'"))
        .await;
    app.storage.delete_video(video).await.unwrap();
    until_nothing_runs(&app, BEFORE_SILENCE).await;
    eventually("the message is gone", 60, async || held(&app).await == 0).await;
    assert!(!app.processed().join(video.to_string()).exists());
    assert!(!app.original(video).exists());
    shutdown.request();
    running.await.unwrap();
}

#[tokio::test]
async fn a_job_whose_claim_went_to_another_worker_stops() {
    let app = TestApp::spawn_with(&[], SHORT_LEASE).await;
    let (running, shutdown) = start(&app).await;
    let video = app.add_video(&long_film().await).await;
    let _programs = until_held(&app, video).await;

    app.set(
        video,
        "attempt = 2, lease_until = now() + interval '1 hour'",
    )
    .await;
    let row = app.row(video).await;
    until_nothing_runs(&app, BEFORE_SILENCE).await;
    eventually("the message is gone", 60, async || held(&app).await == 0).await;
    assert_eq!(app.row(video).await, row);
    assert!(app.outputs(video).is_empty());
    shutdown.request();
    running.await.unwrap();
}

#[tokio::test]
async fn a_lease_that_expired_while_the_database_was_away_revives() {
    let app = TestApp::spawn_with(&[], SHORT_LEASE).await;
    let workshop = app.own_workshop().await;
    let shutdown = Shutdown::new(Duration::from_secs(30));
    let worker = Worker::new(workshop.clone(), shutdown.clone());
    let video = app.add_video(&long_film().await).await;
    assert_eq!(worker.step(Duration::from_secs(2)).await.unwrap(), 1);
    let programs = until_held(&app, video).await;

    eventually("the lease is taken away", 60, async || {
        app.set(video, "lease_until = now() - interval '1 minute'")
            .await;
        let leases = Leases::expired(&workshop.db).await.unwrap();
        // A heartbeat may come before the sweep.
        let swept = sweep::run(&(&workshop).into(), leases).await.unwrap();
        swept.expired == 1
    })
    .await;
    until_status(&app, video, "processing").await;
    drop(programs);
    worker.idle().await;
    let row = app.row(video).await.unwrap();
    assert_eq!((row.status.as_str(), row.attempt), ("processed", 1));
    assert_eq!(app.outputs(video), ["1.jpg", "1.mp4"]);
    // The message that the sweep pushed finds nothing to do.
    app.work_off().await;
    assert_eq!(app.row(video).await.unwrap(), row);
    shutdown.request();
}

#[tokio::test]
async fn a_job_goes_on_while_the_database_is_away() {
    let app = TestApp::spawn_with(&[], SHORT_LEASE).await;
    let (running, shutdown) = start(&app).await;
    let video = app.add_video(&long_film().await).await;
    let programs = until_held(&app, video).await;

    app.place.close_database().await;
    tokio::time::sleep(LEASE + Duration::from_secs(1)).await;
    drop(programs);
    until_nothing_runs(&app, 180).await;
    app.place.open_database().await;
    eventually("the clip is recorded", 180, async || {
        app.db.ready().await.is_ok() && app.status(video).await == "processed"
    })
    .await;
    let row = app.row(video).await.unwrap();
    assert_eq!((row.attempt, row.failures, row.losses), (1, 0, 0));
    shutdown.request();
    running.await.unwrap();
}

#[tokio::test]
async fn leases_that_expired_with_the_database_away_are_spared_for_a_while() {
    let app = TestApp::spawn_with(&[], &["--job-lease=6s"]).await;
    let (worker, shutdown) = app.worker().await;
    let running = run(worker);
    // The job of another worker, which has yet to find the database again.
    let video = app.add_row().await;
    app.set(
        video,
        "status = 'processing', attempt = 1, lease_until = now() + interval '1 second'",
    )
    .await;
    app.place.close_database().await;
    let closed = Instant::now();
    eventually("the lease is over, and a sweep failed", 60, async || {
        closed.elapsed() > sweep::INTERVAL + Duration::from_millis(500)
    })
    .await;
    app.place.open_database().await;
    let opened = Instant::now();
    eventually("the lease is taken away", 60, async || {
        app.db.ready().await.is_ok() && app.row(video).await.unwrap().losses == 1
    })
    .await;
    let spared = opened.elapsed();
    assert!(
        spared > sweep::INTERVAL + Duration::from_secs(1),
        "{spared:?}"
    );
    shutdown.request();
    running.await.unwrap();
}

#[tokio::test]
async fn a_job_outlives_its_lease_as_long_as_it_beats() {
    let app = TestApp::spawn_with(&[], &["--job-lease=3s", "--job-visibility=3s"]).await;
    let (first, stop_first) = start(&app).await;
    let video = app.add_video(&long_film().await).await;
    let programs = until_held(&app, video).await;
    // Another worker waits for its chance, and sweeps: more than once after it has been there for the time of a lease.
    let (second, stop_second) = start(&app).await;
    tokio::time::sleep(2 * LEASE + sweep::INTERVAL).await;
    drop(programs);
    until_status(&app, video, "processed").await;
    let row = app.row(video).await.unwrap();
    assert_eq!((row.attempt, row.losses), (1, 0));
    stop_first.request();
    stop_second.request();
    first.await.unwrap();
    second.await.unwrap();
}

#[tokio::test]
async fn a_hard_stop_gives_the_job_back_at_once() {
    let app = TestApp::spawn().await;
    let (running, shutdown) = start(&app).await;
    let video = app.add_video(&long_film().await).await;
    let _programs = until_held(&app, video).await;

    let stop = async {
        shutdown.insist();
        running.await.unwrap();
        shutdown.drain().await;
    };
    let limit = Duration::from_secs(BEFORE_SILENCE);
    tokio::time::timeout(limit, stop).await.unwrap();
    until_nothing_runs(&app, 60).await;
    let expected = Row {
        status: "uploaded".to_owned(),
        // The second one belongs to nobody: it voids the claim.
        attempt: 2,
        failures: 0,
        losses: 0,
        is_due: true,
        is_enqueued: true,
        code: None,
    };
    assert_eq!(app.row(video).await.unwrap(), expected);
    assert!(app.outputs(video).is_empty());

    let (other, _shutdown) = app.worker().await;
    assert_eq!(other.step(Duration::from_millis(100)).await.unwrap(), 1);
    eventually("another worker has it", 60, async || {
        app.row(video).await.unwrap().attempt == 3
    })
    .await;
}

#[tokio::test]
async fn a_soft_stop_finishes_the_running_job_and_takes_no_other() {
    let app = TestApp::spawn_with(&[], &["--worker-concurrency=1"]).await;
    let (running, shutdown) = start(&app).await;
    let video = app.add_video(&long_film().await).await;
    let programs = until_held(&app, video).await;
    let next = app.add_video(&film().await).await;

    shutdown.request();
    drop(programs);
    running.await.unwrap();
    assert_eq!(app.status(video).await, "processed");
    assert_eq!(app.row(next).await.unwrap().attempt, 0);
    let stats = app.queue.stats().await.unwrap();
    assert_eq!((stats.waiting, stats.in_flight), (1, 0));
}

#[tokio::test]
async fn a_message_that_comes_during_the_stop_is_given_back() {
    let app = TestApp::spawn().await;
    let (worker, shutdown) = app.worker().await;
    let broker = crate::support::RedisBroker::at(&app.place.redis_url).await;
    let receive = worker.step(Duration::from_secs(20));
    let stop = async {
        broker.until_read().await;
        shutdown.request();
        app.add_video(&film().await).await
    };
    let (started, video) = tokio::join!(receive, stop);
    assert_eq!(started.unwrap(), 0);
    assert_eq!(app.row(video).await.unwrap().attempt, 0);
    let received = app.queue.receive(1, Duration::from_millis(30)).await;
    assert_eq!(received.unwrap().len(), 1);
}

/// Waits until a program works for the app's own worker on `video`, and holds it.
async fn until_held(app: &TestApp, video: VideoId) -> Vec<Frozen> {
    let held = hold(&app.scratch()).await;
    assert_eq!(app.status(video).await, "processing");
    held
}

async fn until_nothing_runs(app: &TestApp, seconds: u64) {
    let scratch = app.scratch();
    eventually("no ffmpeg runs", seconds, async || {
        processes_about(&scratch).is_empty()
    })
    .await;
}

async fn until_status(app: &TestApp, video: VideoId, status: &str) {
    eventually(status, 180, async || app.status(video).await == status).await;
}
