//! The main job from end to end: upload, queue, clip, vote, ranking.

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, TestApp, film};

#[tokio::test]
async fn a_video_is_uploaded_processed_voted_for_and_ranked() {
    let app = TestApp::spawn().await;
    let ana = app.player("Ana", "Bogotá D.C.").await;
    let luis = app.player("Luis", "Cali").await;

    let id = app.uploaded(&ana, film().await, true).await;
    assert_eq!(app.video(&ana, &id).await["status"], "uploaded");
    app.work_off().await;

    let video = app.video(&ana, &id).await;
    assert_eq!(video["status"], "processed", "{video}");
    let clip = app.request(Method::GET, video["processed_url"].as_str().unwrap());
    let clip = clip.send().await.unwrap();
    assert_eq!(clip.headers()["content-type"], "video/mp4");
    assert_eq!(&clip.bytes().await.unwrap()[4..8], b"ftyp");

    assert_eq!(
        app.vote(&luis, &id).await.ok()["message"],
        "Voto registrado exitosamente."
    );
    let ranking = app.get("/api/public/rankings?city=bogota").await.ok();
    assert_eq!(
        ranking,
        json!([{
            "position": 1, "username": "Ana Prueba", "city": "Bogotá D.C.", "votes": 1,
            "video_id": id, "title": "Mi mejor jugada", "video_url": video["processed_url"],
        }])
    );
    let votes = Answer::of(app.as_player(&luis, Method::GET, "/api/user/votes"))
        .await
        .ok();
    assert_eq!(votes, json!([id]));
}
