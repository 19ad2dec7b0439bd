//! Progress, told by one process, read from another one, and from the one that takes its place.

use rustix::process::Signal;
use serde_json::Value;

use super::process::{House, Process, Role};
use crate::support::{Answer, LARGE, Player, TestApp, eventually, long_film};

#[tokio::test]
async fn progress_grows_and_survives_a_restart_of_the_api() {
    let app = TestApp::spawn().await;
    let ana = app.member("Ana", "Cali").await;
    let house = House::of(&app);
    let mut first = house.start(Role::Serve);
    first.until_ready().await;
    let id = app.uploaded(&ana, long_film().await, false).await;
    assert_eq!(ask(&app, &first, &ana, &id).await["progress"], Value::Null);

    let mut worker = house.start_with(
        Role::Work,
        &[("RUST_LOG", "info,anb=debug"), ("OUTPUT_RESOLUTION", LARGE)],
    );
    worker.until_ready().await;
    let mut seen = Vec::new();
    eventually("the time left is known", 180, async || {
        let video = ask(&app, &first, &ana, &id).await;
        seen.extend(video["progress"]["percent"].as_i64());
        video["progress"]["seconds_left"].is_u64()
    })
    .await;
    // While the worker stands still its last word must stay.
    worker.signal(Signal::STOP);
    let before = ask(&app, &first, &ana, &id).await["progress"].clone();
    drop(first);
    let mut second = house.start(Role::Serve);
    second.until_ready().await;
    let after = ask(&app, &second, &ana, &id).await["progress"].clone();
    assert_eq!(after["percent"], before["percent"]);
    worker.signal(Signal::CONT);

    let mut video = Value::Null;
    eventually("the clip is there", 180, async || {
        video = ask(&app, &second, &ana, &id).await;
        seen.extend(video["progress"]["percent"].as_i64());
        video["status"] == "processed"
    })
    .await;
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(video["progress"], Value::Null);
    // A line that people can read, and all that is known one level below.
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

async fn ask(app: &TestApp, api: &Process, player: &Player, id: &str) -> Value {
    let url = format!("{}/api/videos/{id}", api.url);
    let request = app.client.get(url).bearer_auth(&player.token);
    Answer::of(request).await.ok()
}
