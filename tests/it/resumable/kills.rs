//! Processes that are killed at any moment of an upload.

use std::time::Duration;

use diesel_async::SimpleAsyncConnection as _;
use rustix::process::Signal;
use tokio::{io::AsyncWriteExt as _, net::TcpListener, time::sleep};

use super::{assert_complete, assert_tidy};
use crate::{
    processes::{
        STOP,
        process::{Role, SystemUnderTest},
    },
    support::{TestApp, eventually, film, free_port, tus::film_of},
};

const MB: usize = 1_000_000;

/// Maximum bytes that a kill may cost: those between two checkpoints, at most two parts of S3, and
/// what the buffers of a fast connection hold.
const MAX_AGAIN: usize = 26 * MB;

#[tokio::test]
async fn killed_api_costs_few_bytes_on_disk() {
    killed_api_costs_few_bytes(TestApp::spawn().await, 12).await;
}

#[tokio::test]
async fn killed_api_costs_few_bytes_with_s3() {
    killed_api_costs_few_bytes(TestApp::spawn_on_aws().await, 6).await;
}

async fn killed_api_costs_few_bytes(mut app: TestApp, kills: usize) {
    let system = SystemUnderTest::of(&app);
    let port = free_port();
    let mut serve = system.start_at(port, Role::Serve, &[]);
    serve.until_alive().await;
    app.url.clone_from(&serve.url);
    let ana = app.insert_user("Ana", "Cali").await;
    let film = film_of(60 * MB);
    let upload = app.create_upload(&ana, film.len()).await;
    let (mut offset, mut most_again) = (0, 0);
    for kill in 1..=kills {
        let end = film.len() * kill / (kills + 1);
        let rest = film.len() - offset;
        let sent = &film[offset..end];
        let mut sending = app.begin_sending(&ana, &upload, offset, rest, &[]).await;
        // About 5 MB/s; all but what fits into the buffers of the connection arrives.
        for piece in sent.chunks(500_000) {
            sending.write_all(piece).await.unwrap();
            sleep(Duration::from_millis(100)).await;
        }
        serve.signal(Signal::KILL);
        assert_eq!(serve.ended(STOP).await, None);
        serve = system.start_at(port, Role::Serve, &[]);
        serve.until_alive().await;
        let found = app.offset(&ana, &upload).await.unwrap();
        assert!((offset..=end).contains(&found), "{offset} {found} {end}");
        most_again = most_again.max(end - found);
        offset = found;
    }
    println!("at most {most_again} bytes again");
    assert!(most_again <= MAX_AGAIN, "{most_again}");
    let sent = app.send_bytes(&ana, &upload, offset, &film[offset..]).await;
    assert_eq!(sent.status, 204, "{sent:?}");
    assert_complete(&app, &ana, &upload, &film).await;
}

#[tokio::test]
async fn api_killed_before_its_commit_has_no_video_on_disk() {
    api_killed_before_its_commit_has_no_video(TestApp::spawn().await).await;
}

#[tokio::test]
async fn api_killed_before_its_commit_has_no_video_with_s3() {
    api_killed_before_its_commit_has_no_video(TestApp::spawn_on_aws().await).await;
}

/// The file is finished, but the transaction that would insert the video waits for a lock.
async fn api_killed_before_its_commit_has_no_video(mut app: TestApp) {
    let system = SystemUnderTest::of(&app);
    let port = free_port();
    let mut serve = system.start_at(port, Role::Serve, &[]);
    serve.until_alive().await;
    app.url.clone_from(&serve.url);
    let ana = app.insert_user("Ana", "Cali").await;
    for (length, first) in [(3 * MB, MB), (3 * MB, 1000), (12 * MB, 4 * MB)] {
        let film = film_of(length);
        let upload = app.create_upload(&ana, length).await;
        app.send_bytes(&ana, &upload, 0, &film[..first]).await;
        let mut blocker = app.db.dedicated_connection().await.unwrap();
        let lock = "BEGIN; SELECT FROM users FOR UPDATE";
        blocker.batch_execute(lock).await.unwrap();
        let rest = length - first;
        let bytes = &film[first..];
        let sending = app.begin_sending(&ana, &upload, first, rest, bytes).await;
        app.until_blocked().await;
        let original = format!("uploads/{}.mp4", &upload["/api/uploads/".len()..]);
        assert!(app.files().contains(&original), "{:?}", app.files());
        serve.signal(Signal::KILL);
        assert_eq!(serve.ended(STOP).await, None);
        drop((sending, blocker));
        eventually("the transaction has ended", 60, async || {
            app.number("SELECT count(*) FROM pg_locks WHERE NOT granted")
                .await
                == 0
        })
        .await;
        assert_eq!(app.number("SELECT count(*) FROM videos").await, 0);
        assert_tidy(&app).await;

        serve = system.start_at(port, Role::Serve, &[]);
        serve.until_alive().await;
        let offset = app.offset(&ana, &upload).await.unwrap();
        assert!((first..length).contains(&offset), "{offset}");
        let sent = app.send_bytes(&ana, &upload, offset, &film[offset..]).await;
        assert_eq!(sent.status, 204, "{sent:?}");
        assert_complete(&app, &ana, &upload, &film).await;
        app.execute("DELETE FROM videos").await;
        let video = anb::ids::VideoId::parse(&upload["/api/uploads/".len()..]);
        app.storage.delete_video(video.unwrap()).await.unwrap();
    }
}

/// The video exists, but no message for a worker, because the broker does not answer.
#[tokio::test]
async fn video_of_an_api_killed_before_its_push_is_processed() {
    let mut app = TestApp::spawn().await;
    let broker = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("redis://{}", broker.local_addr().unwrap());
    let system = SystemUnderTest::of(&app);
    let mut serve = system.start_with(Role::Serve, &[("REDIS_URL", &address)]);
    serve.until_alive().await;
    app.url.clone_from(&serve.url);
    let ana = app.insert_user("Ana", "Cali").await;
    let film = film().await;
    let upload = app.create_upload(&ana, film.len()).await;
    let sending = app.begin_sending(&ana, &upload, 0, film.len(), &film).await;
    eventually("the video exists", 60, async || {
        app.number("SELECT count(*) FROM videos").await == 1
    })
    .await;
    serve.signal(Signal::KILL);
    assert_eq!(serve.ended(STOP).await, None);
    drop(sending);

    let mut serve = system.start(Role::Serve);
    let mut work = system.start(Role::Work);
    serve.until_ready().await;
    work.until_ready().await;
    app.url.clone_from(&serve.url);
    assert_eq!(app.offset(&ana, &upload).await, Ok(film.len()));
    let id = &upload["/api/uploads/".len()..];
    eventually("the video is processed", 600, async || {
        app.video(&ana, id).await["status"] == "processed"
    })
    .await;
    assert_complete(&app, &ana, &upload, &film).await;
}

/// What the metrics count as received is what the clients sent.
#[tokio::test]
async fn metrics_account_for_every_byte() {
    let mut app = TestApp::spawn().await;
    let system = SystemUnderTest::of(&app);
    let metrics_port = free_port();
    let address = format!("127.0.0.1:{metrics_port}");
    let mut serve = system.start_with(Role::Serve, &[("METRICS_ADDR", &address)]);
    serve.until_ready().await;
    app.url.clone_from(&serve.url);
    let ana = app.insert_user("Ana", "Cali").await;
    let film = film_of(4 * MB);
    let upload = app.create_upload(&ana, film.len()).await;
    app.send_bytes(&ana, &upload, 0, &film[..MB]).await;
    // Damaged bytes have to be sent again.
    let damaged = app
        .tus(&ana, reqwest::Method::PATCH, &upload)
        .header("upload-offset", MB)
        .header("upload-checksum", "sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=")
        .header("content-type", crate::support::tus::BYTES)
        .body(film[MB..2 * MB].to_vec());
    assert_eq!(damaged.send().await.unwrap().status(), 460);
    assert_eq!(app.offset(&ana, &upload).await, Ok(MB));
    app.send_bytes(&ana, &upload, MB, &film[MB..]).await;
    let metrics = reqwest::get(format!("http://{address}/metrics"));
    let metrics = metrics.await.unwrap().text().await.unwrap();
    for line in [
        "anb_upload_bytes_total{kind=\"new\"} 4000000",
        "anb_upload_bytes_total{kind=\"again\"} 1000000",
        "anb_upload_resumes_total 1",
        "anb_uploads_open 0",
        "anb_uploads_total{kind=\"resumable\",outcome=\"completed\"} 1",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}: {metrics}"
        );
    }
}
