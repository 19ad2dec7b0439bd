//! One child process that serves: spawned, watched while it starts, stopped in order.

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

/// Spawns all servers: "parent death" means the death of the *thread* that spawned, so they need one that lives
/// as long as this process. A test's thread or a runtime's worker does not.
static SPAWNER: LazyLock<Sender<Box<dyn FnOnce() + Send>>> = LazyLock::new(|| {
    let (jobs, queue) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
    std::thread::spawn(move || queue.into_iter().for_each(|job| job()));
    jobs
});

/// Spawns `command` from a thread that never ends.
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

/// Runs `command`, which leads a process group, to its end. Kills the group when a stop is requested first.
pub async fn run(command: Command, stop: &Shutdown) -> anyhow::Result<ExitStatus> {
    let mut child = spawn(command).await?;
    let group = pid(&child);
    let ended = unless_stopped(stop, async { Ok(child.wait().await?) }).await;
    if ended.is_err() {
        if let Some(Err(err)) = group.map(|group| kill_process_group(group, Signal::KILL)) {
            tracing::debug!("a process group could not be killed: {err}");
        }
        child.wait().await?;
    }
    ended
}

fn pid(child: &Child) -> Option<Pid> {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    id.and_then(Pid::from_raw)
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    child: Child,
    log: Log,
    stop_signal: Signal,
}

impl Server {
    /// Spawns `command` with its output in `log`; `stop_signal` asks it for an orderly end.
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

    /// The process id, until the server has been seen to end.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits a moment between two attempts to reach a starting server; an error when it has ended meanwhile.
    pub async fn pause(&mut self) -> anyhow::Result<()> {
        match timeout(Duration::from_millis(20), self.failed()).await {
            Ok(err) => Err(err),
            Err(_still_running) => Ok(()),
        }
    }

    /// Returns, with the reason, when the server ends.
    pub async fn failed(&mut self) -> anyhow::Error {
        match self.child.wait().await {
            Ok(status) => anyhow!("{} ended ({status}): {}", self.name, self.log.reason()),
            Err(err) => anyhow!(err).context(format!("wait for {}", self.name)),
        }
    }

    /// Quotes the log.
    pub fn reason(&self) -> String {
        self.log.reason()
    }

    /// Asks the server to end, waits at most `grace`, then kills it.
    pub async fn stop(mut self, grace: Duration) {
        self.signal();
        if timeout(grace, self.child.wait()).await.is_err() {
            tracing::warn!("{} did not stop within {grace:?} and was killed", self.name);
            if let Err(err) = self.child.kill().await {
                tracing::warn!("{} could not be killed: {err}", self.name);
            }
        }
    }

    fn signal(&self) {
        if let Some(Err(err)) = pid(&self.child).map(|pid| kill_process(pid, self.stop_signal)) {
            tracing::debug!("{} could not be signalled: {err}", self.name);
        }
    }
}

/// A server that was not stopped (an early return, a panicking test) is asked to end; nobody waits for it.
impl Drop for Server {
    fn drop(&mut self) {
        self.signal();
    }
}
