//! Processes of the real program.

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    time::Duration,
};

use anb::config::{queue::QueueType, storage::StorageType};
use reqwest::Response;
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::{
    Place, SMALL, Share, TestApp, aws, cpu_seconds, eventually, free_port, in_table, memory,
    tcp_ends,
};

/// The command of a process.
#[derive(Debug, Clone, Copy)]
pub enum Role {
    Serve,
    Work,
}

/// The services and folders that the processes of one test share.
pub struct SystemUnderTest {
    pub program: PathBuf,
    environment: Vec<(&'static str, String)>,
    folder: TempDir,
    open_files: Option<(u64, u64)>,
}

/// A running process, killed when it is dropped.
pub struct Process {
    child: Child,
    /// Address of `/health` and `/ready`.
    pub url: String,
    log: PathBuf,
}

impl SystemUnderTest {
    /// Creates an environment with an empty database.
    pub async fn bare() -> Self {
        let place = Place::make_bare().await;
        Self::at(&place.database_url, &place.redis_url)
    }

    /// Creates an environment that shares everything with `app`.
    pub fn of(app: &TestApp) -> Self {
        let database = app.serve.backends.database.database_url.as_ref().unwrap();
        let queue = &app.serve.backends.queue;
        let storage = &app.serve.backends.storage;
        let mut system = Self::at(database.expose_secret(), queue.redis_url.expose_secret());
        system.set("UPLOAD_PATH", storage.upload_path.to_str().unwrap());
        system.set("PROCESSED_PATH", storage.processed_path.to_str().unwrap());
        system.set("OUTPUT_RESOLUTION", SMALL);
        if queue.queue_type == QueueType::Sqs {
            system.set("QUEUE_TYPE", "sqs");
            system.set("SQS_QUEUE_URL", queue.sqs_queue_url.as_ref().unwrap());
            let endpoint = queue.sqs_endpoint_url.as_ref();
            system.set("AWS_ENDPOINT_URL_SQS", endpoint.unwrap());
        }
        if storage.storage_type == StorageType::S3 {
            system.set("STORAGE_TYPE", "s3");
            system.set("S3_BUCKET_NAME", storage.s3_bucket_name.as_ref().unwrap());
            let endpoint = storage.s3_endpoint_url.as_ref();
            system.set("AWS_ENDPOINT_URL_S3", endpoint.unwrap());
        }
        system
    }

    /// Creates an environment without services.
    pub fn absent() -> Self {
        Self::at("postgres://postgres@127.0.0.1:1/anb", "127.0.0.1:1")
    }

    /// Creates an environment with existing services.
    pub fn at(database_url: &str, redis_url: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let mut system = Self {
            program: program(),
            environment: Vec::new(),
            folder,
            open_files: None,
        };
        system.set("DATABASE_URL", database_url);
        system.set("REDIS_URL", redis_url);
        system.set("SCRATCH_PATH", system.scratch().to_str().unwrap());
        system.set("AWS_ACCESS_KEY_ID", aws::KEY);
        system.set("AWS_SECRET_ACCESS_KEY", aws::KEY);
        // No metadata service responds here, and each process would wait for it.
        system.set("AWS_EC2_METADATA_DISABLED", "true");
        system
    }

    /// Sets a variable of processes started later.
    pub fn set(&mut self, variable: &'static str, value: &str) {
        self.environment.push((variable, value.to_owned()));
    }

    /// Sets the soft and hard limit of open files of processes started later.
    pub fn limit_open_files(&mut self, soft: u64, hard: u64) {
        self.open_files = Some((soft, hard));
    }

    /// Returns the working directory of the processes.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn scratch(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }

    /// Runs a command, which must succeed. Returns its output.
    pub async fn run(&self, command: &str) -> String {
        let output = self.output(command).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command and returns its output and status.
    pub async fn output(&self, command: &str) -> Output {
        self.command(command).output().await.unwrap()
    }

    pub fn start(&self, role: Role) -> Process {
        self.start_with(role, &[])
    }

    /// Starts a process with additional settings.
    pub fn start_with(&self, role: Role, settings: &[(&str, &str)]) -> Process {
        self.start_at(free_port(), role, settings)
    }

    /// Starts a process at a port. It appends to the log of the previous process at the port.
    pub fn start_at(&self, port: u16, role: Role, settings: &[(&str, &str)]) -> Process {
        let log = self.folder.path().join(format!("{port}.log"));
        let mut command = match role {
            Role::Serve => {
                let mut command = self.command("serve");
                command.env("METRICS_ADDR", "off").env("HOST", "127.0.0.1");
                command.env("PORT", port.to_string());
                command
            }
            Role::Work => {
                let mut command = self.command("work");
                command.env("METRICS_ADDR", format!("127.0.0.1:{port}"));
                command
            }
        };
        let file = File::options().append(true).create(true).open(&log);
        command
            .envs(settings.iter().copied())
            .stderr(file.unwrap())
            .stdout(Stdio::null());
        Process {
            child: command.spawn().unwrap(),
            url: format!("http://127.0.0.1:{port}"),
            log,
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the program is tested from outside"
    )]
    fn command(&self, command: &str) -> Command {
        let mut process = if let Some((soft, hard)) = self.open_files {
            let mut process = Command::new("prlimit");
            process.arg(format!("--nofile={soft}:{hard}"));
            process.arg(&self.program);
            process
        } else {
            Command::new(&self.program)
        };
        process
            .args(command.split_whitespace())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .kill_on_drop(true);
        process
    }
}

/// Returns the program under test, which is another one if `ANB_PROGRAM` says so.
#[expect(clippy::disallowed_methods, reason = "a setting of the tests")]
fn program() -> PathBuf {
    let program = std::env::var_os("ANB_PROGRAM");
    program.map_or_else(|| env!("CARGO_BIN_EXE_anb").into(), PathBuf::from)
}

impl Process {
    pub async fn get(&self, path: &str) -> Response {
        reqwest::get(format!("{}{path}", self.url)).await.unwrap()
    }

    pub async fn until_alive(&mut self) {
        self.until("/health").await;
    }

    pub async fn until_ready(&mut self) {
        self.until("/ready").await;
    }

    async fn until(&mut self, path: &str) {
        let url = format!("{}{path}", self.url);
        eventually("the process responds", 600, async || {
            let ended = self.has_ended();
            assert!(ended.is_none(), "{ended:?}: {}", self.log());
            let answer = reqwest::get(&url).await;
            answer.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
    }

    /// Returns the exit status, if the process has exited.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        let id = self.id().try_into().unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Waits for the exit code, which is none if a signal killed the process.
    pub async fn ended(&mut self, limit: Duration) -> Option<i32> {
        let ended = tokio::time::timeout(limit, self.child.wait()).await;
        let Ok(status) = ended else {
            panic!("still running after {limit:?}: {}", self.log());
        };
        let status = status.unwrap();
        assert!(
            status.code().is_some() || status.signal().is_some(),
            "{status:?}"
        );
        status.code()
    }

    /// Returns the number of accepted connections without unread bytes.
    pub fn requests_read(&self) -> usize {
        let address = self.url.strip_prefix("http://").unwrap();
        let local = in_table(address.parse().unwrap());
        let ends = tcp_ends();
        let read = ends.iter().filter(|end| {
            end.local == local && end.is_established && end.to_read == 0 && end.is_accepted
        });
        read.count()
    }

    /// Returns a memory field of `/proc/{id}/status` (bytes).
    pub fn memory(&self, name: &str) -> u64 {
        memory(self.id(), name).unwrap()
    }

    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds(self.id(), Share::Own).unwrap()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}
