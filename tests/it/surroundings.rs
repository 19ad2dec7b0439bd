//! Environment failures do not count against a video. The affected worker takes no job until its
//! own probe succeeds.

use std::{fs, os::unix::fs::symlink, time::Duration};

use anb::{
    dev::{Folder, Options, Postgres},
    ids::VideoId,
    job::Job,
    videos::process,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    processes::{
        STOP,
        process::{Process, Role, SystemUnderTest},
        until_stopping,
    },
    support::{
        LARGE, Mount, RedisBroker, Suspended, TestApp, command_line, eventually, film, found, hold,
        long_film, on_both, processes_about, signal_all,
    },
};

on_both! {
    worker_without_scratch_folder_fails_no_video,
    second_signal_ends_an_idle_worker_at_once,
    second_signal_ends_a_busy_worker_at_once,
}

async fn worker_without_scratch_folder_fails_no_video(app: &TestApp) {
    let system = SystemUnderTest::of(app);
    let gone = system.folder().join("gone");
    let flags = [
        ("SCRATCH_PATH", gone.to_str().unwrap()),
        ("WORKER_CONCURRENCY", "2"),
    ];
    let mut broken = system.start_with(Role::Work, &flags);
    broken.until_ready().await;
    fs::remove_dir_all(&gone).unwrap();
    let mut videos = Vec::new();
    for _ in 0..6 {
        videos.push(app.add_video(&film().await).await);
    }
    until_failing(&broken, &json!(["scratch"])).await;
    until_environment_failure(app).await;
    let healthy = system.start(Role::Work);
    until_processed(app, &videos).await;
    for video in &videos {
        let row = app.row(*video).await.unwrap();
        assert_eq!((row.failures, row.losses), (0, 0));
    }
    // At most one failure per slot.
    let met = app.number("SELECT sum(setbacks) FROM videos").await;
    assert!((1..=2).contains(&met), "{met}");
    drop(healthy);

    fs::create_dir(&gone).unwrap();
    let video = app.add_video(&film().await).await;
    until_processed(app, &[video]).await;
    let metrics = broken.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains(r#"anb_dependency_up{dependency="scratch"} 1"#));
    let log = broken.log();
    assert_eq!(log.matches("not ready: SCRATCH_PATH=").count(), 1, "{log}");
    // On a busy machine it may log this for ffmpeg as well.
    let is_again = |line: &&str| line.contains("ready again") && line.contains("\"scratch\"");
    assert_eq!(log.lines().filter(is_again).count(), 1, "{log}");
}

#[tokio::test]
async fn worker_without_ffmpeg_waits_for_it() {
    let app = TestApp::spawn().await;
    let system = SystemUnderTest::of(&app);
    let programs = system.folder().join("bin");
    fs::create_dir(&programs).unwrap();
    for program in ["ffmpeg", "ffprobe"] {
        symlink(found(program), programs.join(program)).unwrap();
    }
    let path = [("PATH", programs.to_str().unwrap())];
    let mut worker = system.start_with(Role::Work, &path);
    worker.until_ready().await;
    fs::rename(programs.join("ffmpeg"), programs.join("away")).unwrap();
    let video = app.add_video(&film().await).await;
    until_failing(&worker, &json!(["ffmpeg"])).await;
    until_environment_failure(&app).await;
    let row = app.row(video).await.unwrap();
    assert_eq!((row.status.as_str(), row.failures), ("uploaded", 0));
    fs::rename(programs.join("away"), programs.join("ffmpeg")).unwrap();
    until_processed(&app, &[video]).await;
}

#[tokio::test]
async fn full_disk_delays_videos_and_fails_none() {
    let app = TestApp::spawn().await;
    let system = SystemUnderTest::of(&app);
    let disk = tempfile::tempdir().unwrap();
    let Some(_mount) = Mount::tmpfs(disk.path(), "size=80m") else {
        return;
    };
    let scratch = [("SCRATCH_PATH", disk.path().to_str().unwrap())];
    let mut worker = system.start_with(Role::Work, &scratch);
    worker.until_ready().await;
    let filler = disk.path().join("filler");
    // The disk takes what it has room for.
    drop(fs::write(&filler, vec![0; 90_000_000]));
    let video = app.add_video(&film().await).await;
    until_failing(&worker, &json!(["scratch"])).await;
    until_environment_failure(&app).await;
    fs::remove_file(&filler).unwrap();
    until_processed(&app, &[video]).await;
    let row = app.row(video).await.unwrap();
    assert_eq!((row.failures, row.losses), (0, 0));
    assert_eq!(app.number("SELECT max(setbacks) FROM videos").await, 1);
}

#[tokio::test]
async fn killed_ffmpeg_counts_as_job_failure_from_the_third_time() {
    let app = TestApp::spawn_with(&[], &["--job-max-attempts=2"]).await;
    let system = SystemUnderTest::of(&app);
    let flags = [("JOB_MAX_ATTEMPTS", "2"), ("OUTPUT_RESOLUTION", LARGE)];
    let mut worker = system.start_with(Role::Work, &flags);
    worker.until_ready().await;
    let video = app.add_video(&long_film().await).await;
    let counts = async || {
        let row = app.row(video).await.unwrap();
        let kills = app.number("SELECT kills FROM videos").await;
        (kills, row.failures)
    };
    for expected in [(1, 0), (2, 0), (2, 1)] {
        kill_ffmpeg(&system).await;
        eventually("the kill is recorded", 600, async || {
            counts().await == expected
        })
        .await;
        // Makes the next attempt due.
        app.set(video, "run_after = now()").await;
    }
    kill_ffmpeg(&system).await;
    eventually("the video has failed", 600, async || {
        app.status(video).await == "failed"
    })
    .await;
    let row = app.row(video).await.unwrap();
    assert_eq!(row.code.as_deref(), Some("processing_failed"));
}

#[tokio::test]
async fn video_whose_job_folder_vanishes_is_not_corrupt() {
    let app = TestApp::spawn().await;
    let system = SystemUnderTest::of(&app);
    let mut worker = system.start_with(Role::Work, &[("OUTPUT_RESOLUTION", LARGE)]);
    worker.until_ready().await;
    let away = system.folder().join("away");
    let mut videos = Vec::new();
    // Each time at another moment of the job.
    for delay in [0, 50, 100, 200, 400, 800] {
        let video = app.add_video(&film().await).await;
        eventually("the job runs", 600, async || {
            app.status(video).await == "processing"
        })
        .await;
        tokio::time::sleep(Duration::from_millis(delay)).await;
        fs::rename(system.scratch(), &away).unwrap();
        eventually("the job has ended", 600, async || {
            app.status(video).await != "processing"
        })
        .await;
        fs::rename(&away, system.scratch()).unwrap();
        app.set(video, "run_after = now()").await;
        videos.push(video);
        until_processed(&app, &videos).await;
    }
    assert_eq!(app.number("SELECT sum(failures) FROM videos").await, 0);
    assert!(app.number("SELECT sum(setbacks) FROM videos").await > 2);
}

#[tokio::test]
async fn permanent_environment_failure_fails_the_job() {
    let app = TestApp::spawn_with(&[], &["--job-give-up-after=1h"]).await;
    let context = app.worker_context().await;
    let video = app.add_video(&film().await).await;
    fs::remove_dir_all(app.scratch()).unwrap();
    let attempt = async || {
        app.set(video, "run_after = now()").await;
        let claim = process::claim(&context).await.unwrap().unwrap();
        let error = process::run(&context, claim).await.unwrap_err();
        let recorded = process::record_failure(&context, claim, error).await;
        recorded.unwrap()
    };
    assert_eq!(attempt().await, process::FailureOutcome::Postponed);
    let first = "setback_at BETWEEN now() - interval '1 minute' AND now()";
    let waits = format!("SELECT count(*) FROM videos WHERE run_after > now() AND {first}");
    assert_eq!(app.number(&waits).await, 1);
    // The wait grows up to five minutes.
    app.set(video, "setbacks = 30").await;
    assert_eq!(attempt().await, process::FailureOutcome::Postponed);
    let wait = app.number("SELECT extract(epoch FROM run_after - now())::bigint FROM videos");
    assert!((140..=300).contains(&wait.await));
    app.set(video, "setback_at = now() - interval '2 hours'")
        .await;
    assert_eq!(attempt().await, process::FailureOutcome::DeadLettered);
    let row = app.row(video).await.unwrap();
    assert_eq!(row.code.as_deref(), Some("processing_failed"));
    assert_eq!(row.failures, 0);
}

#[tokio::test]
async fn dead_letter_names_the_failed_video() {
    let app = TestApp::spawn_with(&[], &["--job-max-attempts=1"]).await;
    let broker = RedisBroker::at(&app.place.redis_url).await;
    let lost = app.add_video(&film().await).await;
    app.remove(&format!("uploads/{lost}.mp4"));
    // Its own message has been received. Any other message triggers the job.
    app.queue.receive(1, Duration::from_secs(1)).await.unwrap();
    let other = VideoId::generate();
    app.push(other).await;
    app.run_pending_jobs().await;
    assert_eq!(app.status(lost).await, "failed");
    let dead = broker.dead().await;
    assert_eq!(dead.len(), 1);
    let job = Job::from_payload(&dead[0].0).unwrap();
    assert_eq!(
        (job.video(), dead[0].1.as_str()),
        (Some(lost), "processing_failed")
    );
}

#[tokio::test]
async fn database_frozen_for_longer_than_a_lease_loses_no_job() {
    let data = tempfile::tempdir().unwrap();
    let options = Options::durable(data.path());
    let folder = Folder::claim(&options.data_dir).unwrap();
    let postgres = Postgres::start(&folder, &options).await.unwrap();
    let url = postgres.url();
    let flags = ["--database-url", url.as_str()];
    let app = TestApp::spawn_with(&flags, &flags).await;
    let system = SystemUnderTest::of(&app);
    system.run("migrate").await;
    let flags = [("JOB_LEASE", "5s")];
    let mut workers = [
        system.start_with(Role::Work, &flags),
        system.start_with(Role::Work, &flags),
    ];
    for worker in &mut workers {
        worker.until_ready().await;
    }
    // Waits until expired leases are no longer kept after the start.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let video = app.add_video(&long_film().await).await;
    // ffmpeg is stopped as well, so that the job cannot end in the meantime.
    let held = hold(&system.scratch()).await;
    let frozen = Suspended::freeze(postgres.id().unwrap());
    tokio::time::sleep(Duration::from_secs(12)).await;
    drop(frozen);
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(held);
    until_processed(&app, &[video]).await;
    let row = app.row(video).await.unwrap();
    assert_eq!((row.attempt, row.failures, row.losses), (1, 0, 0));
}

#[tokio::test]
async fn paused_worker_does_not_treat_ffmpeg_as_frozen() {
    let app = TestApp::spawn().await;
    let system = SystemUnderTest::of(&app);
    let mut worker = system.start_with(Role::Work, &[("OUTPUT_RESOLUTION", LARGE)]);
    worker.until_ready().await;
    let video = app.add_video(&long_film().await).await;
    // As `docker pause` does, for longer than ffmpeg may be silent. ffmpeg stops first, so that no
    // output is left to read, and resumes last.
    until_it_encodes(&system).await;
    let held = hold(&system.scratch()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    worker.signal(Signal::STOP);
    tokio::time::sleep(Duration::from_secs(33)).await;
    worker.signal(Signal::CONT);
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(held);
    until_processed(&app, &[video]).await;
    let row = app.row(video).await.unwrap();
    assert_eq!((row.attempt, row.failures, row.losses), (1, 0, 0));
}

#[tokio::test]
async fn hanging_broker_delays_no_heartbeat() {
    let app = TestApp::spawn().await;
    let data = tempfile::tempdir().unwrap();
    let options = Options::durable(data.path());
    let folder = Folder::claim(&options.data_dir).unwrap();
    let redis = anb::dev::Redis::start(&folder, &options).await.unwrap();
    let mut system = SystemUnderTest::of(&app);
    system.set("REDIS_URL", &redis.url());
    let flags = [("JOB_LEASE", "6s"), ("JOB_VISIBILITY", "6s")];
    let mut worker = system.start_with(Role::Work, &flags);
    worker.until_ready().await;
    let video = app.add_video(&long_film().await).await;
    let queue = RedisBroker::at(&redis.url()).await;
    let queue = queue.queue(Duration::from_mins(1)).await;
    queue
        .push(&Job::process_video(video, "test".to_owned()))
        .await
        .unwrap();
    let _held = hold(&system.scratch()).await;
    let _frozen = Suspended::freeze(redis.id().unwrap());
    // A heartbeat is due every two seconds. If one waited for the broker, the lease would expire.
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let left = "SELECT extract(milliseconds FROM lease_until - now())::bigint FROM videos";
        let left = app.number(left).await;
        assert!(left > 0, "{left} ms are left of the lease");
    }
    let log = worker.log();
    let logged = log.matches("failed to extend the message").count();
    assert_eq!(logged, 1, "an outage is logged once: {log}");
}

async fn second_signal_ends_an_idle_worker_at_once(app: &TestApp) {
    let system = SystemUnderTest::of(app);
    let mut worker = system.start(Role::Work);
    worker.until_ready().await;
    // By now the worker waits for a message.
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop_twice(&mut worker).await;
}

async fn second_signal_ends_a_busy_worker_at_once(app: &TestApp) {
    let system = SystemUnderTest::of(app);
    let mut worker = system.start(Role::Work);
    worker.until_ready().await;
    let video = app.add_video(&long_film().await).await;
    let _held = hold(&system.scratch()).await;
    stop_twice(&mut worker).await;
    let row = app.row(video).await.unwrap();
    assert_eq!((row.status.as_str(), row.failures), ("uploaded", 0));
    eventually("its programs have ended", 60, async || {
        processes_about(&system.scratch()).is_empty()
    })
    .await;
}

#[tokio::test]
async fn hanging_start_ends_with_the_first_signal() {
    // Accepts connections and never responds.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let app = TestApp::spawn().await;
    let mut system = SystemUnderTest::of(&app);
    system.set("QUEUE_TYPE", "sqs");
    system.set("SQS_QUEUE_URL", &format!("http://{address}/queue/anb"));
    system.set("AWS_ENDPOINT_URL_SQS", &format!("http://{address}"));
    system.set("AWS_REGION", "us-east-1");
    for role in [Role::Serve, Role::Work] {
        let mut process = system.start(role);
        let _asked = silent.accept().await.unwrap();
        process.signal(Signal::TERM);
        // A process that gives up on its own ends with an error.
        assert_eq!(process.ended(STOP).await, Some(0));
    }
}

async fn stop_twice(process: &mut Process) {
    process.signal(Signal::TERM);
    until_stopping(process).await;
    process.signal(Signal::TERM);
    // One second for the program, the rest for a busy machine. A receive would take longer.
    let ended = process.ended(Duration::from_secs(15)).await;
    assert_eq!(ended, Some(0), "{}", process.log());
}

/// Waits until ffmpeg encodes, which takes longer than probing.
async fn until_it_encodes(system: &SystemUnderTest) {
    eventually("ffmpeg encodes", 600, async || {
        let programs = processes_about(&system.scratch());
        programs
            .iter()
            .any(|id| command_line(*id).contains("-progress"))
    })
    .await;
}

async fn kill_ffmpeg(system: &SystemUnderTest) {
    until_it_encodes(system).await;
    for program in processes_about(&system.scratch()) {
        signal_all(program, Signal::KILL);
    }
}

async fn until_failing(process: &Process, names: &Value) {
    eventually("the process is not ready", 600, async || {
        let answer = process.get("/ready").await;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        status == 503 && body["failing"] == *names
    })
    .await;
}

/// Waits until an environment failure has set a job back.
async fn until_environment_failure(app: &TestApp) {
    eventually("the job is set back", 600, async || {
        app.number("SELECT max(setbacks) FROM videos").await == 1
    })
    .await;
}

async fn until_processed(app: &TestApp, videos: &[VideoId]) {
    eventually("all are processed", 600, async || {
        for video in videos {
            let status = app.status(*video).await;
            assert_ne!(status, "failed");
            if status != "processed" {
                return false;
            }
        }
        true
    })
    .await;
}
