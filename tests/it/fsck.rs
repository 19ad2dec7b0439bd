//! `anb fsck` compares rows, files and queue of a running system, on either pair of backends.

use std::{process::Output, time::Duration};

use anb::{app::counting::Counting, ids::VideoId, shutdown::Shutdown, votes::Votes};
use serde_json::{Value, json};

use crate::{
    processes::process::SystemUnderTest,
    support::{TestApp, eventually, film, on_both, outputs_of},
};

on_both! {
    busy_system_has_no_findings,
    orphaned_files_are_reported_and_deleted,
    missing_files_are_reported_and_a_missing_clip_is_remade,
    wiped_queue_is_refilled,
    many_deletions_must_be_confirmed,
    older_database_copy_deletes_no_newer_files,
    clip_that_cannot_be_remade_is_only_reported,
    missing_light_clip_and_thumb_are_remade_unless_the_row_has_none,
}

async fn busy_system_has_no_findings(app: &TestApp) {
    app.add_video(&film().await).await;
    app.add_video(b"no film").await;
    app.run_pending_jobs().await;
    // A waiting video, an upload, a job whose clip is stored but not recorded, and an expired job
    // whose worker is still storing.
    app.add_video(b"film").await;
    let uploading = VideoId::generate();
    let user = "(SELECT min(id) FROM users)";
    app.execute(&format!(
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

async fn orphaned_files_are_reported_and_deleted(app: &TestApp) {
    let [unknown, other] = [VideoId::generate(), VideoId::generate()];
    let video = app.add_video(&film().await).await;
    app.run_pending_jobs().await;
    let mut orphans = vec![
        format!("processed/{unknown}/1.mp4"),
        format!("processed/{video}/12-l.mp4"),
        format!("processed/{video}/12-s.jpg"),
        format!("processed/{video}/12.jpg"),
        format!("uploads/{unknown}.mp4"),
    ];
    if app.bucket.is_none() {
        orphans.push(format!("processed/{video}/7.mp4.part"));
        orphans.push(format!("uploads/{other}.mp4.part"));
    }
    orphans.sort();
    for name in &orphans {
        app.plant(name);
    }
    let found = orphans
        .iter()
        .map(|object| json!({"kind": "orphan", "object": object, "note": DELETABLE}));
    let found = json!(found.collect::<Vec<_>>());
    for flags in ["", "--fix"] {
        assert_eq!(
            sorted(check(app, flags).await),
            (1, repaired(&found, false))
        );
    }
    let (code, said) = check(app, "--fix --delete-orphans --dry-run").await;
    assert_eq!(code, 1);
    let said = said.as_array().unwrap();
    assert!(
        said.iter()
            .all(|said| said["would_repair"] == true && said["is_repaired"] == false)
    );
    assert_eq!(
        sorted(check(app, "--fix --delete-orphans").await),
        (1, repaired(&found, true))
    );
    assert_eq!(check(app, "").await, (0, json!([])));
    assert_eq!(app.outputs(video), outputs_of(1));
}

async fn missing_files_are_reported_and_a_missing_clip_is_remade(app: &TestApp) {
    let video = app.add_video(&film().await).await;
    let hollow = app.add_video(b"no film").await;
    app.run_pending_jobs().await;
    app.remove(&format!("processed/{video}/1.jpg"));
    app.remove(&format!("uploads/{hollow}.mp4"));
    app.plant("uploads/notes.txt");
    let lost = [
        json!({"kind": "foreign", "object": "uploads/notes.txt", "is_repaired": false}),
        json!({"kind": "missing_original", "video": hollow, "is_repaired": false}),
    ];
    let clip = json!({"kind": "missing_output", "video": video, "is_repaired": true});
    let found = json!([lost[0], lost[1], clip]);
    let votes = app.number("SELECT max(votes) FROM videos").await;
    app.set(video, "is_public = true").await;
    assert_eq!(sorted(check(app, "--fix").await), (1, found));
    // The remaining files stay available.
    let shown = async || {
        let public = app.get("/api/public/videos").await.ok();
        assert_eq!(public[0]["video_id"], json!(video));
        assert_eq!(app.status(video).await, "processed");
        app.fetch(public[0]["processed_url"].as_str().unwrap())
            .await;
    };
    shown().await;

    let (worker, shutdown) = app.worker().await;
    let working = tokio::spawn(async move { worker.run().await });
    eventually("the clip is remade", 600, async || {
        app.outputs(video) == outputs_of(2)
    })
    .await;
    assert_eq!(app.number("SELECT max(votes) FROM videos").await, votes);
    shutdown.request();
    working.await.unwrap();
    assert_eq!(sorted(check(app, "").await), (1, json!(lost)));
    eventually("the list shows the new clip", 60, async || {
        let public = app.get("/api/public/videos").await.ok();
        let clip = public[0]["processed_url"].as_str().unwrap();
        clip.contains(&format!("{video}/2.mp4"))
    })
    .await;
    shown().await;
}

async fn missing_light_clip_and_thumb_are_remade_unless_the_row_has_none(app: &TestApp) {
    let [no_light, no_thumb, old] = [
        app.add_video(&film().await).await,
        app.add_video(&film().await).await,
        app.add_video(&film().await).await,
    ];
    app.run_pending_jobs().await;
    assert_eq!(check(app, "").await, (0, json!([])));
    app.remove(&format!("processed/{no_light}/1-l.mp4"));
    app.remove(&format!("processed/{no_thumb}/1-s.jpg"));
    // As an earlier version left it.
    for file in ["1-l.mp4", "1-s.jpg"] {
        app.remove(&format!("processed/{old}/{file}"));
    }
    app.set(old, "light_bytes = NULL, has_thumb = false").await;
    let lost = [no_light, no_thumb];
    let found = lost.map(|video| json!({"kind": "missing_output", "video": video}));
    let found = repaired(&json!(found), true);
    assert_eq!(sorted(check(app, "--fix").await), (1, found));

    let (worker, shutdown) = app.worker().await;
    let working = tokio::spawn(async move { worker.run().await });
    eventually("both are remade", 600, async || {
        lost.iter()
            .all(|video| app.outputs(*video) == outputs_of(2))
    })
    .await;
    shutdown.request();
    working.await.unwrap();
    assert_eq!(app.outputs(old), ["1.jpg", "1.mp4"]);
    assert_eq!(check(app, "").await, (0, json!([])));
}

async fn many_deletions_must_be_confirmed(app: &TestApp) {
    let orphans: Vec<_> = (0..25).map(|_| VideoId::generate()).collect();
    app.add_video(b"film").await;
    assert_eq!(app.get("/ready").await.status, 200);
    for orphan in &orphans {
        app.plant(&format!("uploads/{orphan}.mp4"));
    }
    for flags in ["--delete-orphans", "--delete-orphans --yes-delete 24"] {
        let ran = fsck(app, &format!("--fix {flags}")).await;
        let said = String::from_utf8(ran.stderr).unwrap();
        assert!(said.contains("25 of 26 files would be deleted"), "{said}");
        assert!(said.contains("--yes-delete 25"), "{said}");
        assert_eq!(app.files().len(), 26);
    }
    check(app, "--fix --delete-orphans --yes-delete 25").await;
    assert_eq!(app.files().len(), 1);
}

async fn older_database_copy_deletes_no_newer_files(app: &TestApp) {
    let old = app.add_video(b"film").await;
    let new = app.add_video(b"film").await;
    // As if the copy of the database dated from between the two uploads.
    app.execute(&format!("DELETE FROM videos WHERE id = '{new}'"))
        .await;
    let note = "newer than the newest video: is the database an older copy?";
    let found = json!([{"kind": "orphan", "object": format!("uploads/{new}.mp4"), "note": note}]);
    let said = check(app, "--fix --delete-orphans").await;
    assert_eq!(sorted(said), (1, repaired(&found, false)));
    // Nothing is deleted either if no row is left.
    app.execute("DELETE FROM videos").await;
    check(app, "--fix --delete-orphans").await;
    let mut files = [old, new].map(|video| format!("uploads/{video}.mp4"));
    files.sort();
    assert_eq!(app.files(), files);
}

async fn clip_that_cannot_be_remade_is_only_reported(app: &TestApp) {
    let video = app.add_video(&film().await).await;
    app.run_pending_jobs().await;
    for name in [
        format!("uploads/{video}.mp4"),
        format!("processed/{video}/1.mp4"),
    ] {
        app.remove(&name);
    }
    let note = "its original is missing as well: it cannot be made again";
    let found = json!([
        {"kind": "missing_original", "video": video},
        {"kind": "missing_output", "video": video, "note": note},
    ]);
    let said = check(app, "--fix").await;
    assert_eq!(sorted(said), (1, repaired(&found, false)));
    let row = app.row(video).await.unwrap();
    assert_eq!((row.status.as_str(), row.failures), ("processed", 0));
}

#[tokio::test]
async fn overdue_rows_are_reported_and_repaired() {
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

async fn wiped_queue_is_refilled(app: &TestApp) {
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
async fn wrong_vote_counter_is_recounted() {
    let app = TestApp::spawn().await;
    app.insert_users(2).await;
    let video = app.add_video(b"film").await;
    assert_eq!(app.get("/ready").await.status, 200);
    // Stops vote counting while the counter is wrong.
    app.shutdown.force();
    app.execute(&format!(
        "INSERT INTO votes (user_id, video_id) SELECT id, '{video}' FROM users"
    ))
    .await;
    let votes = app.number("SELECT count(*) FROM votes").await;
    app.execute(&format!("INSERT INTO uncounted VALUES ('{video}', 1)"))
        .await;
    app.set(video, &format!("votes = {votes} - 1")).await;
    assert_eq!(check(&app, "").await, (0, json!([])));

    app.set(video, "votes = 30").await;
    let found = json!([{"kind": "wrong_votes", "video": video, "counted": 31, "votes": votes}]);
    assert_eq!(check(&app, "--fix").await, (1, repaired(&found, true)));
    assert_eq!(check(&app, "").await, (0, json!([])));
    let _counting = Votes::new(
        &app.db,
        &Counting::default(),
        &Shutdown::new(Duration::ZERO),
    );
    app.counted().await;
    assert_eq!(app.number("SELECT max(votes) FROM videos").await, votes);
}

#[tokio::test]
async fn each_of_many_videos_is_compared_once() {
    const VIDEOS: usize = 20_001;
    let app = TestApp::spawn().await;
    app.insert_users(1).await;
    let id = |number: usize| format!("00000000-0000-7000-8000-{number:012x}");
    app.execute(&format!(
        "INSERT INTO videos (id, user_id, title, is_public, original_bytes, enqueued_at)
         SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
             (SELECT min(id) FROM users), 'Mate', false, 1, now()
         FROM generate_series(1, {VIDEOS}) AS n"
    ))
    .await;
    // At the ends of pages, and before the first and after the last row.
    let there = [1, 9_999, 10_000, 10_001, 20_000, VIDEOS];
    let orphans = [0, VIDEOS + 1];
    for number in there.into_iter().chain(orphans) {
        app.plant(&format!("uploads/{}.mp4", id(number)));
    }
    let (code, found) = check(&app, "").await;
    assert_eq!(code, 1);
    let of_kind = |kind: &str, member: &str| -> Vec<String> {
        let found = found.as_array().unwrap().iter();
        let found = found.filter(|finding| finding["kind"] == kind);
        let mut found: Vec<_> = found
            .map(|finding| finding[member].as_str().unwrap().to_owned())
            .collect();
        found.sort();
        found
    };
    let missing = (1..=VIDEOS).filter(|number| !there.contains(number));
    let missing: Vec<String> = missing.map(id).collect();
    assert!(of_kind("missing_original", "video") == missing);
    let orphans = orphans.map(|number| format!("uploads/{}.mp4", id(number)));
    assert_eq!(of_kind("orphan", "object"), orphans);
}

/// The note of an orphan that can be deleted.
const DELETABLE: &str = "--fix --delete-orphans deletes it";

pub async fn fsck(app: &TestApp, flags: &str) -> Output {
    SystemUnderTest::of(app)
        .output(&format!("fsck --json {flags}"))
        .await
}

/// Runs the command on a storage with a marker, and returns exit code and findings.
pub async fn check(app: &TestApp, flags: &str) -> (i32, Value) {
    if !app.shutdown.is_requested() {
        assert_eq!(app.get("/ready").await.status, 200);
    }
    let ran = fsck(app, flags).await;
    let said = serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    (ran.status.code().unwrap(), said)
}

fn sorted((code, found): (i32, Value)) -> (i32, Value) {
    let mut found = found.as_array().unwrap().clone();
    found.sort_by_key(|finding| (finding["kind"].to_string(), finding.to_string()));
    (code, json!(found))
}

/// Returns findings as the command prints them.
fn repaired(findings: &Value, is_repaired: bool) -> Value {
    let mut said = findings.as_array().unwrap().clone();
    for finding in &mut said {
        finding["is_repaired"] = json!(is_repaired);
    }
    sorted((0, json!(said))).1
}

/// Adds an unfinished file; a bucket never shows one.
fn plant_unfinished(app: &TestApp, name: &str) {
    if app.bucket.is_none() {
        app.plant(name);
    }
}
