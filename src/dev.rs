//! Private PostgreSQL and Redis for `anb dev` and for the tests.
//!
//! Owns the servers' whole life: binaries found on this machine, data under one folder, unix sockets only, logs
//! in files, an orderly stop, and nothing left running when this process is killed. Refuses a folder that
//! another live process uses. Called by `commands::dev` and by the test kit.

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

/// Whether the data is meant to survive a crash, or even this process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Durability {
    /// Kept between runs and safe against a power cut (Redis loses at most one second).
    Full,
    /// For tests: nothing is synced to disk, and the data is deleted when this process ends, however it ends.
    Throwaway,
}

/// What to start and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder that holds `postgres/`, `redis/` and `logs/`; created when missing.
    pub data_dir: PathBuf,
    pub durability: Durability,
    /// Number of Redis databases; tests use one each.
    pub redis_databases: u16,
    /// More settings of PostgreSQL, each `name=value`; they win over our own.
    pub postgres_settings: Vec<String>,
    /// More words on the command line of Redis; they win over our own.
    pub redis_settings: Vec<String>,
    /// Ends a start at once when it is requested; what runs then is the caller's.
    pub stop: Shutdown,
}

impl Options {
    /// The settings of `anb dev`: data kept in `data_dir`.
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

    /// The settings of the tests: a new temporary folder, deleted when this process ends.
    pub fn throwaway() -> anyhow::Result<Self> {
        // The janitor deletes the folder later: a guard of ours would not run on `kill -9`.
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

/// A stop was requested before both servers answered.
#[derive(Debug, thiserror::Error)]
#[error("stopped while the servers started")]
pub struct Stopped;

/// Does a part of the start; fails with [`Stopped`] when a stop is requested first.
async fn unless_stopped<T>(
    stop: &Shutdown,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        result = work => result,
        () = stop.requested() => Err(Stopped.into()),
    }
}

/// Both servers, running.
#[derive(Debug)]
pub struct Services {
    pub postgres: Postgres,
    pub redis: Redis,
    // Fields drop in this order: the folder's lock must outlive the servers.
    janitor: Option<Janitor>,
    folder: Folder,
}

impl Services {
    /// Starts both servers and waits until they answer; what a killed run left behind is stopped first. Returns
    /// [`Stopped`] when a stop was requested meanwhile, and has then ended all that it started.
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

    /// Returns, with the reason, when one of the servers ends on its own. Safe to cancel.
    pub async fn failed(&mut self) -> anyhow::Error {
        tokio::select! {
            err = self.postgres.failed() => err,
            err = self.redis.failed() => err,
        }
    }

    /// Stops both servers in order: PostgreSQL breaks off open transactions, Redis writes out its log.
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
