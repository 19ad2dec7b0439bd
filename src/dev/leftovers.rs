//! Stops servers that a killed run left behind.
//!
//! They are stopped rather than adopted: a child of ours can be watched and has today's settings. A server is
//! recognised by its name and by its working folder, which is its data folder; where the kernel hides that (root
//! without all its capabilities looking at another account's process), by the id in its own pid file.

use std::{
    fs,
    io::ErrorKind,
    os::fd::OwnedFd,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Where a server works and how the kernel names it.
#[derive(Debug)]
pub struct Trace<'a> {
    /// The program's file name, at most 15 bytes.
    pub name: &'a str,
    /// Its data folder, absolute and without symbolic links.
    pub folder: &'a Path,
    /// The file in that folder whose first line is the server's process id.
    pub pid_file: &'a str,
}

/// Ends every process that matches: `stop_signal` first, after `grace` by force. The caller holds the folder's lock.
pub async fn stop(trace: &Trace<'_>, stop_signal: Signal, grace: Duration) -> anyhow::Result<()> {
    for (signal, grace) in [(stop_signal, grace), (Signal::KILL, Duration::from_secs(5))] {
        let mut found = trace.processes()?;
        for process in &found {
            tracing::info!(
                "stopping {} left by a killed run in {}",
                trace.name,
                trace.folder.display()
            );
            if let Err(err) = pidfd_send_signal(process, signal) {
                tracing::debug!("{} could not be signalled: {err}", trace.name);
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
        "{} left by a killed run in {} does not end: kill it by hand",
        trace.name,
        trace.folder.display()
    )
}

impl Trace<'_> {
    fn processes(&self) -> anyhow::Result<Vec<OwnedFd>> {
        let noted = fs::read_to_string(self.folder.join(self.pid_file)).ok();
        let noted: Option<i32> = noted.and_then(|text| text.lines().next()?.trim().parse().ok());
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").context("list processes")?.flatten() {
            let id: Option<i32> = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            let Some(pid) = id.and_then(Pid::from_raw) else {
                continue;
            };
            // Opened before it is looked at: the descriptor never means a later process with the same id.
            let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
                continue;
            };
            if self.matches(&entry.path(), noted == id) {
                found.push(process);
            }
        }
        Ok(found)
    }

    fn matches(&self, process: &Path, is_noted: bool) -> bool {
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
        // A zombie has ended; it may wait for its parent to notice for ever.
        if field("Name:") != self.name || field("State:").starts_with('Z') {
            return false;
        }
        match fs::read_link(process.join("cwd")) {
            Ok(folder) => folder == self.folder,
            Err(err) => err.kind() == ErrorKind::PermissionDenied && is_noted,
        }
    }
}
