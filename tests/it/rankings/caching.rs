//! Caching of public lists by the process, browsers and CDNs.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::{places, season};
use crate::support::Response;

#[tokio::test]
async fn unchanged_list_is_not_sent_again() {
    let app = season().await;
    for path in ["/api/public/rankings", "/api/public/videos"] {
        let first = app.get(path).await;
        let caching = first.header("cache-control");
        let max_age = caching.strip_prefix("public, max-age=").unwrap();
        let age: u32 = first.header("age").parse().unwrap();
        assert!(age <= max_age.parse().unwrap() && max_age == "1");
        let known = |tag: &str| {
            let request = app.request(Method::GET, path).header("if-none-match", tag);
            Response::of(request)
        };
        let again = known(&first.header("etag")).await;
        assert_eq!((again.status.as_u16(), &again.body), (304, &Value::Null));
        assert_eq!(again.header("etag"), first.header("etag"));
        assert_eq!(known("\"another\"").await.status, 200);
    }
}

#[tokio::test]
async fn ranking_is_at_most_two_seconds_stale() {
    let app = season().await;
    app.get("/api/public/rankings").await.ok();
    app.execute("UPDATE videos SET votes = 50 WHERE title = 'Luis uno'")
        .await;
    // From then on no response shows the previous state, however long it takes.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let ranking = app.get("/api/public/rankings").await.ok();
    assert_eq!(places(&ranking)[0], (1, "Luis uno", 50));
}

#[tokio::test]
async fn compressed_lists_keep_their_etag() {
    let app = season().await;
    for path in ["/api/public/rankings", "/api/public/videos"] {
        let plain = app.get(path).await;
        let request = app.request(Method::GET, path);
        let packed = Response::of(request.header("accept-encoding", "gzip")).await;
        assert_eq!(packed.header("content-encoding"), "gzip", "{path}");
        assert!(packed.header("vary").contains("accept-encoding"), "{path}");
        assert_eq!(packed.header("etag"), plain.header("etag"), "{path}");
        let request = app.request(Method::HEAD, path);
        let head = Response::of(request).await;
        assert_eq!(
            (head.status.as_u16(), head.header("etag")),
            (200, plain.header("etag"))
        );
    }
}
