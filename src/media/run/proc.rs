//! CPU time and memory as the kernel reports them in `/proc` (proc(5)).

use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// Waits until the process has ended and reads its CPU time before it is reaped. The process has
/// already closed its pipes, so the wait on a blocking thread is short.
pub async fn cpu_time_at_exit(pid: Pid) -> Option<Duration> {
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let waited = tokio::task::spawn_blocking(move || waitid(WaitId::Pid(pid), ended));
    waited.await.ok()?.ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    cpu_time(&stat)
}

/// Returns the peak memory of a running process (`VmHWM`).
pub fn peak_memory(pid: Pid) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid())).ok()?;
    memory(&status, "VmHWM:")
}

/// Parses a line of a file in `/proc`, such as `MemTotal: 1962416 kB`, into bytes.
pub fn memory(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Parses user plus system time in `/proc/PID/stat` (fields 14 and 15, ticks of 10 ms).
fn cpu_time(stat: &str) -> Option<Duration> {
    // The second field is the program's name in parentheses and may contain anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis(10 * (user + system)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_parsed_after_a_hostile_program_name() {
        let stat = "12 (a) b) 1) Z 1 12 1 0 -1 4 5 0 0 0 150 25 0 0 20 0 1 0 9 0 0";
        assert_eq!(cpu_time(stat), Some(Duration::from_millis(1750)));
        assert_eq!(cpu_time("12 (ffmpeg) Z 1"), None);
    }
}
