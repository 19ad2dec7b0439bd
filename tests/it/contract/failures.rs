//! Every reason for which a video fails, as reported to its player.

use reqwest::Method;
use serde_json::{Value, json};

use super::sources;
use crate::support::{Response, Seed, TestApp};

/// Code, stored facts, Spanish and English sentence.
fn failures() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let ours = (
        "No pudimos procesar el video por un problema nuestro. Súbelo de nuevo.",
        "We could not process the video, and it is our fault. Upload it again.",
    );
    vec![
        (
            "too_short",
            json!({"seconds": 12, "min_seconds": 20}),
            "El video dura 12 s; debe durar al menos 20 s.",
            "The video lasts 12 s; it must last at least 20 s.",
        ),
        (
            "too_long",
            json!({"seconds": 61, "max_seconds": 60}),
            "El video dura 61 s; debe durar como máximo 60 s. Recórtalo y súbelo de nuevo.",
            "The video lasts 61 s; it must last at most 60 s. Trim it and upload it again.",
        ),
        (
            "low_resolution",
            json!({"lines": 720, "min_lines": 1080}),
            "El video tiene 720 líneas; debe tener al menos 1080. Grábalo o expórtalo con más \
             resolución.",
            "The video has 720 lines; it must have at least 1080. Record or export it at a higher \
             resolution.",
        ),
        (
            "not_an_mp4",
            json!({}),
            "El archivo no es un video MP4. Expórtalo como MP4 y súbelo de nuevo.",
            "The file is not an MP4 video. Export it as MP4 and upload it again.",
        ),
        (
            "not_a_video",
            json!({}),
            "El archivo no contiene un video. Sube un MP4 grabado con tu cámara o celular.",
            "The file contains no video. Upload an MP4 recorded with your camera or phone.",
        ),
        (
            "corrupt",
            json!({}),
            "El archivo está dañado o incompleto. Expórtalo o súbelo de nuevo.",
            "The file is damaged or incomplete. Export it or upload it again.",
        ),
        (
            "unsupported_codec",
            json!({"codec": "svq3"}),
            "El formato de video «svq3» no se admite. Expórtalo como MP4 con H.264 o HEVC.",
            "The video format “svq3” is not supported. Export it as MP4 with H.264 or HEVC.",
        ),
        (
            "too_complex",
            json!({}),
            "El video supera lo que podemos procesar. Usa como máximo resolución 4K y 250 cuadros \
             por segundo, y una sola pista de video.",
            "The video is more than we can process. Use at most 4K and 250 frames per second, and a \
             single video track.",
        ),
        ("processing_failed", json!({}), ours.0, ours.1),
        ("worker_lost", json!({}), ours.0, ours.1),
    ]
}

#[tokio::test]
async fn every_failure_is_reported_in_both_languages() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    for (code, facts, spanish, english) in failures() {
        let id = app.add(&ana, Seed::PRIVATE.in_state("failed")).await;
        let mut failure = facts;
        failure["code"] = code.into();
        app.execute(&format!(
            "UPDATE videos SET failure = '{failure}' WHERE id = '{id}'"
        ))
        .await;
        for (language, sentence) in [("es-CO", spanish), ("en", english)] {
            for path in [
                format!("/api/videos/{id}"),
                "/api/videos?limit=1".to_owned(),
            ] {
                let request = app.as_player(&ana, Method::GET, &path);
                let answer = Response::of(request.header("accept-language", language)).await;
                let body = answer.ok();
                let video = body.get(0).unwrap_or(&body);
                assert_eq!(video["failure_code"], code);
                assert_eq!(video["failure_reason"], sentence);
                assert_eq!(video["status"], "failed");
            }
        }
    }
}

#[test]
fn every_failure_code_is_covered() {
    let mut codes: Vec<_> = failures()
        .iter()
        .map(|(code, ..)| (*code).to_owned())
        .collect();
    codes.sort();
    let rejections = sources::variants("media/input/rejection.rs", "Rejection");
    let failures = sources::variants("videos/failure.rs", "Failure");
    let mut all: Vec<_> = [rejections, failures]
        .concat()
        .iter()
        .filter(|variant| *variant != "Rejected")
        .map(|variant| sources::snake_case(variant))
        .collect();
    all.sort();
    assert_eq!(codes, all);
}
