//! Stops orphaned servers of a killed run.
//!
//! They are not adopted, because only a child process can be watched and has the current settings.
//! A server is identified by its name and its working folder, which is its data folder, or by its
//! pid file where the kernel hides that folder (from root without all capabilities, for a process
//! of another account).

use std::{
    fs,
    io::ErrorKind,
    os::fd::OwnedFd,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Identifies the process of a server.
#[derive(Debug)]
pub struct Trace<'a> {
    /// The program's file name, at most 15 bytes.
    pub name: &'a str,
    /// Its data folder, absolute and without symbolic links.
    pub folder: &'a Path,
    /// The file in that folder whose first line is the server's process id.
    pub pid_file: &'a str,
}

/// Stops every matching process with `stop_signal` and, after `grace`, with SIGKILL. The caller
/// holds the folder's lock.
pub async fn stop(trace: &Trace<'_>, stop_signal: Signal, grace: Duration) -> anyhow::Result<()> {
    for (signal, grace) in [(stop_signal, grace), (Signal::KILL, Duration::from_secs(5))] {
        let mut found = trace.processes()?;
        for process in &found {
            tracing::info!(
                "stopping orphaned {} of a killed run in {}",
                trace.name,
                trace.folder.display()
            );
            if let Err(err) = pidfd_send_signal(process, signal) {
                tracing::debug!("cannot signal {}: {err}", trace.name);
            }
        }
        let deadline = Instant::now() + grace;
        while !found.is_empty() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
            found = trace.processes()?;
        }
        if found.is_empty() {
            return Ok(());
        }
    }
    bail!(
        "orphaned {} of a killed run in {} does not exit: kill it manually",
        trace.name,
        trace.folder.display()
    )
}

impl Trace<'_> {
    fn processes(&self) -> anyhow::Result<Vec<OwnedFd>> {
        let recorded = fs::read_to_string(self.folder.join(self.pid_file)).ok();
        let recorded: Option<i32> =
            recorded.and_then(|text| text.lines().next()?.trim().parse().ok());
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").context("list processes")?.flatten() {
            let id: Option<i32> = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            let Some(pid) = id.and_then(Pid::from_raw) else {
                continue;
            };
            // Opened before the check, so it cannot refer to a later process with the same id.
            let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
                continue;
            };
            if self.matches(&entry.path(), recorded == id) {
                found.push(process);
            }
        }
        Ok(found)
    }

    fn matches(&self, process: &Path, is_recorded: bool) -> bool {
        let Ok(status) = fs::read_to_string(process.join("status")) else {
            return false;
        };
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_default()
                .trim()
        };
        // A zombie has exited, but its parent may never reap it.
        if field("Name:") != self.name || field("State:").starts_with('Z') {
            return false;
        }
        match fs::read_link(process.join("cwd")) {
            Ok(folder) => folder == self.folder,
            Err(err) => err.kind() == ErrorKind::PermissionDenied && is_recorded,
        }
    }
}
