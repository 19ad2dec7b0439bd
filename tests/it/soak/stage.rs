//! The system of a soak: a seeded PostgreSQL, Redis, two APIs behind a balancer, two workers, and a
//! file for everything that the rows name.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use anb::{config::database, db, dev::Services};
use diesel_async::SimpleAsyncConnection as _;
use reqwest::{Client, Method, multipart};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use super::balancer::Balancer;
use crate::{
    bench::{
        arena::{UNLIMITED, column, filled_services},
        seed,
    },
    processes::process::{Process, Role, SystemUnderTest},
    support::{PASSWORD, eventually, outputs_of},
};

/// Maximum time for an API to stop: the slowest request and the time that it keeps listening.
const STOP: Duration = Duration::from_secs(100);

/// Time for which a killed worker is away. The lease of its jobs is shorter.
const AWAY: Duration = Duration::from_secs(20);

/// Number of players who upload, and of organisers.
pub const PLAYERS: usize = 6;
pub const ORGANISERS: usize = 2;

pub struct Stage {
    pub system: SystemUnderTest,
    pub services: Services,
    pub balancer: Balancer,
    /// Ids of the running processes, by name.
    running: Mutex<BTreeMap<String, u32>>,
    // Dropped last because it holds the servers' files.
    _folder: TempDir,
}

/// The processes of the program.
pub struct Crew {
    apis: Vec<Process>,
    workers: Vec<Process>,
}

impl Stage {
    /// Starts everything, with `videos` videos in the database.
    pub async fn open(videos: u32, film: &[u8]) -> (Self, Crew) {
        let folder = tempfile::tempdir().unwrap();
        let services = Box::pin(filled_services(folder.path(), &seed::all(videos))).await;
        let system = SystemUnderTest::at(&services.postgres.url(), &services.redis.url());
        let mut crew = Crew {
            apis: (0..2).map(|_| start_api(&system)).collect(),
            workers: (0..2).map(|number| start_worker(&system, number)).collect(),
        };
        for process in crew.apis.iter_mut().chain(&mut crew.workers) {
            process.until_ready().await;
        }
        let urls: Vec<&str> = crew.apis.iter().map(|api| api.url.as_str()).collect();
        let stage = Self {
            balancer: Balancer::of(&urls).await,
            system,
            services,
            running: Mutex::default(),
            _folder: folder,
        };
        for (number, process) in crew.apis.iter().enumerate() {
            stage.note(&api_name(number), process);
        }
        for (number, process) in crew.workers.iter().enumerate() {
            stage.note(&worker_name(number), process);
        }
        stage.admit().await;
        stage.add_files(film).await;
        (stage, crew)
    }

    /// Signs up the players and organisers, and gives the seeded fans the same password.
    async fn admit(&self) {
        let url = self.balancer.url();
        let players = (0..PLAYERS).map(player);
        for email in players.chain((0..ORGANISERS).map(organiser)) {
            let form = json!({
                "first_name": "Ana", "last_name": "Resistencia", "email": email,
                "password1": PASSWORD, "password2": PASSWORD, "city": "Cali", "country": "Colombia",
            });
            let request = Client::new().post(format!("{url}/api/auth/signup"));
            let answer = request.json(&form).send().await.unwrap();
            assert_eq!(answer.status(), 201);
        }
        self.execute("UPDATE users SET role = 'organiser' WHERE email LIKE 'organiser%'")
            .await;
        self.execute(&format!(
            "UPDATE users SET password_hash =
                 (SELECT password_hash FROM users WHERE email = '{}')
             WHERE email LIKE 'fan%'",
            player(0)
        ))
        .await;
    }

    /// Processes one video, and links its files as those of all seeded videos, so that each clip
    /// can be watched and `anb fsck` finds nothing.
    async fn add_files(&self, film: &[u8]) {
        let model = self.processed(film).await;
        let attempt = format!("SELECT attempt FROM videos WHERE id = '{model}'");
        let attempt = self.number(&attempt).await.try_into().unwrap();
        self.execute("ALTER TABLE videos DISABLE TRIGGER USER")
            .await;
        self.execute(&format!(
            "UPDATE videos SET clip_bytes = model.clip_bytes, light_bytes = model.light_bytes,
                 has_thumb = model.has_thumb, colour = model.colour,
                 original_bytes = model.original_bytes
             FROM (SELECT * FROM videos WHERE id = '{model}') AS model WHERE videos.id <> model.id"
        ))
        .await;
        self.execute("ALTER TABLE videos ENABLE TRIGGER USER").await;
        let others = format!("SELECT id::text AS text FROM videos WHERE id <> '{model}'");
        let (uploads, outputs) = (self.folder("uploads"), self.folder("processed"));
        let original = uploads.join(format!("{model}.mp4"));
        let sources = outputs_of(attempt).map(|name| outputs.join(&model).join(name));
        for video in self.column(&others).await {
            fs::hard_link(&original, uploads.join(format!("{video}.mp4"))).unwrap();
            let folder = outputs.join(&video);
            fs::create_dir(&folder).unwrap();
            for (source, name) in sources.iter().zip(outputs_of(1)) {
                fs::hard_link(source, folder.join(name)).unwrap();
            }
        }
        // Without the traces of the seeding, growth is that of the soak.
        for table in ["users", "videos"] {
            self.execute(&format!("VACUUM (FULL, ANALYZE) {table}"))
                .await;
        }
    }

    /// Uploads a film. Returns its video once it is processed.
    async fn processed(&self, film: &[u8]) -> String {
        let url = self.balancer.url();
        let http = Client::new();
        let credentials = json!({ "email": player(0), "password": PASSWORD });
        let request = http.post(format!("{url}/api/auth/login"));
        let answer = request.json(&credentials).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let token = answer["access_token"].as_str().unwrap();
        let part = multipart::Part::bytes(film.to_vec()).file_name("jugada.mp4");
        let form = multipart::Form::new()
            .text("title", "La primera jugada")
            .text("is_public", "true")
            .part("video_file", part);
        let request = http.request(Method::POST, format!("{url}/api/videos/upload"));
        let answer = request.bearer_auth(token).multipart(form).send();
        let answer: Value = answer.await.unwrap().json().await.unwrap();
        let video = answer["task_id"].as_str().unwrap().to_owned();
        let state = format!("SELECT status::text AS text FROM videos WHERE id = '{video}'");
        eventually("the first video is processed", 600, async || {
            self.column(&state).await == ["processed"]
        })
        .await;
        video
    }

    /// Returns a folder of the storage.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.system.folder().join(name)
    }

    /// Returns the names and ids of the running processes.
    pub fn running(&self) -> BTreeMap<String, u32> {
        self.running.lock().unwrap().clone()
    }

    fn note(&self, name: &str, process: &Process) {
        let mut running = self.running.lock().unwrap();
        running.insert(name.to_owned(), process.id());
    }

    fn gone(&self, name: &str) {
        self.running.lock().unwrap().remove(name);
    }

    async fn connect(&self) -> db::Connection {
        let settings = database::Settings::at(&self.services.postgres.url());
        db::connect(&settings).await.unwrap()
    }

    pub async fn execute(&self, statement: &str) {
        let mut connection = self.connect().await;
        connection.batch_execute(statement).await.unwrap();
    }

    /// Runs a query and returns its `text` column.
    pub async fn column(&self, query: &str) -> Vec<String> {
        column(&mut self.connect().await, query).await
    }

    /// Returns the warnings and errors in the logs of the program.
    pub fn complaints(&self) -> Vec<String> {
        let logs = fs::read_dir(self.system.folder()).unwrap().flatten();
        let logs = logs.filter_map(|entry| fs::read_to_string(entry.path()).ok());
        let is_complaint = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
        logs.flat_map(|log| {
            let found = log.lines().filter(is_complaint);
            found.map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
    }

    /// Returns a numeric value.
    pub async fn number(&self, expression: &str) -> i64 {
        let query = format!("SELECT ({expression})::bigint::text AS text");
        self.column(&query).await[0].parse().unwrap()
    }
}

impl Crew {
    /// Kills a worker that has a job, and starts it again after a while.
    pub async fn kill_a_worker(&mut self, stage: &Stage, note: &impl Fn(&str)) {
        let mut victim = 0;
        eventually("a worker has a job", 300, async || {
            let busy = (0..2).find(|number| is_busy(&stage.system, *number));
            victim = busy.unwrap_or(victim);
            busy.is_some()
        })
        .await;
        let worker = &mut self.workers[victim];
        worker.signal(Signal::KILL);
        assert_eq!(worker.ended(STOP).await, None);
        note("a worker is killed");
        stage.gone(&worker_name(victim));
        sleep(AWAY).await;
        *worker = start_worker(&stage.system, victim);
        worker.until_ready().await;
        stage.note(&worker_name(victim), worker);
        note("the worker is back");
    }

    /// Restarts one API after the other.
    pub async fn restart_apis(&mut self, stage: &Stage) {
        for (number, api) in self.apis.iter_mut().enumerate() {
            api.signal(Signal::TERM);
            assert_eq!(api.ended(STOP).await, Some(0), "{}", api.log());
            stage.gone(&api_name(number));
            *api = start_api(&stage.system);
            api.until_ready().await;
            stage.note(&api_name(number), api);
            stage.balancer.register(number, &api.url);
        }
    }

    /// Checks that no process has exited by itself.
    pub fn assert_running(&mut self) {
        for process in self.apis.iter_mut().chain(&mut self.workers) {
            let ended = process.has_ended();
            assert!(ended.is_none(), "{ended:?}: {}", process.log());
        }
    }

    /// Stops every process by a signal.
    pub async fn stop(mut self) {
        for process in self.apis.iter_mut().chain(&mut self.workers) {
            process.signal(Signal::TERM);
        }
        for process in self.apis.iter_mut().chain(&mut self.workers) {
            assert_eq!(process.ended(STOP).await, Some(0), "{}", process.log());
        }
    }
}

pub fn player(number: usize) -> String {
    format!("uploader{number}@example.com")
}

pub fn organiser(number: usize) -> String {
    format!("organiser{number}@example.com")
}

fn api_name(number: usize) -> String {
    format!("serve {}", number + 1)
}

fn worker_name(number: usize) -> String {
    format!("work {}", number + 1)
}

fn start_api(system: &SystemUnderTest) -> Process {
    system.start_with(Role::Serve, &UNLIMITED)
}

fn scratch(system: &SystemUnderTest, number: usize) -> PathBuf {
    system.folder().join(format!("scratch-{number}"))
}

fn start_worker(system: &SystemUnderTest, number: usize) -> Process {
    let scratch = scratch(system, number);
    let folder = scratch.to_str().unwrap();
    system.start_with(Role::Work, &[("SCRATCH_PATH", folder)])
}

/// Returns whether a worker has files of a job.
fn is_busy(system: &SystemUnderTest, number: usize) -> bool {
    jobs_in(&scratch(system, number)) > 0
}

/// Counts the folders of jobs in a scratch folder.
fn jobs_in(scratch: &Path) -> usize {
    let entries = fs::read_dir(scratch).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with("job-"))
        .count()
}
