//! A rolling restart of two APIs behind a load balancer that checks `/ready`, like those of AWS and
//! Kubernetes. No request may fail.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use diesel_async::SimpleAsyncConnection as _;
use futures_util::{future::join_all, stream};
use reqwest::{Body, Client, Method, RequestBuilder, multipart};
use rustix::process::Signal;
use tokio::{runtime, task, time::sleep};

use super::{
    instance::{CHECK_INTERVAL, Instance},
    process::{Process, Role, SystemUnderTest},
};
use crate::support::{Player, Seed, TestApp, eventually, mp4};

/// Maximum time for a process to stop: the slowest upload and the time that it keeps listening.
const STOP: Duration = Duration::from_secs(80);

const ROUNDS: usize = 2;

#[tokio::test]
async fn rolling_restart_of_two_apis_fails_no_request() {
    let app = TestApp::spawn().await;
    let mut system = SystemUnderTest::of(&app);
    system.set("WRITE_RATE", "off");
    let mut apis = [system.start(Role::Serve), system.start(Role::Serve)];
    for api in &mut apis {
        api.until_ready().await;
    }
    let balancer = Balancer::of(&apis);
    let load = Load::of(&app, &balancer).await;
    let restart = async {
        for _ in 0..ROUNDS {
            for (number, api) in apis.iter_mut().enumerate() {
                load.until_uploading(number).await;
                load.stopped.lock().unwrap().push(Instant::now());
                api.signal(Signal::TERM);
                assert_eq!(api.ended(STOP).await, Some(0), "{}", api.log());
                *api = system.start(Role::Serve);
                api.until_ready().await;
                balancer.register(number, api);
            }
        }
        load.is_over.store(true, Ordering::Relaxed);
    };
    tokio::join!(restart, balancer.check(&load.is_over), load.run());
    load.verify();
}

/// Each server thread has its own runtime, which ends with the thread. The first thread to finish
/// during a stop must not close the connections on which other threads wait.
#[tokio::test]
async fn database_connection_outlives_the_thread_that_opened_it() {
    let app = TestApp::spawn().await;
    let db = app.db.clone();
    let opened = task::spawn_blocking(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(db.connection()).unwrap()
    });
    let mut connection = opened.await.unwrap();
    connection.batch_execute("SELECT 1").await.unwrap();
}

/// Distributes requests over the ready instances, without retries.
struct Balancer {
    targets: [Target; 2],
    turn: AtomicUsize,
    http: Client,
}

struct Target {
    instance: Instance,
    uploads: AtomicUsize,
}

impl Balancer {
    fn of(apis: &[Process; 2]) -> Self {
        let http = Client::builder().retry(reqwest::retry::never());
        Self {
            targets: [0, 1].map(|number| Target {
                instance: Instance::ready(&apis[number].url),
                uploads: AtomicUsize::new(0),
            }),
            turn: AtomicUsize::new(0),
            http: http.build().unwrap(),
        }
    }

    fn register(&self, number: usize, api: &Process) {
        self.targets[number].instance.register(&api.url);
    }

    /// Checks the instances until the test is over.
    async fn check(&self, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            for target in &self.targets {
                target.instance.check(&self.http).await;
            }
            sleep(CHECK_INTERVAL).await;
        }
    }

    /// Waits for the next ready instance. On a busy machine even the only one may seem not ready.
    async fn next(&self) -> &Target {
        let mut next = &self.targets[0];
        eventually("an instance is ready", 60, async || {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            next = &self.targets[turn % self.targets.len()];
            next.instance.is_ready()
        })
        .await;
        next
    }

    fn request(&self, target: &Target, method: Method, path: &str) -> RequestBuilder {
        let url = target.instance.url();
        self.http.request(method, format!("{url}{path}"))
    }
}

/// Repeated reads, votes and uploads.
struct Load<'a> {
    balancer: &'a Balancer,
    fans: Vec<Player>,
    videos: Vec<String>,
    is_over: AtomicBool,
    stopped: Mutex<Vec<Instant>>,
    answers: Mutex<Vec<Answered>>,
}

struct Answered {
    kind: &'static str,
    asked: Instant,
    ended: Instant,
    failure: Option<String>,
}

impl<'a> Load<'a> {
    async fn of(app: &TestApp, balancer: &'a Balancer) -> Self {
        let ana = app.insert_user("Ana", "Cali").await;
        let mut videos = Vec::new();
        for _ in 0..50 {
            videos.push(app.add(&ana, Seed::PUBLIC).await);
        }
        Self {
            balancer,
            fans: app.insert_users(6).await,
            videos,
            is_over: AtomicBool::new(false),
            stopped: Mutex::default(),
            answers: Mutex::default(),
        }
    }

    async fn run(&self) {
        let votes = join_all(self.fans.iter().map(|fan| self.read_and_vote(fan)));
        let uploads = join_all(self.fans.iter().map(|fan| self.upload(fan)));
        tokio::join!(votes, uploads);
    }

    async fn read_and_vote(&self, fan: &Player) {
        for video in self.videos.iter().cycle() {
            let get = async |path| {
                let target = self.balancer.next().await;
                self.balancer.request(target, Method::GET, path)
            };
            self.send("read", get("/api/public/videos").await, &[200])
                .await;
            self.send("read", get("/api/public/rankings").await, &[200])
                .await;
            let path = format!("/api/public/videos/{video}/vote");
            let vote = self
                .balancer
                .request(self.balancer.next().await, Method::POST, &path);
            // Later rounds repeat votes, which fail with 400.
            self.send("vote", vote.bearer_auth(&fan.token), &[200, 400])
                .await;
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    async fn upload(&self, fan: &Player) {
        while !self.is_over.load(Ordering::Relaxed) {
            let target = self.balancer.next().await;
            target.uploads.fetch_add(1, Ordering::Relaxed);
            let form = multipart::Form::new()
                .text("title", "Mi mejor jugada")
                .part("video_file", slowly(mp4(20_000)).file_name("jugada.mp4"));
            let path = "/api/videos/upload";
            let request = self.balancer.request(target, Method::POST, path);
            let request = request.bearer_auth(&fan.token).multipart(form);
            self.send("upload", request, &[201]).await;
            target.uploads.fetch_sub(1, Ordering::Relaxed);
        }
    }

    async fn send(&self, kind: &'static str, request: RequestBuilder, good: &[u16]) {
        let asked = Instant::now();
        let answer = async {
            let answer = request.send().await?;
            let status = answer.status().as_u16();
            Ok((status, answer.text().await?))
        };
        let answer: reqwest::Result<(u16, String)> = answer.await;
        let failure = match answer {
            Ok((status, _)) if good.contains(&status) => None,
            other => Some(format!("{other:?}")),
        };
        self.answers.lock().unwrap().push(Answered {
            kind,
            asked,
            ended: Instant::now(),
            failure,
        });
    }

    /// Waits until an instance receives uploads.
    async fn until_uploading(&self, number: usize) {
        let uploads = &self.balancer.targets[number].uploads;
        eventually("uploads are running", 60, async || {
            uploads.load(Ordering::Relaxed) > 0
        })
        .await;
    }

    /// Checks that every request succeeded, and that an upload was running at each stop.
    fn verify(&self) {
        let answers = self.answers.lock().unwrap();
        let failed = answers.iter().filter(|answered| answered.failure.is_some());
        let failed: Vec<_> = failed
            .map(|answered| (answered.kind, &answered.failure))
            .collect();
        for kind in ["read", "vote", "upload"] {
            let count = answers
                .iter()
                .filter(|answered| answered.kind == kind)
                .count();
            println!("{kind}: {count} requests");
        }
        println!("{} failed of {}", failed.len(), answers.len());
        assert!(failed.is_empty(), "{failed:#?}");
        for stopped in self.stopped.lock().unwrap().iter() {
            let ran = |answered: &Answered| answered.asked < *stopped && answered.ended > *stopped;
            assert!(
                answers
                    .iter()
                    .any(|answered| answered.kind == "upload" && ran(answered))
            );
        }
    }
}

/// Returns a file that is sent in small pieces for about two seconds.
fn slowly(bytes: Vec<u8>) -> multipart::Part {
    let pieces = stream::unfold(bytes, async |mut bytes| {
        sleep(Duration::from_millis(100)).await;
        let rest = bytes.split_off(bytes.len().min(1000));
        (!bytes.is_empty()).then_some((Ok::<_, std::io::Error>(bytes), rest))
    });
    multipart::Part::stream(Body::wrap_stream(pieces))
}
