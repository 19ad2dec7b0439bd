//! The files under `/media`, and who may fetch them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Player, Response, Seed, TestApp, seconds, sign};

/// Requests a file and returns the response with its body as text.
async fn fetch(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> (Response, String) {
    send(app, Method::GET, path, headers).await
}

async fn send(
    app: &TestApp,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> (Response, String) {
    let mut request = app.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let answer = Response {
        status: response.status(),
        headers: response.headers().clone(),
        body: Value::Null,
    };
    (answer, response.text().await.unwrap())
}

async fn status(app: &TestApp, path: &str) -> u16 {
    fetch(app, path, &[]).await.0.status.as_u16()
}

/// Adds a processed video with files of ten bytes. Returns its owner and its id.
async fn video(app: &TestApp, seed: Seed<'_>) -> (Player, String) {
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, seed).await;
    app.add_files(&id);
    (ana, id)
}

#[tokio::test]
async fn outputs_of_a_public_video_have_unsigned_urls() {
    let app = TestApp::spawn().await;
    let (ana, id) = video(&app, Seed::PUBLIC).await;
    let body = app.video(&ana, &id).await;
    assert_eq!(
        body["processed_url"],
        format!("/media/processed/{id}/1.mp4")
    );
    assert_eq!(body["poster_url"], format!("/media/processed/{id}/1.jpg"));
    assert_eq!(body["light_url"], format!("/media/processed/{id}/1-l.mp4"));
    assert_eq!(body["thumb_url"], format!("/media/processed/{id}/1-s.jpg"));
    for (name, content_type) in [
        ("processed_url", "video/mp4"),
        ("poster_url", "image/jpeg"),
        ("light_url", "video/mp4"),
        ("thumb_url", "image/jpeg"),
    ] {
        let (answer, text) = fetch(&app, body[name].as_str().unwrap(), &[]).await;
        assert_eq!((answer.status.as_u16(), text.as_str()), (200, "0123456789"));
        assert_eq!(answer.header("content-type"), content_type);
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("accept-ranges"), "bytes");
        assert_eq!(answer.header("cache-control"), "public, no-cache");
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("sandbox"),
            "{policy}"
        );
    }
}

#[tokio::test]
async fn range_requests_return_parts_of_a_clip() {
    let app = TestApp::spawn().await;
    let (_, id) = video(&app, Seed::PUBLIC).await;
    let path = format!("/media/processed/{id}/1.mp4");
    for (range, part, content_range) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=0-99", "0123456789", "bytes 0-9/10"),
        (
            "bytes=0-99999999999999999999999",
            "0123456789",
            "bytes 0-9/10",
        ),
        ("bytes=3-18446744073709551615", "3456789", "bytes 3-9/10"),
        (
            "bytes=-99999999999999999999999",
            "0123456789",
            "bytes 0-9/10",
        ),
    ] {
        let (answer, text) = fetch(&app, &path, &[("range", range)]).await;
        assert_eq!(
            (answer.status.as_u16(), text.as_str()),
            (206, part),
            "{range}"
        );
        assert_eq!(answer.header("content-range"), content_range);
    }
    for range in ["bytes=10-", "bytes=99999999999999999999999-", "bytes=-0"] {
        let (answer, _) = fetch(&app, &path, &[("range", range)]).await;
        assert_eq!(answer.status, 416, "{range}");
        assert_eq!(answer.header("content-range"), "bytes */10");
    }
    for ignored in [
        "bytes=x-",
        "bytes=4-2",
        "items=0-1",
        "bytes",
        "bytes=",
        "\u{f1}=0-1",
    ] {
        let (answer, text) = fetch(&app, &path, &[("range", ignored)]).await;
        let actual = (answer.status.as_u16(), text.as_str());
        assert_eq!(actual, (200, "0123456789"), "{ignored}");
    }
}

#[tokio::test]
async fn matching_etag_returns_not_modified() {
    let app = TestApp::spawn().await;
    let (_, id) = video(&app, Seed::PUBLIC).await;
    let path = format!("/media/processed/{id}/1.mp4");
    let (first, _) = fetch(&app, &path, &[]).await;
    let (again, text) = fetch(&app, &path, &[("if-none-match", &first.header("etag"))]).await;
    assert_eq!((again.status.as_u16(), text.as_str()), (304, ""));
    assert_eq!(again.header("etag"), first.header("etag"));
}

#[tokio::test]
async fn media_files_are_not_compressed() {
    let app = TestApp::spawn().await;
    let (_, id) = video(&app, Seed::PUBLIC).await;
    for file in ["1.mp4", "1.jpg", "1-l.mp4", "1-s.jpg"] {
        let path = format!("/media/processed/{id}/{file}");
        let (answer, text) = fetch(&app, &path, &[("accept-encoding", "gzip, zstd")]).await;
        assert_eq!((answer.status.as_u16(), text.as_str()), (200, "0123456789"));
        assert_eq!(answer.header("content-length"), "10");
        let headers = [("accept-encoding", "gzip, zstd"), ("range", "bytes=2-4")];
        let (answer, text) = fetch(&app, &path, &headers).await;
        assert_eq!((answer.status.as_u16(), text.as_str()), (206, "234"));
    }
}

#[tokio::test]
async fn head_returns_the_size_without_a_body() {
    let app = TestApp::spawn().await;
    let (_, id) = video(&app, Seed::PUBLIC).await;
    let path = format!("/media/processed/{id}/1.mp4");
    let (answer, text) = send(&app, Method::HEAD, &path, &[]).await;
    assert_eq!((answer.status.as_u16(), text.as_str()), (200, ""));
    assert_eq!(answer.header("content-length"), "10");
}

#[tokio::test]
async fn private_clips_and_all_originals_require_a_signature() {
    let app = TestApp::spawn().await;
    let (ana, id) = video(&app, Seed::PRIVATE).await;
    let body = app.video(&ana, &id).await;
    for name in [
        "processed_url",
        "poster_url",
        "light_url",
        "thumb_url",
        "original_url",
    ] {
        let signed = body[name].as_str().unwrap();
        let (answer, text) = fetch(&app, signed, &[]).await;
        assert_eq!(
            (answer.status.as_u16(), text.as_str()),
            (200, "0123456789"),
            "{name}"
        );
        assert!(
            answer.header("cache-control").starts_with("private"),
            "{name}"
        );
        let bare = signed.split('?').next().unwrap();
        let refused = app.get(bare).await;
        assert_eq!(refused.refusal(), (403, "media_not_signed"), "{name}");
    }
    let public = app.add(&ana, Seed::PUBLIC).await;
    app.add_files(&public);
    assert_eq!(
        status(&app, &format!("/media/uploads/{public}.mp4")).await,
        403
    );
    assert_eq!(
        status(&app, &format!("/media/processed/{public}/2.mp4")).await,
        403
    );
}

#[tokio::test]
async fn video_of_an_earlier_version_has_only_clip_and_poster() {
    let app = TestApp::spawn().await;
    let (ana, id) = video(&app, Seed::PUBLIC).await;
    app.execute(
        "UPDATE videos SET clip_bytes = NULL, light_bytes = NULL, has_thumb = false, colour = NULL",
    )
    .await;
    let listed = app.get("/api/public/videos").await.ok();
    let ranked = app.get("/api/public/rankings").await.ok();
    for body in [&app.video(&ana, &id).await, &listed[0], &ranked[0]] {
        assert_eq!(body["video_id"], id.as_str());
        for name in ["light_url", "thumb_url", "clip_bytes", "light_bytes"] {
            assert_eq!(body.get(name), None, "{name}");
        }
    }
    for file in ["1-l.mp4", "1-s.jpg"] {
        let path = format!("/media/processed/{id}/{file}");
        assert_eq!(app.get(&path).await.refusal(), (403, "media_not_signed"));
    }
    assert_eq!(
        status(&app, &format!("/media/processed/{id}/1.mp4")).await,
        200
    );
}

#[tokio::test]
async fn signature_is_valid_for_its_key_and_expiry_only() {
    let app = TestApp::spawn().await;
    let (ana, id) = video(&app, Seed::PRIVATE).await;
    let other = app.add(&ana, Seed::PRIVATE).await;
    app.add_files(&other);
    let url = app.video(&ana, &id).await["processed_url"]
        .as_str()
        .unwrap()
        .to_owned();
    let (path, query) = url.split_once('?').unwrap();
    let (expires, signature) = query.split_once('&').unwrap();
    let (_, moment) = expires.split_once('=').unwrap();
    let later = moment.parse::<u64>().unwrap() + 1;
    let mut flipped = signature.to_owned();
    let last = flipped.pop();
    let shortened = flipped.clone();
    flipped.push(if last == Some('0') { '1' } else { '0' });
    for wrong in [
        format!("{path}?{expires}&{flipped}"),
        format!("{path}?{expires}&{shortened}"),
        format!("{path}?{expires}&signature=zz"),
        format!("{path}?{expires}&signature="),
        format!("{path}?expires={later}&{signature}"),
        format!("{path}?expires=0&{signature}"),
        format!("{path}?expires=soon&{signature}"),
        format!("{path}?expires=-1&{signature}"),
        format!("{path}?{expires}"),
        format!("{path}?{signature}"),
        format!("/media/processed/{other}/1.mp4?{query}"),
        format!("/media/processed/{id}/1.jpg?{query}"),
        format!("/media/processed/{id}/1-l.mp4?{query}"),
        format!("/media/uploads/{id}.mp4?{query}"),
    ] {
        assert_eq!(
            app.get(&wrong).await.refusal(),
            (403, "media_not_signed"),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn signed_urls_stay_valid_during_secret_rotation() {
    let (old, new) = ("the secret of last year", "the secret of this year");
    let before = TestApp::spawn_with(&["--jwt-secret", old], &[]).await;
    let (ana, id) = video(&before, Seed::PRIVATE).await;
    let storage = &before.serve.backends.storage;
    let shared = [
        ("--database-url", before.place.database_url.as_str()),
        ("--upload-path", storage.upload_path.to_str().unwrap()),
        ("--processed-path", storage.processed_path.to_str().unwrap()),
    ];
    let mut flags = vec!["--jwt-secret", new];
    flags.extend(shared.iter().flat_map(|(flag, value)| [*flag, *value]));
    let after = TestApp::spawn_with(&flags, &[]).await;
    let token = sign(before.user_id(&ana).await, new, seconds() + 600);
    let again = Player {
        token,
        ..ana.clone()
    };
    // The new secret is first accepted everywhere, and then used for signing.
    for (signs, accepted) in [(old, new), (new, old)] {
        let mut flags = vec!["--jwt-secret", signs, "--jwt-secret-other", accepted];
        flags.extend(shared.iter().flat_map(|(flag, value)| [*flag, *value]));
        let app = TestApp::spawn_with(&flags, &[]).await;
        for (signer, owner) in [(&before, &ana), (&after, &again)] {
            let address = signer.video(owner, &id).await["processed_url"].clone();
            assert_eq!(status(&app, address.as_str().unwrap()).await, 200);
        }
    }
    let address = before.video(&ana, &id).await["processed_url"].clone();
    assert_eq!(status(&after, address.as_str().unwrap()).await, 403);
}

#[tokio::test]
async fn unpublishing_disables_the_unsigned_url_at_once() {
    let app = TestApp::spawn().await;
    let (ana, id) = video(&app, Seed::PUBLIC).await;
    let path = format!("/media/processed/{id}/1.mp4");
    let (first, _) = fetch(&app, &path, &[]).await;
    assert_eq!(first.status, 200);
    let change = app.as_player(&ana, Method::PATCH, &format!("/api/videos/{id}"));
    Response::of(change.json(&json!({"is_public": false})))
        .await
        .ok();
    let (answer, _) = fetch(&app, &path, &[("if-none-match", &first.header("etag"))]).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn unprocessed_public_video_serves_no_files() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    for status in ["uploaded", "processing", "failed"] {
        let id = app.add(&ana, Seed::PUBLIC.in_state(status)).await;
        app.add_files(&id);
        let path = format!("/media/processed/{id}/1.mp4");
        assert_eq!(self::status(&app, &path).await, 403, "{status}");
    }
}

#[tokio::test]
async fn missing_file_is_not_found() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PUBLIC).await;
    assert_eq!(
        status(&app, &format!("/media/processed/{id}/1.mp4")).await,
        404
    );
    let unknown = "0198c0de-0000-7000-8000-000000000000";
    assert_eq!(
        status(&app, &format!("/media/processed/{unknown}/1.mp4")).await,
        404
    );
    assert_eq!(status(&app, "/media/").await, 404);
    assert_eq!(status(&app, "/media").await, 404);
}

#[tokio::test]
async fn path_traversal_is_not_found() {
    let app = TestApp::spawn().await;
    let (_, id) = video(&app, Seed::PUBLIC).await;
    for path in [
        "/media/../../etc/passwd".to_owned(),
        "/media/uploads/../../../etc/passwd".to_owned(),
        "/media/%2e%2e/%2e%2e/etc/passwd".to_owned(),
        "/media/..%2f..%2fetc%2fpasswd".to_owned(),
        "/media/%2Fetc%2Fpasswd".to_owned(),
        "/media//etc/passwd".to_owned(),
        "/media/..%5c..%5cetc%5cpasswd".to_owned(),
        "/media/uploads/%00.mp4".to_owned(),
        format!("/media/processed/{id}/../{id}/1.mp4"),
        format!("/media/processed/{id}/1.mp4%00.jpg"),
        format!("/media/processed/{id}/1.mp4/"),
        format!("/media/processed/{id}"),
    ] {
        let answer = app.raw(&format!("GET {path} HTTP/1.1")).await;
        let status = answer.split(' ').nth(1).unwrap();
        assert_eq!(status, "404", "{path}");
        assert!(!answer.contains("root:"), "{path}");
    }
}
