//! Random requests against a model: the offset never goes back, and the bytes are those of the film.

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, TestRunner},
};
use reqwest::Method;

use super::assert_complete;
use crate::support::{Response, TestApp, eventually, on_both, tus::film_of};

/// Steps of one test without `UPLOAD_STEPS`.
const STEPS: usize = 150;

const MAX_LENGTH: usize = 14_000_000;

on_both! { offset_never_goes_back }

/// What a client does next. Sizes are in bytes.
#[derive(Debug, Clone)]
enum Step {
    Ask,
    /// Sends up to this many bytes.
    Send(usize),
    /// Sends up to this many bytes and breaks the connection.
    Break(usize),
    /// Sends so many bytes that the checksum does not match.
    Damage(usize),
    /// Sends bytes at an offset so far from the right one.
    Misplace(usize),
    /// Sends up to this many bytes while a second request asks for the offset.
    Race(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![0..5000_usize, 0..300_000_usize, 0..6_000_000_usize];
    prop_oneof![
        Just(Step::Ask),
        size.clone().prop_map(Step::Send),
        size.clone().prop_map(Step::Break),
        size.clone().prop_map(Step::Damage),
        (1..10_000_usize).prop_map(Step::Misplace),
        size.prop_map(Step::Race),
    ]
}

async fn offset_never_goes_back(app: &TestApp) {
    let steps = std::env::var("UPLOAD_STEPS").map_or(STEPS, |steps| steps.parse().unwrap());
    let mut runner = TestRunner::new(Config::default());
    let ana = app.insert_user("Ana", "Cali").await;
    let mut done = 0;
    while done < steps {
        let length = (4096..MAX_LENGTH).new_tree(&mut runner).unwrap().current();
        let film = film_of(length);
        let upload = app.create_upload(&ana, length).await;
        let mut offset = 0;
        let mut history = Vec::new();
        while offset < length && done < steps {
            done += 1;
            let step = step().new_tree(&mut runner).unwrap().current();
            history.push(format!("{offset}: {step:?}"));
            let end = |bytes: usize| (offset + bytes).min(length);
            let (sent, allowed) = match step {
                Step::Ask => (None, None),
                Step::Send(bytes) => {
                    let bytes = &film[offset..end(bytes)];
                    let sent = app.send_bytes(&ana, &upload, offset, bytes).await;
                    (Some(sent), Some(204))
                }
                Step::Break(bytes) => {
                    let (rest, bytes) = (length - offset, &film[offset..end(bytes)]);
                    drop(app.begin_sending(&ana, &upload, offset, rest, bytes).await);
                    (None, None)
                }
                Step::Damage(bytes) => {
                    let request = app.tus(&ana, Method::PATCH, &upload);
                    let sent = request
                        .header("upload-offset", offset)
                        .header("upload-checksum", "sha1 AAAA")
                        .header("content-type", crate::support::tus::BYTES)
                        .body(film[offset..end(bytes)].to_vec());
                    (Some(Response::of(sent).await), Some(460))
                }
                Step::Misplace(bytes) => {
                    let wrong = offset.checked_sub(bytes).unwrap_or(offset + bytes);
                    let sent = app.send_bytes(&ana, &upload, wrong, b"wrong").await;
                    (Some(sent), Some(409))
                }
                Step::Race(bytes) => {
                    let bytes = &film[offset..end(bytes)];
                    let (sent, asked) = tokio::join!(
                        app.send_bytes(&ana, &upload, offset, bytes),
                        app.offset(&ana, &upload),
                    );
                    assert!(asked.unwrap() >= offset, "{history:#?}");
                    (Some(sent), Some(204))
                }
            };
            let mut acknowledged = offset;
            if let Some(sent) = sent {
                // A request with a broken connection may be received late and go on writing.
                let status = sent.status.as_u16();
                let is_allowed = Some(status) == allowed || [409, 423].contains(&status);
                assert!(is_allowed, "{sent:?} {history:#?}");
                if [204, 409].contains(&status) {
                    acknowledged = sent.header("upload-offset").parse().unwrap();
                }
            }
            assert!(acknowledged >= offset, "{acknowledged} {history:#?}");
            let found = app.offset(&ana, &upload).await.unwrap();
            assert!(
                (acknowledged..=length).contains(&found),
                "{found} {history:#?}"
            );
            offset = found;
        }
        // The last broken request may still be received.
        eventually("the upload is complete", 60, async || {
            let offset = app.offset(&ana, &upload).await.unwrap();
            app.send_bytes(&ana, &upload, offset, &film[offset..]).await;
            offset == length
        })
        .await;
        assert_complete(app, &ana, &upload, &film).await;
        app.execute("DELETE FROM videos").await;
        let video = anb::ids::VideoId::parse(&upload["/api/uploads/".len()..]);
        app.storage.delete_video(video.unwrap()).await.unwrap();
    }
}
