//! The common error format in two languages, and responses while a dependency is unavailable.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Mount, Response, TestApp};

const NOWHERE: &str = "postgres://anb:hush@127.0.0.1:1/anb";

/// Asserts that a response has the common error format.
fn assert_shape(answer: &Response) {
    let body = answer.body.as_object().unwrap();
    assert_eq!(body["error"], body["message"]);
    assert!(!body["message"].as_str().unwrap().is_empty());
    assert_eq!(body["request_id"], answer.header("x-request-id"));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}

async fn post(app: &TestApp, content_type: &str, body: impl Into<reqwest::Body>) -> Response {
    let request = app.request(Method::POST, "/api/auth/login");
    Response::of(request.header("content-type", content_type).body(body)).await
}

#[tokio::test]
async fn unknown_paths_are_not_found() {
    let app = TestApp::spawn().await;
    for path in [
        "/nothing",
        "/api/nothing",
        "/api",
        "/api/",
        "/api/videos/x/y/z",
        "/%00",
        "/api/%ff",
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.refusal(), (404, "not_found"), "{path}");
        assert_shape(&answer);
    }
}

#[tokio::test]
async fn errors_are_problem_details_for_clients_that_accept_them() {
    let app = TestApp::spawn_with(&["--public-url", "https://anb.example"], &[]).await;
    for (accept, content_type) in [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/problem+json", "application/problem+json"),
        (
            "text/html, Application/Problem+JSON;q=0.1",
            "application/problem+json",
        ),
        ("application/problem+json;q=0", "application/json"),
        ("nonsense", "application/json"),
    ] {
        let request = app.request(Method::GET, "/nothing");
        let answer = Response::of(request.header("accept", accept)).await;
        assert_eq!(answer.header("content-type"), content_type, "{accept}");
        let id = answer.header("x-request-id");
        assert_eq!(
            answer.body,
            json!({
                "type": "https://anb.example/errors/not_found",
                "title": "No se encontró lo solicitado.",
                "status": 404,
                "code": "not_found",
                "error": "No se encontró lo solicitado.",
                "message": "No se encontró lo solicitado.",
                "instance": format!("urn:uuid:{id}"),
                "request_id": id,
            })
        );
        let links = answer.header("link");
        assert!(links.contains("</openapi.json>; rel=\"service-desc\""));
    }
}

#[tokio::test]
async fn wrong_method_lists_the_allowed_ones() {
    let app = TestApp::spawn().await;
    for (method, path, allowed) in [
        (Method::DELETE, "/api/auth/login", &["POST"][..]),
        (Method::GET, "/api/videos/upload", &["POST"]),
        (Method::POST, "/api/public/rankings", &["GET", "HEAD"]),
        (Method::GET, "/api/videos/7/publish", &["POST", "PUT"]),
        (
            Method::PUT,
            "/api/videos/7",
            &["DELETE", "GET", "HEAD", "PATCH"],
        ),
        (Method::POST, "/health", &["GET", "HEAD"]),
    ] {
        let answer = Response::of(app.request(method, path)).await;
        assert_eq!(answer.refusal(), (405, "method_not_allowed"), "{path}");
        assert_shape(&answer);
        let allow = answer.header("allow");
        let mut names: Vec<_> = allow.split(", ").collect();
        names.sort_unstable();
        assert_eq!(names, allowed, "{path}");
    }
}

#[tokio::test]
async fn malformed_json_is_rejected() {
    let app = TestApp::spawn().await;
    let good = json!({"email": "ana@example.com", "password": "x"}).to_string();
    for (content_type, body) in [
        ("application/json", "{"),
        ("application/json", ""),
        ("application/json", "null"),
        ("application/json", "{\"email\": \"\u{fffd}"),
    ] {
        let answer = post(&app, content_type, body.to_owned()).await;
        assert_eq!(
            answer.refusal(),
            (400, "invalid_json"),
            "{content_type} {body}"
        );
        assert_shape(&answer);
    }
    let invalid_utf8 = post(&app, "application/json", b"{\"email\": \"\xff\"}".to_vec()).await;
    assert_eq!(invalid_utf8.refusal(), (400, "invalid_json"));
    let charset = post(&app, "application/json; charset=utf-8", good).await;
    assert_eq!(charset.refusal(), (401, "wrong_credentials"));
}

#[tokio::test]
async fn json_body_over_64_kib_is_too_large() {
    let app = TestApp::spawn().await;
    let body = json!({"email": "x".repeat(70_000), "password": "x"}).to_string();
    let declared = post(&app, "application/json", body.clone()).await;
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>(body)]);
    let chunked = post(&app, "application/json", reqwest::Body::wrap_stream(chunks)).await;
    for answer in [declared, chunked] {
        assert_eq!(answer.refusal(), (413, "body_too_large"));
        assert_shape(&answer);
    }
}

#[tokio::test]
async fn compressed_bodies_are_rejected() {
    // `{"email":"a","password":"b"}`, compressed with gzip.
    const COMPRESSED: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x4a\xcd\x4d\xcc\xcc\x51\xb2\x52\x4a\x54\xd2\x51\x2a\x48\x2c\x2e\x2e\xcf\x2f\x4a\x01\x72\x93\x94\x6a\x01\xf5\x55\x23\xbf\x1c\x00\x00\x00";
    let app = TestApp::spawn().await;
    let request = app.request(Method::POST, "/api/auth/login");
    let request = request
        .header("content-type", "application/json")
        .header("content-encoding", "gzip");
    let answer = Response::of(request.body(COMPRESSED)).await;
    assert_eq!(answer.refusal(), (415, "unsupported_encoding"));
    assert_eq!(answer.header("accept-encoding"), "identity");
    assert_shape(&answer);
}

#[tokio::test]
async fn deeply_nested_json_is_rejected() {
    let app = TestApp::spawn().await;
    let answer = post(&app, "application/json", "[".repeat(60_000)).await;
    assert_eq!(answer.refusal(), (400, "invalid_json"));
}

#[tokio::test]
async fn errors_use_the_requested_language() {
    let app = TestApp::spawn().await;
    for (accepted, language, message) in [
        (None, "es-CO", "No se encontró lo solicitado."),
        (Some("en-US,en;q=0.9,es;q=0.8"), "en", "Not found."),
        (
            Some("es, en;q=0.5"),
            "es-CO",
            "No se encontró lo solicitado.",
        ),
        (Some("de"), "es-CO", "No se encontró lo solicitado."),
        (Some("\u{f1}"), "es-CO", "No se encontró lo solicitado."),
    ] {
        let mut request = app.request(Method::GET, "/nothing");
        if let Some(accepted) = accepted {
            request = request.header("accept-language", accepted);
        }
        let answer = Response::of(request).await;
        assert_eq!(answer.body["message"], message, "{accepted:?}");
        assert_eq!(answer.header("content-language"), language);
        assert!(
            answer
                .header("vary")
                .to_lowercase()
                .contains("accept-language")
        );
    }
}

#[tokio::test]
async fn field_errors_are_translated() {
    let app = TestApp::spawn().await;
    let request = app
        .request(Method::GET, "/api/public/videos?limit=0")
        .header("accept-language", "en");
    let answer = Response::of(request).await;
    assert_eq!(
        answer.body["fields"],
        json!([{
            "field": "limit", "code": "out_of_range", "message": "Must be a number from 1 to 100.",
        }])
    );
}

#[tokio::test]
async fn trailing_slash_is_accepted_below_api() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    for path in [
        "/api/public/rankings/",
        "/api/public/videos/",
        "/api/public/videos/?limit=1",
    ] {
        assert_eq!(app.get(path).await.ok(), json!([]), "{path}");
    }
    for path in ["/api/videos/", "/api/auth/profile/"] {
        app.call(&ana, Method::GET, path).await.ok();
    }
    let login = app
        .request(Method::POST, "/api/auth/login/")
        .json(&json!({}));
    assert_eq!(Response::of(login).await.refusal(), (400, "invalid_json"));
}

#[tokio::test]
async fn missing_database_returns_503_without_the_cause() {
    let app = TestApp::spawn_with(&["--database-url", NOWHERE], &[]).await;
    let credentials = json!({"email": "ana@example.com", "password": "x"});
    let login = app
        .request(Method::POST, "/api/auth/login")
        .json(&credentials);
    let mut answers = vec![Response::of(login).await];
    for path in ["/api/public/videos", "/api/public/rankings"] {
        answers.push(app.get(path).await);
    }
    for answer in answers {
        assert_eq!(answer.refusal(), (503, "unavailable"));
        assert_shape(&answer);
        assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
        let text = answer.body.to_string();
        for cause in ["127.0.0.1", "postgres", "PostgreSQL", "hush", "connect"] {
            assert!(!text.contains(cause), "{text}");
        }
    }
}

#[tokio::test]
async fn process_without_database_is_alive_but_not_ready() {
    let app = TestApp::spawn_with(&["--database-url", NOWHERE], &[]).await;
    let health = app.get("/health").await.ok();
    assert_eq!(health["status"], "healthy");
    assert!(health["timestamp"].is_string() && health["version"].is_string());
    let ready = app.get("/ready").await;
    assert_eq!(ready.status, 503);
    assert_eq!(
        ready.body,
        json!({"status": "unavailable", "failing": ["database"]})
    );
}

#[tokio::test]
async fn process_without_broker_is_not_ready_but_serves_reads() {
    let app = TestApp::spawn_with(&["--redis-url", "127.0.0.1:1"], &[]).await;
    assert_eq!(app.get("/ready").await.body["failing"], json!(["queue"]));
    assert_eq!(app.get("/api/public/videos").await.ok(), json!([]));
}

#[tokio::test]
async fn process_with_full_disk_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_disk) = Mount::tmpfs(folder.path(), "size=1m") else {
        return;
    };
    let uploads = folder.path().to_str().unwrap();
    let app = TestApp::spawn_with(&["--upload-path", uploads], &[]).await;
    assert_eq!(app.get("/ready").await.status, 200);
    let filler = folder.path().join("filler");
    // The write fails once the disk is full.
    drop(fs::write(&filler, vec![0; 2_000_000]));
    let answer = app.get("/ready").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body["failing"], json!(["storage"]));
    let _still_starts = TestApp::spawn_with(&["--upload-path", uploads], &[]).await;
    fs::remove_file(filler).unwrap();
    assert_eq!(app.get("/ready").await.status, 200);
    let left = fs::read_dir(folder.path()).unwrap();
    let left: Vec<_> = left.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, [".anb-installation"], "no probe file may remain");
}

#[tokio::test]
async fn process_with_all_dependencies_is_ready() {
    let app = TestApp::spawn().await;
    let ready = app.get("/ready").await;
    assert_eq!(
        (ready.status.as_u16(), &ready.body["status"]),
        (200, &json!("ready"))
    );
}

#[tokio::test]
async fn json_without_content_type_names_the_missing_header() {
    let app = TestApp::spawn().await;
    let good = json!({"email": "ana@example.com", "password": "x"}).to_string();
    // As `curl -d` sends it, as plain text, with an invalid type and without any.
    for content_type in [
        Some("application/x-www-form-urlencoded"),
        Some("text/plain"),
        Some("no type"),
        None,
    ] {
        let mut request = app
            .request(Method::POST, "/api/auth/login")
            .body(good.clone());
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let answer = Response::of(request).await;
        assert_eq!(answer.refusal(), (400, "json_expected"), "{content_type:?}");
        let message = answer.body["message"].as_str().unwrap();
        assert!(
            message.contains("Content-Type: application/json"),
            "{message}"
        );
        assert_shape(&answer);
    }
}

#[tokio::test]
async fn every_accept_encoding_gets_a_well_formed_response() {
    let app = TestApp::spawn().await;
    for (accepted, status) in [
        ("identity;q=0", 406),
        ("*;q=0", 406),
        ("br;q=1, *;q=0", 406),
        ("identity;q=0, br", 406),
        ("gzip;q=0, deflate;q=0, identity;q=0", 406),
        ("zstd, identity;q=0", 406),
        ("gzip, identity;q=0", 200),
        ("*", 200),
        ("br", 200),
        ("", 200),
        ("gzip;q=9, ;;=, \u{f1}", 200),
        ("x-y-z;q=0.001", 200),
    ] {
        for path in ["/api/public/videos", "/nothing"] {
            let request = app.request(Method::GET, path);
            let answer = Response::of(request.header("accept-encoding", accepted)).await;
            if status == 406 {
                assert_eq!(
                    answer.refusal(),
                    (406, "not_acceptable"),
                    "{accepted} {path}"
                );
                assert_shape(&answer);
            } else if path == "/nothing" {
                assert_eq!(answer.refusal(), (404, "not_found"), "{accepted}");
            } else {
                assert_eq!(answer.status, 200, "{accepted}");
            }
        }
    }
}

async fn from_origin(app: &TestApp, origin: &str, path: &str) -> Response {
    Response::of(app.request(Method::GET, path).header("origin", origin)).await
}

#[tokio::test]
async fn allowed_origins_may_read_responses_and_errors() {
    let app = TestApp::spawn_with(&["--cors-allowed-origins", "https://anb.example"], &[]).await;
    for path in [
        "/api/public/videos",
        "/api/public/videos?limit=0",
        "/api/auth/profile",
        "/nothing",
    ] {
        let allowed = from_origin(&app, "https://anb.example", path).await;
        assert_eq!(
            allowed.header("access-control-allow-origin"),
            "https://anb.example",
            "{path}"
        );
        let exposed = allowed
            .header("access-control-expose-headers")
            .to_lowercase();
        assert!(exposed.contains("retry-after"), "{exposed}");
        assert!(
            allowed.header("vary").to_lowercase().contains("origin"),
            "{path}"
        );
    }
    for path in ["/api/public/videos", "/nothing"] {
        let unknown = from_origin(&app, "https://evil.example", path).await;
        assert_eq!(unknown.header("access-control-allow-origin"), "", "{path}");
    }
}

#[tokio::test]
async fn other_origins_are_denied_by_default() {
    let app = TestApp::spawn().await;
    let answer = from_origin(&app, "https://anb.example", "/api/public/videos").await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn preflight_allows_configured_origins() {
    let app = TestApp::spawn_with(&["--cors-allowed-origins", "https://anb.example"], &[]).await;
    let preflight = |origin: &'static str| {
        let request = app.request(Method::OPTIONS, "/api/videos/7");
        let request = request
            .header("origin", origin)
            .header("access-control-request-method", "PATCH")
            .header(
                "access-control-request-headers",
                "authorization, content-type",
            );
        Response::of(request)
    };
    let allowed = preflight("https://anb.example").await;
    assert_eq!(allowed.status, 200);
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        "https://anb.example"
    );
    assert!(
        allowed
            .header("access-control-allow-methods")
            .contains("PATCH")
    );
    let unknown = preflight("https://evil.example").await;
    assert_eq!(unknown.header("access-control-allow-origin"), "");
    assert_eq!(unknown.body["cause"], Value::Null);
}

#[tokio::test]
async fn preflight_allows_range_and_conditional_requests() {
    let origin = "https://anb.example";
    let app = TestApp::spawn_with(&["--cors-allowed-origins", origin], &[]).await;
    for (method, headers) in [
        ("HEAD", "authorization"),
        ("GET", "range"),
        ("GET", "if-range, range"),
        ("GET", "if-none-match"),
    ] {
        for path in ["/media/processed/x/1.mp4", "/api/public/videos"] {
            let request = app
                .request(Method::OPTIONS, path)
                .header("origin", origin)
                .header("access-control-request-method", method)
                .header("access-control-request-headers", headers);
            let answer = Response::of(request).await;
            assert_eq!(answer.status, 200, "{method} {headers} {path}");
            assert_eq!(answer.header("access-control-allow-origin"), origin);
            assert!(
                answer
                    .header("access-control-allow-methods")
                    .contains(method)
            );
        }
    }
    let exposed = from_origin(&app, origin, "/media/processed/x/1.mp4").await;
    let exposed = exposed
        .header("access-control-expose-headers")
        .to_lowercase();
    for name in ["accept-ranges", "content-length", "content-range", "etag"] {
        assert!(exposed.contains(name), "{exposed}");
    }
}

#[tokio::test]
async fn requests_are_limited_per_address_if_configured() {
    let origin = "https://anb.example";
    let flags = ["--address-rate", "2/h", "--cors-allowed-origins", origin];
    let app = TestApp::spawn_with(&flags, &[]).await;
    for path in ["/api/public/videos", "/api/nothing"] {
        assert_ne!(app.get(path).await.status, 429, "{path}");
    }
    for path in ["/api/public/videos", "/api/nothing", "/media/x"] {
        let request = app.request(Method::GET, path).header("origin", origin);
        let refused = Response::of(request).await;
        assert_eq!(refused.refusal(), (429, "too_many_requests"), "{path}");
        assert_shape(&refused);
        assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
        // A page of the allowed origin may read the error.
        assert_eq!(refused.header("access-control-allow-origin"), origin);
        let exposed = refused.header("access-control-expose-headers");
        assert!(exposed.contains("retry-after"), "{exposed}");
    }
    for path in ["/health", "/ready"] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn closed_database_connections_are_replaced() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let reads = || futures_util::future::join_all((0..8).map(|_| app.get("/api/public/videos")));
    reads().await;
    app.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .await;
    for answer in reads().await {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    app.call(&ana, Method::GET, "/api/videos").await.ok();
}
