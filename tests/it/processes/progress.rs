//! Progress that a worker reports, read through an API and through its successor.

use rustix::process::Signal;
use serde_json::Value;

use super::process::{Process, Role, SystemUnderTest};
use crate::support::{MEDIUM, Player, Response, TestApp, eventually, long_film};

#[tokio::test]
async fn progress_never_decreases_and_survives_an_api_restart() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let system = SystemUnderTest::of(&app);
    let mut first = system.start(Role::Serve);
    first.until_ready().await;
    let id = app.uploaded(&ana, long_film().await, false).await;
    assert_eq!(read(&app, &first, &ana, &id).await["progress"], Value::Null);

    let mut worker = system.start_with(
        Role::Work,
        &[
            ("RUST_LOG", "info,anb=debug"),
            ("OUTPUT_RESOLUTION", MEDIUM),
        ],
    );
    worker.until_ready().await;
    let mut seen = Vec::new();
    eventually("the time left is known", 600, async || {
        let video = read(&app, &first, &ana, &id).await;
        seen.extend(video["progress"]["percent"].as_i64());
        video["progress"]["seconds_left"].is_u64()
    })
    .await;
    // While the worker is suspended, its last report must remain.
    worker.signal(Signal::STOP);
    let before = read(&app, &first, &ana, &id).await["progress"].clone();
    drop(first);
    let mut second = system.start(Role::Serve);
    second.until_ready().await;
    let after = read(&app, &second, &ana, &id).await["progress"].clone();
    assert_eq!(after["percent"], before["percent"]);
    worker.signal(Signal::CONT);

    let mut video = Value::Null;
    eventually("the video is processed", 600, async || {
        video = read(&app, &second, &ana, &id).await;
        seen.extend(video["progress"]["percent"].as_i64());
        video["status"] == "processed"
    })
    .await;
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(video["progress"], Value::Null);
    // A short line at INFO, all details at DEBUG. The worker writes them after its commit.
    eventually("the worker logs the video", 600, async || {
        worker.log().contains("how the clip was made")
    })
    .await;
    let log = worker.log();
    for (message, facts) in [
        ("video processed", ["took_ms", "cpu_ms"]),
        ("how the clip was made", ["peak_bytes", "libx264"]),
    ] {
        let line = log.lines().find(|line| line.contains(message)).unwrap();
        for fact in facts {
            assert!(line.contains(fact), "{fact}: {line}");
        }
        assert_eq!(line.contains("INFO"), line.len() < 300, "{line}");
    }
}

async fn read(app: &TestApp, api: &Process, player: &Player, id: &str) -> Value {
    let url = format!("{}/api/videos/{id}", api.url);
    let request = app.client.get(url).bearer_auth(&player.token);
    Response::of(request).await.ok()
}
