//! The judgement of visits finds each kind of fault.

use hyper::{Request, body::Incoming};
use reqwest::Body;

use crate::{it::browser::site::listen, visitor::Visitor};

const BAD: &str = "<!doctype html><html lang=es><title>Mala</title><meta name=viewport content='width=device-width'>
    <body><p id=one>Uno<p id=one style='font-size: 200px'>Dos<div style='width: 900px'>Ancho</div><button>Un texto muy largo</button>
    <img alt='' src=/missing.png><img alt='' src=http://elsewhere.test/1.png>
    <style>button { width: 20px; overflow: hidden; white-space: nowrap }</style>
    <script>
        console.warn('a warning');
        setTimeout(() => { throw new Error('an exception') });
    </script>
    <script src=http://elsewhere.test/script.js></script>";
/// Moves everything down.
const SHIFT: &str = "
    const banner = document.createElement('p');
    banner.style.height = '300px';
    document.body.prepend(banner);";
const GOOD: &str = "<!doctype html><html lang=es><title>Buena</title><link rel=icon href=/icon>
    <meta name=viewport content='width=device-width'><body><h1>Todo bien</h1>";

#[tokio::test]
async fn every_kind_of_fault_is_found() {
    let site = listen(async |request: Request<Incoming>| {
        let (status, page) = match request.uri().path() {
            "/bad" => (200, BAD),
            "/good" | "/icon" => (200, GOOD),
            _ => (404, ""),
        };
        let response = hyper::Response::builder().status(status);
        let response = response
            .header("content-type", "text/html; charset=utf-8")
            .header(
                "content-security-policy",
                "script-src 'unsafe-inline'; img-src *",
            );
        Ok(response.body(Body::from(page)).unwrap())
    })
    .await;
    let url = format!("http://{}", site.address);

    let mut visitor = Visitor::at(&url).await;
    visitor.expect(410, "/never");
    visitor.open("/bad").await;
    // A shift is one between two paints.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    visitor.run(SHIFT, serde_json::Value::Null).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let found = visitor.findings().await.join("\n");
    for fault in [
        "a warning",
        "Uncaught Error: an exception",
        "Content Security Policy",
        "404 of /missing.png",
        "request to another site: http://elsewhere.test/1.png",
        "an id twice",
        "scrolls sideways",
        "text leaves its box",
        "layout shift",
        "expected 410 of /never",
    ] {
        assert!(found.contains(fault), "{fault} was not found:\n{found}");
    }

    let mut visitor = Visitor::at(&url).await;
    visitor.open("/good").await;
    visitor.end().await;
}
