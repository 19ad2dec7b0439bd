//! The main use case from upload to deletion, on either pair of backends.

use reqwest::Method;
use serde_json::json;

use crate::support::{Response, TestApp, film, on_both};

on_both! { video_is_uploaded_processed_voted_for_ranked_and_deleted }

pub async fn video_is_uploaded_processed_voted_for_ranked_and_deleted(app: &TestApp) {
    let ana = app.sign_up("Ana", "Bogotá D.C.").await;
    let luis = app.sign_up("Luis", "Cali").await;

    let id = app.uploaded(&ana, film().await, true).await;
    assert_eq!(app.video(&ana, &id).await["status"], "uploaded");
    app.run_pending_jobs().await;

    let video = app.video(&ana, &id).await;
    assert_eq!(video["status"], "processed", "{video}");
    for (address, content_type) in [
        ("original_url", "video/mp4"),
        ("processed_url", "video/mp4"),
        ("poster_url", "image/jpeg"),
        ("light_url", "video/mp4"),
        ("thumb_url", "image/jpeg"),
    ] {
        let file = app.fetch(video[address].as_str().unwrap()).await;
        assert_eq!(file.headers()["content-type"], content_type, "{address}");
        let bytes = file.bytes().await.unwrap().len();
        assert_ne!(bytes, 0, "{address}");
        match address {
            "processed_url" => assert_eq!(video["clip_bytes"], bytes),
            "light_url" => assert_eq!(video["light_bytes"], bytes),
            _ => {}
        }
    }

    assert_eq!(
        app.vote(&luis, &id).await.ok()["message"],
        "Voto registrado exitosamente."
    );
    app.counted().await;
    let ranking = app.get("/api/public/rankings?city=bogota").await.ok();
    assert_eq!(
        ranking,
        json!([{
            "position": 1, "username": "Ana Prueba", "city": "Bogotá", "votes": 1,
            "video_id": id, "title": "Mi mejor jugada", "video_url": video["processed_url"],
            "light_url": video["light_url"], "thumb_url": video["thumb_url"],
            "clip_bytes": video["clip_bytes"], "light_bytes": video["light_bytes"],
        }])
    );
    let votes = Response::of(app.as_player(&luis, Method::GET, "/api/user/votes"))
        .await
        .ok();
    assert_eq!(votes, json!([id]));

    let hidden = app.as_player(&ana, Method::PATCH, &format!("/api/videos/{id}"));
    Response::of(hidden.json(&json!({"is_public": false})))
        .await
        .ok();
    app.call(&ana, Method::DELETE, &format!("/api/videos/{id}"))
        .await
        .ok();
    assert!(app.files().is_empty(), "{:?}", app.files());
}
