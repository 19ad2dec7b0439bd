//! The system under test: two APIs, three workers, their services and the relays between them.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anb::{
    dev::{Durability, Folder, Options, Postgres, Redis},
    ids::VideoId,
};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{BigInt, Bool, Integer, Nullable, Text, Uuid},
};
use diesel_async::RunQueryDsl as _;
use futures_util::future::join_all;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{sync::Mutex, time::timeout};

use crate::{
    Backend, Size,
    it::processes::process::{Process, Role, SystemUnderTest},
    plan::Target,
    support::{
        Mount, TestApp, eventually, free_port,
        relay::{self, Relay},
    },
};

const APIS: usize = 2;
const WORKERS: usize = 3;

/// Maximum time for a process to stop: `SHUTDOWN_GRACE` and a margin.
const STOP: Duration = Duration::from_secs(40);

/// Maximum time for a process to start, on a busy machine (s).
const START: u64 = 300;

/// Maximum time of a request or query of the test itself.
const QUERY_TIMEOUT: Duration = Duration::from_secs(3);

/// Settings of all processes. Times are the defaults, except those that would only delay the run.
const SETTINGS: [(&str, &str); 7] = [
    ("DB_POOL_SIZE", "8"),
    ("JOB_VISIBILITY", "10s"),
    ("OUTPUT_RESOLUTION", "320x180"),
    ("SHUTDOWN_GRACE", "25s"),
    ("UPLOAD_TIMEOUT", "20s"),
    ("WORKER_CONCURRENCY", "2"),
    ("WRITE_RATE", "off"),
];

/// A process that is restarted whenever it exits.
pub struct Slot {
    role: Role,
    port: u16,
    /// A worker's own scratch folder.
    pub scratch: PathBuf,
    pub process: Mutex<Process>,
}

pub struct System {
    /// Accesses the services directly, not through the relays.
    pub app: TestApp,
    pub processes: SystemUnderTest,
    pub apis: Vec<Slot>,
    pub workers: Vec<Slot>,
    pub postgres: Mutex<Option<Postgres>>,
    pub redis: Mutex<Option<Redis>>,
    pub database_line: Relay,
    pub broker_line: Relay,
    pub storage_line: Option<Relay>,
    pub folder: Folder,
    pub disk: PathBuf,
    pub faults: AtomicUsize,
    mount: Option<Mount>,
    _data: [TempDir; 2],
}

#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct Row {
    #[diesel(sql_type = Uuid)]
    pub id: VideoId,
    #[diesel(sql_type = Text)]
    pub status: String,
    #[diesel(sql_type = Integer)]
    pub attempt: i32,
    #[diesel(sql_type = Integer)]
    pub failures: i32,
    #[diesel(sql_type = Integer)]
    pub losses: i32,
    #[diesel(sql_type = Bool)]
    pub is_public: bool,
    #[diesel(sql_type = BigInt)]
    pub votes: i64,
    #[diesel(sql_type = Nullable<Text>)]
    pub code: Option<String>,
}

impl Row {
    pub fn has_ended(&self) -> bool {
        ["processed", "failed"].contains(&self.status.as_str())
    }
}

impl Slot {
    fn start(system: &SystemUnderTest, role: Role, scratch: PathBuf) -> Self {
        let port = free_port();
        let settings = [("SCRATCH_PATH", scratch.to_str().unwrap())];
        Self {
            role,
            port,
            process: Mutex::new(system.start_at(port, role, &settings)),
            scratch,
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts the process repeatedly until it responds, as a service manager does.
    pub async fn revive(&self, system: &SystemUnderTest, process: &mut Process) {
        loop {
            let settings = [("SCRATCH_PATH", self.scratch.to_str().unwrap())];
            *process = system.start_at(self.port, self.role, &settings);
            let health = format!("{}/health", self.url());
            let mut is_up = false;
            eventually("the process responds or exits", START, async || {
                let answer = timeout(QUERY_TIMEOUT, reqwest::get(&health)).await;
                is_up = matches!(answer, Ok(Ok(_)));
                is_up || process.has_ended().is_some()
            })
            .await;
            if is_up {
                return;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Stops the process gracefully. Returns its exit code.
    pub async fn stop(process: &mut Process) -> Option<i32> {
        process.signal(Signal::TERM);
        Self::ended(process).await
    }

    /// Waits until the process exits. Returns its exit code.
    pub async fn ended(process: &mut Process) -> Option<i32> {
        process.ended(STOP).await
    }
}

/// Mounts a disk that is stored in a file, so that it can be filled and slowed down.
#[expect(clippy::disallowed_methods, reason = "the disk belongs to the test")]
fn mount(folder: &Path, blocks: &Path) -> Option<Mount> {
    File::create(blocks).unwrap().set_len(512 << 20).unwrap();
    let mut format = Command::new("mkfs.ext4");
    let formatted = format.args(["-q", "-m", "0"]).arg(blocks).status();
    if !formatted.is_ok_and(|status| status.success()) {
        println!("skipped: a disk in a file requires mkfs.ext4");
        return None;
    }
    Mount::new(folder, &["-o", "loop", blocks.to_str().unwrap()])
}

impl System {
    pub async fn build(size: &Size) -> Self {
        let (data, disk) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let mount = mount(disk.path(), &data.path().join("disk"));
        let folder = Folder::claim(data.path()).unwrap();
        let postgres = start_postgres(&folder).await;
        let redis = start_redis(&folder).await;

        let at = |name: &str| disk.path().join(name).display().to_string();
        let flags = [
            "--database-url".to_owned(),
            postgres.url(),
            "--redis-url".to_owned(),
            redis.url(),
            "--upload-path".to_owned(),
            at("uploads"),
            "--processed-path".to_owned(),
            at("processed"),
        ];
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let serve = [&flags[..], &["--jwt-expiration", "24h"]].concat();
        let app = match size.backend {
            Backend::Redis => TestApp::spawn_with(&serve, &flags).await,
            Backend::Sqs => TestApp::spawn_on_aws_with(&serve, &flags).await,
        };
        let mut system = SystemUnderTest::of(&app);
        for (variable, value) in SETTINGS {
            system.set(variable, value);
        }
        // A few players upload hundreds of videos during worker outages.
        system.set("MAX_OPEN_UPLOADS", "1000");
        system.set("MAX_RESUMABLE_UPLOADS", "1000");
        system.set("MAX_WAITING_VIDEOS", "10000");
        let database_line = Relay::start(socket_of(&postgres.url()), "").await;
        let url = format!("postgres://postgres@{}/anb", database_line.address);
        system.set("DATABASE_URL", &url);
        let (broker_line, storage_line) = match size.backend {
            Backend::Redis => {
                let path = redis.url().replace("redis+unix://", "");
                let line = Relay::start(relay::Target::Unix(path.into()), "").await;
                system.set("REDIS_URL", &format!("redis://{}", line.address));
                (line, None)
            }
            Backend::Sqs => {
                let backends = &app.serve.backends;
                let sqs = backends.queue.sqs_endpoint_url.as_deref().unwrap();
                let s3 = backends.storage.s3_endpoint_url.as_deref().unwrap();
                let queue = Relay::start(relay::Target::Tcp(address_of(sqs)), "").await;
                let bucket = Relay::start(relay::Target::Tcp(address_of(s3)), "").await;
                system.set("AWS_ENDPOINT_URL_SQS", &format!("http://{}", queue.address));
                system.set("AWS_ENDPOINT_URL_S3", &format!("http://{}", bucket.address));
                (queue, Some(bucket))
            }
        };
        system.run("migrate").await;
        let start = |role, number: usize| {
            let scratch = disk.path().join(format!("scratch/{number}"));
            Slot::start(&system, role, scratch)
        };
        let system = Self {
            apis: (0..APIS).map(|number| start(Role::Serve, number)).collect(),
            workers: (0..WORKERS)
                .map(|number| start(Role::Work, number))
                .collect(),
            app,
            processes: system,
            postgres: Mutex::new(Some(postgres)),
            redis: Mutex::new(Some(redis)),
            database_line,
            broker_line,
            storage_line,
            folder,
            disk: disk.path().to_owned(),
            faults: AtomicUsize::new(0),
            mount,
            _data: [data, disk],
        };
        for slot in system.slots() {
            slot.process.lock().await.until_ready().await;
        }
        system
    }

    /// Returns the targets that exist in this system.
    pub fn targets(&self) -> Vec<Target> {
        let workers = (0..WORKERS).map(Target::Worker);
        let apis = (0..APIS).map(Target::Api);
        let services = [Target::Database, Target::Broker, Target::Rows];
        let storage = self.storage_line.as_ref().map(|_| Target::Storage);
        let disk = self.mount.as_ref().map(|_| Target::Disk);
        workers
            .chain(apis)
            .chain(services)
            .chain(storage)
            .chain(disk)
            .collect()
    }

    /// Returns the address of an API, in rotation.
    pub fn api(&self) -> String {
        static TURN: AtomicUsize = AtomicUsize::new(0);
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        self.apis[turn % self.apis.len()].url()
    }

    /// Returns the parent of the workers' scratch folders.
    pub fn scratch(&self) -> PathBuf {
        self.disk.join("scratch")
    }

    /// Returns the scratch folders of jobs.
    pub fn scratch_folders(&self) -> Vec<PathBuf> {
        let roots = self.workers.iter().map(|slot| fs::read_dir(&slot.scratch));
        let folders = roots.flatten().flatten().map(|entry| entry.unwrap());
        let jobs = folders.filter(|entry| entry.file_name().to_string_lossy().starts_with("job-"));
        jobs.map(|entry| entry.path()).collect()
    }

    /// Reports job failures, lease expirations and environment failures.
    pub async fn setbacks(&self) -> String {
        let mut counts = Vec::new();
        for (name, count) in [
            ("failures", "sum(failures)"),
            ("lease expirations", "sum(losses)"),
            ("environment failures", "sum(setbacks)"),
            (
                "maximum environment failures of one video",
                "max(setbacks)::bigint",
            ),
        ] {
            let count = format!("SELECT coalesce({count}, 0) FROM videos");
            counts.push(format!("{} {name}", self.app.number(&count).await));
        }
        counts.join(", ")
    }

    /// Restarts every process after the last fault.
    pub async fn rebuild(&self) {
        let restarts = self.slots().map(async |slot| {
            let mut process = slot.process.lock().await;
            Slot::stop(&mut process).await;
            slot.revive(&self.processes, &mut process).await;
            process.until_ready().await;
        });
        join_all(restarts).await;
    }

    /// Returns all videos, or none during a database outage.
    pub async fn rows(&self) -> Option<Vec<Row>> {
        let rows = timeout(QUERY_TIMEOUT, async {
            let mut connection = self.app.db.connection().await.ok()?;
            let select = "SELECT id, status::text, attempt, failures, losses, is_public, votes,
                              failure->>'code' AS code FROM videos";
            sql_query(select).load(&mut connection).await.ok()
        });
        rows.await.ok()?
    }

    /// Runs a statement. Returns whether it succeeded.
    pub async fn try_sql(&self, statement: &str) -> bool {
        let run = timeout(QUERY_TIMEOUT, async {
            let mut connection = self.app.db.connection().await.ok()?;
            sql_query(statement).execute(&mut connection).await.ok()
        });
        matches!(run.await, Ok(Some(_)))
    }

    /// Returns all log lines that contain `text`.
    pub fn said_about(&self, text: &str) -> Vec<String> {
        let logs = fs::read_dir(self.processes.scratch().parent().unwrap()).unwrap();
        let logs = logs.map(|entry| entry.unwrap().path());
        let logs = logs.filter_map(|log| fs::read_to_string(log).ok());
        logs.flat_map(|log| {
            let about = log.lines().filter(|line| line.contains(text));
            about.map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.apis.iter().chain(&self.workers)
    }
}

/// Starts a PostgreSQL with durable commits.
pub async fn start_postgres(folder: &Folder) -> Postgres {
    let options = Options::durable(folder.path());
    Postgres::start(folder, &options).await.unwrap()
}

/// Starts a Redis that loses all data when it stops.
pub async fn start_redis(folder: &Folder) -> Redis {
    let options = Options {
        durability: Durability::Throwaway,
        ..Options::durable(folder.path())
    };
    Redis::start(folder, &options).await.unwrap()
}

/// Returns the socket behind the URL of a private PostgreSQL.
fn socket_of(url: &str) -> relay::Target {
    let url = url::Url::parse(url).unwrap();
    let host = url
        .query_pairs()
        .find(|(name, _)| name == "host")
        .unwrap()
        .1;
    relay::Target::Unix(Path::new(&*host).join(".s.PGSQL.5432"))
}

fn address_of(url: &str) -> SocketAddr {
    url.strip_prefix("http://").unwrap().parse().unwrap()
}
