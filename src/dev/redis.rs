//! The private Redis, on a unix socket, with an append-only log synced every second. No eviction.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use deadpool_redis::redis;
use rustix::process::Signal;

use super::{
    Durability, Folder, Options,
    accounts::{Account, Owner},
    binaries::find_redis,
    folder::private_folder,
    leftovers::{self, Trace},
    log::Log,
    server::Server,
    unless_stopped,
};

const STOP_GRACE: Duration = Duration::from_secs(10);
/// Includes loading the append-only log.
const START_LIMIT: Duration = Duration::from_mins(2);
const PID_FILE: &str = "redis.pid";
/// Graceful shutdown, which flushes the log.
const SHUTDOWN: Signal = Signal::TERM;

#[derive(Debug)]
pub struct Redis {
    server: Server,
    sockets: PathBuf,
}

impl Redis {
    /// Starts on the data in `folder` and waits until it is loaded.
    pub async fn start(folder: &Folder, options: &Options) -> anyhow::Result<Self> {
        let program = find_redis().await?;
        let data = folder.path().join("redis");
        private_folder(&data, Owner::caller())?;
        let trace = Trace {
            name: "redis-server",
            folder: &data,
            pid_file: PID_FILE,
        };
        let stopped = leftovers::stop(&trace, SHUTDOWN, STOP_GRACE);
        unless_stopped(&options.stop, stopped).await?;

        let sockets = folder.sockets(Owner::caller())?;
        let append_only = match options.durability {
            Durability::Full => "yes",
            Durability::Throwaway => "no",
        };
        let mut command = Account::Caller.command(&program, "TERM");
        command
            .args(["--port", "0", "--unixsocketperm", "700", "--unixsocket"])
            .arg(socket(&sockets));
        command.arg("--dir").arg(&data).args([
            "--pidfile",
            PID_FILE,
            "--daemonize",
            "no",
            "--logfile",
            "",
        ]);
        command.args([
            "--appendonly",
            append_only,
            "--appendfsync",
            "everysec",
            "--save",
            "",
        ]);
        command.args([
            "--maxmemory-policy",
            "noeviction",
            "--databases",
            &options.redis_databases.to_string(),
        ]);
        command.args(&options.redis_settings);
        let log = Log::open(folder.path(), "redis")?;
        let server = Server::spawn("Redis", command, log, SHUTDOWN).await?;
        let mut redis = Self { server, sockets };
        let ready = unless_stopped(&options.stop, redis.wait_until_ready()).await;
        if let Err(err) = ready {
            redis.stop().await;
            return Err(err);
        }
        Ok(redis)
    }

    /// Returns the URL of database 0; `?db=N` selects another one.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", socket(&self.sockets).display())
    }

    /// Waits until the server exits unexpectedly and returns the reason. Cancel-safe.
    pub async fn failed(&mut self) -> anyhow::Error {
        self.server.failed().await
    }

    /// Stops the server gracefully, keeping all acknowledged writes.
    pub async fn stop(self) {
        self.server.stop(STOP_GRACE).await;
        // Redis leaves its socket behind if it fails while loading data.
        drop(std::fs::remove_file(socket(&self.sockets)));
    }

    /// Returns the server's process id, or `None` after its exit was observed.
    pub fn id(&self) -> Option<u32> {
        self.server.id()
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let url = self.url();
        let deadline = Instant::now() + START_LIMIT;
        while let Err(err) = ping(&url).await {
            if Instant::now() > deadline {
                let reason = self.server.reason();
                return Err(err).with_context(|| format!("Redis does not respond: {reason}"));
            }
            self.server.pause().await?;
        }
        Ok(())
    }
}

fn socket(sockets: &Path) -> PathBuf {
    sockets.join("redis.sock")
}

/// Fails while the server is starting or loading its data.
async fn ping(url: &str) -> anyhow::Result<()> {
    let mut connection = redis::Client::open(url)?
        .get_multiplexed_async_connection()
        .await?;
    let answer: String = redis::cmd("PING").query_async(&mut connection).await?;
    ensure!(answer == "PONG", "Redis answered {answer:?}");
    Ok(())
}
