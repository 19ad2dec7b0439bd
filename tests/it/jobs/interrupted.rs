//! Jobs interrupted by a delete, a lost lease, a database outage or a stop.

use std::time::{Duration, Instant};

use anb::{
    ids::VideoId,
    shutdown::Shutdown,
    videos::sweep::{self, Leases},
    worker::Worker,
};

use super::{held, run, start};
use crate::support::{
    Row, Suspended, TestApp, eventually, film, hold, long_film, outputs_of, processes_about,
};

/// Short enough to wait for, long enough for the delayed heartbeats of a busy machine.
const LEASE: Duration = Duration::from_secs(3);
const SHORT_LEASE: &[&str] = &["--job-lease=3s"];

/// Shorter than the silence limit of a program (s): one that ends earlier was stopped by its job.
const BEFORE_SILENCE: u64 = 25;

#[tokio::test]
async fn deleting_a_video_stops_its_job() {
    let app = TestApp::spawn_with(&[], SHORT_LEASE).await;
    let (running, shutdown) = start(&app).await;
    let video = app.add_video(&long_film().await).await;
    let _programs = until_held(&app, video).await;

    app.execute(&format!("DELETE FROM videos WHERE id = '{video}'"))
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
async fn job_stops_when_another_worker_claims_its_video() {
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
async fn heartbeat_restores_a_lease_that_the_sweeper_expired() {
    let app = TestApp::spawn_with(&[], SHORT_LEASE).await;
    let context = app.worker_context().await;
    let shutdown = Shutdown::new(Duration::from_secs(30));
    let worker = Worker::new(context.clone(), shutdown.clone());
    let video = app.add_video(&long_film().await).await;
    assert_eq!(worker.step(Duration::from_secs(2)).await.unwrap(), 1);
    let programs = until_held(&app, video).await;

    eventually("the sweeper expires the lease", 60, async || {
        app.set(video, "lease_until = now() - interval '1 minute'")
            .await;
        let leases = Leases::expired(&context.backends.db).await.unwrap();
        // A heartbeat may renew the lease before the sweep.
        let swept = sweep::run(&context.backends, leases).await.unwrap();
        swept.expired == 1
    })
    .await;
    until_status(&app, video, "processing").await;
    drop(programs);
    worker.idle().await;
    let row = app.row(video).await.unwrap();
    assert_eq!((row.status.as_str(), row.attempt), ("processed", 1));
    assert_eq!(app.outputs(video), outputs_of(1));
    // The message that the sweep pushed finds nothing to do.
    app.run_pending_jobs().await;
    assert_eq!(app.row(video).await.unwrap(), row);
    shutdown.request();
}

#[tokio::test]
async fn job_continues_during_a_database_outage() {
    let app = TestApp::spawn_with(&[], SHORT_LEASE).await;
    let (running, shutdown) = start(&app).await;
    let video = app.add_video(&long_film().await).await;
    let programs = until_held(&app, video).await;

    app.place.close_database().await;
    tokio::time::sleep(LEASE + Duration::from_secs(1)).await;
    drop(programs);
    until_nothing_runs(&app, 180).await;
    app.place.open_database().await;
    eventually("the clip is recorded", 600, async || {
        app.db.ready().await.is_ok() && app.status(video).await == "processed"
    })
    .await;
    let row = app.row(video).await.unwrap();
    assert_eq!((row.attempt, row.failures, row.losses), (1, 0, 0));
    shutdown.request();
    running.await.unwrap();
}

#[tokio::test]
async fn leases_that_expire_during_a_database_outage_get_a_grace_period() {
    let app = TestApp::spawn_with(&[], &["--job-lease=6s"]).await;
    let (worker, shutdown) = app.worker().await;
    let running = run(worker);
    // The job of another worker, which has not reconnected to the database yet.
    let video = app.add_row().await;
    app.set(
        video,
        "status = 'processing', attempt = 1, lease_until = now() + interval '1 second'",
    )
    .await;
    app.place.close_database().await;
    let closed = Instant::now();
    eventually("the lease is over, a sweep has failed", 60, async || {
        closed.elapsed() > sweep::INTERVAL + Duration::from_millis(500)
    })
    .await;
    app.place.open_database().await;
    let opened = Instant::now();
    eventually("the sweeper expires the lease", 60, async || {
        app.db.ready().await.is_ok() && app.row(video).await.unwrap().losses == 1
    })
    .await;
    let grace = opened.elapsed();
    assert!(
        grace > sweep::INTERVAL + Duration::from_secs(1),
        "{grace:?}"
    );
    shutdown.request();
    running.await.unwrap();
}

#[tokio::test]
async fn heartbeats_keep_a_job_beyond_its_first_lease() {
    let app = TestApp::spawn_with(&[], &["--job-lease=3s", "--job-visibility=3s"]).await;
    let (first, stop_first) = start(&app).await;
    let video = app.add_video(&long_film().await).await;
    let programs = until_held(&app, video).await;
    // A second worker runs for longer than a lease, and then sweeps more than once.
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
async fn hard_stop_releases_the_job_at_once() {
    let app = TestApp::spawn().await;
    let (running, shutdown) = start(&app).await;
    let video = app.add_video(&long_film().await).await;
    let _programs = until_held(&app, video).await;

    let stop = async {
        shutdown.force();
        running.await.unwrap();
        shutdown.drain().await;
    };
    let limit = Duration::from_secs(BEFORE_SILENCE);
    tokio::time::timeout(limit, stop).await.unwrap();
    until_nothing_runs(&app, 60).await;
    let expected = Row {
        status: "uploaded".to_owned(),
        // The second attempt belongs to no worker; it invalidates the claim.
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
    eventually("another worker claims it", 60, async || {
        app.row(video).await.unwrap().attempt == 3
    })
    .await;
}

#[tokio::test]
async fn graceful_stop_finishes_the_running_job_and_takes_no_other() {
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
async fn message_received_during_a_stop_is_released() {
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

/// Waits until the app's own worker runs a program on `video`, and suspends that program.
async fn until_held(app: &TestApp, video: VideoId) -> Vec<Suspended> {
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
    eventually(status, 600, async || app.status(video).await == status).await;
}
