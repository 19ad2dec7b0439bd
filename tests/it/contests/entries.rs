//! Uploads: the window, the limit of one player, and the rules for videos.

use futures_util::future::join_all;
use serde_json::json;

use super::Scene;
use crate::support::{Response, film, mp4, tus::film_of};

#[tokio::test]
async fn uploads_are_refused_outside_the_submissions() {
    let scene = Scene::open(0).await;
    scene
        .create_running(json!({"submissions_open_at": "2998-01-01"}))
        .await;
    for refused in [
        scene.app.upload(&scene.ana, mp4(5000), true).await,
        Response::of(scene.app.creation(&scene.ana, 5000)).await,
    ] {
        assert_eq!(refused.refusal(), (400, "submissions_closed"));
        assert_eq!(refused.body["opens_at"], "2998-01-01T05:00:00Z");
    }
    assert_eq!(scene.app.number("SELECT count(*) FROM uploads").await, 0);
}

#[tokio::test]
async fn upload_that_began_in_time_takes_part_even_if_it_ends_later() {
    let scene = Scene::open(0).await;
    scene.create_running(json!({})).await;
    let upload = scene.app.create_upload(&scene.ana, 5000).await;
    scene
        .reschedule(&json!({"submissions_open_at": "2020-01-01", "submissions_close_at": "now"}))
        .await;
    let bytes = film_of(5000);
    let sent = scene.app.send_bytes(&scene.ana, &upload, 0, &bytes).await;
    assert_eq!(sent.status, 204, "{sent:?}");
    let entered = "SELECT count(*) FROM videos WHERE contest_id IS NOT NULL";
    assert_eq!(scene.app.number(entered).await, 2);
}

#[tokio::test]
async fn concurrent_uploads_of_one_player_never_exceed_the_limit() {
    let scene = Scene::open(0).await;
    scene.create_running(json!({"entries_per_player": 3})).await;
    let uploads =
        (0..6).map(|_| async { Response::of(scene.app.creation(&scene.ana, 5000)).await });
    let answers = join_all(uploads).await;
    let created = answers.iter().filter(|answer| answer.status == 201);
    assert_eq!(created.count(), 2);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(refused.refusal(), (400, "entry_limit"));
    }
    // A failed video makes room.
    let fail = "UPDATE videos SET status = 'failed', failure = '{\"code\": \"corrupt\"}'::jsonb,
        is_public = false, processed_at = NULL";
    scene.app.execute(fail).await;
    scene.app.create_upload(&scene.ana, 5000).await;
}

#[tokio::test]
async fn contest_has_rules_for_videos_of_its_own() {
    let scene = Scene::open(0).await;
    let rules = json!({"min_duration_seconds": 20, "max_file_bytes": 4000, "min_lines": 1080});
    scene.create_running(rules).await;
    let rules = scene.app.get("/api/rules").await.ok();
    assert_eq!(
        rules,
        json!({"max_file_bytes": 4000, "min_duration_seconds": 20, "min_lines": 1080})
    );
    let refused = scene.app.upload(&scene.ana, mp4(5000), true).await;
    assert_eq!(refused.refusal(), (400, "file_too_large"));
    let refused = Response::of(scene.app.creation(&scene.ana, 5000)).await;
    assert_eq!(refused.refusal(), (413, "upload_too_large"));
    assert_eq!(scene.app.number("SELECT count(*) FROM uploads").await, 0);
}

#[tokio::test]
async fn workers_judge_videos_by_the_rules_of_their_contest() {
    let scene = Scene::open(0).await;
    scene
        .create_running(json!({"max_duration_seconds": 1}))
        .await;
    let film = film().await;
    let id = scene.app.uploaded(&scene.ana, film, true).await;
    scene.app.run_pending_jobs().await;
    let video = scene.app.video(&scene.ana, &id).await;
    assert_eq!(
        (&video["status"], &video["failure_code"]),
        (&json!("failed"), &json!("too_long"))
    );
}
