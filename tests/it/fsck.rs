//! `anb fsck` on either pair of backends: rows, files and queue are compared on a running system.

use std::time::Duration;

use anb::{ids::VideoId, shutdown::Shutdown, votes::Votes};
use serde_json::{Value, json};

use crate::{
    processes::process::House,
    support::{TestApp, eventually, film, on_both},
};

on_both! {
    a_system_at_work_is_clean,
    files_that_no_row_names_are_found_and_removed,
    what_is_lost_is_told_and_a_lost_clip_is_made_again,
    a_wiped_queue_is_filled_again,
}

async fn a_system_at_work_is_clean(app: &TestApp) {
    app.add_video(&film().await).await;
    app.add_video(b"no film").await;
    app.work_off().await;
    // Waiting; uploading; working, with the clip stored and not recorded; lost, its worker still storing.
    app.add_video(b"film").await;
    let uploading = VideoId::generate();
    let user = "(SELECT min(id) FROM users)";
    app.sql(&format!(
        "INSERT INTO uploads (video_id, user_id) VALUES ('{uploading}', {user})"
    ))
    .await;
    plant_unfinished(app, &format!("uploads/{uploading}.mp4.part"));
    let working = app.add_video(b"film").await;
    let state = "status = 'processing', attempt = 2, lease_until = now() + interval '9 s'";
    app.set(working, state).await;
    app.plant(&format!("processed/{working}/2.mp4"));
    plant_unfinished(app, &format!("processed/{working}/2.jpg.part"));
    let lost = app.add_video(b"film").await;
    app.set(lost, "attempt = 1, strays_at = now()").await;
    app.plant(&format!("processed/{lost}/1.mp4"));
    assert_eq!(check(app, "").await, (0, json!([])));
}

async fn files_that_no_row_names_are_found_and_removed(app: &TestApp) {
    let video = app.add_video(&film().await).await;
    app.work_off().await;
    let stranger = VideoId::generate();
    let mut orphans = vec![
        format!("processed/{stranger}/1.mp4"),
        format!("processed/{video}/12.jpg"),
        format!("uploads/{stranger}.mp4"),
    ];
    if app.bucket.is_none() {
        orphans.push(format!("processed/{video}/7.mp4.part"));
        orphans.push(format!("uploads/{}.mp4.part", VideoId::generate()));
    }
    orphans.sort();
    for name in &orphans {
        app.plant(name);
    }
    let found = orphans
        .iter()
        .map(|object| json!({"kind": "orphan", "object": object}));
    let found = json!(found.collect::<Vec<_>>());
    assert_eq!(sorted(check(app, "").await), (1, repaired(&found, false)));
    assert_eq!(
        sorted(check(app, "--fix").await),
        (1, repaired(&found, true))
    );
    assert_eq!(check(app, "").await, (0, json!([])));
    assert_eq!(app.outputs(video), ["1.jpg", "1.mp4"]);
}

async fn what_is_lost_is_told_and_a_lost_clip_is_made_again(app: &TestApp) {
    let video = app.add_video(&film().await).await;
    let hollow = app.add_video(b"no film").await;
    app.work_off().await;
    app.remove(&format!("processed/{video}/1.jpg"));
    app.remove(&format!("uploads/{hollow}.mp4"));
    app.plant("uploads/notes.txt");
    let lost = [
        json!({"kind": "foreign", "object": "uploads/notes.txt", "is_repaired": false}),
        json!({"kind": "missing_original", "video": hollow, "is_repaired": false}),
    ];
    let clip = json!({"kind": "missing_output", "video": video, "is_repaired": true});
    let found = json!([lost[0], lost[1], clip]);
    assert_eq!(sorted(check(app, "--fix").await), (1, found));

    let (worker, shutdown) = app.worker().await;
    let working = tokio::spawn(async move { worker.run().await });
    eventually("the clip is made again", 20, async || {
        app.status(video).await == "processed"
    })
    .await;
    shutdown.request();
    working.await.unwrap();
    assert_eq!(sorted(check(app, "").await), (1, json!(lost)));
}

#[tokio::test]
async fn rows_that_the_sweeper_forgot_are_found_and_put_right() {
    let app = TestApp::spawn().await;
    let waiting = app.add_video(b"film").await;
    app.set(
        waiting,
        "enqueued_at = NULL, run_after = now() - interval '2 minutes'",
    )
    .await;
    let lost = app.add_video(b"film").await;
    let state = "status = 'processing', attempt = 1, lease_until = now() - interval '2 minutes'";
    app.set(lost, state).await;
    let found = json!([waiting, lost].map(|video| json!({"kind": "overdue", "video": video})));
    assert_eq!(check(&app, "").await, (1, repaired(&found, false)));
    assert_eq!(check(&app, "--fix").await, (1, repaired(&found, true)));
    assert_eq!(check(&app, "").await, (0, json!([])));
    for video in [waiting, lost] {
        let row = app.row(video).await.unwrap();
        assert_eq!((row.status.as_str(), row.is_enqueued), ("uploaded", true));
    }
}

async fn a_wiped_queue_is_filled_again(app: &TestApp) {
    let video = app.add_video(b"film").await;
    app.set(video, "enqueued_at = now() - interval '6 minutes'")
        .await;
    assert_eq!(check(app, "").await, (0, json!([])));
    let mut received = app.queue.receive(1, Duration::from_secs(1)).await.unwrap();
    received.pop().unwrap().ack().await.unwrap();
    let found = json!([{"kind": "missing_messages"}]);
    assert_eq!(check(app, "--fix").await, (1, repaired(&found, true)));
    assert_eq!(app.queue.stats().await.unwrap().waiting, 1);
    assert_eq!(check(app, "").await, (0, json!([])));
}

#[tokio::test]
async fn a_wrong_counter_is_counted_again() {
    let app = TestApp::spawn().await;
    app.members(2).await;
    let video = app.add_video(b"film").await;
    // Nobody counts while it is wrong.
    app.shutdown.insist();
    app.sql(&format!(
        "INSERT INTO votes (user_id, video_id) SELECT id, '{video}' FROM users"
    ))
    .await;
    let votes = app.number("SELECT count(*) FROM votes").await;
    app.sql(&format!("INSERT INTO uncounted VALUES ('{video}', 1)"))
        .await;
    app.set(video, &format!("votes = {votes} - 1")).await;
    assert_eq!(check(&app, "").await, (0, json!([])));

    app.set(video, "votes = 30").await;
    let found = json!([{"kind": "wrong_votes", "video": video, "counted": 31, "votes": votes}]);
    assert_eq!(check(&app, "--fix").await, (1, repaired(&found, true)));
    assert_eq!(check(&app, "").await, (0, json!([])));
    let _counting = Votes::new(&app.db, &Shutdown::new(Duration::ZERO));
    app.counted().await;
    assert_eq!(app.number("SELECT max(votes) FROM videos").await, votes);
}

/// Runs the command and returns exit code and findings.
async fn check(app: &TestApp, flag: &str) -> (i32, Value) {
    let ran = House::of(app).output(&format!("fsck --json {flag}")).await;
    let said = serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    (ran.status.code().unwrap(), said)
}

/// Puts findings into an order.
fn sorted((code, found): (i32, Value)) -> (i32, Value) {
    let mut found = found.as_array().unwrap().clone();
    found.sort_by_key(|finding| (finding["kind"].to_string(), finding.to_string()));
    (code, json!(found))
}

/// Returns findings as they are said.
fn repaired(findings: &Value, is_repaired: bool) -> Value {
    let mut said = findings.as_array().unwrap().clone();
    for finding in &mut said {
        finding["is_repaired"] = json!(is_repaired);
    }
    sorted((0, json!(said))).1
}

/// Puts a file where one that is being written lies; a bucket shows none of those.
fn plant_unfinished(app: &TestApp, name: &str) {
    if app.bucket.is_none() {
        app.plant(name);
    }
}
