//! `anb migrate`, `anb serve` and `anb work` as separate processes that are stopped and killed.

mod connections;
pub mod instance;
pub mod process;
mod progress;
mod recovery;
mod rolling;
mod two_apis;
mod uploads;

use std::time::{Duration, Instant};

use anb::videos::clean;
use reqwest::{Method, StatusCode, multipart};
use rustix::process::Signal;
use serde_json::{Value, json};

use self::process::{Process, Role, SystemUnderTest};
use crate::support::{
    LARGE, TestApp, eventually, film, hold, long_film, outputs_of, processes_about,
};

/// Maximum time for an idle process to stop. It waits for a receive in flight, but not for the end
/// of its grace period (90 s).
pub const STOP: Duration = Duration::from_mins(1);

#[tokio::test]
async fn separate_processes_make_a_clip_of_an_upload_and_stop_cleanly() {
    let system = SystemUnderTest::bare().await;
    system.run("migrate").await;
    assert_eq!(system.run("migrate").await, "nothing applied\n");
    let mut serve = system.start(Role::Serve);
    let mut work = system.start(Role::Work);
    serve.until_ready().await;
    work.until_ready().await;

    let client = Client::sign_up(serve.url.clone()).await;
    let id = client.upload(film().await).await;
    eventually("the video is processed", 600, async || {
        client.video(&id).await["status"] == "processed"
    })
    .await;
    // The job is counted after its cleanup, shortly after the row changes.
    eventually("the job is counted", 60, async || {
        let metrics = work.get("/metrics").await.text().await.unwrap();
        metrics.contains(r#"anb_jobs_total{outcome="processed"} 1"#)
    })
    .await;
    for process in [&mut work, &mut serve] {
        process.signal(Signal::TERM);
        assert_eq!(process.ended(STOP).await, Some(0), "{}", process.log());
    }
}

#[tokio::test]
async fn main_use_case_runs_on_sqs_and_s3() {
    let mut app = TestApp::spawn_on_aws().await;
    let system = SystemUnderTest::of(&app);
    let mut serve = system.start(Role::Serve);
    let mut work = system.start(Role::Work);
    serve.until_ready().await;
    work.until_ready().await;
    app.url.clone_from(&serve.url);

    let ana = app.insert_user("Ana", "Cali").await;
    let luis = app.insert_user("Luis", "Cali").await;
    let id = app.uploaded(&ana, film().await, true).await;
    eventually("the video is processed", 600, async || {
        app.video(&ana, &id).await["status"] == "processed"
    })
    .await;
    app.vote(&luis, &id).await.ok();
    let ranking = app.get("/api/public/rankings").await.ok();
    let clip = app.fetch(ranking[0]["video_url"].as_str().unwrap()).await;
    assert_eq!(&clip.bytes().await.unwrap()[4..8], b"ftyp");

    // The worker waits for its long poll in flight.
    for process in [&mut work, &mut serve] {
        process.signal(Signal::TERM);
        assert_eq!(process.ended(STOP).await, Some(0), "{}", process.log());
    }
    assert_eq!(system.run("fsck").await, "");
}

#[tokio::test]
async fn processes_respond_without_database_and_broker() {
    let system = SystemUnderTest::absent();
    for role in [Role::Serve, Role::Work] {
        let mut process = system.start(role);
        process.until_alive().await;
        let health: Value = process.get("/health").await.json().await.unwrap();
        assert_eq!(health["status"], "healthy");
        // On a busy machine the probe of ffmpeg may fail as well.
        eventually("database and queue are failing", 600, async || {
            let ready = process.get("/ready").await;
            assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
            let ready: Value = ready.json().await.unwrap();
            ready["failing"] == json!(["database", "queue"])
        })
        .await;
        process.signal(Signal::INT);
        assert_eq!(process.ended(STOP).await, Some(0), "{}", process.log());
    }
}

#[tokio::test]
async fn stopping_worker_finishes_its_job() {
    let (app, system) = system().await;
    let mut work = system.start_with(Role::Work, &[("SHUTDOWN_GRACE", "5m")]);
    work.until_ready().await;
    let video = app.add_video(&long_film().await).await;
    let held = hold(&system.scratch()).await;

    work.signal(Signal::TERM);
    until_stopping(&work).await;
    drop(held);
    let limit = Duration::from_mins(4);
    assert_eq!(work.ended(limit).await, Some(0), "{}", work.log());
    assert_eq!(app.status(video).await, "processed");
    assert_eq!(app.queue.stats().await.unwrap().in_flight, 0);
}

#[tokio::test]
async fn second_signal_releases_the_job_at_once() {
    let (app, system) = system().await;
    let mut work = system.start(Role::Work);
    work.until_ready().await;
    let video = app.add_video(&long_film().await).await;
    let _held = hold(&system.scratch()).await;

    work.signal(Signal::TERM);
    until_stopping(&work).await;
    work.signal(Signal::TERM);
    assert_eq!(work.ended(STOP).await, Some(0), "{}", work.log());
    assert!(processes_about(&system.scratch()).is_empty());
    let row = app.row(video).await.unwrap();
    assert_eq!(
        (row.status.as_str(), row.failures, row.losses),
        ("uploaded", 0, 0)
    );
    let received = app.queue.receive(1, Duration::from_millis(30)).await;
    assert_eq!(received.unwrap().len(), 1);
}

#[tokio::test]
async fn job_of_killed_worker_is_finished_by_another() {
    let (app, system) = system().await;
    // ffmpeg has much more work than it can finish. Stopping it instead would not help: when its
    // parent dies, the kernel resumes a stopped process group with a SIGHUP.
    let slow = [("ENCODE_EFFORT", "best"), ("OUTPUT_RESOLUTION", LARGE)];
    let mut first = system.start_with(Role::Work, &slow);
    first.until_ready().await;
    let video = app.add_video(&long_film().await).await;
    eventually("encoding has begun", 600, async || {
        app.number("SELECT progress FROM videos").await > 0
    })
    .await;

    first.signal(Signal::KILL);
    let killed = Instant::now();
    assert_eq!(first.ended(STOP).await, None);
    eventually("ffmpeg dies with its worker", 60, async || {
        processes_about(&system.scratch()).is_empty()
    })
    .await;
    let mut second = system.start_with(Role::Work, &[("ENCODE_EFFORT", "fast")]);
    // On an idle machine this takes up to 15 s, for the start of the worker and the lease.
    eventually("another worker takes the job", 60, async || {
        app.row(video).await.unwrap().attempt == 2
    })
    .await;
    println!("another worker has it after {:?}", killed.elapsed());
    eventually("another worker finishes the job", 600, async || {
        app.status(video).await == "processed"
    })
    .await;
    let row = app.row(video).await.unwrap();
    assert_eq!((row.attempt, row.failures, row.losses), (2, 0, 1));
    assert_eq!(app.outputs(video), outputs_of(2));
    second.signal(Signal::TERM);
    assert_eq!(second.ended(STOP).await, Some(0), "{}", second.log());
}

#[tokio::test]
async fn api_killed_during_an_upload_leaves_a_row_for_the_sweeper() {
    let (app, system) = system().await;
    let mut serve = system.start(Role::Serve);
    serve.until_ready().await;
    let client = Client::sign_up(serve.url.clone()).await;
    let noted = "UPDATE uploads SET started_at = started_at - interval '1 hour'";
    let kill = async {
        eventually("the upload has begun", 60, async || {
            app.execute(noted).await == 1
        })
        .await;
        serve.signal(Signal::KILL);
    };
    // A body that stalls after its first bytes.
    let head = b"\0\0\0\x18ftypisom\0\0\0\0isommp42".to_vec();
    let film = futures_util::stream::unfold(Some(head), async |head| match head {
        Some(head) => Some((Ok::<_, std::io::Error>(head), None)),
        None => std::future::pending().await,
    });
    let body = reqwest::Body::wrap_stream(film);
    let (answer, ()) = tokio::join!(client.send_film(multipart::Part::stream(body)), kill);
    assert!(answer.is_err());

    let context = app.context().await;
    let cleaned = clean::run(&context.backends, &context.upload)
        .await
        .unwrap();
    assert_eq!(cleaned.uploads, 1);
    assert_eq!(app.files(), [""; 0]);
}

/// Returns an app, and processes that share its database and files.
async fn system() -> (TestApp, SystemUnderTest) {
    let app = TestApp::spawn().await;
    let system = SystemUnderTest::of(&app);
    (app, system)
}

/// Waits until a process has received the first signal.
pub async fn until_stopping(process: &Process) {
    eventually("the first signal is received", 60, async || {
        process.log().contains("stopping: ")
    })
    .await;
}

struct Client {
    url: String,
    http: reqwest::Client,
    token: String,
}

impl Client {
    async fn sign_up(url: String) -> Self {
        let http = reqwest::Client::new();
        let form = json!({
            "first_name": "Ana", "last_name": "Prueba", "email": "ana@example.com",
            "password1": "canasta-2026", "password2": "canasta-2026",
            "city": "Cali", "country": "Colombia",
        });
        let signup = http.post(format!("{url}/api/auth/signup")).json(&form);
        assert_eq!(signup.send().await.unwrap().status(), StatusCode::CREATED);
        let form = json!({"email": "ana@example.com", "password": "canasta-2026"});
        let login = http.post(format!("{url}/api/auth/login")).json(&form);
        let answer: Value = login.send().await.unwrap().json().await.unwrap();
        let token = answer["access_token"].as_str().unwrap().to_owned();
        Self { url, http, token }
    }

    async fn upload(&self, film: Vec<u8>) -> String {
        let answer = self.send_film(multipart::Part::bytes(film)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        let answer: Value = answer.json().await.unwrap();
        answer["task_id"].as_str().unwrap().to_owned()
    }

    async fn send_film(&self, film: multipart::Part) -> reqwest::Result<reqwest::Response> {
        let form = multipart::Form::new()
            .text("title", "Mi mejor jugada")
            .part("video_file", film.file_name("jugada.mp4"));
        let url = format!("{}/api/videos/upload", self.url);
        let request = self.http.post(url).bearer_auth(&self.token);
        request.multipart(form).send().await
    }

    async fn video(&self, id: &str) -> Value {
        let url = format!("{}/api/videos/{id}", self.url);
        let request = self.http.request(Method::GET, url).bearer_auth(&self.token);
        request.send().await.unwrap().json().await.unwrap()
    }
}
