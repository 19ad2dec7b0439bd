//! The pages of the published contract: the document and Swagger UI.

use std::io::Read as _;

use flate2::read::GzDecoder;
use reqwest::Method;

use super::document::TEXT;
use crate::support::TestApp;

/// Returns the body at `path` as it is sent, without decoding.
async fn body(app: &TestApp, path: &str, encoding: &str) -> (String, Vec<u8>) {
    let request = app.request(Method::GET, path);
    let response = request.header("accept-encoding", encoding).send().await;
    let response = response.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    let coding = response.headers().get("content-encoding");
    let coding = coding.map_or("", |value| value.to_str().unwrap());
    (coding.to_owned(), response.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn files_are_sent_with_and_without_gzip() {
    let app = TestApp::spawn().await;
    for path in [
        "/openapi.json",
        "/swagger/",
        "/swagger/swagger-ui-bundle.js",
        "/swagger/swagger-ui.css",
    ] {
        let (coding, plain) = body(&app, path, "identity").await;
        assert_eq!(coding, "", "{path}");
        let (coding, gzipped) = body(&app, path, "gzip").await;
        assert_eq!(coding, "gzip", "{path}");
        let mut unpacked = Vec::new();
        GzDecoder::new(&gzipped[..])
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, plain, "{path}");
    }
    let (_, document) = body(&app, "/openapi.json", "").await;
    assert_eq!(document, TEXT.as_bytes());
}

#[tokio::test]
async fn swagger_ui_loads_nothing_from_other_servers() {
    let app = TestApp::spawn().await;
    let page = app.request(Method::GET, "/swagger/").send().await.unwrap();
    // Browsers enforce it for everything that the scripts load.
    assert_eq!(
        page.headers()["content-security-policy"],
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'"
    );
    let html = page.text().await.unwrap();
    assert!(!html.contains("//"), "{html}");
    assert!(!html.contains("<script>"), "{html}");
    let redirected = app.request(Method::GET, "/swagger").send().await.unwrap();
    assert_eq!(redirected.url().path(), "/swagger/");
    assert_eq!(redirected.text().await.unwrap(), html);
}
