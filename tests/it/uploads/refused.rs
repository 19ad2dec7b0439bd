//! Bodies that are rejected while they are sent. The client must receive the reason, and must not
//! occupy the server.

use std::{process::Command, time::Duration};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{interval, timeout},
};

use super::{assert_nothing_left, chunked, file, limited, send, start, titled};
use crate::support::{Player, mp4, read};

/// A limit above the time for which the server keeps reading.
const LIMIT: Duration = Duration::from_mins(1);

#[tokio::test]
async fn client_receives_the_rejection_while_still_sending() {
    let (app, ana) = limited().await;
    let stranger = Player {
        email: String::new(),
        token: "none".to_owned(),
    };
    let film = mp4(20_000_000);
    let text = vec![b'x'; 20_000_000];
    for (player, bytes, refusal) in [
        (&ana, &film, (400, "file_too_large")),
        (&ana, &text, (400, "not_an_mp4")),
        (&stranger, &film, (401, "unauthorized")),
    ] {
        // A declared length is enough to reject the body.
        let declared = send(
            &app,
            player,
            titled().part("video_file", file(bytes.clone())),
        )
        .await;
        let expected = if refusal.1 == "not_an_mp4" {
            (400, "file_too_large")
        } else {
            refusal
        };
        assert_eq!(declared.refusal(), expected);
        let unknown = send(
            &app,
            player,
            titled().part("video_file", chunked(bytes.clone())),
        )
        .await;
        assert_eq!(unknown.refusal(), refusal);
    }
    assert_nothing_left(&app, "refused").await;
}

#[tokio::test]
async fn curl_receives_the_rejection() {
    let (app, ana) = limited().await;
    let film = app.folder.path().join("film.mp4");
    std::fs::write(&film, mp4(20_000_000)).unwrap();
    for (token, mode, code) in [
        (ana.token.as_str(), "Expect:", "file_too_large"),
        (&ana.token, "Expect: 100-continue", "file_too_large"),
        (&ana.token, "Transfer-Encoding: chunked", "file_too_large"),
        ("none", "Expect:", "unauthorized"),
        ("none", "Transfer-Encoding: chunked", "unauthorized"),
    ] {
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "-H",
            mode,
            "-H",
            &format!("Authorization: Bearer {token}"),
        ])
        .args(["-F", "title=Mi mejor jugada", "-F"])
        .arg(format!("video_file=@{}", film.display()))
        .arg(format!("{}/api/videos/upload", app.url));
        let output = tokio::task::spawn_blocking(move || curl.output().unwrap());
        let output = output.await.unwrap();
        let body = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{mode}: {error}");
        assert!(
            body.contains(&format!("\"code\":\"{code}\"")),
            "{mode}: {body}"
        );
    }
}

#[tokio::test]
async fn client_that_reads_only_at_the_end_receives_the_rejection() {
    let (app, ana) = limited().await;
    let head = format!(
        "POST /api/videos/upload HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}\r\n\
         content-type: multipart/form-data; boundary=b\r\ncontent-length: 20000000\r\n\r\n",
        ana.token
    );
    let mut connection = app.open(head.as_bytes()).await;
    connection.write_all(&vec![b'x'; 20_000_000]).await.unwrap();
    assert!(read(&mut connection).await.contains("file_too_large"));
}

#[tokio::test]
async fn request_without_token_is_rejected_before_its_body() {
    let (app, _) = start(&[]).await;
    let answer = app
        .raw(
            "POST /api/videos/upload HTTP/1.1\r\ncontent-length: 90000000\r\n\
             content-type: multipart/form-data; boundary=b",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("\"code\":\"unauthorized\""), "{answer}");
}

#[tokio::test]
async fn rejected_chunked_body_is_not_read_endlessly() {
    let (app, ana) = limited().await;
    let head = |token| {
        format!(
            "POST /api/videos/upload HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\n\
             content-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked\r\n\r\n"
        )
    };
    let cases = [("none", "unauthorized"), (&ana.token, "body_too_large")];
    join_all(cases.map(|(token, code)| {
        let (app, head) = (&app, head(token));
        async move {
            let mut connection = app.open(head.as_bytes()).await;
            let answer = timeout(LIMIT, send_endlessly(&mut connection))
                .await
                .unwrap();
            assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{answer}");
            assert!(answer.contains("connection: close\r\n"), "{answer}");
        }
    }))
    .await;
}

/// Sends chunks until the server closes the connection. Returns its response.
async fn send_endlessly(connection: &mut TcpStream) -> String {
    let chunk = [b"2000\r\n", &[b'x'; 0x2000][..], b"\r\n"].concat();
    let (mut answer, mut body) = connection.split();
    let sending = async { while body.write_all(&chunk).await.is_ok() {} };
    let reading = async {
        let mut bytes = Vec::new();
        // The connection ends with a reset, because the server leaves data unread.
        drop(answer.read_to_end(&mut bytes).await);
        String::from_utf8(bytes).unwrap()
    };
    tokio::join!(sending, reading).1
}

#[tokio::test]
async fn client_that_keeps_sending_slowly_receives_the_rejection() {
    let (app, ana) = start(&[]).await;
    let head = |token: &str, length| {
        format!(
            "POST /api/videos/upload HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\n\
             content-type: multipart/form-data; boundary=b\r\n{length}\r\n\r\n"
        )
    };
    let cases = [
        head("none", "content-length: 10000000"),
        head("none", "transfer-encoding: chunked"),
        // Not a form, which the server detects at the end or at a size limit.
        head(&ana.token, "transfer-encoding: chunked"),
    ];
    join_all(cases.map(|head| {
        let app = &app;
        async move {
            let mut connection = app.open(head.as_bytes()).await;
            let chunk = [b"13880\r\n", &vec![b'x'; 80_000][..], b"\r\n"].concat();
            // Longer than the server keeps reading from a connection that it closes.
            let mut pace = interval(Duration::from_millis(200));
            for _ in 0..70 {
                pace.tick().await;
                connection.write_all(&chunk).await.unwrap();
            }
            // The server waits for more data, and has sent its response long ago.
            let mut answer = [0; 4096];
            let length = connection.read(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer[..length]);
            assert!(answer.contains("\"code\":\""), "{answer}");
            assert!(answer.contains("connection: close\r\n"), "{answer}");
        }
    }))
    .await;
}

#[tokio::test]
async fn connection_is_reusable_after_a_chunked_body() {
    let (app, _) = limited().await;
    let login = "POST /api/auth/login HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
                 transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    let mut connection = app.open(login.as_bytes()).await;
    let health = "GET /health HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    connection.write_all(health.as_bytes()).await.unwrap();
    let answers = read(&mut connection).await;
    assert!(answers.contains("HTTP/1.1 400 "), "{answers}");
    assert!(answers.contains("HTTP/1.1 200 "), "{answers}");
}
