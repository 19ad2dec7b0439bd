//! Private PostgreSQL and Redis for `anb dev` and for the tests.
//!
//! Manages the servers' whole lifecycle. It finds their binaries on this machine, keeps the data in
//! one folder and the logs in files, uses unix sockets only, stops the servers gracefully and
//! leaves nothing running when this process is killed. It refuses a folder that another live
//! process uses. Used by `commands::dev` and by the tests' support code.

mod accounts;
mod binaries;
mod folder;
mod janitor;
mod leftovers;
mod log;
mod postgres;
mod redis;
mod server;

use std::{future::Future, path::PathBuf, time::Duration};

use anyhow::Context as _;

use self::janitor::Janitor;
pub use self::{folder::Folder, postgres::Postgres, redis::Redis};
use crate::shutdown::Shutdown;

/// Whether the data survives a crash or the end of this process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Durability {
    /// Kept between runs and safe against power loss (Redis loses at most one second).
    Full,
    /// For tests. Nothing is synced to disk, and the data is always deleted when this process ends.
    Throwaway,
}

#[derive(Clone, Debug)]
pub struct Options {
    /// Folder that contains `postgres/`, `redis/` and `logs/`; created if missing.
    pub data_dir: PathBuf,
    pub durability: Durability,
    /// Number of Redis databases; each test uses its own.
    pub redis_databases: u16,
    /// Additional PostgreSQL settings as `name=value`; they override the defaults.
    pub postgres_settings: Vec<String>,
    /// Additional command-line arguments for Redis; they override the defaults.
    pub redis_settings: Vec<String>,
    /// Aborts the start when requested. Stopping running servers is up to the caller.
    pub stop: Shutdown,
}

impl Options {
    /// Returns the options of `anb dev`, with persistent data in `data_dir`.
    pub fn durable(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            durability: Durability::Full,
            redis_databases: 16,
            postgres_settings: Vec::new(),
            redis_settings: Vec::new(),
            stop: Shutdown::new(Duration::ZERO),
        }
    }

    /// Returns the options of the tests, with a temporary folder that is deleted at the end.
    pub fn throwaway() -> anyhow::Result<Self> {
        // The janitor deletes the folder, because a drop guard would not run on `kill -9`.
        let folder = tempfile::Builder::new()
            .prefix("anb-test-")
            .tempdir()
            .context("create a temporary folder")?;
        Ok(Self {
            durability: Durability::Throwaway,
            redis_databases: 1024,
            ..Self::durable(folder.keep())
        })
    }
}

/// A stop was requested before both servers were ready.
#[derive(Debug, thiserror::Error)]
#[error("stopped while the servers were starting")]
pub struct Stopped;

/// Runs `work`. Returns [`Stopped`] if a stop is requested first.
async fn unless_stopped<T>(
    stop: &Shutdown,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        result = work => result,
        () = stop.requested() => Err(Stopped.into()),
    }
}

/// Both running servers.
#[derive(Debug)]
pub struct Services {
    pub postgres: Postgres,
    pub redis: Redis,
    // Fields drop in declaration order, and the folder's lock must outlive the servers.
    janitor: Option<Janitor>,
    folder: Folder,
}

impl Services {
    /// Stops orphaned servers of a killed run, starts both servers and waits until they are ready.
    /// If a stop is requested in the meantime, ends all started servers and returns [`Stopped`].
    pub async fn start(options: &Options) -> anyhow::Result<Self> {
        let folder = Folder::claim(&options.data_dir)?;
        let janitor = match options.durability {
            Durability::Full => None,
            Durability::Throwaway => Some(Janitor::start(&folder).await?),
        };
        let (postgres, redis) = tokio::join!(
            Postgres::start(&folder, options),
            Redis::start(&folder, options)
        );
        let (postgres, redis) = match (postgres, redis) {
            (Ok(postgres), Ok(redis)) => (postgres, redis),
            (Ok(postgres), Err(err)) => {
                postgres.stop().await;
                return Err(err);
            }
            (Err(err), Ok(redis)) => {
                redis.stop().await;
                return Err(err);
            }
            (Err(err), Err(_)) => return Err(err),
        };
        Ok(Self {
            postgres,
            redis,
            janitor,
            folder,
        })
    }

    /// Waits until one of the servers exits unexpectedly and returns the reason. Cancel-safe.
    pub async fn failed(&mut self) -> anyhow::Error {
        tokio::select! {
            err = self.postgres.failed() => err,
            err = self.redis.failed() => err,
        }
    }

    /// Stops both servers gracefully. PostgreSQL aborts open transactions, Redis flushes its log.
    pub async fn stop(self) {
        let Self {
            postgres,
            redis,
            janitor,
            folder,
        } = self;
        tokio::join!(postgres.stop(), redis.stop());
        if let Some(janitor) = janitor {
            janitor.finish().await;
        }
        drop(folder);
    }
}
