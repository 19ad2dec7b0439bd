//! Broken and silent connections, newer requests, full disks and absent databases.

use std::time::Duration;

use diesel_async::SimpleAsyncConnection as _;
use futures_util::future::join_all;
use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::{assert_complete, assert_nothing_left, assert_tidy};
use crate::{
    processes::{
        STOP,
        process::{Role, SystemUnderTest},
    },
    support::{Mount, Response, TestApp, eventually, is_read, on_both, read, tus::film_of},
};

const MB: usize = 1_000_000;

/// What a newer request does first.
const FENCE: &str = "UPDATE uploads SET epoch = epoch + 1";

/// Bytes that the HTTP server may have read but not passed on when a connection breaks.
const BUFFERS: usize = 200_000;

on_both! {
    broken_connection_loses_nothing_that_arrived,
    newest_request_wins,
    fenced_writer_records_nothing,
    writer_fenced_before_its_commit_makes_no_video,
    absent_database_interrupts_an_upload,
    silent_client_keeps_what_it_sent,
}

#[tokio::test]
async fn newest_request_wins_across_processes_on_disk() {
    newest_request_wins_across_processes(TestApp::spawn().await).await;
}

#[tokio::test]
async fn newest_request_wins_across_processes_with_s3() {
    newest_request_wins_across_processes(TestApp::spawn_on_aws().await).await;
}

#[tokio::test]
async fn stopping_api_keeps_what_arrived_on_disk() {
    stopping_api_keeps_what_arrived(TestApp::spawn().await).await;
}

#[tokio::test]
async fn stopping_api_keeps_what_arrived_in_s3() {
    stopping_api_keeps_what_arrived(TestApp::spawn_on_aws().await).await;
}

async fn broken_connection_loses_nothing_that_arrived(app: &TestApp) {
    let ana = app.insert_user("Ana", "Cali").await;
    let film = film_of(12 * MB);
    let upload = app.create_upload(&ana, film.len()).await;
    let mut offset = 0;
    for end in [10, 5000, 3 * MB, 3 * MB, 9 * MB] {
        let (rest, sent) = (film.len() - offset, &film[offset..end.max(offset)]);
        let sending = app.begin_sending(&ana, &upload, offset, rest, sent).await;
        eventually("the server has read it", 60, async || is_read(&sending)).await;
        drop(sending);
        // Asking for the offset would end the request before the server has read everything.
        let least = i64::try_from(end.saturating_sub(BUFFERS)).unwrap();
        eventually("what arrived is durable", 60, async || {
            app.number("SELECT received FROM uploads").await >= least
        })
        .await;
        offset = app.offset(&ana, &upload).await.unwrap();
    }
    app.send_bytes(&ana, &upload, offset, &film[offset..]).await;
    assert_complete(app, &ana, &upload, &film).await;
}

/// A phone has changed networks: the old connection hangs, and a new one goes on.
async fn newest_request_wins(app: &TestApp) {
    let ana = app.insert_user("Ana", "Cali").await;
    let film = film_of(12 * MB);
    let upload = app.create_upload(&ana, film.len()).await;
    let mut hanging = app
        .begin_sending(&ana, &upload, 0, film.len(), &film[..7 * MB])
        .await;
    // The writer is asked to end, so its bytes count.
    let offset = app.offset(&ana, &upload).await.unwrap();
    assert!(offset <= 7 * MB, "{offset}");
    let sent = app.send_bytes(&ana, &upload, offset, &film[offset..]).await;
    assert_eq!(sent.status, 204, "{sent:?}");
    let answer = read(&mut hanging).await;
    assert!(answer.starts_with("HTTP/1.1 423 "), "{answer}");
    assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
    assert_complete(app, &ana, &upload, &film).await;
}

async fn newest_request_wins_across_processes(mut app: TestApp) {
    let system = SystemUnderTest::of(&app);
    let mut other = system.start(Role::Serve);
    other.until_ready().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let film = film_of(12 * MB);
    let upload = app.create_upload(&ana, film.len()).await;
    let mut hanging = app
        .begin_sending(&ana, &upload, 0, film.len(), &film[..7 * MB])
        .await;
    eventually("the first bytes are durable", 60, async || {
        app.number("SELECT received FROM uploads").await > 0
    })
    .await;
    app.url.clone_from(&other.url);
    let mut offset = 0;
    // While the old writer has not noticed, 423 asks to repeat the request.
    eventually("the other process takes over", 60, async || {
        offset = app.offset(&ana, &upload).await.unwrap();
        let sent = app.send_bytes(&ana, &upload, offset, &film[offset..]).await;
        assert!([204, 423].contains(&sent.status.as_u16()), "{sent:?}");
        sent.status == 204
    })
    .await;
    assert!((1..=7 * MB).contains(&offset), "{offset}");
    // The old writer changes nothing any more.
    drop(hanging.write_all(&film[7 * MB..]).await);
    let answer = read(&mut hanging).await;
    assert!(answer.starts_with("HTTP/1.1 423 "), "{answer}");
    assert_complete(&app, &ana, &upload, &film).await;
}

async fn fenced_writer_records_nothing(app: &TestApp) {
    let ana = app.insert_user("Ana", "Cali").await;
    let film = film_of(8 * MB);
    let upload = app.create_upload(&ana, film.len()).await;
    app.send_bytes(&ana, &upload, 0, &film[..MB]).await;
    let first = &film[MB..2 * MB];
    let mut sending = app.begin_sending(&ana, &upload, MB, 6 * MB, first).await;
    eventually("the request has begun", 60, async || {
        app.number("SELECT epoch FROM uploads").await == 2
    })
    .await;
    app.execute(FENCE).await;
    let received = app.number("SELECT received FROM uploads").await;
    drop(sending.write_all(&film[2 * MB..7 * MB]).await);
    let answer = read_response(&mut sending).await;
    assert!(answer.starts_with("HTTP/1.1 423 "), "{answer}");
    let offset = app.offset(&ana, &upload).await.unwrap();
    assert_eq!(i64::try_from(offset).unwrap(), received);
    app.send_bytes(&ana, &upload, offset, &film[offset..]).await;
    assert_complete(app, &ana, &upload, &film).await;
}

async fn writer_fenced_before_its_commit_makes_no_video(app: &TestApp) {
    let ana = app.insert_user("Ana", "Cali").await;
    let film = film_of(8 * MB);
    let upload = app.create_upload(&ana, film.len()).await;
    app.send_bytes(&ana, &upload, 0, &film[..MB]).await;
    let mut blocker = app.db.dedicated_connection().await.unwrap();
    let sending = app.begin_sending(&ana, &upload, MB, 7 * MB, &film[MB..7 * MB]);
    let mut sending = sending.await;
    eventually("the request has begun", 60, async || {
        app.number("SELECT received FROM uploads").await > 1_000_000
    })
    .await;
    let lock = "BEGIN; SELECT FROM uploads FOR UPDATE";
    blocker.batch_execute(lock).await.unwrap();
    sending.write_all(&film[7 * MB..]).await.unwrap();
    app.until_blocked().await;
    let fence = format!("{FENCE}; COMMIT");
    blocker.batch_execute(&fence).await.unwrap();
    let answer = read_response(&mut sending).await;
    assert!(answer.starts_with("HTTP/1.1 423 "), "{answer}");
    assert_eq!(app.number("SELECT count(*) FROM videos").await, 0);
    let offset = app.offset(&ana, &upload).await.unwrap();
    app.send_bytes(&ana, &upload, offset, &film[offset..]).await;
    assert_complete(app, &ana, &upload, &film).await;
}

async fn absent_database_interrupts_an_upload(app: &TestApp) {
    let ana = app.insert_user("Ana", "Cali").await;
    let film = film_of(20 * MB);
    let upload = app.create_upload(&ana, film.len()).await;
    app.send_bytes(&ana, &upload, 0, &film[..6 * MB]).await;
    let mut sending = app
        .begin_sending(&ana, &upload, 6 * MB, 14 * MB, &film[6 * MB..7 * MB])
        .await;
    app.place.close_database().await;
    // The next checkpoint fails.
    drop(sending.write_all(&film[7 * MB..]).await);
    let answer = read_response(&mut sending).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let refused = app
        .send_bytes(&ana, &upload, 6 * MB, &film[6 * MB..][..1000])
        .await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_ne!(refused.header("retry-after"), "");
    assert_eq!(app.offset(&ana, &upload).await, Err(503));

    app.place.open_database().await;
    eventually("the upload continues", 60, async || {
        let Ok(offset) = app.offset(&ana, &upload).await else {
            return false;
        };
        assert!(offset >= 6 * MB, "{offset}");
        let end = film.len().min(offset + MB);
        let sent = app
            .send_bytes(&ana, &upload, offset, &film[offset..end])
            .await;
        assert!([204, 423, 503].contains(&sent.status.as_u16()), "{sent:?}");
        sent.status == 204 && end == film.len()
    })
    .await;
    assert_complete(app, &ana, &upload, &film).await;
}

/// Takes as long as a client may be silent: 20 s.
async fn silent_client_keeps_what_it_sent(app: &TestApp) {
    let ana = app.insert_user("Ana", "Cali").await;
    let film = film_of(4 * MB);
    let upload = app.create_upload(&ana, film.len()).await;
    let sent = &film[..3 * MB];
    let mut sending = app.begin_sending(&ana, &upload, 0, film.len(), sent).await;
    let mut head = [0; 12];
    sending.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 503");
    assert_eq!(app.offset(&ana, &upload).await, Ok(3 * MB));
    app.send_bytes(&ana, &upload, 3 * MB, &film[3 * MB..]).await;
    assert_complete(app, &ana, &upload, &film).await;
}

async fn stopping_api_keeps_what_arrived(mut app: TestApp) {
    const UPLOADS: usize = 32;
    let mut system = SystemUnderTest::of(&app);
    system.set("MAX_RESUMABLE_UPLOADS", "100");
    system.set("MAX_OPEN_UPLOADS", "100");
    system.set("WRITE_RATE", "off");
    let mut serve = system.start(Role::Serve);
    serve.until_ready().await;
    app.url.clone_from(&serve.url);
    let ana = app.insert_user("Ana", "Cali").await;
    let film = film_of(6 * MB);
    let mut uploads = Vec::new();
    for _ in 0..UPLOADS {
        let upload = app.create_upload(&ana, film.len()).await;
        app.send_bytes(&ana, &upload, 0, &film[..MB]).await;
        let sending = app.begin_sending(&ana, &upload, MB, 5 * MB, &film[MB..5 * MB]);
        let sending = sending.await;
        uploads.push((upload, sending));
    }
    eventually("all connections are read", 60, async || {
        serve.requests_read() >= UPLOADS
    })
    .await;
    serve.signal(Signal::TERM);
    let stopped = std::time::Instant::now();
    let uploads = join_all(uploads.into_iter().map(async |(upload, mut sending)| {
        let (mut reader, mut writer) = sending.split();
        // The client is neither silent nor at its end before it is told to stop.
        let feeding = async {
            for piece in film[5 * MB..].chunks(10_000) {
                drop(writer.write_all(piece).await);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            std::future::pending::<()>().await;
        };
        let answer = tokio::select! {
            answer = read_response(&mut reader) => answer,
            () = feeding => unreachable!("it never ends"),
        };
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("upload_interrupted"), "{answer}");
        assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        upload
    }));
    let uploads = uploads.await;
    assert_eq!(serve.ended(STOP).await, Some(0), "{}", serve.log());
    println!("{UPLOADS} uploads stopped within {:?}", stopped.elapsed());

    let mut next = system.start(Role::Serve);
    next.until_ready().await;
    app.url.clone_from(&next.url);
    join_all(uploads.iter().map(async |upload| {
        let offset = app.offset(&ana, upload).await.unwrap();
        assert!((MB..film.len()).contains(&offset), "{offset}");
        let sent = app.send_bytes(&ana, upload, offset, &film[offset..]).await;
        assert_eq!(sent.status, 204, "{sent:?}: {}", next.log());
        assert!(app.uploaded_bytes(upload).await == film);
    }))
    .await;
    assert_eq!(app.number("SELECT count(*) FROM videos").await, 32);
    assert_tidy(&app).await;
}

/// Reads a response with a JSON object. Its client closes the connection then, which the server would
/// otherwise keep open for the rest of the request.
async fn read_response(connection: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        assert!(connection.read_buf(&mut answer).await.unwrap() > 0);
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn full_disk_keeps_what_is_durable() {
    let app = TestApp::spawn().await;
    let Some(disk) = Mount::tmpfs(&app.folder.path().join("uploads"), "size=12m") else {
        return;
    };
    let ana = app.insert_user("Ana", "Cali").await;
    let film = film_of(11 * MB);
    let refused = Response::of(app.creation(&ana, 20 * MB)).await;
    assert_eq!(refused.refusal(), (503, "storage_full"));
    let upload = app.create_upload(&ana, film.len()).await;
    app.send_bytes(&ana, &upload, 0, &film[..5 * MB]).await;
    // Another file takes the space.
    let other = app.folder.path().join("uploads/other");
    std::fs::write(&other, vec![7; 4 * MB]).unwrap();
    let refused = app.send_bytes(&ana, &upload, 5 * MB, &film[5 * MB..]).await;
    assert_eq!(refused.refusal(), (503, "storage_full"));
    assert_ne!(refused.header("retry-after"), "");
    let offset = app.offset(&ana, &upload).await.unwrap();
    assert!(offset >= 5 * MB, "{offset}");
    disk.remount("size=40m");
    app.send_bytes(&ana, &upload, offset, &film[offset..]).await;
    std::fs::remove_file(other).unwrap();
    assert_complete(&app, &ana, &upload, &film).await;
}

#[tokio::test]
async fn lost_bytes_end_an_upload() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let film = film_of(2 * MB);
    let upload = app.create_upload(&ana, film.len()).await;
    app.send_bytes(&ana, &upload, 0, &film[..MB]).await;
    let [stored] = &app.files()[..] else {
        panic!("{:?}", app.files())
    };
    std::fs::remove_file(app.folder.path().join(stored)).unwrap();
    let refused = app.send_bytes(&ana, &upload, MB, &film[MB..]).await;
    assert_eq!(refused.refusal(), (410, "upload_gone"));
    assert_nothing_left(&app).await;
}
