//! Running processes, their resource usage, and signals.

use std::{fs, path::Path, time::Duration};

use rustix::process::{Pid, Signal, kill_process};

use super::eventually;

/// Unit of processor time in `/proc`, which is the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Returns the processes with a working directory in or below `path`, or `path` in their arguments.
pub fn processes_about(path: &Path) -> Vec<u32> {
    let text = path.to_str().unwrap();
    processes()
        .filter(|id| {
            let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            let folder = fs::read_link(format!("/proc/{id}/cwd")).unwrap_or_default();
            folder.starts_with(path) || String::from_utf8_lossy(&line).contains(text)
        })
        .collect()
}

/// Returns all descendants of the process `id`.
pub fn descendants(id: u32) -> Vec<u32> {
    let is_child = |child: &u32| {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        // State and parent follow the name, which may contain spaces.
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split(' ').nth(2));
        parent == Some(id.to_string().as_str())
    };
    let children = processes().filter(is_child);
    children
        .flat_map(|child| [vec![child], descendants(child)].concat())
        .collect()
}

/// Returns the command line of a process. Empty if the process has exited.
pub fn command_line(id: u32) -> String {
    let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).into_owned()
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Signals a process and then its descendants, so that a stopped process starts no others.
pub fn signal_all(id: u32, signal: Signal) {
    let send = |id: u32| {
        let id = Pid::from_raw(id.try_into().unwrap()).unwrap();
        let _or_it_has_ended = kill_process(id, signal);
    };
    send(id);
    descendants(id).into_iter().for_each(send);
}

/// Waits for programs in `folder` and suspends them until the result is dropped. A worker treats a
/// program as frozen after 30 s.
pub async fn hold(folder: &Path) -> Vec<Suspended> {
    let mut held = Vec::new();
    eventually("a program is suspended", 300, async || {
        let programs = processes_about(folder).into_iter();
        held = programs.map(Suspended::freeze).collect();
        // If the program had already exited, another follows.
        tokio::time::sleep(Duration::from_millis(10)).await;
        held.iter().any(Suspended::stands_still)
    })
    .await;
    held
}

/// A process that is suspended, with its descendants, until this is dropped.
pub struct Suspended(u32);

impl Suspended {
    pub fn freeze(id: u32) -> Self {
        signal_all(id, Signal::STOP);
        Self(id)
    }

    fn stands_still(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0));
        status.is_ok_and(|status| status.contains("State:\tT"))
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        signal_all(self.0, Signal::CONT);
    }
}

/// Returns a memory field of `/proc/{id}/status` (bytes), or none if the process has exited.
pub fn memory(id: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// The processes whose processor time counts.
#[derive(Debug, Clone, Copy)]
pub enum Share {
    Own,
    /// The process and its children that have exited.
    WithChildren,
}

/// Returns the user and system time of a process so far, or none if the process has exited.
pub fn cpu_seconds(id: u32, share: Share) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The times start at the 14th field. The second field may contain spaces.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let count = match share {
        Share::Own => 2,
        Share::WithChildren => 4,
    };
    let times = fields.split_whitespace().skip(11).take(count);
    let ticks: u32 = times.map(|time| time.parse::<u32>().unwrap()).sum();
    Some(f64::from(ticks) / TICKS_PER_SECOND)
}
