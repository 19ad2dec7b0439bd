//! Progress and reports of jobs, and a job whose program reports nothing.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::start;
use crate::support::{
    MEDIUM, TestApp, command_line, draw, eventually, film, long_film, mp4, processes_about,
};

#[tokio::test]
async fn progress_never_decreases_across_attempts() {
    let app = TestApp::spawn_with(&[], &["--output-resolution", MEDIUM]).await;
    let video = app.add_video(&long_film().await).await;
    app.set(video, "progress = 40, ready_at = now() - interval '1 hour'")
        .await;
    let (worker, _shutdown) = app.worker().await;
    assert_eq!(worker.step(Duration::from_secs(2)).await.unwrap(), 1);
    let mut seen = Vec::new();
    eventually("the clip is made", 600, async || {
        seen.push(app.number("SELECT progress FROM videos").await);
        app.status(video).await == "processed"
    })
    .await;
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(seen[0], 40);
    assert!(seen.iter().any(|percent| *percent > 40), "{seen:?}");
    let later = app.number("SELECT (ready_at > uploaded_at)::int FROM videos");
    assert_eq!(later.await, 1, "each attempt has its own ETA");
    worker.idle().await;
}

#[tokio::test]
async fn frozen_ffmpeg_is_killed_after_30_seconds_and_the_job_retried() {
    let app = TestApp::spawn_with(&[], &["--output-resolution", MEDIUM]).await;
    let (running, shutdown) = start(&app).await;
    let video = app.add_video(&long_film().await).await;
    let mut encoders = Vec::new();
    eventually("the film is encoded", 600, async || {
        encoders = processes_about(&app.scratch());
        encoders.retain(|id| command_line(*id).contains("-progress"));
        !encoders.is_empty()
    })
    .await;
    let [encoder] = encoders[..] else {
        panic!("{encoders:?}");
    };
    let id = Pid::from_raw(i32::try_from(encoder).unwrap()).unwrap();
    kill_process(id, Signal::STOP).unwrap();
    eventually("the job is retried", 120, async || {
        app.row(video).await.unwrap().failures == 1
    })
    .await;
    eventually("it exits", 60, async || command_line(encoder).is_empty()).await;
    eventually("the second attempt succeeds", 600, async || {
        app.status(video).await == "processed"
    })
    .await;
    assert_eq!(app.row(video).await.unwrap().attempt, 2);
    shutdown.request();
    running.await.unwrap();
}

#[tokio::test]
async fn row_records_how_the_clip_was_made_and_the_resource_usage() {
    let app = TestApp::spawn().await;
    let video = app.add_video(&film().await).await;
    app.run_pending_jobs().await;
    let source = i64::try_from(film().await.len()).unwrap();
    for (fact, expected) in [
        ("report->>'source_bytes'", source),
        ("report->'probe'->'streams'->0->>'width'", 320),
        ("report->>'frames'", 180),
    ] {
        let query = format!("SELECT ({fact})::bigint FROM videos");
        assert_eq!(app.number(&query).await, expected, "{fact}");
    }
    for (fact, minimum) in [("took_ms", 50), ("cpu_ms", 50), ("peak_bytes", 10_000_000)] {
        let query = format!("SELECT (report->>'{fact}')::bigint FROM videos");
        let value = app.number(&query).await;
        assert!(value > minimum, "{fact}: {value}");
    }
    let complete = app.number(
        "SELECT (report->'arguments' ? '-filter_complex' AND report->>'ffmpeg' ~ '[0-9]'
             AND report->>'anb' ~ '[0-9]')::int FROM videos",
    );
    assert_eq!(complete.await, 1);
    assert_eq!(app.status(video).await, "processed");
}

#[tokio::test]
async fn row_of_a_rejected_video_records_the_probe_and_the_resource_usage() {
    let app = TestApp::spawn().await;
    let sound = draw("-f lavfi -i sine=d=1 -c:a aac", "film.mp4").await;
    let silent = app.add_video(&sound).await;
    let broken = app.add_video(&mp4(5000)).await;
    app.run_pending_jobs().await;
    for (video, fact) in [
        (silent, "failure->>'code' = 'not_a_video'"),
        (
            silent,
            "report->'probe'->'streams'->0->>'codec_name' = 'aac'",
        ),
        (silent, "report->'cause' = 'null'"),
        (broken, "failure->>'code' = 'corrupt'"),
        (broken, "report->'probe' = 'null'"),
        (
            broken,
            "report->>'cause' ~ '^ffprobe failed with code 1: .*moov atom not found'",
        ),
        (broken, "(report->>'source_bytes')::int = 5000"),
    ] {
        for fact in [
            fact,
            "(report->>'took_ms')::int > 0",
            "(report->'probing'->>'cpu_ms')::int > 0",
        ] {
            let query = format!("SELECT ({fact})::int FROM videos WHERE id = '{video}'");
            assert_eq!(app.number(&query).await, 1, "{fact}");
        }
    }
}
