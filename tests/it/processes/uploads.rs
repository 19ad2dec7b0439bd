//! Large uploads to the real program: size limit, full disk, graceful stop and resource usage.

use std::{fs, time::Instant};

use actix_web::web::Bytes;
use futures_util::future::join_all;
use reqwest::{
    Body, Method,
    multipart::{Form, Part},
};
use rustix::process::Signal;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{
    STOP,
    process::{Process, Role, SystemUnderTest},
    system,
};
use crate::support::{Mount, Player, Response, TestApp, eventually, mp4, read};

/// `MAX_FILE_SIZE` by default: 100 MiB.
const MAX: usize = 104_857_600;

const MB: usize = 1_000_000;

/// Size of a part of an S3 upload, and the number of parts that all uploads send concurrently.
const PART: u64 = 5 * 1024 * 1024;
const PARTS_IN_FLIGHT: u32 = 8;

/// Maximum memory above that of an idle process, not counting parts (bytes).
const HEADROOM: u64 = 64_000_000;

/// Maximum memory of a process before its first request (bytes).
const IDLE: u64 = 25_000_000;

/// Like [`IDLE`], with the clients of SQS and S3, which hold TLS state and endpoint data (bytes).
const IDLE_ON_AWS: u64 = 32_000_000;

/// Maximum memory that logins may retain, which is less than one hash needs (bytes).
const LEFTOVER: u64 = 16_000_000;

#[tokio::test]
async fn upload_of_100_mib_is_accepted_and_one_more_byte_is_rejected() {
    let (app, _house, _serve) = serving().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let mut film = mp4(MAX + 1);
    let refused = app.upload(&ana, film.clone(), false).await;
    assert_eq!(refused.refusal(), (400, "file_too_large"));
    assert_eq!(traces(&app).await, (vec![], 0));
    film.truncate(MAX);
    let id = app.uploaded(&ana, film, false).await;
    let stored = app.folder.path().join(format!("uploads/{id}.mp4"));
    assert_eq!(fs::metadata(stored).unwrap().len(), 104_857_600);
}

#[tokio::test]
async fn upload_to_a_full_disk_fails_and_leaves_nothing() {
    let (mut app, system) = system().await;
    let Some(_disk) = Mount::tmpfs(&app.folder.path().join("uploads"), "size=1m") else {
        return;
    };
    let mut serve = system.start(Role::Serve);
    serve.until_ready().await;
    app.url.clone_from(&serve.url);
    let ana = app.insert_user("Ana", "Cali").await;
    let refused = app.upload(&ana, mp4(3 * MB), false).await;
    assert_eq!(refused.refusal(), (503, "storage_full"));
    assert_ne!(refused.header("retry-after"), "");
    assert_eq!(traces(&app).await, (vec![], 0));
    // A smaller file still fits.
    app.uploaded(&ana, mp4(MB / 2), false).await;
}

#[tokio::test]
async fn stopping_api_finishes_its_upload_and_accepts_no_connections() {
    let (app, _house, mut serve) = serving().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let form = "--b\r\ncontent-disposition: form-data; name=\"title\"\r\n\r\nMi mejor jugada\r\n\
                --b\r\ncontent-disposition: form-data; name=\"video_file\"; filename=\"x.mp4\"\r\n\r\n";
    let body = [form.as_bytes(), &mp4(MB), b"\r\n--b--\r\n"].concat();
    let head = format!(
        "POST /api/videos/upload HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}\r\n\
         content-type: multipart/form-data; boundary=b\r\ncontent-length: {}\r\n\r\n",
        ana.token,
        body.len()
    );
    let (first, rest) = body.split_at(MB / 2);
    let mut upload = app.open(head.as_bytes()).await;
    upload.write_all(first).await.unwrap();
    eventually("the file exists", 60, async || app.files().len() == 1).await;

    serve.signal(Signal::TERM);
    let address = serve.url.strip_prefix("http://").unwrap().to_owned();
    eventually("new connections are refused", 60, async || {
        TcpStream::connect(&address).await.is_err()
    })
    .await;
    upload.write_all(rest).await.unwrap();
    let answer = read(&mut upload).await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(serve.ended(STOP).await, Some(0), "{}", serve.log());
    assert_eq!(app.number("SELECT count(*) FROM videos").await, 1);
}

/// Measures `make bench-uploads`.
#[tokio::test]
#[ignore = "moves 3.6 GB: make bench-uploads"]
async fn concurrent_uploads_stay_within_64_mb_of_idle() {
    println!("| at once | to | idle | peak | peak − idle | CPU for each | together |");
    println!("|---|---|---|---|---|---|---|");
    for (count, megabytes) in [(8, 52), (32, 100)] {
        uploads_at_once(TestApp::spawn().await, count, megabytes).await;
        uploads_at_once(TestApp::spawn_on_aws().await, count, megabytes).await;
    }
}

async fn uploads_at_once(app: TestApp, count: u32, megabytes: usize) {
    // With S3 each upload fills one part while others are sent.
    let (place, parts, most_idle) = match app.bucket {
        None => ("disk", 0, IDLE),
        Some(_) => ("S3", count + PARTS_IN_FLIGHT, IDLE_ON_AWS),
    };
    let (app, _house, serve) = serving_on(app).await;
    let idle = serve.memory("VmRSS");
    // Password hashing has the highest memory peak, so it runs first.
    let ana = app.sign_up("Ana", "Cali").await;
    let film = Bytes::from(mp4(megabytes * MB));
    let (started, cpu) = (Instant::now(), serve.cpu_seconds());
    for answer in join_all((0..count).map(|_| upload(&app, &ana, film.clone()))).await {
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    let took = started.elapsed().as_secs_f64();
    let cpu = (serve.cpu_seconds() - cpu) / f64::from(count);
    let peak = serve.memory("VmHWM");
    let above = peak.saturating_sub(idle);
    let rate = f64::from(count) * f64::from(u32::try_from(megabytes).unwrap()) / took;
    println!(
        "| {count} uploads of {megabytes} MB | {place} | {} | {} | {} | {cpu:.2} s | {rate:.0} MB/s |",
        mb(idle),
        mb(peak),
        mb(above),
    );
    assert!(idle <= most_idle, "{}", mb(idle));
    let limit = HEADROOM + u64::from(parts) * PART;
    assert!(above <= limit, "{} above idle", mb(above));
}

/// Logins also need much memory and time, which changes to uploads must not increase.
#[tokio::test]
#[ignore = "measures: make bench-uploads"]
async fn logins_retain_no_memory() {
    const LOGINS: u32 = 40;
    let (app, _house, serve) = serving().await;
    let idle = serve.memory("VmRSS");
    let ana = app.sign_up("Ana", "Cali").await;
    let cpu = serve.cpu_seconds();
    for _ in 0..LOGINS / 4 {
        join_all((0..4).map(|_| app.log_in(&ana.email))).await;
    }
    let cpu_ms = (serve.cpu_seconds() - cpu) / f64::from(LOGINS) * 1000.0;
    let (peak, after) = (serve.memory("VmHWM"), serve.memory("VmRSS"));
    println!(
        "{LOGINS} logins: idle {}, peak {}, afterwards {}, CPU for each {cpu_ms:.1} ms",
        mb(idle),
        mb(peak),
        mb(after)
    );
    assert!(after.saturating_sub(idle) <= LEFTOVER, "{}", mb(after));
}

fn mb(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

/// Returns an app whose requests go to a separate process that has not had any request yet.
async fn serving() -> (TestApp, SystemUnderTest, Process) {
    serving_on(TestApp::spawn().await).await
}

async fn serving_on(mut app: TestApp) -> (TestApp, SystemUnderTest, Process) {
    let mut system = SystemUnderTest::of(&app);
    system.set("MAX_OPEN_UPLOADS", "100");
    let serve = system.start(Role::Serve);
    eventually("the process listens", 60, async || {
        serve.log().contains("API is listening")
    })
    .await;
    app.url.clone_from(&serve.url);
    (app, system, serve)
}

/// Returns the files in storage and the number of rows in `videos` and `uploads`.
async fn traces(app: &TestApp) -> (Vec<String>, i64) {
    let rows = "(SELECT count(*) FROM videos) + (SELECT count(*) FROM uploads)";
    (app.files(), app.number(rows).await)
}

/// Uploads a shared film, so that the client needs no memory for each upload.
async fn upload(app: &TestApp, player: &Player, film: Bytes) -> Response {
    let length = u64::try_from(film.len()).unwrap();
    let part = Part::stream_with_length(Body::from(film), length).file_name("jugada.mp4");
    let form = Form::new().text("title", "Mi mejor jugada");
    let request = app.as_player(player, Method::POST, "/api/videos/upload");
    Response::of(request.multipart(form.part("video_file", part))).await
}
