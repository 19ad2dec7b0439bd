//! Why a program failed and which side caused it. Callers branch on both.

use std::{
    io, os::unix::process::ExitStatusExt, path::PathBuf, process::ExitStatus, time::Duration,
};

use rustix::process::Signal;

use super::Limits;
use crate::confine::NOT_STARTED;

/// Messages of programs whose allocation failed. The kernel overcommits, so only our limit causes
/// them; on a machine without memory the kernel kills the program instead.
const OUT_OF_MEMORY: [&str; 3] = ["Cannot allocate memory", "malloc of size", "bad_alloc"];

/// Why a program failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{program} is not installed: no executable of that name on PATH")]
    Missing { program: String },
    #[error("start {program} through {}", launcher.display())]
    Start {
        program: String,
        launcher: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{program} could not be started: {stderr}")]
    NotStarted { program: String, stderr: String },
    #[error("read the output of {program}")]
    Read {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("{program} printed more than {limit} bytes")]
    OutputTooLarge { program: String, limit: usize },
    #[error("{program} was killed after {} s", after.as_secs())]
    TimedOut { program: String, after: Duration },
    #[error("{program} was killed after {} s without output", after.as_secs())]
    Frozen { program: String, after: Duration },
    #[error("{program} used up its {} s of CPU time", limit.as_secs())]
    OutOfCpu { program: String, limit: Duration },
    #[error("{program} wrote a file of more than {limit} bytes")]
    FileTooLarge { program: String, limit: u64 },
    #[error("{program} needed more than {limit} bytes of memory: {stderr}")]
    OutOfMemory {
        program: String,
        limit: u64,
        stderr: String,
    },
    #[error("{program} crashed with signal {signal}: {stderr}")]
    Crashed {
        program: String,
        signal: i32,
        stderr: String,
    },
    #[error("{program} was killed by signal {signal}: {stderr}")]
    Killed {
        program: String,
        signal: i32,
        stderr: String,
    },
    #[error("{program} failed with code {code}: {stderr}")]
    Exit {
        program: String,
        code: i32,
        stderr: String,
    },
}

/// Which side caused a program's failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The program or its input.
    Program,
    /// The machine, which could not start the program or had no room for its files.
    Machine,
    /// Another process or, when memory runs out, the kernel killed the program.
    External,
}

impl Error {
    /// Returns which side caused the failure.
    pub fn blame(&self) -> Cause {
        match self {
            Self::Missing { .. } | Self::Start { .. } | Self::NotStarted { .. } => Cause::Machine,
            Self::Exit { stderr, .. } if is_about_this_machine(stderr) => Cause::Machine,
            Self::Killed { .. } => Cause::External,
            _ => Cause::Program,
        }
    }

    /// Returns whether the program reported an input/output error (`strerror(EIO)`).
    pub fn is_io_error(&self) -> bool {
        matches!(self, Self::Exit { stderr, .. } if stderr.contains("Input/output error"))
    }
}

/// Returns whether a program reported a disk problem (`strerror(3)` in its locale, C).
fn is_about_this_machine(stderr: &str) -> bool {
    [
        "No space left on device",
        "Disk quota exceeded",
        "Read-only file system",
    ]
    .iter()
    .any(|text| stderr.contains(text))
}

/// Classifies an unsuccessful exit.
pub fn failure(
    program: String,
    status: ExitStatus,
    cpu: Option<Duration>,
    limits: Limits,
    stderr: String,
) -> Error {
    let signal = status.signal().and_then(Signal::from_named_raw);
    let spent = cpu.is_some_and(|cpu| cpu + Duration::from_secs(1) >= limits.cpu);
    match (signal, status.code()) {
        (Some(Signal::XFSZ), _) => Error::FileTooLarge {
            program,
            limit: limits.file_bytes,
        },
        (Some(Signal::XCPU), _) => Error::OutOfCpu {
            program,
            limit: limits.cpu,
        },
        (Some(Signal::KILL), _) if spent => Error::OutOfCpu {
            program,
            limit: limits.cpu,
        },
        // 126 and 127: the dynamic loader failed.
        (_, Some(code)) if code == i32::from(NOT_STARTED) || matches!(code, 126 | 127) => {
            Error::NotStarted { program, stderr }
        }
        (signal, _)
            if signal.is_none_or(is_crash_signal)
                && OUT_OF_MEMORY.iter().any(|text| stderr.contains(text)) =>
        {
            Error::OutOfMemory {
                program,
                limit: limits.memory_bytes,
                stderr,
            }
        }
        (Some(signal), _) if is_crash_signal(signal) => Error::Crashed {
            program,
            signal: signal.as_raw(),
            stderr,
        },
        (_, Some(code)) => Error::Exit {
            program,
            code,
            stderr,
        },
        (_, None) => Error::Killed {
            program,
            signal: status.signal().unwrap_or_default(),
            stderr,
        },
    }
}

/// Returns whether a program causes the signal itself; other signals are sent by another process.
fn is_crash_signal(signal: Signal) -> bool {
    matches!(
        signal,
        Signal::SEGV | Signal::BUS | Signal::FPE | Signal::ILL | Signal::ABORT | Signal::TRAP
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_is_classified() {
        let limits = Limits {
            cpu: Duration::from_secs(9),
            wall: Duration::from_secs(9),
            silence: Duration::from_secs(9),
            memory_bytes: 9,
            file_bytes: 9,
            niceness: "0",
        };
        // As in wait(2): a signal, or an exit code in the second byte.
        let ended = |status, stderr: &str| {
            let status = ExitStatus::from_raw(status);
            failure("ffmpeg".into(), status, None, limits, stderr.into())
        };
        let code = 256;
        let x264 = "x264 [error]: malloc of size 5484672 failed";
        assert!(matches!(ended(code, x264), Error::OutOfMemory { .. }));
        assert!(matches!(ended(11, x264), Error::OutOfMemory { .. }));
        assert!(matches!(ended(9, x264), Error::Killed { .. }));
        assert!(matches!(ended(11, ""), Error::Crashed { signal: 11, .. }));
        assert!(matches!(ended(6, ""), Error::Crashed { signal: 6, .. }));
        assert!(matches!(ended(15, ""), Error::Killed { signal: 15, .. }));
        assert!(matches!(ended(25, ""), Error::FileTooLarge { .. }));
        assert!(matches!(
            ended(127 * code, "Cannot allocate memory"),
            Error::NotStarted { .. }
        ));
        assert!(matches!(ended(code, "x"), Error::Exit { code: 1, .. }));
    }
}
