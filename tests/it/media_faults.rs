//! A failure of our own is never blamed on the player's film: the job is retried, and then given up
//! with a report, a metric and a dead message.

use std::{fs, os::unix::fs::PermissionsExt as _};

use anb::ids::VideoId;

use crate::{
    processes::process::{Process, Role, SystemUnderTest},
    support::{TestApp, eventually, film, found},
};

/// Starts a worker whose `ffmpeg` fails if its arguments match `pattern` of the shell.
fn start_broken(system: &SystemUnderTest, pattern: &str) -> Process {
    let programs = system.folder().join("bin");
    fs::create_dir(&programs).unwrap();
    for (program, broken) in [("ffmpeg", pattern), ("ffprobe", "never")] {
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in {broken}) echo 'it is broken' >&2; exit 1;; esac\n\
             exec {} \"$@\"\n",
            found(program).display()
        );
        let path = programs.join(program);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let settings = [
        ("PATH", programs.to_str().unwrap()),
        // The sandbox contains no shell.
        ("MEDIA_SANDBOX", "off"),
        ("JOB_MAX_ATTEMPTS", "2"),
    ];
    system.start_with(Role::Work, &settings)
}

/// Waits until the video is given up, and asserts that nobody but us is blamed.
async fn until_given_up(app: &TestApp, video: VideoId) {
    eventually("the video is given up", 600, async || {
        app.status(video).await == "failed"
    })
    .await;
    let row = app.row(video).await.unwrap();
    assert_eq!(row.code.as_deref(), Some("processing_failed"));
    assert_eq!(row.attempt, 2);
    eventually("the message is dead", 60, async || {
        app.queue.stats().await.unwrap().dead == 1
    })
    .await;
}

#[tokio::test]
async fn filters_that_fail_are_our_fault() {
    let app = TestApp::spawn().await;
    let system = SystemUnderTest::of(&app);
    // The threads are named by another option with the same beginning.
    let mut worker = start_broken(&system, "*'-filter_complex ['*");
    worker.until_ready().await;
    let video = app.add_video(&film().await).await;
    until_given_up(&app, video).await;
    let told = "SELECT count(*) FROM videos WHERE report->>'cause' LIKE '%it is broken%'";
    assert_eq!(app.number(told).await, 1);
    let metrics = worker.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("anb_media_faults_total 2"), "{metrics}");
}

#[tokio::test]
async fn decoder_that_fails_for_every_film_is_our_fault() {
    let app = TestApp::spawn().await;
    let system = SystemUnderTest::of(&app);
    // Bumpers are made without progress.
    let mut worker = start_broken(&system, "*-progress*");
    worker.until_ready().await;
    let video = app.add_video(&film().await).await;
    until_given_up(&app, video).await;
}
