//! A server as a child process: spawned, monitored during startup and stopped gracefully.

use std::{
    process::ExitStatus,
    sync::{
        LazyLock,
        mpsc::{self, Sender},
    },
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{
    process::{Child, Command},
    runtime::Handle,
    sync::oneshot,
    time::timeout,
};

use super::{log::Log, unless_stopped};
use crate::shutdown::Shutdown;

/// The thread that spawns all servers. "Parent death" means the end of the spawning *thread*, so
/// that thread must live as long as this process, unlike a test thread or a runtime worker.
static SPAWNER: LazyLock<Sender<Box<dyn FnOnce() + Send>>> = LazyLock::new(|| {
    let (jobs, queue) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
    std::thread::spawn(move || queue.into_iter().for_each(|job| job()));
    jobs
});

/// Spawns `command` from a thread that lives as long as this process.
pub async fn spawn(mut command: Command) -> anyhow::Result<Child> {
    let (done, spawned) = oneshot::channel();
    let runtime = Handle::current();
    let job = move || {
        let _context = runtime.enter();
        if let Err(Ok(mut unwanted)) = done.send(command.spawn()) {
            drop(unwanted.start_kill());
        }
    };
    SPAWNER
        .send(Box::new(job))
        .ok()
        .context("the spawning thread has ended")?;
    Ok(spawned.await??)
}

/// Runs `command`, the leader of a process group, until it exits. Kills the group if a stop is
/// requested first.
pub async fn run(command: Command, stop: &Shutdown) -> anyhow::Result<ExitStatus> {
    let mut child = spawn(command).await?;
    let group = pid(&child);
    let ended = unless_stopped(stop, async { Ok(child.wait().await?) }).await;
    if ended.is_err() {
        if let Some(Err(err)) = group.map(|group| kill_process_group(group, Signal::KILL)) {
            tracing::debug!("cannot kill a process group: {err}");
        }
        child.wait().await?;
    }
    ended
}

fn pid(child: &Child) -> Option<Pid> {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    id.and_then(Pid::from_raw)
}

#[derive(Debug)]
pub struct Server {
    name: &'static str,
    child: Child,
    log: Log,
    stop_signal: Signal,
}

impl Server {
    /// Spawns `command` with its output in `log`. `stop_signal` requests a graceful shutdown.
    pub async fn spawn(
        name: &'static str,
        mut command: Command,
        log: Log,
        stop_signal: Signal,
    ) -> anyhow::Result<Self> {
        log.attach(&mut command)?;
        let child = spawn(command)
            .await
            .with_context(|| format!("start {name}"))?;
        Ok(Self {
            name,
            child,
            log,
            stop_signal,
        })
    }

    /// Returns the process id, or `None` after the server's exit was observed.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Pauses between attempts to connect to a starting server. Returns an error if it exits.
    pub async fn pause(&mut self) -> anyhow::Result<()> {
        match timeout(Duration::from_millis(20), self.failed()).await {
            Ok(err) => Err(err),
            Err(_still_running) => Ok(()),
        }
    }

    /// Waits until the server exits and returns the reason.
    pub async fn failed(&mut self) -> anyhow::Error {
        match self.child.wait().await {
            Ok(status) => anyhow!("{} ended ({status}): {}", self.name, self.log.reason()),
            Err(err) => anyhow!(err).context(format!("wait for {}", self.name)),
        }
    }

    /// Returns the relevant line of the log.
    pub fn reason(&self) -> String {
        self.log.reason()
    }

    /// Requests a graceful shutdown, waits up to `grace` and then kills the server.
    pub async fn stop(mut self, grace: Duration) {
        self.signal();
        if timeout(grace, self.child.wait()).await.is_err() {
            tracing::warn!("{} did not stop within {grace:?} and was killed", self.name);
            if let Err(err) = self.child.kill().await {
                tracing::warn!("cannot kill {}: {err}", self.name);
            }
        }
    }

    fn signal(&self) {
        if let Some(Err(err)) = pid(&self.child).map(|pid| kill_process(pid, self.stop_signal)) {
            tracing::debug!("cannot signal {}: {err}", self.name);
        }
    }
}

/// Signals a server that was not stopped (early return, panicking test), without waiting for it.
impl Drop for Server {
    fn drop(&mut self) {
        self.signal();
    }
}
