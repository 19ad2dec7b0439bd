//! Unsuitable files are rejected during the upload, or by a worker with a reason and no retry.

use anb::{ids::VideoId, language::Language, media::Rejection};
use reqwest::Method;
use serde_json::json;

use crate::support::{Response, Row, TestApp, draw, mp4};

/// Rules that short, small videos can violate.
const RULES: &[&str] = &[
    "--min-input-duration=2",
    "--max-input-duration=4",
    "--min-input-height=120",
    "--output-resolution=320x180",
];

#[tokio::test]
async fn file_that_is_not_an_mp4_video_is_rejected_during_upload() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    for (name, args) in [
        ("photo.png", "-f lavfi -i testsrc2=s=64x64 -frames:v 1"),
        ("photo.jpg", "-f lavfi -i testsrc2=s=64x64 -frames:v 1"),
        ("moving.gif", "-f lavfi -i testsrc2=s=64x64:d=1"),
        ("song.mp3", "-f lavfi -i sine=d=1"),
        ("song.m4a", "-f lavfi -i sine=d=1"),
        ("song.wav", "-f lavfi -i sine=d=1"),
        ("film.mkv", "-f lavfi -i testsrc2=s=64x64:d=1"),
        ("film.avi", "-f lavfi -i testsrc2=s=64x64:d=1"),
    ] {
        let answer = app.upload(&ana, draw(args, name).await, false).await;
        assert_eq!(answer.refusal(), (400, "not_an_mp4"), "{name}");
    }
    assert_eq!(app.files(), [""; 0]);
    let rows = "(SELECT count(*) FROM videos) + (SELECT count(*) FROM uploads)";
    assert_eq!(app.number(rows).await, 0);
}

/// Returns files that pass the upload, and why a worker rejects them.
async fn rejected() -> Vec<(&'static str, Vec<u8>, Rejection)> {
    let film = async |source: &str, options: &str| {
        let args = format!("-f lavfi -i testsrc2={source} -preset ultrafast {options}");
        draw(&args, "film.mp4").await
    };
    let healthy = film("s=320x180:r=30:d=3", "-c:v libx264").await;
    let streamed = film("s=320x180:r=30:d=3", "-c:v libx264 -movflags +faststart").await;
    let mut damaged = streamed.clone();
    let most = damaged.len() / 5;
    damaged[most..].fill(0);
    vec![
        (
            "sound alone",
            draw("-f lavfi -i sine=d=3 -c:a aac", "film.mp4").await,
            Rejection::NotAVideo,
        ),
        (
            "the index is cut off",
            healthy[..healthy.len() / 2].to_vec(),
            Rejection::Corrupt,
        ),
        (
            "most pictures are cut off",
            streamed[..streamed.len() * 3 / 10].to_vec(),
            Rejection::Corrupt,
        ),
        ("most pictures are zeros", damaged, Rejection::Corrupt),
        ("only a head", mp4(5000), Rejection::Corrupt),
        (
            "an old codec",
            film("s=320x180:r=30:d=3", "-c:v mpeg2video").await,
            Rejection::UnsupportedCodec {
                codec: "MPEG-2".to_owned(),
            },
        ),
        (
            "beyond 4K",
            film("s=5000x2000:r=5:d=0.4", "-c:v libx264").await,
            Rejection::TooComplex,
        ),
        (
            "short",
            film("s=320x180:r=30:d=1", "-c:v libx264").await,
            Rejection::TooShort {
                seconds: 1,
                min_seconds: 2,
            },
        ),
        (
            "long",
            film("s=320x180:r=30:d=6", "-c:v libx264").await,
            Rejection::TooLong {
                seconds: 6,
                max_seconds: 4,
            },
        ),
        (
            "small",
            film("s=160x90:r=30:d=3", "-c:v libx264").await,
            Rejection::LowResolution {
                lines: 90,
                min_lines: 120,
            },
        ),
    ]
}

#[tokio::test]
async fn rejected_video_fails_at_once_with_a_reason_in_both_languages() {
    let app = TestApp::spawn_with(&[], RULES).await;
    let ana = app.insert_user("Ana", "Cali").await;
    let mut uploads = Vec::new();
    for (what, file, rejection) in rejected().await {
        uploads.push((what, app.uploaded(&ana, file, true).await, rejection));
    }
    app.run_pending_jobs().await;
    for (what, id, rejection) in uploads {
        for language in [Language::Spanish, Language::English] {
            let request = app.as_player(&ana, Method::GET, &format!("/api/videos/{id}"));
            let answer = Response::of(request.header("accept-language", language.tag())).await;
            let video = answer.ok();
            let seen = [
                &video["status"],
                &video["failure_code"],
                &video["failure_reason"],
            ];
            let expected = ["failed", rejection.code(), &rejection.message(language)];
            assert_eq!(seen, expected.map(|text| json!(text)).each_ref(), "{what}");
        }
        let video = VideoId::parse(&id).unwrap();
        let row = Row {
            status: "failed".to_owned(),
            attempt: 1,
            failures: 0,
            losses: 0,
            is_due: true,
            is_enqueued: true,
            code: Some(rejection.code().to_owned()),
        };
        assert_eq!(app.row(video).await, Some(row), "{what}");
        assert!(app.outputs(video).is_empty(), "{what}");
        assert!(app.original(video).exists(), "{what}");
    }
    let stats = app.queue.stats().await.unwrap();
    assert_eq!((stats.waiting, stats.in_flight, stats.dead), (0, 0, 0));
}
