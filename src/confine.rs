//! The launcher `anb confine -- program args`. It sets its own resource limits, arms the
//! parent-death signal, optionally enters a [`sandbox`], and then `exec`s the program, so no
//! `unsafe` `pre_exec` hook is needed. `media::run::command` and `dev` use it; `--help` hides it.
//!
//! The kernel ties the death signal to the parent *thread*. Spawn from async code, whose threads
//! live as long as the runtime, never from `spawn_blocking`, whose threads exit when idle. A
//! program that changes its user id loses the signal.

pub mod sandbox;

use std::{
    convert::Infallible,
    ffi::OsString,
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, anyhow, bail};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setpriority_process,
    setrlimit,
};

/// Exit code of a launcher that failed to `exec` the program, as in `env` and `timeout`. It
/// distinguishes this from a failure of the program itself.
pub const NOT_STARTED: u8 = 125;

/// The program to start and its limits, each of which is optional.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Expected parent process; the program is not started if it has exited
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub parent: Option<i32>,
    /// CPU time limit in seconds, enforced with SIGKILL
    #[arg(long, value_name = "SECS")]
    pub cpu: Option<u64>,
    /// Address space limit in bytes
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<u64>,
    /// Maximum size of a written file in bytes, enforced with SIGXFSZ
    #[arg(long, value_name = "BYTES")]
    pub file_size: Option<u64>,
    /// Niceness of the program
    #[arg(long, value_name = "NICENESS", value_parser = clap::value_parser!(i32).range(0..=19))]
    pub nice: Option<i32>,
    /// Signal that the program receives when its parent dies
    #[arg(long, value_name = "SIGNAL", ignore_case = true)]
    pub death_signal: Option<DeathSignal>,
    /// Deny access to sockets, to other processes and to all files except the listed ones and the
    /// program's own; fails if the kernel cannot enforce this
    #[arg(long)]
    pub sandbox: bool,
    /// File or folder that is readable in the sandbox
    #[arg(long, value_name = "PATH", requires = "sandbox")]
    pub read: Vec<PathBuf>,
    /// Folder whose files are readable and writable in the sandbox
    #[arg(long, value_name = "FOLDER", requires = "sandbox")]
    pub write: Option<PathBuf>,
    /// Program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub command: Vec<OsString>,
}

/// The signal sent to a program when its parent dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DeathSignal {
    /// `SIGKILL`, for programs whose work can be discarded.
    Kill,
    /// `SIGINT`, the fast shutdown of `postgres`.
    Int,
    /// `SIGTERM`, a clean stop.
    Term,
}

/// Replaces this process with the program. Returns only on failure, with the reason on standard
/// error.
pub fn run(args: &Args) -> ExitCode {
    let error = match confine_and_exec(args) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    // If standard error is closed, the error cannot be reported anywhere.
    drop(writeln!(std::io::stderr().lock(), "error: {error:#}"));
    ExitCode::from(NOT_STARTED)
}

fn confine_and_exec(args: &Args) -> anyhow::Result<Infallible> {
    let Some((program, rest)) = args.command.split_first() else {
        bail!("no program given");
    };
    // A crash on a malicious file must not fill the disk.
    limit(Resource::Core, Some(0)).context("switch off core dumps")?;
    limit(Resource::Cpu, args.cpu).context("limit CPU time")?;
    limit(Resource::Fsize, args.file_size).context("limit file size")?;
    if let Some(niceness) = args.nice {
        setpriority_process(None, niceness).context("set niceness")?;
    }
    if let Some(signal) = args.death_signal {
        let signal = match signal {
            DeathSignal::Kill => Signal::KILL,
            DeathSignal::Int => Signal::INT,
            DeathSignal::Term => Signal::TERM,
        };
        set_parent_process_death_signal(Some(signal)).context("set the parent-death signal")?;
    }
    // Checked after arming the signal: an earlier death is detected here, a later one sends the
    // signal.
    if let Some(parent) = args.parent
        && getppid().map(Pid::as_raw_pid) != Some(parent)
    {
        bail!("parent {parent} is gone");
    }
    if args.sandbox {
        sandbox::enter(Path::new(program), &args.read, args.write.as_deref())
            .context("enter the sandbox")?;
    }
    // Last, because this executable itself exceeds some limits.
    limit(Resource::As, args.memory).context("limit memory")?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the launcher replaces itself with the program instead of spawning one"
    )]
    let error = Command::new(program).args(rest).exec();
    Err(anyhow!(error).context(format!("start {}", program.display())))
}

/// Sets the soft and the hard limit, so that the program cannot raise it.
fn limit(resource: Resource, value: Option<u64>) -> rustix::io::Result<()> {
    let Some(value) = value else { return Ok(()) };
    setrlimit(
        resource,
        Rlimit {
            current: Some(value),
            maximum: Some(value),
        },
    )
}
