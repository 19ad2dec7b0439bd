//! The protocol, step by step.

use anb::{ids::VideoId, videos::clean};
use futures_util::future::join_all;
use reqwest::Method;
use ring::digest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{assert_complete, assert_nothing_left, settings};
use crate::support::{
    Player, Response, TestApp, eventually, on_both,
    tus::{BYTES, film_of, metadata},
};

const MB: usize = 1_000_000;

on_both! {
    film_in_pieces_becomes_a_video,
    film_in_one_request_becomes_a_video,
    short_pieces_are_checked_together,
    other_files_are_rejected_at_their_start,
    cancelled_upload_leaves_nothing,
    expired_upload_is_gone_and_then_unknown,
    damaged_bytes_are_discarded,
    body_without_a_length_is_received,
    excess_bytes_are_refused,
}

async fn film_in_pieces_becomes_a_video(app: &TestApp) {
    let ana = app.insert_user("Ana", "Cali").await;
    let film = film_of(13 * MB);
    let upload = app.create_upload(&ana, film.len()).await;
    let mut offset = 0;
    for end in [1, 1, 4095, MB, 6 * MB, 6 * MB + 1, 12 * MB, film.len()] {
        assert_eq!(app.offset(&ana, &upload).await, Ok(offset));
        assert_eq!(app.number("SELECT count(*) FROM videos").await, 0);
        let sent = app
            .send_bytes(&ana, &upload, offset, &film[offset..end])
            .await;
        assert_eq!(sent.status, 204, "{sent:?}");
        assert_eq!(sent.header("upload-offset"), end.to_string());
        assert_eq!(sent.header("upload-expires").is_empty(), end == film.len());
        offset = end;
    }
    assert_complete(app, &ana, &upload, &film).await;
    assert_eq!(app.number("SELECT count(*) FROM uploads").await, 0);
    assert_eq!(app.queue.stats().await.unwrap().waiting, 1);
    let (_, id) = upload.rsplit_once('/').unwrap();
    let video = app.video(&ana, id).await;
    assert_eq!(video["title"], "Mi mejor jugada");
    assert_eq!(video["is_public"], true);
    assert_eq!(
        app.number("SELECT original_bytes FROM videos").await,
        13 * 1_000_000
    );
    // A complete upload takes no more bytes, and is deleted as a video.
    let late = app.send_bytes(&ana, &upload, 6 * MB, &film[6 * MB..]).await;
    assert_eq!(late.refusal(), (409, "offset_mismatch"));
    assert_eq!(late.header("upload-offset"), film.len().to_string());
    let last = app.send_bytes(&ana, &upload, film.len(), b"").await;
    assert_eq!(last.status, 204, "{last:?}");
    assert_eq!(last.header("upload-offset"), film.len().to_string());
    let cancelled = Response::of(app.tus(&ana, Method::DELETE, &upload)).await;
    assert_eq!(cancelled.status, 404);
}

async fn film_in_one_request_becomes_a_video(app: &TestApp) {
    let ana = app.insert_user("Ana", "Cali").await;
    for length in [5000, 5 * 1024 * 1024, 11 * MB] {
        let film = film_of(length);
        let upload = app.create_upload(&ana, length).await;
        let sent = app.send_bytes(&ana, &upload, 0, &film).await;
        assert_eq!(sent.status, 204, "{sent:?}");
        assert_complete(app, &ana, &upload, &film).await;
        app.execute("DELETE FROM videos").await;
        app.storage
            .delete_video(VideoId::parse(&upload[13..]).unwrap())
            .await
            .unwrap();
    }
}

async fn short_pieces_are_checked_together(app: &TestApp) {
    let ana = app.insert_user("Ana", "Cali").await;
    let upload = app.create_upload(&ana, 9000).await;
    let text = b"This is no film. ".repeat(600);
    for start in [0, 1000, 2000] {
        let sent = app
            .send_bytes(&ana, &upload, start, &text[start..start + 1000])
            .await;
        assert_eq!(sent.status, 204, "{sent:?}");
    }
    let sent = app.send_bytes(&ana, &upload, 3000, &text[3000..9000]).await;
    assert_eq!(sent.refusal(), (400, "not_an_mp4"));
    assert_nothing_left(app).await;

    let upload = app.create_upload(&ana, 12).await;
    let sent = app.send_bytes(&ana, &upload, 0, b"Hello, tusd!").await;
    assert_eq!(sent.refusal(), (400, "not_an_mp4"));
    assert_nothing_left(app).await;
}

async fn other_files_are_rejected_at_their_start(app: &TestApp) {
    let ana = app.insert_user("Ana", "Cali").await;
    let upload = app.create_upload(&ana, 50 * MB).await;
    let text = b"This is no film.".repeat(4096);
    let mut sending = app.begin_sending(&ana, &upload, 0, 50 * MB, &text).await;
    // The response arrives although the body has hardly begun.
    let mut answer = [0; 12];
    sending.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
    assert_nothing_left(app).await;
    assert_eq!(app.offset(&ana, &upload).await, Err(404));
}

async fn cancelled_upload_leaves_nothing(app: &TestApp) {
    let ana = app.insert_user("Ana", "Cali").await;
    let film = film_of(9 * MB);
    for sent in [0, 100, 8 * MB] {
        let upload = app.create_upload(&ana, film.len()).await;
        app.send_bytes(&ana, &upload, 0, &film[..sent]).await;
        let cancelled = Response::of(app.tus(&ana, Method::DELETE, &upload)).await;
        assert_eq!(cancelled.status, 204, "{cancelled:?}");
        assert_nothing_left(app).await;
        assert_eq!(app.offset(&ana, &upload).await, Err(404));
        let again = Response::of(app.tus(&ana, Method::DELETE, &upload)).await;
        assert_eq!(again.status, 404);
    }
}

async fn expired_upload_is_gone_and_then_unknown(app: &TestApp) {
    let ana = app.insert_user("Ana", "Cali").await;
    let film = film_of(9 * MB);
    let upload = app.create_upload(&ana, film.len()).await;
    app.send_bytes(&ana, &upload, 0, &film[..8 * MB]).await;
    let context = app.context().await;
    let clean = async || {
        let cleaned = clean::run(&context.backends, &settings(app)).await;
        cleaned.unwrap().uploads
    };
    assert_eq!(clean().await, 0);
    app.execute("UPDATE uploads SET expires_at = now() - interval '1 s'")
        .await;
    assert_eq!(app.offset(&ana, &upload).await, Err(410));
    let sent = app.send_bytes(&ana, &upload, 8 * MB, &film[8 * MB..]).await;
    assert_eq!(sent.refusal(), (410, "upload_gone"));
    let list = app.call(&ana, Method::GET, "/api/uploads").await.ok();
    assert_eq!(list, serde_json::json!([]));
    assert_eq!(clean().await, 1);
    assert_nothing_left(app).await;
    assert_eq!(app.offset(&ana, &upload).await, Err(404));
}

async fn damaged_bytes_are_discarded(app: &TestApp) {
    let ana = app.insert_user("Ana", "Cali").await;
    let film = film_of(12 * MB);
    let upload = app.create_upload(&ana, film.len()).await;
    let mut damaged = film[..11 * MB].to_vec();
    damaged[10 * MB] ^= 1;
    let checked = async |offset: usize, checksum: String, bytes: &[u8]| {
        let request = app.tus(&ana, Method::PATCH, &upload);
        let request = request.header("upload-offset", offset);
        let request = request.header("upload-checksum", checksum);
        Response::of(request.header("content-type", BYTES).body(bytes.to_vec())).await
    };
    let sha256 = |bytes: &[u8]| {
        let digest = digest::digest(&digest::SHA256, bytes);
        let digest = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest);
        format!("sha256 {digest}")
    };
    let sent = checked(0, sha256(&film[..11 * MB]), &damaged).await;
    assert_eq!(sent.refusal(), (460, "checksum_mismatch"));
    assert_eq!(app.offset(&ana, &upload).await, Ok(0));
    let sent = checked(0, sha256(&film[..11 * MB]), &film[..11 * MB]).await;
    assert_eq!(sent.status, 204, "{sent:?}");
    // `printf | sha1sum`, of the empty message.
    let sent = checked(11 * MB, "sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=".to_owned(), b"").await;
    assert_eq!(sent.status, 204, "{sent:?}");
    let sent = checked(11 * MB, sha256(&film[11 * MB..]), &film[11 * MB..]).await;
    assert_eq!(sent.status, 204, "{sent:?}");
    assert_complete(app, &ana, &upload, &film).await;
}

/// Sends bytes to an upload in chunks, so without their length.
async fn send_chunked(app: &TestApp, player: &Player, upload: &str, bytes: &[u8]) -> Response {
    let pieces: Vec<_> = bytes
        .chunks(70_000)
        .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()))
        .collect();
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let request = app.tus(player, Method::PATCH, upload);
    let request = request
        .header("upload-offset", 0)
        .header("content-type", BYTES);
    Response::of(request.body(body)).await
}

async fn body_without_a_length_is_received(app: &TestApp) {
    let ana = app.insert_user("Ana", "Cali").await;
    let film = film_of(6 * MB);
    let upload = app.create_upload(&ana, film.len()).await;
    let sent = send_chunked(app, &ana, &upload, &film).await;
    assert_eq!(sent.status, 204, "{sent:?}");
    assert_complete(app, &ana, &upload, &film).await;
}

async fn excess_bytes_are_refused(app: &TestApp) {
    let ana = app.insert_user("Ana", "Cali").await;
    let film = film_of(MB);
    let upload = app.create_upload(&ana, film.len() - 1).await;
    let sent = app.send_bytes(&ana, &upload, 0, &film).await;
    assert_eq!(sent.refusal(), (413, "upload_too_large"));
    assert_eq!(app.offset(&ana, &upload).await, Ok(0));
    let sent = send_chunked(app, &ana, &upload, &film).await;
    assert_eq!(sent.refusal(), (413, "upload_too_large"));
    assert_eq!(app.number("SELECT count(*) FROM videos").await, 0);
}

#[tokio::test]
async fn repeated_creation_returns_the_same_upload() {
    let app = TestApp::spawn_with(&["--write-rate", "off"], &[]).await;
    let ana = app.insert_user("Ana", "Cali").await;
    let luis = app.insert_user("Luis", "Cali").await;
    let create = async |player, key: &str, length: usize, pairs: &[(&str, &str)]| {
        let mut request = app
            .tus(player, Method::POST, "/api/uploads")
            .header("upload-length", length)
            .header("upload-metadata", metadata(pairs));
        if !key.is_empty() {
            request = request.header("idempotency-key", key);
        }
        Response::of(request).await
    };
    let title = [("title", "Mi mejor jugada")];
    let film = film_of(50_000);
    let results = join_all((0..64).map(|_| create(&ana, "a", film.len(), &title))).await;
    let upload = results[0].header("location");
    for created in &results {
        assert_eq!(created.status, 201, "{created:?}");
        assert_eq!(created.header("location"), upload);
    }
    assert_eq!(app.number("SELECT count(*) FROM uploads").await, 1);
    // Keys belong to players.
    assert_ne!(
        create(&luis, "a", film.len(), &title)
            .await
            .header("location"),
        upload
    );
    app.execute("DELETE FROM uploads USING users WHERE users.id = user_id AND email LIKE 'luis%'")
        .await;

    // The offset tells how much of it arrived.
    app.send_bytes(&ana, &upload, 0, &film[..20_000]).await;
    let again = create(&ana, "a", film.len(), &title).await;
    assert_eq!(
        (again.header("location"), again.header("upload-offset")),
        (upload.clone(), "20000".to_owned())
    );
    assert_eq!(
        create(&ana, "a", film.len() + 1, &title).await.refusal(),
        (422, "idempotency_key_reused")
    );
    let other = [("title", "Otra jugada")];
    assert_eq!(
        create(&ana, "a", film.len(), &other).await.refusal(),
        (422, "idempotency_key_reused")
    );

    // The last response was lost, and so is the next one.
    app.send_bytes(&ana, &upload, 20_000, &film[20_000..]).await;
    let again = create(&ana, "a", film.len(), &title).await;
    assert_eq!(again.header("location"), upload);
    assert_eq!(again.header("upload-offset"), "50000");
    assert_complete(&app, &ana, &upload, &film).await;

    // A failed or deleted video may be uploaded again.
    app.execute("UPDATE videos SET status = 'failed', failure = '{\"code\": \"too_short\"}'")
        .await;
    let retried = create(&ana, "a", film.len(), &title)
        .await
        .header("location");
    assert_ne!(retried, upload);
    assert_eq!(
        create(&ana, "a", film.len(), &title)
            .await
            .header("location"),
        retried
    );
    let cancelled = Response::of(app.tus(&ana, Method::DELETE, &retried)).await;
    assert_eq!(cancelled.status, 204);
    assert_ne!(
        create(&ana, "a", film.len(), &title)
            .await
            .header("location"),
        retried
    );
}

#[tokio::test]
async fn creation_that_names_a_file_needs_no_key() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let create = async |length: usize, pairs: &[(&str, &str)]| {
        let request = app.tus(&ana, Method::POST, "/api/uploads");
        let request = request.header("upload-length", length);
        let created = Response::of(request.header("upload-metadata", metadata(pairs))).await;
        created.header("location")
    };
    let named = [("title", "Mi mejor jugada"), ("filename", "jugada.mp4")];
    let first = create(5000, &named).await;
    assert_eq!(create(5000, &named).await, first);
    assert_ne!(create(5001, &named).await, first);
    app.execute("DELETE FROM uploads").await;
    let unnamed = [("title", "Mi mejor jugada")];
    assert_ne!(create(5000, &unnamed).await, create(5000, &unnamed).await);
}

#[tokio::test]
async fn open_uploads_of_a_player_are_listed_and_limited() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let luis = app.insert_user("Luis", "Cali").await;
    let mut uploads = Vec::new();
    for length in [5000, 6000, 7000] {
        uploads.push(app.create_upload(&ana, length).await);
    }
    let refused = Response::of(app.creation(&ana, 8000)).await;
    assert_eq!(refused.refusal(), (429, "too_many_uploads"));
    app.create_upload(&luis, 8000).await;
    app.send_bytes(&ana, &uploads[1], 0, &film_of(100)).await;
    let list = app.call(&ana, Method::GET, "/api/uploads").await.ok();
    let list = list.as_array().unwrap();
    let summary: Vec<_> = list
        .iter()
        .map(|upload| {
            (
                upload["length"].as_u64().unwrap(),
                upload["offset"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(summary, [(7000, 0), (6000, 100), (5000, 0)]);
    let cancelled = Response::of(app.tus(&ana, Method::DELETE, &uploads[0])).await;
    assert_eq!(cancelled.status, 204);
    app.create_upload(&ana, 8000).await;
}

#[tokio::test]
async fn uploads_of_others_are_unknown() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let luis = app.insert_user("Luis", "Cali").await;
    let film = film_of(10_000);
    let upload = app.create_upload(&ana, film.len()).await;
    let first = &film[..5000];
    let mut sending = app.begin_sending(&ana, &upload, 0, film.len(), first).await;
    eventually("the first bytes are durable", 60, async || {
        app.number("SELECT received FROM uploads").await == 5000
    })
    .await;
    try_as_stranger(&app, &luis, &upload).await;
    // The owner's request goes on.
    sending.write_all(&film[5000..]).await.unwrap();
    let mut answer = [0; 12];
    sending.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 204");
    try_as_stranger(&app, &luis, &upload).await;
    assert_complete(&app, &ana, &upload, &film).await;
}

async fn try_as_stranger(app: &TestApp, stranger: &Player, upload: &str) {
    assert_eq!(app.offset(stranger, upload).await, Err(404));
    let sent = app.send_bytes(stranger, upload, 5000, b"other").await;
    assert_eq!(sent.status, 404);
    let cancelled = Response::of(app.tus(stranger, Method::DELETE, upload)).await;
    assert_eq!(cancelled.status, 404);
    let list = app.call(stranger, Method::GET, "/api/uploads").await.ok();
    assert_eq!(list, serde_json::json!([]));
}

#[tokio::test]
async fn invalid_creation_is_refused_before_the_first_byte() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let refused = Response::of(app.creation(&ana, 104_857_601)).await;
    assert_eq!(refused.refusal(), (413, "upload_too_large"));
    let request = app.tus(&ana, Method::POST, "/api/uploads");
    let request = request.header("upload-length", 5000);
    let refused =
        Response::of(request.header("upload-metadata", metadata(&[("title", "x")]))).await;
    assert_eq!(refused.fields(), [("title", "too_short")]);
    assert_nothing_left(&app).await;
}
