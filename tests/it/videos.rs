//! A player's own videos: list, detail, change, publish, delete.

mod deleting;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Player, Response, Seed, TestApp, eventually, mp4};

const STATES: [&str; 4] = ["uploaded", "processing", "processed", "failed"];
const UNKNOWN: [&str; 3] = [
    "0198c0de-0000-7000-8000-000000000000",
    "7",
    "0198C0DE-0000-7000-8000-00000000000G",
];

/// Returns all requests that act on one video.
fn actions(id: &str) -> [(Method, String); 5] {
    [
        (Method::GET, format!("/api/videos/{id}")),
        (Method::PATCH, format!("/api/videos/{id}")),
        (Method::POST, format!("/api/videos/{id}/publish")),
        (Method::PUT, format!("/api/videos/{id}/publish")),
        (Method::DELETE, format!("/api/videos/{id}")),
    ]
}

async fn act(app: &TestApp, player: &Player, (method, path): (Method, String)) -> Response {
    let request = app.as_player(player, method.clone(), &path);
    if method == Method::PATCH {
        Response::of(request.json(&json!({"title": "Otro título"}))).await
    } else {
        Response::of(request).await
    }
}

async fn patch(app: &TestApp, player: &Player, id: &str, change: Value) -> Response {
    let path = format!("/api/videos/{id}");
    Response::of(app.as_player(player, Method::PATCH, &path).json(&change)).await
}

#[tokio::test]
async fn own_videos_are_listed_newest_first_and_in_pages() {
    let app = TestApp::spawn().await;
    let (ana, luis) = (
        app.insert_user("Ana", "Cali").await,
        app.insert_user("Luis", "Cali").await,
    );
    let empty = app.call(&ana, Method::GET, "/api/videos").await;
    assert_eq!(empty.ok(), json!([]));
    for title in ["Video uno", "Video dos", "Video tres"] {
        app.add(
            &ana,
            Seed {
                title,
                ..Seed::PRIVATE
            },
        )
        .await;
    }
    app.add(&luis, Seed::PUBLIC).await;

    let titles = |list: &Value| -> Vec<String> {
        let list = list.as_array().unwrap();
        list.iter()
            .map(|video| video["title"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = app.call(&ana, Method::GET, "/api/videos?limit=2").await;
    assert_eq!(titles(&first.body), ["Video tres", "Video dos"]);
    assert_eq!(
        first.header("link"),
        "</api/videos?page=2&limit=2>; rel=\"next\""
    );
    assert_eq!(first.header("cache-control"), "no-store");
    assert_eq!(first.body[0]["original_url"], Value::Null);
    let second = app
        .call(&ana, Method::GET, "/api/videos?limit=2&page=2")
        .await;
    assert_eq!(titles(&second.body), ["Video uno"]);
    assert_eq!(
        second.header("link"),
        "</api/videos?page=1&limit=2>; rel=\"prev\""
    );
    let refused = app.call(&ana, Method::GET, "/api/videos?page=0").await;
    assert_eq!(refused.fields(), [("page", "out_of_range")]);
}

#[tokio::test]
async fn original_can_be_downloaded_unchanged() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let film = mp4(300_001);
    let id = app.uploaded(&ana, film.clone(), false).await;
    let video = app.video(&ana, &id).await;
    let request = app.request(Method::GET, video["original_url"].as_str().unwrap());
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "video/mp4");
    assert!(answer.bytes().await.unwrap() == film);
}

#[tokio::test]
async fn video_has_the_fields_of_its_state() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    for status in STATES {
        let id = app.add(&ana, Seed::PUBLIC.in_state(status)).await;
        let video = app.video(&ana, &id).await;
        assert_eq!(video["status"], status);
        assert_eq!(video["video_id"], id.as_str());
        let is_processed = status == "processed";
        for name in [
            "processed_at",
            "processed_url",
            "poster_url",
            "light_url",
            "thumb_url",
            "clip_bytes",
            "light_bytes",
        ] {
            assert_eq!(video.get(name).is_some(), is_processed, "{status} {name}");
        }
        let is_failed = status == "failed";
        for name in ["failure_reason", "failure_code"] {
            assert_eq!(video.get(name).is_some(), is_failed, "{status} {name}");
        }
    }
}

#[tokio::test]
async fn video_of_another_player_is_forbidden_in_every_state() {
    let app = TestApp::spawn().await;
    let (ana, luis) = (
        app.insert_user("Ana", "Cali").await,
        app.insert_user("Luis", "Cali").await,
    );
    for status in STATES {
        let id = app.add(&ana, Seed::PUBLIC.in_state(status)).await;
        for action in actions(&id) {
            let answer = act(&app, &luis, action.clone()).await;
            assert_eq!(answer.refusal(), (403, "forbidden"), "{status} {action:?}");
        }
    }
    assert_eq!(app.number("SELECT count(*) FROM videos").await, 4);
}

#[tokio::test]
async fn unknown_or_malformed_id_is_not_found() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    for id in UNKNOWN {
        for action in actions(id) {
            let answer = act(&app, &ana, action.clone()).await;
            assert_eq!(answer.refusal(), (404, "not_found"), "{action:?}");
        }
    }
}

#[tokio::test]
async fn every_action_requires_a_token() {
    let app = TestApp::spawn().await;
    for id in UNKNOWN {
        for (method, path) in actions(id) {
            let answer = Response::of(app.request(method, &path)).await;
            assert_eq!(answer.refusal(), (401, "unauthorized"), "{path}");
        }
    }
}

#[tokio::test]
async fn title_and_visibility_change_separately_or_together() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PRIVATE).await;
    for (change, title, is_public) in [
        (json!({"title": "  Triple doble  "}), "Triple doble", false),
        (json!({"is_public": true}), "Triple doble", true),
        (
            json!({"title": "Ñandú", "is_public": false}),
            "Ñandú",
            false,
        ),
        (json!({"title": "ñ".repeat(100)}), &"ñ".repeat(100), false),
    ] {
        let video = patch(&app, &ana, &id, change.clone()).await.ok();
        assert_eq!(video["title"], title, "{change}");
        assert_eq!(video["is_public"], is_public, "{change}");
        assert_eq!(app.video(&ana, &id).await["title"], title);
    }
}

#[tokio::test]
async fn invalid_change_changes_nothing() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PRIVATE).await;
    for (title, code) in [
        ("", "required"),
        (" four ", "too_short"),
        ("mala\0mala", "invalid"),
        ("mala\nmala", "invalid"),
        (&"ñ".repeat(101), "too_long"),
    ] {
        let change = json!({"title": title, "is_public": true});
        let answer = patch(&app, &ana, &id, change).await;
        assert_eq!(answer.fields(), [("title", code)]);
    }
    for change in [json!({"is_public": "yes"}), json!({"title": 5}), json!("x")] {
        let answer = patch(&app, &ana, &id, change).await;
        assert_eq!(answer.refusal(), (400, "invalid_json"));
    }
    let video = app.video(&ana, &id).await;
    assert_eq!(
        (&video["title"], &video["is_public"]),
        (&json!("Mi mejor jugada"), &json!(false))
    );
}

#[tokio::test]
async fn publishing_works_in_every_state_except_failed() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    for method in [Method::POST, Method::PUT] {
        for status in STATES {
            let id = app.add(&ana, Seed::PRIVATE.in_state(status)).await;
            let path = format!("/api/videos/{id}/publish");
            let answer = app.call(&ana, method.clone(), &path).await;
            if status == "failed" {
                assert_eq!(answer.refusal(), (400, "not_publishable"));
            } else {
                assert_eq!(answer.ok()["is_public"], true, "{status}");
                // Publishing is idempotent.
                let again = app.call(&ana, method.clone(), &path).await;
                assert_eq!(again.ok()["is_public"], true, "{status}");
            }
        }
    }
}

#[tokio::test]
async fn failed_video_can_be_renamed_and_hidden_but_not_published() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PUBLIC.in_state("failed")).await;
    let change = json!({"title": "Otro título", "is_public": true});
    assert_eq!(
        patch(&app, &ana, &id, change).await.refusal(),
        (400, "not_publishable")
    );
    let change = json!({"title": "Otro título", "is_public": false});
    let video = patch(&app, &ana, &id, change).await.ok();
    assert_eq!(
        (&video["title"], &video["is_public"]),
        (&json!("Otro título"), &json!(false))
    );
}

#[tokio::test]
async fn unpublishing_hides_a_video_and_keeps_its_votes() {
    let app = TestApp::spawn().await;
    let (ana, luis) = (
        app.insert_user("Ana", "Cali").await,
        app.insert_user("Luis", "Cali").await,
    );
    let id = app.add(&ana, Seed::PUBLIC).await;
    app.vote(&luis, &id).await.ok();

    let hidden = patch(&app, &ana, &id, json!({"is_public": false}))
        .await
        .ok();
    assert_eq!(hidden["votes"], 1);
    for path in ["/api/public/videos", "/api/public/rankings"] {
        eventually("it is hidden", 60, async || {
            app.get(path).await.ok() == json!([])
        })
        .await;
    }
    assert_eq!(app.vote(&luis, &id).await.status, 404);

    patch(&app, &ana, &id, json!({"is_public": true}))
        .await
        .ok();
    eventually("it is listed again", 60, async || {
        app.get("/api/public/videos").await.ok()[0]["votes"] == 1
    })
    .await;
    assert_eq!(app.vote(&luis, &id).await.refusal(), (400, "already_voted"));
}

#[tokio::test]
async fn failure_reason_is_in_the_requested_language() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PRIVATE.in_state("failed")).await;
    let path = format!("/api/videos/{id}");
    let mut reasons = Vec::new();
    for language in ["es", "en"] {
        let request = app
            .as_player(&ana, Method::GET, &path)
            .header("accept-language", language);
        let video = Response::of(request).await.ok();
        assert_eq!(video["failure_code"], "corrupt");
        reasons.push(video["failure_reason"].as_str().unwrap().to_owned());
    }
    assert_ne!(reasons[0], reasons[1]);

    // An unknown code of a later program version is reported as a system failure.
    app.execute("UPDATE videos SET failure = '{\"code\": \"of_the_future\"}'")
        .await;
    assert_eq!(
        app.video(&ana, &id).await["failure_code"],
        "processing_failed"
    );
}

#[tokio::test]
async fn file_that_is_not_a_video_fails_with_a_reason() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.uploaded(&ana, mp4(5000), true).await;
    app.run_pending_jobs().await;
    let video = app.video(&ana, &id).await;
    assert_eq!(video["status"], "failed", "{video}");
    assert_ne!(video["failure_reason"], Value::Null);
    let publish = app
        .call(&ana, Method::POST, &format!("/api/videos/{id}/publish"))
        .await;
    assert_eq!(publish.refusal(), (400, "not_publishable"));
}

#[tokio::test]
async fn changes_are_limited_per_account() {
    let app = TestApp::spawn_with(&["--write-rate", "1/h"], &[]).await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PRIVATE).await;
    patch(&app, &ana, &id, json!({"is_public": true}))
        .await
        .ok();
    for (method, path) in actions(&id) {
        if method != Method::GET {
            let answer = act(&app, &ana, (method.clone(), path)).await;
            assert_eq!(answer.refusal(), (429, "too_many_requests"), "{method}");
        }
    }
    app.video(&ana, &id).await;
}
