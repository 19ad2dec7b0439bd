//! The real program with databases and brokers that stop, freeze or lose all data. The tests print
//! the recovery times.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anb::{
    db,
    dev::{Durability, Folder, Options, Postgres, Redis},
    ids::VideoId,
};
use diesel_async::SimpleAsyncConnection as _;
use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use tempfile::TempDir;
use tokio::time::timeout;

use super::process::{Process, Role, SystemUnderTest};
use crate::support::{
    Player, RedisBroker, Seed, Suspended, TestApp, eventually, film, hold, long_film, mp4,
};

/// Maximum time for a response, on a busy machine.
const TIMEOUT: Duration = db::QUERY_TIMEOUT.saturating_add(Duration::from_secs(20));

/// Maximum recovery time (s). An idle machine takes 5 s.
const RECOVERY_TIMEOUT: u64 = 60;

#[tokio::test]
async fn database_restart_under_load_loses_no_job() {
    let data = Data::new();
    let (folder, options) = data.open();
    let postgres = Postgres::start(&folder, &options).await.unwrap();
    let (app, system, serve) = serve(&["--database-url", &postgres.url()]).await;
    let mut work = system.start(Role::Work);
    work.until_ready().await;
    let job = app.add_video(&long_film().await).await;
    let held = hold(&system.scratch()).await;

    let load = Load::default();
    let restart = async {
        load.until_answered(200).await;
        postgres.stop().await;
        // Only now, so that the job is running when the database stops.
        drop(held);
        load.until_answered(503).await;
        let postgres = Postgres::start(&folder, &options).await.unwrap();
        until_recovered(&app, "PostgreSQL restarted").await;
        load.stop();
        postgres
    };
    let ((), _postgres) = tokio::join!(load.run(&app), restart);
    load.check(&serve);
    until_processed(&app, job).await;
    let row = app.row(job).await.unwrap();
    assert_eq!((row.attempt, row.failures, row.losses), (1, 0, 0));
}

#[tokio::test]
async fn no_request_hangs_on_a_frozen_database() {
    let data = Data::new();
    let (folder, options) = data.open();
    let postgres = Postgres::start(&folder, &options).await.unwrap();
    let (app, _system, serve) = serve(&["--database-url", &postgres.url()]).await;

    let load = Load::default();
    let freeze = async {
        load.until_answered(200).await;
        let frozen = Suspended::freeze(postgres.id().unwrap());
        load.until_answered(503).await;
        drop(frozen);
        until_recovered(&app, "PostgreSQL thawed").await;
        load.stop();
    };
    tokio::join!(load.run(&app), freeze);
    load.check(&serve);
}

#[tokio::test]
async fn running_statements_time_out_when_the_database_freezes() {
    let data = Data::new();
    let (folder, options) = data.open();
    let postgres = Postgres::start(&folder, &options).await.unwrap();
    let (app, _system, _serve) = serve(&["--database-url", &postgres.url()]).await;
    let ana = app.insert_user("Ana", "Cali").await;
    let luis = app.insert_user("Luis", "Cali").await;
    let video = app.add(&ana, Seed::PUBLIC).await;

    let mut locks = app.db.connection().await.unwrap();
    let lock = "BEGIN; LOCK TABLE votes, videos IN EXCLUSIVE MODE";
    locks.batch_execute(lock).await.unwrap();
    let freeze = async {
        eventually("both statements wait", 60, async || {
            // Other statements may wait as well.
            let waiting = "SELECT count(DISTINCT part.text)
                FROM pg_stat_activity,
                    (VALUES ('FROM open_ballot()'), ('INSERT INTO videos (')) AS part (text)
                WHERE wait_event_type = 'Lock' AND strpos(query, part.text) > 0";
            app.number(waiting).await == 2
        })
        .await;
        let frozen = Suspended::freeze(postgres.id().unwrap());
        app.get("/health").await.ok();
        frozen
    };
    let requests =
        async { tokio::join!(app.vote(&luis, &video), app.upload(&ana, mp4(5000), false)) };
    let ((vote, upload), frozen) = timeout(TIMEOUT, async { tokio::join!(requests, freeze) })
        .await
        .unwrap();
    assert_eq!(vote.refusal(), (503, "unavailable"));
    assert_eq!(upload.refusal(), (503, "unavailable"));
    drop((frozen, locks));
    until_recovered(&app, "PostgreSQL thawed").await;
}

#[tokio::test]
async fn upload_during_a_broker_outage_is_processed_afterwards() {
    let data = Data::new();
    let (folder, options) = data.open();
    let redis = Redis::start(&folder, &options).await.unwrap();
    let (app, system, _serve) = serve(&["--redis-url", &redis.url()]).await;
    let mut work = system.start(Role::Work);
    work.until_ready().await;
    redis.stop().await;

    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.uploaded(&ana, film().await, false).await;
    let _redis = Redis::start(&folder, &options).await.unwrap();
    let back = Instant::now();
    until_processed(&app, VideoId::parse(&id).unwrap()).await;
    println!("Redis restarted: processed after {:?}", back.elapsed());
}

#[tokio::test]
async fn videos_whose_messages_are_lost_are_processed() {
    let (app, system, _serve) = serve(&[]).await;
    let ana = app.insert_user("Ana", "Cali").await;
    let mut videos = Vec::new();
    for _ in 0..3 {
        let id = app.uploaded(&ana, film().await, false).await;
        videos.push(VideoId::parse(&id).unwrap());
    }
    RedisBroker::at(&app.place.redis_url).await.wipe().await;
    // The sweeper treats a message as lost after two minutes.
    app.execute("UPDATE videos SET enqueued_at = now() - interval '3 minutes'")
        .await;
    let _work = system.start(Role::Work);
    let started = Instant::now();
    for video in videos {
        until_processed(&app, video).await;
    }
    println!("Redis wiped: processed after {:?}", started.elapsed());
}

/// A data folder for a server that the test stops.
struct Data(TempDir);

impl Data {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn open(&self) -> (Folder, Options) {
        let options = Options {
            durability: Durability::Throwaway,
            ..Options::durable(self.0.path())
        };
        (Folder::claim(&options.data_dir).unwrap(), options)
    }
}

/// Starts an API with the services that `flags` name, and shared services otherwise.
async fn serve(flags: &[&str]) -> (TestApp, SystemUnderTest, Process) {
    let mut app = TestApp::spawn_with(flags, flags).await;
    let system = SystemUnderTest::of(&app);
    system.run("migrate").await;
    let mut serve = system.start(Role::Serve);
    serve.until_ready().await;
    app.url.clone_from(&serve.url);
    (app, system, serve)
}

async fn until_recovered(app: &TestApp, what: &str) {
    let returned = Instant::now();
    eventually("the API is ready", RECOVERY_TIMEOUT, async || {
        app.get("/ready").await.status == 200 && app.get("/api/public/videos").await.status == 200
    })
    .await;
    println!("{what}: ready after {:?}", returned.elapsed());
}

async fn until_processed(app: &TestApp, video: VideoId) {
    eventually("the video is processed", 600, async || {
        app.status(video).await == "processed"
    })
    .await;
}

/// Repeated requests of all kinds, and their responses.
#[derive(Default)]
struct Load {
    is_over: AtomicBool,
    answers: Mutex<Vec<Seen>>,
}

struct Seen {
    kind: &'static str,
    status: u16,
    took: Duration,
    has_retry_after: bool,
}

/// Requests that need the database.
const KINDS: [&str; 4] = ["public", "ranking", "own", "vote"];

impl Load {
    async fn run(&self, app: &TestApp) {
        let ana = app.insert_user("Ana", "Cali").await;
        let video = app.add(&ana, Seed::PUBLIC).await;
        let fans = app.insert_users(8).await;
        join_all(fans.iter().map(|fan| self.repeat(app, fan, &video))).await;
    }

    async fn repeat(&self, app: &TestApp, fan: &Player, video: &str) {
        let vote = format!("/api/public/videos/{video}/vote");
        let get = |path| app.as_player(fan, Method::GET, path);
        while !self.is_over.load(Ordering::Relaxed) {
            self.send("health", get("/health")).await;
            self.send("public", get("/api/public/videos")).await;
            self.send("ranking", get("/api/public/rankings")).await;
            self.send("own", get("/api/videos")).await;
            self.send("vote", app.as_player(fan, Method::POST, &vote))
                .await;
        }
    }

    async fn send(&self, kind: &'static str, request: RequestBuilder) {
        let started = Instant::now();
        let answer = timeout(TIMEOUT, request.send()).await;
        let answer = answer.unwrap_or_else(|_| panic!("{kind} hangs")).unwrap();
        self.answers.lock().unwrap().push(Seen {
            kind,
            status: answer.status().as_u16(),
            took: started.elapsed(),
            has_retry_after: answer.headers().contains_key("retry-after"),
        });
    }

    /// Waits until each kind of request has got a response with `status`.
    async fn until_answered(&self, status: u16) {
        eventually("every kind gets the status", 60, async || {
            let answers = self.answers.lock().unwrap();
            let answered = answers.iter().filter(|seen| seen.status == status);
            let kinds: BTreeSet<_> = answered.map(|seen| seen.kind).collect();
            KINDS.iter().all(|kind| kinds.contains(kind))
        })
        .await;
    }

    fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Checks the status of every response of `serve`.
    fn check(&self, serve: &Process) {
        let answers = self.answers.lock().unwrap();
        for seen in answers.iter() {
            let Seen { kind, status, .. } = seen;
            match status {
                200 => {}
                400 => assert_eq!(*kind, "vote"),
                503 => assert!(*kind != "health" && seen.has_retry_after, "{kind}"),
                _ => panic!("{kind}: {status}: {}", failures(&serve.log(), *status)),
            }
        }
        let refused = answers.iter().filter(|seen| seen.status == 503).count();
        let longest = answers.iter().map(|seen| seen.took).max().unwrap();
        println!(
            "{} responses, {refused} of them 503, the slowest after {longest:?}",
            answers.len()
        );
    }
}

/// Returns the lines of a log about failed requests with `status`.
fn failures(log: &str, status: u16) -> String {
    let status = format!("status={status} ");
    let lines = log.lines().filter(|line| line.contains(&status));
    lines.collect::<Vec<_>>().join("\n")
}
