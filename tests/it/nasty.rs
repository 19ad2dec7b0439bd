//! Hostile values in every query parameter, path segment and header of every route of
//! `src/server.rs`. None may cause a 5xx, an error in another format, or a missing response.

mod values;

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use tokio::{io::AsyncReadExt as _, time::timeout};

use self::values::{ANY_HEADER, HEADERS, PARAMETERS, VALUES};
use crate::{
    contract::sources::{endpoints, query_parameters, with_parameters},
    support::{Seed, TestApp},
};

const CONCURRENCY: usize = 16;

/// A response that takes longer counts as missing.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The bytes of a request, and whether they are valid HTTP.
struct Request {
    bytes: Vec<u8>,
    is_http: bool,
}

impl Request {
    fn new(method: &str, target: &str, headers: &[(&str, &[u8])]) -> Self {
        let mut bytes = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
        if headers.iter().all(|(name, _)| *name != "host") {
            bytes.extend(b"host: test\r\n");
        }
        for (name, value) in headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend(b"connection: close\r\n\r\n");
        Self {
            bytes,
            is_http: true,
        }
    }

    /// Marks a request that an HTTP parser may reject, with an empty response, before our program
    /// sees it (RFC 9112 §2.2, §3.2, §6.3).
    fn non_http(self) -> Self {
        Self {
            is_http: false,
            ..self
        }
    }
}

/// Sends a request and returns the fault of its response, if any.
async fn fault(app: &TestApp, request: &Request) -> Option<String> {
    let shown =
        || String::from_utf8_lossy(&request.bytes[..request.bytes.len().min(400)]).into_owned();
    let mut answer = Vec::new();
    let mut connection = app.open(&request.bytes).await;
    let read = timeout(TIMEOUT, connection.read_to_end(&mut answer)).await;
    if !matches!(read, Ok(Ok(_))) {
        return Some(format!("{}: no response: {read:?}", shown()));
    }
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let is_right = match status {
        Some(200..400) => true,
        Some(400..500) => {
            let body: Value = serde_json::from_str(body).unwrap_or_default();
            let is_ours = body["code"].is_string() && body["request_id"].is_string();
            let is_head = request.bytes.starts_with(b"HEAD ");
            is_ours || is_head || (!request.is_http && head.contains("content-length: 0"))
        }
        Some(_) | None => false,
    };
    (!is_right).then(|| format!("{}: {answer}", shown()))
}

/// Sends all requests, and panics with the faults of their responses.
async fn send_all(app: &TestApp, requests: Vec<Request>) {
    assert!(requests.len() > 100);
    let faults = stream::iter(&requests).map(|request| fault(app, request));
    let faults: Vec<String> = faults
        .buffer_unordered(CONCURRENCY)
        .filter_map(async |fault| fault)
        .collect()
        .await;
    assert!(
        faults.is_empty(),
        "{} faults: {:#?}",
        faults.len(),
        &faults[..faults.len().min(10)]
    );
}

/// Returns an app with a video, a user's token, and every route with the id of the video.
async fn system() -> (TestApp, Vec<u8>, Vec<(String, String)>) {
    let app = TestApp::spawn_with(&["--login-rate", "off", "--write-rate", "off"], &[]).await;
    let ana = app.insert_user("Ana", "Cali").await;
    let video = app.add(&ana, Seed::PUBLIC).await;
    app.add_files(&video);
    let routes = endpoints()
        .into_iter()
        .map(|(method, route)| {
            let route = with_parameters(&route, |name| match name {
                "video_id" => video.clone(),
                "key" => format!("processed/{video}/1.mp4"),
                "file" => "index.html".to_owned(),
                "code" => "not_found".to_owned(),
                other => panic!("no value for {other}"),
            });
            (method, route)
        })
        .collect();
    (app, format!("Bearer {}", ana.token).into_bytes(), routes)
}

/// Returns the values that are too long for [`VALUES`].
fn long_values() -> Vec<String> {
    vec![
        "a".repeat(101),
        "9".repeat(1000),
        "%F0%9F%8F%80".repeat(300),
        "%EF%B7%BA".repeat(100),
        "%20".repeat(1000),
        "a%20".repeat(50),
    ]
}

fn values() -> Vec<String> {
    let short = VALUES.iter().map(|&value| value.to_owned());
    short.chain(long_values()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_queries_cause_no_server_error() {
    let (app, token, routes) = system().await;
    let mut requests = Vec::new();
    for (method, route) in &routes {
        let headers: &[(&str, &[u8])] = &[("authorization", &token)];
        // Routes that read no query receive each value once.
        let is_list =
            route.contains("/public/") || route.contains("/media/") || route == "/api/videos";
        for value in values() {
            let query = PARAMETERS.map(|name| format!("{name}={value}"));
            requests.push(Request::new(method, &format!("{route}?{value}"), headers));
            requests.push(Request::new(
                method,
                &format!("{route}?{}", query.join("&")),
                headers,
            ));
            for parameter in query.iter().filter(|_| is_list && method == "GET") {
                requests.push(Request::new(
                    method,
                    &format!("{route}?{parameter}"),
                    headers,
                ));
            }
        }
        for name in PARAMETERS {
            for query in [
                "a[]=1", "a=1&a=2", "a", "a=1;a=2", "=a", "&&a=1&", "a=b=c", "A=1", "a%00=1",
            ] {
                let query = query.replace('a', name);
                requests.push(Request::new(method, &format!("{route}?{query}"), headers));
            }
        }
    }
    send_all(&app, requests).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_paths_cause_no_server_error() {
    let (app, token, _) = system().await;
    let headers: &[(&str, &[u8])] = &[("authorization", &token)];
    let mut requests = Vec::new();
    for (method, route) in endpoints() {
        for value in values() {
            let path = with_parameters(&route, |_| value.clone());
            let paths = [
                format!("{path}/{value}"),
                format!("{path}//"),
                path.clone() + &value,
            ];
            let changed = (path != route).then_some(path);
            for path in paths.into_iter().chain(changed) {
                requests.push(Request::new(&method, &path, headers));
            }
        }
    }
    for target in [
        "*",
        "http://a/health",
        "//",
        "/\u{7f}",
        "/a b",
        "health",
        "/%",
        "/api/%2e%2e/health",
        "/#a",
    ] {
        for method in [
            "GET", "OPTIONS", "PROPFIND", "get", "G\u{e9}T", "CONNECT", "TRACE",
        ] {
            requests.push(Request::new(method, target, &[]).non_http());
        }
    }
    send_all(&app, requests).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_headers_cause_no_server_error() {
    let (app, token, routes) = system().await;
    let long = vec![b'a'; 8000];
    let many = b"a, ".repeat(2000);
    let mut requests = Vec::new();
    for (method, route) in &routes {
        for (name, special) in HEADERS {
            let special = special.iter().map(|value| value.as_bytes());
            let all = special
                .chain(ANY_HEADER.iter().copied())
                .chain([&long[..], &many]);
            for value in all {
                let mut headers = vec![(*name, value)];
                if *name != "authorization" {
                    headers.push(("authorization", &token));
                }
                let request = Request::new(method, route, &headers);
                // The parser checks host names.
                requests.push(if *name == "host" {
                    request.non_http()
                } else {
                    request
                });
            }
        }
        for (name, value) in [
            ("content-length", &b"-1"[..]),
            ("content-length", b"18446744073709551616"),
            ("content-length", b"0x10"),
            ("content-length", b"\xff"),
            ("content-length", b"1, 1"),
            ("transfer-encoding", b"gzip"),
            ("transfer-encoding", b"\xff"),
            ("x-\0", b"1"),
            ("x y", b"1"),
            ("", b"1"),
            ("x-nul", b"a\0b"),
            ("x-cr", b"a\rb"),
        ] {
            requests.push(Request::new(method, route, &[(name, value)]).non_http());
        }
        let twice: &[(&str, &[u8])] = &[("authorization", b"Bearer a"), ("authorization", &token)];
        requests.push(Request::new(method, route, twice));
    }
    send_all(&app, requests).await;
}

#[test]
fn every_query_parameter_is_covered() {
    assert!(query_parameters().iter().eq(&PARAMETERS));
}
