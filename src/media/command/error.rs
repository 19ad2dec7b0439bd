//! How a program ended, and whose fault that was: callers branch on it.

use std::{
    io, os::unix::process::ExitStatusExt, path::PathBuf, process::ExitStatus, time::Duration,
};

use rustix::process::Signal;

use super::Limits;
use crate::confine::NOT_STARTED;

/// What programs say when an allocation fails. The kernel overcommits: only a limit of ours does
/// that, a machine without memory kills.
const OUT_OF_MEMORY: [&str; 3] = ["Cannot allocate memory", "malloc of size", "bad_alloc"];

/// Why a program did not do its work.
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
    #[error("{program} said more than {limit} bytes")]
    TooTalkative { program: String, limit: usize },
    #[error("{program} was killed after {} s", after.as_secs())]
    TimedOut { program: String, after: Duration },
    #[error("{program} was killed: it said nothing for {} s", after.as_secs())]
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

/// Whose fault it was that a program did not do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The program's, or its input's.
    Program,
    /// The machine's: it could not start the program, or had no room for its files.
    Machine,
    /// Somebody else's who killed it: perhaps the kernel, for want of memory.
    Killer,
}

impl Error {
    /// Tells whose fault it was.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Missing { .. } | Self::Start { .. } | Self::NotStarted { .. } => Blame::Machine,
            Self::Exit { stderr, .. } if is_about_this_machine(stderr) => Blame::Machine,
            Self::Killed { .. } => Blame::Killer,
            _ => Blame::Program,
        }
    }

    /// Tells whether the program complained of an input or output error (`strerror(EIO)`).
    pub fn is_about_reading(&self) -> bool {
        matches!(self, Self::Exit { stderr, .. } if stderr.contains("Input/output error"))
    }
}

/// Tells whether a program complained about the disk (`strerror(3)` in the locale C, which is the one it runs in).
fn is_about_this_machine(stderr: &str) -> bool {
    [
        "No space left on device",
        "Disk quota exceeded",
        "Read-only file system",
    ]
    .iter()
    .any(|text| stderr.contains(text))
}

/// Finds the cause of an end that was no success.
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
            if signal.is_none_or(is_own_fault)
                && OUT_OF_MEMORY.iter().any(|text| stderr.contains(text)) =>
        {
            Error::OutOfMemory {
                program,
                limit: limits.memory_bytes,
                stderr,
            }
        }
        (Some(signal), _) if is_own_fault(signal) => Error::Crashed {
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

/// Tells a signal that a program brings upon itself from one that somebody sends.
fn is_own_fault(signal: Signal) -> bool {
    matches!(
        signal,
        Signal::SEGV | Signal::BUS | Signal::FPE | Signal::ILL | Signal::ABORT | Signal::TRAP
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_of_a_program_has_its_cause() {
        let limits = Limits {
            cpu: Duration::from_secs(9),
            wall: Duration::from_secs(9),
            silence: Duration::from_secs(9),
            memory_bytes: 9,
            file_bytes: 9,
        };
        // As wait(2) tells: a signal, or an exit code in the second byte.
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
