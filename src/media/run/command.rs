//! Starts every external program, confined and bounded, and kills it when its future is dropped.
//!
//! Every program runs through `anb confine` (`crate::confine`) in its own process group, with an
//! empty environment, no standard input, limits on CPU, memory, file size and time, and a sandbox
//! where the kernel supports one. Buffers for its output are bounded. Callers branch on the variant
//! of the error.

pub mod error;
mod running_time;

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
};

pub use self::error::Error;
use self::error::failure;
use super::proc::{cpu_time_at_exit, peak_memory};

/// Clips yield to interactive work. A program gets a thirtieth of a processor that it shares with
/// interactive work, a quarter of one shared with password hashing (10) and all of an idle one.
pub const NICENESS: &str = "15";

/// Number of bytes kept from the end of standard error.
const STDERR_BYTES: usize = 8 * 1024;

/// Resource limits of a program; exceeding one kills it.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub cpu: Duration,
    /// Excludes pauses of this process.
    pub wall: Duration,
    /// Maximum time without standard output, pauses excluded likewise. A program that fails to
    /// report its progress is frozen.
    pub silence: Duration,
    pub memory_bytes: u64,
    pub file_bytes: u64,
    pub niceness: &'static str,
}

/// Files that a program may access in the sandbox besides its own.
#[derive(Debug, Clone, Copy)]
pub struct SandboxPaths<'a> {
    /// Files, or folders with everything below.
    pub read: &'a [&'a Path],
    /// Folder whose files may also be read and created.
    pub write: Option<&'a Path>,
}

/// One invocation of a program.
#[derive(Debug)]
pub struct Invocation<'a> {
    /// Absolute path, see [`find`].
    pub program: &'a Path,
    pub args: &'a [OsString],
    /// Absolute path of the working folder; arguments may name files relative to it.
    pub folder: &'a Path,
    pub paths: SandboxPaths<'a>,
    pub limits: Limits,
}

/// Total resource usage of runs, whether they succeed or not.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct ResourceUsage {
    /// User and system time, where the kernel reports it.
    pub cpu_ms: Option<u64>,
    /// Peak memory as far as observed; sampled whenever standard output arrives.
    pub peak_bytes: Option<u64>,
}

impl ResourceUsage {
    fn spend(&mut self, cpu: Option<Duration>) {
        let Some(cpu) = cpu.and_then(|cpu| u64::try_from(cpu.as_millis()).ok()) else {
            return;
        };
        self.cpu_ms = Some(self.cpu_ms.unwrap_or(0) + cpu);
    }
}

/// Starts programs through one launcher executable.
#[derive(Debug, Clone)]
pub struct Runner {
    launcher: PathBuf,
    is_sandboxed: bool,
}

impl Runner {
    /// Starts programs in the sandbox; `launcher` is the `anb` executable.
    pub fn new(launcher: PathBuf) -> Self {
        Self {
            launcher,
            is_sandboxed: true,
        }
    }

    /// Starts programs without the sandbox; all limits stay.
    pub fn disable_sandbox(&mut self) {
        self.is_sandboxed = false;
    }

    /// Runs a program, passes each chunk of its standard output to `on_stdout` and adds its
    /// resource usage to `usage`. Returns the end of its standard error.
    ///
    /// Dropping the future kills the program and all processes that it started.
    pub async fn run(
        &self,
        invocation: &Invocation<'_>,
        usage: &mut ResourceUsage,
        mut on_stdout: impl FnMut(&[u8]) + Send,
    ) -> Result<String, Error> {
        let program = name(invocation.program);
        let mut child = self.spawn(invocation)?;
        let mut group = ProcessGroup(child.id().and_then(pid));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let work = async {
            let mut tail = Vec::new();
            let Limits { silence, wall, .. } = invocation.limits;
            let on_chunk = |bytes: &[u8]| {
                usage.peak_bytes = usage.peak_bytes.max(group.0.and_then(peak_memory));
                on_stdout(bytes);
            };
            tokio::try_join!(
                pump(stdout, silence, on_chunk),
                pump(stderr, wall, |bytes| keep_tail(&mut tail, bytes)),
            )?;
            let cpu = match group.0 {
                Some(pid) => cpu_time_at_exit(pid).await,
                None => None,
            };
            let status = child.wait().await?;
            io::Result::Ok((status, cpu, tail))
        };
        let (status, cpu, tail) = match running_time::timeout(invocation.limits.wall, work).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                let after = invocation.limits.silence;
                return Err(Error::Frozen { program, after });
            }
            Ok(Err(source)) => return Err(Error::Read { program, source }),
            Err(running_time::Elapsed) => {
                let after = invocation.limits.wall;
                return Err(Error::TimedOut { program, after });
            }
        };
        // Another process may reuse the process id now.
        group.0 = None;
        usage.spend(cpu);
        let stderr = String::from_utf8_lossy(&tail).trim().to_owned();
        if status.success() {
            return Ok(stderr);
        }
        Err(failure(program, status, cpu, invocation.limits, stderr))
    }

    /// Runs a program and returns its whole standard output (at most `max_bytes`) and the end of
    /// its standard error.
    pub async fn capture(
        &self,
        invocation: &Invocation<'_>,
        usage: &mut ResourceUsage,
        max_bytes: usize,
    ) -> Result<(Vec<u8>, String), Error> {
        let mut stdout = Vec::new();
        let mut too_much = false;
        let stderr = self
            .run(invocation, usage, |bytes| {
                if stdout.len().saturating_add(bytes.len()) > max_bytes {
                    too_much = true;
                } else {
                    stdout.extend_from_slice(bytes);
                }
            })
            .await?;
        if too_much {
            return Err(Error::OutputTooLarge {
                program: name(invocation.program),
                limit: max_bytes,
            });
        }
        Ok((stdout, stderr))
    }

    fn sandbox<'a>(&self, paths: SandboxPaths<'a>) -> Vec<&'a OsStr> {
        if !self.is_sandboxed {
            return Vec::new();
        }
        let option = |name, path: &'a Path| [OsStr::new(name), path.as_os_str()];
        let read = paths.read.iter().map(|path| option("--read", path));
        let write = paths.write.iter().map(|folder| option("--write", folder));
        let mut args = vec![OsStr::new("--sandbox")];
        args.extend(read.chain(write).flatten());
        args
    }

    fn spawn(&self, invocation: &Invocation<'_>) -> Result<Child, Error> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one sanctioned place: every external program starts here"
        )]
        let mut command = Command::new(&self.launcher);
        command
            .arg("confine")
            .arg("--parent")
            .arg(std::process::id().to_string())
            .arg("--cpu")
            .arg(invocation.limits.cpu.as_secs().to_string())
            .arg("--memory")
            .arg(invocation.limits.memory_bytes.to_string())
            .arg("--file-size")
            .arg(invocation.limits.file_bytes.to_string())
            .args(["--nice", invocation.limits.niceness])
            .args(["--death-signal", "kill"])
            .args(self.sandbox(invocation.paths))
            .arg("--")
            .arg(invocation.program)
            .args(invocation.args)
            .current_dir(invocation.folder)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command.spawn().map_err(|source| Error::Start {
            program: name(invocation.program),
            launcher: self.launcher.clone(),
            source,
        })
    }
}

/// Finds an executable on `PATH`.
pub fn find(program: &str) -> Result<PathBuf, Error> {
    #[expect(
        clippy::disallowed_methods,
        reason = "PATH belongs to the shell, not to our settings"
    )]
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| {
            rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok() && file.is_file()
        })
        .ok_or_else(|| Error::Missing {
            program: program.to_owned(),
        })
}

/// A process group; dropping it kills the group unless the program is known to have ended.
struct ProcessGroup(Option<Pid>);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(pid) = self.0
            && let Err(error) = kill_process_group(pid, Signal::KILL)
            && error != rustix::io::Errno::SRCH
        {
            tracing::warn!(%error, pid = pid.as_raw_pid(), "cannot kill a process group");
        }
    }
}

/// Reads to the end, so that the program never blocks on a full pipe. Returns
/// [`io::ErrorKind::TimedOut`] after `silence` without output.
async fn pump(
    pipe: Option<impl AsyncRead + Unpin>,
    silence: Duration,
    mut on_bytes: impl FnMut(&[u8]),
) -> io::Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let read = running_time::timeout(silence, pipe.read_buf(&mut buffer)).await;
        if read.map_err(|running_time::Elapsed| io::Error::from(io::ErrorKind::TimedOut))?? == 0 {
            return Ok(());
        }
        on_bytes(&buffer);
        buffer.clear();
    }
}

fn keep_tail(tail: &mut Vec<u8>, bytes: &[u8]) {
    tail.extend_from_slice(bytes);
    tail.drain(..tail.len().saturating_sub(STDERR_BYTES));
}

fn pid(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}

fn name(program: &Path) -> String {
    let name = program.file_name().unwrap_or(program.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_standard_error_is_kept() {
        let mut tail = Vec::new();
        for line in 0..2000 {
            keep_tail(&mut tail, format!("line {line}\n").as_bytes());
        }
        assert_eq!(tail.len(), STDERR_BYTES);
        assert!(tail.ends_with(b"line 1999\n"));
    }

    #[test]
    fn missing_program_is_named() {
        let error = find("anb-no-such-program").unwrap_err();
        assert!(error.to_string().contains("anb-no-such-program"));
    }
}
