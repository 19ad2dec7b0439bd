//! Uploads: the form, the file, and the cleanup after a rejection.

mod forms;
mod refused;

use futures_util::{
    StreamExt as _,
    future::join_all,
    stream::{self, FuturesUnordered},
};
use reqwest::{
    Body, Method,
    multipart::{Form, Part},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Player, Response, TestApp, eventually, mp4, read};

const MAX: usize = 100_000;

fn file(bytes: Vec<u8>) -> Part {
    Part::bytes(bytes).file_name("jugada.mp4")
}

/// Like [`file`], but without a length, so that the request is sent in chunks.
fn chunked(bytes: Vec<u8>) -> Part {
    let bytes = stream::iter([Ok::<_, std::io::Error>(bytes)]);
    Part::stream(Body::wrap_stream(bytes)).file_name("jugada.mp4")
}

fn titled() -> Form {
    Form::new().text("title", "Mi mejor jugada")
}

async fn send(app: &TestApp, player: &Player, form: Form) -> Response {
    let request = app.as_player(player, Method::POST, "/api/videos/upload");
    Response::of(request.multipart(form)).await
}

async fn start(flags: &[&str]) -> (TestApp, Player) {
    let app = TestApp::spawn_with(flags, &[]).await;
    let ana = app.insert_user("Ana", "Cali").await;
    (app, ana)
}

async fn limited() -> (TestApp, Player) {
    start(&["--max-file-size", &MAX.to_string()]).await
}

/// Asserts that there is neither a file nor a row.
async fn assert_nothing_left(app: &TestApp, what: &str) {
    assert_eq!(app.files(), [""; 0], "{what}");
    let rows = "(SELECT count(*) FROM videos) + (SELECT count(*) FROM uploads)";
    assert_eq!(app.number(rows).await, 0, "{what}");
}

#[tokio::test]
async fn upload_is_accepted_and_waits_for_a_worker() {
    let (app, ana) = start(&[]).await;
    let answer = app.upload(&ana, mp4(5000), true).await;
    assert_eq!(answer.status, 201);
    assert_eq!(
        answer.body["message"],
        "Video subido correctamente. Procesamiento en curso."
    );
    let id = answer.body["task_id"].as_str().unwrap();
    assert_eq!(app.files(), [format!("uploads/{id}.mp4")]);
    assert_eq!(app.number("SELECT count(*) FROM uploads").await, 0);
    assert_eq!(app.number("SELECT original_bytes FROM videos").await, 5000);
    assert_eq!(app.queue.stats().await.unwrap().waiting, 1);
}

#[tokio::test]
async fn fields_may_come_in_any_order_and_among_others() {
    let (app, ana) = start(&[]).await;
    let film = || file(mp4(5000));
    let title = "Mi mejor jugada";
    for form in [
        Form::new()
            .part("video_file", film())
            .text("title", title)
            .text("is_public", "true"),
        Form::new()
            .text("is_public", "true")
            .text("title", title)
            .part("video_file", film()),
        Form::new()
            .text("title", title)
            .part("file", film())
            .text("is_public", " true "),
        Form::new()
            .text("csrf", "x")
            .text("title", title)
            .text("", "nameless")
            .text("is_public", "true")
            .part("video_file", film())
            .text("user_id", "7"),
    ] {
        let answer = send(&app, &ana, form).await.ok();
        let video = app.video(&ana, answer["task_id"].as_str().unwrap()).await;
        assert_eq!(video["title"], title);
        assert_eq!(video["is_public"], true);
    }
}

#[tokio::test]
async fn titles_are_trimmed_and_have_5_to_100_characters() {
    let (app, ana) = start(&[]).await;
    for title in ["  Ñandú  ".to_owned(), "ñ".repeat(100)] {
        let form = Form::new()
            .text("title", title.clone())
            .part("video_file", file(mp4(5000)));
        let answer = send(&app, &ana, form).await.ok();
        let video = app.video(&ana, answer["task_id"].as_str().unwrap()).await;
        assert_eq!(video["title"], title.trim());
        assert_eq!(video["is_public"], false, "by default");
    }
}

#[tokio::test]
async fn invalid_form_is_rejected_and_leaves_nothing() {
    let (app, ana) = start(&[]).await;
    let film = || file(mp4(5000));
    let long = "x".repeat(101);
    for (title, code) in [
        ("", "required"),
        ("  cuat  ", "too_short"),
        (&long, "too_long"),
        ("ma\0la mala", "invalid"),
    ] {
        for form in [
            Form::new()
                .text("title", title.to_owned())
                .part("video_file", film()),
            Form::new()
                .part("video_file", film())
                .text("title", title.to_owned()),
        ] {
            let answer = send(&app, &ana, form).await;
            assert_eq!(answer.fields(), [("title", code)], "{title}");
            assert_nothing_left(&app, title).await;
        }
    }
    for (what, form, refusal) in [
        (
            "no title",
            Form::new().part("video_file", film()),
            "validation_failed",
        ),
        ("no file", titled(), "missing_file"),
        ("nothing", Form::new().text("x", "y"), "validation_failed"),
        (
            "bad flag",
            titled()
                .part("video_file", film())
                .text("is_public", "maybe"),
            "validation_failed",
        ),
        (
            "two files",
            titled().part("video_file", film()).part("file", film()),
            "invalid_form",
        ),
        (
            "two titles",
            titled().text("title", "Otro título").part("file", film()),
            "invalid_form",
        ),
        (
            "huge title",
            Form::new()
                .text("title", "x".repeat(5000))
                .part("file", film()),
            "invalid_form",
        ),
    ] {
        let answer = send(&app, &ana, form).await;
        assert_eq!(answer.refusal(), (400, refusal), "{what}");
        assert_nothing_left(&app, what).await;
    }
}

#[tokio::test]
async fn malformed_form_is_rejected() {
    let (app, ana) = start(&[]).await;
    for (content_type, body) in [
        ("application/json", "{}"),
        ("multipart/form-data", "x"),
        ("multipart/form-data; boundary=b", "x"),
        (
            "multipart/form-data; boundary=b",
            "--b\r\n\r\nno name\r\n--b--\r\n",
        ),
        (
            "multipart/form-data; boundary=b",
            "--b\r\ncontent-disposition: form-data; name=\"title\"\r\n\r\nMi mejor jugada",
        ),
    ] {
        let request = app.as_player(&ana, Method::POST, "/api/videos/upload");
        let request = request.header("content-type", content_type).body(body);
        let answer = Response::of(request).await;
        assert_eq!(
            answer.refusal(),
            (400, "invalid_form"),
            "{content_type} {body}"
        );
        assert_nothing_left(&app, body).await;
    }
}

#[tokio::test]
async fn only_mp4_content_is_accepted_whatever_its_name() {
    let (app, ana) = start(&[]).await;
    let padded = |head: &[u8]| [head, &[0; 5000][..]].concat();
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("short text", b"hola".to_vec()),
        ("text", b"Esto no es un video. ".repeat(500)),
        ("png", padded(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")),
        ("mp3", padded(b"ID3\x04\0\0\0\0\0\0")),
        ("m4a", padded(b"\0\0\0\x1cftypM4A \0\0\0\0M4A mp42isom")),
        ("heic", padded(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")),
        ("html", padded(b"<!doctype html><script>alert(1)</script>")),
    ] {
        let part = file(bytes).mime_str("video/mp4").unwrap();
        let answer = send(&app, &ana, titled().part("video_file", part)).await;
        assert_eq!(answer.refusal(), (400, "not_an_mp4"), "{what}");
        assert_nothing_left(&app, what).await;
    }
}

#[tokio::test]
async fn file_of_maximum_size_is_accepted() {
    let (app, ana) = limited().await;
    for part in [file(mp4(MAX)), chunked(mp4(MAX))] {
        let answer = send(&app, &ana, titled().part("video_file", part)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
}

#[tokio::test]
async fn file_with_one_byte_too_many_is_rejected() {
    let (app, ana) = limited().await;
    for part in [file(mp4(MAX + 1)), chunked(mp4(MAX + 1))] {
        let answer = send(&app, &ana, titled().part("video_file", part)).await;
        assert_eq!(answer.refusal(), (400, "file_too_large"));
        assert_nothing_left(&app, "too large").await;
    }
}

#[tokio::test]
async fn disconnected_client_leaves_no_file() {
    let (app, ana) = start(&[]).await;
    let head = format!(
        "POST /api/videos/upload HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}\r\n\
         content-type: multipart/form-data; boundary=b\r\ncontent-length: 1000000\r\n\r\n\
         --b\r\ncontent-disposition: form-data; name=\"video_file\"; filename=\"x.mp4\"\r\n\r\n",
        ana.token
    );
    let mut connection = app.open(head.as_bytes()).await;
    connection.write_all(&mp4(50_000)).await.unwrap();
    eventually("the file has begun", 60, async || app.files().len() == 1).await;
    assert!(app.files()[0].contains(".part"));
    drop(connection);
    eventually("the file is removed", 60, async || app.files().is_empty()).await;
    assert_eq!(app.number("SELECT count(*) FROM videos").await, 0);
}

#[tokio::test]
async fn upload_is_accepted_without_a_broker() {
    let (app, ana) = start(&["--redis-url", "127.0.0.1:1"]).await;
    let id = app.uploaded(&ana, mp4(5000), true).await;
    assert_eq!(app.video(&ana, &id).await["status"], "uploaded");
    let waiting = "SELECT count(*) FROM videos WHERE enqueued_at IS NULL";
    assert_eq!(app.number(waiting).await, 1, "left to the sweeper");
}

#[tokio::test]
async fn uploads_are_limited_per_account() {
    let (app, ana) = start(&["--write-rate", "1/h"]).await;
    app.uploaded(&ana, mp4(5000), true).await;
    let refused = app.upload(&ana, mp4(5000), true).await;
    assert_eq!(refused.refusal(), (429, "too_many_requests"));
    assert_ne!(refused.header("retry-after"), "");
    let luis = app.insert_user("Luis", "Cali").await;
    app.uploaded(&luis, mp4(5000), true).await;
}

fn beginning(player: &Player) -> String {
    format!(
        "POST /api/videos/upload HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}\r\n\
         content-type: multipart/form-data; boundary=b\r\ncontent-length: 1000000\r\n\r\n\
         --b\r\ncontent-disposition: form-data; name=\"video_file\"; filename=\"x.mp4\"\r\n\r\n",
        player.token
    )
}

#[tokio::test]
async fn concurrent_uploads_are_limited_per_account() {
    let (app, ana) = start(&["--max-open-uploads", "2"]).await;
    let luis = app.insert_user("Luis", "Cali").await;
    let mut refused: FuturesUnordered<_> = (0..10)
        .map(async |_| {
            let mut connection = app.open(beginning(&ana).as_bytes()).await;
            let mut answer = [0; 1024];
            let length = connection.read(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
            (connection, answer)
        })
        .collect();
    // The other two are accepted and wait for the rest of their files.
    for _ in 0..8 {
        let (_, answer) = refused.next().await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
        assert!(answer.contains("retry-after: "), "{answer}");
    }
    assert_eq!(app.number("SELECT count(*) FROM uploads").await, 2);
    let answer = app.upload(&ana, mp4(5000), true).await;
    assert_eq!(answer.refusal(), (429, "too_many_open_uploads"));
    app.uploaded(&luis, mp4(5000), true).await;
    drop(refused);
    eventually("one may upload again", 60, async || {
        app.upload(&ana, mp4(5000), true).await.status == 201
    })
    .await;
}

#[tokio::test]
async fn waiting_videos_are_limited_per_account() {
    let (app, ana) = start(&["--max-open-uploads", "1", "--max-waiting-videos", "3"]).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(app.uploaded(&ana, mp4(5000), false).await);
    }
    let refused = app.upload(&ana, mp4(5000), false).await;
    assert_eq!(refused.refusal(), (429, "too_many_waiting_videos"));
    assert_ne!(refused.header("retry-after"), "");
    // The row in `uploads` that a deletion leaves does not count as an upload.
    for id in ids {
        app.call(&ana, Method::DELETE, &format!("/api/videos/{id}"))
            .await
            .ok();
    }
    app.uploaded(&ana, mp4(5000), false).await;
}

#[tokio::test]
async fn upload_that_takes_too_long_times_out() {
    let (app, ana) = start(&["--upload-timeout", "1s"]).await;
    let mut connection = app.open(beginning(&ana).as_bytes()).await;
    let answer = read(&mut connection).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\"code\":\"body_too_slow\""), "{answer}");
    assert_nothing_left(&app, "too slow").await;
}

#[tokio::test]
async fn concurrent_uploads_are_all_accepted() {
    let (app, ana) = start(&["--max-open-uploads", "24"]).await;
    let uploads = (0..24).map(|_| app.upload(&ana, mp4(1_000_000), false));
    for answer in join_all(uploads).await {
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    assert_eq!(app.files().len(), 24);
    assert_eq!(app.queue.stats().await.unwrap().waiting, 24);
}

#[tokio::test]
async fn upload_to_unreachable_bucket_may_be_retried() {
    let mut app = TestApp::spawn_on_aws().await;
    let ana = app.insert_user("Ana", "Cali").await;
    app.bucket = None;
    let answer = app.upload(&ana, mp4(5000), false).await;
    assert_eq!(answer.refusal(), (503, "unavailable"));
    assert!(!answer.header("retry-after").is_empty());
}
