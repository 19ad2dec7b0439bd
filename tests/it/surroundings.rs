//! The faults of the machine are not the video's: none is counted, and the worker that met one takes no job until its
//! own test passes.

use std::{fs, os::unix::fs::symlink, path::PathBuf, time::Duration};

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
        process::{House, Process, Role},
        until_it_stops,
    },
    support::{
        Frozen, LARGE, Mount, RedisBroker, TestApp, command_line, eventually, film, hold,
        long_film, on_both, processes_about, signal_all,
    },
};

on_both! {
    a_worker_without_its_scratch_folder_fails_no_video,
    a_second_signal_ends_an_idle_worker_at_once,
    a_second_signal_ends_a_working_worker_at_once,
}

async fn a_worker_without_its_scratch_folder_fails_no_video(app: &TestApp) {
    let house = House::of(app);
    let gone = house.folder().join("gone");
    let flags = [
        ("SCRATCH_PATH", gone.to_str().unwrap()),
        ("WORKER_CONCURRENCY", "2"),
    ];
    let mut broken = house.start_with(Role::Work, &flags);
    broken.until_ready().await;
    fs::remove_dir_all(&gone).unwrap();
    let mut videos = Vec::new();
    for _ in 0..6 {
        videos.push(app.add_video(&film().await).await);
    }
    until_failing(&broken, &json!(["scratch"])).await;
    until_set_back(app).await;
    let healthy = house.start(Role::Work);
    until_processed(app, &videos).await;
    for video in &videos {
        let row = app.row(*video).await.unwrap();
        assert_eq!((row.failures, row.losses), (0, 0));
    }
    // As many as it has slots, and no more.
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
    // Of a busy machine's ffmpeg it may say so as well.
    let is_again = |line: &&str| line.contains("ready again") && line.contains("\"scratch\"");
    assert_eq!(log.lines().filter(is_again).count(), 1, "{log}");
}

#[tokio::test]
async fn a_worker_whose_ffmpeg_is_gone_waits_for_it() {
    let app = TestApp::spawn().await;
    let house = House::of(&app);
    let programs = house.folder().join("bin");
    fs::create_dir(&programs).unwrap();
    for program in ["ffmpeg", "ffprobe"] {
        symlink(found(program), programs.join(program)).unwrap();
    }
    let path = [("PATH", programs.to_str().unwrap())];
    let mut worker = house.start_with(Role::Work, &path);
    worker.until_ready().await;
    fs::rename(programs.join("ffmpeg"), programs.join("away")).unwrap();
    let video = app.add_video(&film().await).await;
    until_failing(&worker, &json!(["ffmpeg"])).await;
    until_set_back(&app).await;
    let row = app.row(video).await.unwrap();
    assert_eq!((row.status.as_str(), row.failures), ("uploaded", 0));
    fs::rename(programs.join("away"), programs.join("ffmpeg")).unwrap();
    until_processed(&app, &[video]).await;
}

#[tokio::test]
async fn a_full_disk_delays_videos_and_fails_none() {
    let app = TestApp::spawn().await;
    let house = House::of(&app);
    let disk = tempfile::tempdir().unwrap();
    let Some(_mount) = Mount::tmpfs(disk.path(), "size=80m") else {
        return;
    };
    let scratch = [("SCRATCH_PATH", disk.path().to_str().unwrap())];
    let mut worker = house.start_with(Role::Work, &scratch);
    worker.until_ready().await;
    let filler = disk.path().join("filler");
    // The disk takes what it has room for.
    drop(fs::write(&filler, vec![0; 90_000_000]));
    let video = app.add_video(&film().await).await;
    until_failing(&worker, &json!(["scratch"])).await;
    until_set_back(&app).await;
    fs::remove_file(&filler).unwrap();
    until_processed(&app, &[video]).await;
    let row = app.row(video).await.unwrap();
    assert_eq!((row.failures, row.losses), (0, 0));
    assert_eq!(app.number("SELECT max(setbacks) FROM videos").await, 1);
}

#[tokio::test]
async fn a_killed_ffmpeg_is_the_machines_fault_twice_then_the_jobs() {
    let app = TestApp::spawn_with(&[], &["--job-max-attempts=2"]).await;
    let house = House::of(&app);
    let flags = [("JOB_MAX_ATTEMPTS", "2"), ("OUTPUT_RESOLUTION", LARGE)];
    let mut worker = house.start_with(Role::Work, &flags);
    worker.until_ready().await;
    let video = app.add_video(&long_film().await).await;
    let counts = async || {
        let row = app.row(video).await.unwrap();
        let kills = app.number("SELECT kills FROM videos").await;
        (kills, row.failures)
    };
    for expected in [(1, 0), (2, 0), (2, 1)] {
        kill_ffmpeg(&house).await;
        eventually("the kill is recorded", 180, async || {
            counts().await == expected
        })
        .await;
        // The next attempt need not wait.
        app.set(video, "run_after = now()").await;
    }
    kill_ffmpeg(&house).await;
    eventually("it is given up", 180, async || {
        app.status(video).await == "failed"
    })
    .await;
    let row = app.row(video).await.unwrap();
    assert_eq!(row.code.as_deref(), Some("processing_failed"));
}

#[tokio::test]
async fn a_film_whose_folder_vanishes_under_the_job_is_not_called_corrupt() {
    let app = TestApp::spawn().await;
    let house = House::of(&app);
    let mut worker = house.start_with(Role::Work, &[("OUTPUT_RESOLUTION", LARGE)]);
    worker.until_ready().await;
    let away = house.folder().join("away");
    let mut videos = Vec::new();
    // At other moments of the job each time.
    for delay in [0, 50, 100, 200, 400, 800] {
        let video = app.add_video(&film().await).await;
        eventually("the job runs", 180, async || {
            app.status(video).await == "processing"
        })
        .await;
        tokio::time::sleep(Duration::from_millis(delay)).await;
        fs::rename(house.scratch(), &away).unwrap();
        eventually("the job has ended", 180, async || {
            app.status(video).await != "processing"
        })
        .await;
        fs::rename(&away, house.scratch()).unwrap();
        app.set(video, "run_after = now()").await;
        videos.push(video);
        until_processed(&app, &videos).await;
    }
    assert_eq!(app.number("SELECT sum(failures) FROM videos").await, 0);
    assert!(app.number("SELECT sum(setbacks) FROM videos").await > 2);
}

#[tokio::test]
async fn surroundings_that_never_recover_end_a_job_as_ours() {
    let app = TestApp::spawn_with(&[], &["--job-give-up-after=1h"]).await;
    let workshop = app.own_workshop().await;
    let video = app.add_video(&film().await).await;
    fs::remove_dir_all(app.scratch()).unwrap();
    let attempt = async || {
        app.set(video, "run_after = now()").await;
        let claim = process::claim(&workshop).await.unwrap().unwrap();
        let error = process::run(&workshop, claim).await.unwrap_err();
        let recorded = process::record_failure(&workshop, claim, error).await;
        recorded.unwrap()
    };
    assert_eq!(attempt().await, process::Recorded::SetBack);
    let first = "setback_at BETWEEN now() - interval '1 minute' AND now()";
    let waits = format!("SELECT count(*) FROM videos WHERE run_after > now() AND {first}");
    assert_eq!(app.number(&waits).await, 1);
    // The wait grows, up to five minutes.
    app.set(video, "setbacks = 30").await;
    assert_eq!(attempt().await, process::Recorded::SetBack);
    let wait = app.number("SELECT extract(epoch FROM run_after - now())::bigint FROM videos");
    assert!((140..=300).contains(&wait.await));
    app.set(video, "setback_at = now() - interval '2 hours'")
        .await;
    assert_eq!(attempt().await, process::Recorded::Dead);
    let row = app.row(video).await.unwrap();
    assert_eq!(row.code.as_deref(), Some("processing_failed"));
    assert_eq!(row.failures, 0);
}

#[tokio::test]
async fn the_dead_message_names_the_video_that_was_given_up() {
    let app = TestApp::spawn_with(&[], &["--job-max-attempts=1"]).await;
    let broker = RedisBroker::at(&app.place.redis_url).await;
    let lost = app.add_video(&film().await).await;
    app.remove(&format!("uploads/{lost}.mp4"));
    // Its message is gone; another one is the ticket.
    app.queue.receive(1, Duration::from_secs(1)).await.unwrap();
    let other = VideoId::generate();
    app.push(other).await;
    app.work_off().await;
    assert_eq!(app.status(lost).await, "failed");
    let dead = broker.dead().await;
    assert_eq!(dead.len(), 1);
    let job = Job::from_payload(&dead[0].0).unwrap();
    assert_eq!(
        (job.video(), dead[0].1.as_str()),
        (lost, "processing_failed")
    );
}

#[tokio::test]
async fn a_database_that_was_frozen_for_longer_than_a_lease_costs_no_job() {
    let data = tempfile::tempdir().unwrap();
    let options = Options::durable(data.path());
    let folder = Folder::claim(&options.data_dir).unwrap();
    let postgres = Postgres::start(&folder, &options).await.unwrap();
    let url = postgres.url();
    let flags = ["--database-url", url.as_str()];
    let app = TestApp::spawn_with(&flags, &flags).await;
    let house = House::of(&app);
    house.run("migrate").await;
    let flags = [("JOB_LEASE", "5s")];
    let mut workers = [
        house.start_with(Role::Work, &flags),
        house.start_with(Role::Work, &flags),
    ];
    for worker in &mut workers {
        worker.until_ready().await;
    }
    // Past the time in which leases are kept after the start.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let video = app.add_video(&long_film().await).await;
    // ffmpeg stands still as well, so that the job cannot end meanwhile.
    let held = hold(&house.scratch()).await;
    let frozen = Frozen::freeze(postgres.id().unwrap());
    tokio::time::sleep(Duration::from_secs(12)).await;
    drop(frozen);
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(held);
    until_processed(&app, &[video]).await;
    let row = app.row(video).await.unwrap();
    assert_eq!((row.attempt, row.failures, row.losses), (1, 0, 0));
}

#[tokio::test]
async fn a_worker_that_was_stopped_for_a_while_takes_no_film_for_frozen() {
    let app = TestApp::spawn().await;
    let house = House::of(&app);
    let mut worker = house.start_with(Role::Work, &[("OUTPUT_RESOLUTION", LARGE)]);
    worker.until_ready().await;
    let video = app.add_video(&long_film().await).await;
    // As `docker pause` does, for longer than a film may be silent. ffmpeg first, so that nothing it said is left to
    // read; and it goes on last.
    until_it_encodes(&house).await;
    let held = hold(&house.scratch()).await;
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
async fn a_broker_that_hangs_delays_no_heartbeat() {
    let app = TestApp::spawn().await;
    let data = tempfile::tempdir().unwrap();
    let options = Options::durable(data.path());
    let folder = Folder::claim(&options.data_dir).unwrap();
    let redis = anb::dev::Redis::start(&folder, &options).await.unwrap();
    let mut house = House::of(&app);
    house.set("REDIS_URL", &redis.url());
    let flags = [("JOB_LEASE", "6s"), ("JOB_VISIBILITY", "6s")];
    let mut worker = house.start_with(Role::Work, &flags);
    worker.until_ready().await;
    let video = app.add_video(&long_film().await).await;
    let queue = RedisBroker::at(&redis.url()).await;
    let queue = queue.queue(Duration::from_mins(1)).await;
    queue
        .push(&Job::process_video(video, "test".to_owned()))
        .await
        .unwrap();
    let _held = hold(&house.scratch()).await;
    let _frozen = Frozen::freeze(redis.id().unwrap());
    // A beat is due every two seconds: with one that waits for the broker the lease would be over.
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let left = "SELECT extract(milliseconds FROM lease_until - now())::bigint FROM videos";
        let left = app.number(left).await;
        assert!(left > 0, "{left} ms are left of the lease");
    }
    let log = worker.log();
    let told = log.matches("the message was not extended").count();
    assert_eq!(told, 1, "an outage is told once: {log}");
}

async fn a_second_signal_ends_an_idle_worker_at_once(app: &TestApp) {
    let house = House::of(app);
    let mut worker = house.start(Role::Work);
    worker.until_ready().await;
    // It waits for a message by now.
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop_twice(&mut worker).await;
}

async fn a_second_signal_ends_a_working_worker_at_once(app: &TestApp) {
    let house = House::of(app);
    let mut worker = house.start(Role::Work);
    worker.until_ready().await;
    let video = app.add_video(&long_film().await).await;
    let _held = hold(&house.scratch()).await;
    stop_twice(&mut worker).await;
    let row = app.row(video).await.unwrap();
    assert_eq!((row.status.as_str(), row.failures), ("uploaded", 0));
    eventually("its programs are gone", 60, async || {
        processes_about(&house.scratch()).is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_start_that_hangs_ends_with_the_first_signal() {
    // Takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let app = TestApp::spawn().await;
    let mut house = House::of(&app);
    house.set("QUEUE_TYPE", "sqs");
    house.set("SQS_QUEUE_URL", &format!("http://{address}/queue/anb"));
    house.set("AWS_ENDPOINT_URL_SQS", &format!("http://{address}"));
    house.set("AWS_REGION", "us-east-1");
    for role in [Role::Serve, Role::Work] {
        let mut process = house.start(role);
        let _asked = silent.accept().await.unwrap();
        process.signal(Signal::TERM);
        // One that gives up by itself ends with an error.
        assert_eq!(process.ended(STOP).await, Some(0));
    }
}

/// Returns where a program is installed.
#[expect(clippy::disallowed_methods, reason = "the shell's own setting")]
fn found(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|place| place.exists()).unwrap()
}

async fn stop_twice(process: &mut Process) {
    process.signal(Signal::TERM);
    until_it_stops(process).await;
    process.signal(Signal::TERM);
    // A second for the program, the rest for a busy machine; a receive in flight would take longer.
    let ended = process.ended(Duration::from_secs(15)).await;
    assert_eq!(ended, Some(0), "{}", process.log());
}

/// Waits until the film is encoded, which takes longer than a look at it.
async fn until_it_encodes(house: &House) {
    eventually("the film is encoded", 180, async || {
        let programs = processes_about(&house.scratch());
        programs
            .iter()
            .any(|id| command_line(*id).contains("-progress"))
    })
    .await;
}

async fn kill_ffmpeg(house: &House) {
    until_it_encodes(house).await;
    for program in processes_about(&house.scratch()) {
        signal_all(program, Signal::KILL);
    }
}

async fn until_failing(process: &Process, names: &Value) {
    eventually("it is not ready", 180, async || {
        let answer = process.get("/ready").await;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        status == 503 && body["failing"] == *names
    })
    .await;
}

/// Waits until the surroundings have kept a job from its end.
async fn until_set_back(app: &TestApp) {
    eventually("the job is set back", 180, async || {
        app.number("SELECT max(setbacks) FROM videos").await == 1
    })
    .await;
}

async fn until_processed(app: &TestApp, videos: &[VideoId]) {
    eventually("all are processed", 180, async || {
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
