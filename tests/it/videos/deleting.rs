//! Deleting a video.

use reqwest::Method;
use serde_json::json;

use super::STATES;
use crate::support::{Seed, TestApp};

#[tokio::test]
async fn video_is_deleted_with_its_files_and_votes() {
    let app = TestApp::spawn().await;
    let (ana, luis) = (
        app.insert_user("Ana", "Cali").await,
        app.insert_user("Luis", "Cali").await,
    );
    for status in STATES {
        // Public videos can be deleted until they are processed.
        let is_public = status != "processed";
        let id = app
            .add(
                &ana,
                Seed {
                    status,
                    is_public,
                    ..Seed::PUBLIC
                },
            )
            .await;
        app.add_files(&id);
        let vote = format!(
            "INSERT INTO votes SELECT id, '{id}' FROM users WHERE email = '{}'",
            luis.email
        );
        app.execute(&vote).await;
        let answer = app
            .call(&ana, Method::DELETE, &format!("/api/videos/{id}"))
            .await;
        assert_eq!(
            answer.ok(),
            json!({"message": "El video ha sido eliminado exitosamente.", "video_id": id})
        );
        assert_eq!(app.files(), [""; 0], "{status}");
        let rows = "(SELECT count(*) FROM videos) + (SELECT count(*) FROM votes)";
        assert_eq!(app.number(rows).await, 0, "{status}");
        let again = app
            .call(&ana, Method::DELETE, &format!("/api/videos/{id}"))
            .await;
        assert_eq!(again.refusal(), (404, "not_found"));
    }
}

#[tokio::test]
async fn published_video_is_not_deleted() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PUBLIC).await;
    app.add_files(&id);
    let answer = app
        .call(&ana, Method::DELETE, &format!("/api/videos/{id}"))
        .await;
    assert_eq!(answer.refusal(), (400, "published_video"));
    assert_eq!(app.files().len(), 5);
    app.video(&ana, &id).await;
}

#[tokio::test]
async fn one_of_many_concurrent_deletions_succeeds() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PRIVATE).await;
    app.add_files(&id);
    let path = format!("/api/videos/{id}");
    let deletes = (0..16).map(|_| app.call(&ana, Method::DELETE, &path));
    let answers = futures_util::future::join_all(deletes).await;
    let mut statuses: Vec<_> = answers
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (200, &[404; 15][..]));
}
