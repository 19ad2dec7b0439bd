//! Uploads from a page through faults of network, proxies and server.

use serde_json::json;

use super::{CHUNK, Stage, gateway::Fault};
use crate::support::eventually;

#[tokio::test]
async fn lost_responses_make_no_second_upload() {
    let stage = Stage::set().await;
    let file = stage.file("jugada.mp4", 1);
    for what in ["POST", "PATCH 0", "PATCH 10485760"] {
        stage.gateway.fail(what, Fault::LostResponse);
    }
    stage.start(&file).await;
    stage.assert_uploaded(&file).await;
    let expected = [
        "POST",
        "POST",
        "PATCH 0",
        "HEAD",
        "PATCH 5242880",
        "PATCH 10485760",
        "HEAD",
    ];
    assert_eq!(stage.gateway.requests(), expected);
}

#[tokio::test]
async fn upload_whose_creation_was_not_answered_continues_after_a_reload() {
    let stage = Stage::set().await;
    let file = stage.file("jugada.mp4", 1);
    stage.gateway.fail("POST", Fault::Silence);
    stage.start(&file).await;
    eventually("the upload exists", 60, async || {
        stage.open_uploads().await != json!([])
    })
    .await;
    stage.browser.reload().await;
    stage.start(&file).await;
    stage.assert_uploaded(&file).await;
}

#[tokio::test]
async fn errors_on_the_way_do_not_end_an_upload() {
    let stage = Stage::set().await;
    let file = stage.file("jugada.mp4", 1);
    for (what, status) in [
        ("POST", 503),
        ("PATCH 0", 460),
        ("HEAD", 502),
        ("PATCH 5242880", 423),
        ("PATCH 10485760", 409),
    ] {
        stage.gateway.fail(what, Fault::Status(status));
    }
    stage.start(&file).await;
    stage.assert_uploaded(&file).await;
    let expected = [
        "POST",
        "POST",
        "PATCH 0",
        "HEAD",
        "HEAD",
        "PATCH 0",
        "PATCH 5242880",
        "HEAD",
        "PATCH 5242880",
        "PATCH 10485760",
        "HEAD",
        "PATCH 10485760",
    ];
    assert_eq!(stage.gateway.requests(), expected);
}

#[tokio::test]
async fn expired_upload_begins_anew() {
    let stage = Stage::set().await;
    let file = stage.file("jugada.mp4", 1);
    stage.start_and_hang(&file).await;
    let expire = "UPDATE uploads SET expires_at = now() - interval '1 second'";
    assert_eq!(stage.app.execute(expire).await, 1);
    stage.gateway.cut();
    stage.assert_uploaded(&file).await;
    let requests = stage.gateway.requests();
    let anew = ["PATCH 0", "PATCH 5242880", "PATCH 10485760"];
    assert!(
        requests[3..].ends_with(&anew.map(str::to_owned)),
        "{requests:?}"
    );
}

#[tokio::test]
async fn upload_that_a_proxy_denies_makes_no_second_one() {
    let stage = Stage::set().await;
    let file = stage.file("jugada.mp4", 1);
    stage.gateway.fail("PATCH 10485760", Fault::LostResponse);
    stage.gateway.fail("HEAD", Fault::Status(404));
    stage.start(&file).await;
    stage.assert_uploaded(&file).await;
    let expected = [
        "POST",
        "PATCH 0",
        "PATCH 5242880",
        "PATCH 10485760",
        "HEAD",
        "POST",
    ];
    assert_eq!(stage.gateway.requests(), expected);
}

#[tokio::test]
async fn link_that_breaks_within_each_chunk_still_makes_progress() {
    let stage = Stage::set().await;
    let file = stage.file("jugada.mp4", 1);
    let broken = CHUNK / 2;
    stage.gateway.fail("PATCH 0", Fault::Break(broken));
    stage.start(&file).await;
    stage.gateway.until("HEAD", 1).await;
    stage.gateway.fail("PATCH 0", Fault::Break(broken));
    stage.assert_uploaded(&file).await;

    let requests = stage.gateway.requests();
    let (start, end) = requests.split_at(5);
    assert_eq!(start, ["POST", "PATCH 0", "HEAD", "PATCH 0", "HEAD"]);
    // The second attempt was without a checksum, so that the server kept its bytes.
    let offset: usize = end[0].strip_prefix("PATCH ").unwrap().parse().unwrap();
    assert!((1..=broken).contains(&offset), "{requests:?}");
    assert_eq!(end[1..], ["PATCH 5242880", "PATCH 10485760"]);
}

#[tokio::test]
async fn dead_connection_is_replaced() {
    let stage = Stage::set().await;
    let file = stage.file("jugada.mp4", 1);
    stage.gateway.fail("PATCH 5242880", Fault::Hang);
    stage.gateway.fail("PATCH 10485760", Fault::Silence);
    stage.start_with(&file, json!({ "stallMs": 2000 })).await;
    stage.assert_uploaded(&file).await;
    let expected = [
        "POST",
        "PATCH 0",
        "PATCH 5242880",
        "HEAD",
        "PATCH 5242880",
        "PATCH 10485760",
        "HEAD",
    ];
    assert_eq!(stage.gateway.requests(), expected);
}
