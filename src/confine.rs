//! The launcher `anb confine -- program args`: limits itself, ties its life to its parent's, then
//! becomes the program.
//!
//! A program started through it cannot outlive, outgrow or outspend its job, in a [`sandbox`] it
//! cannot look beyond it, and no `unsafe` `pre_exec` hook is needed. `media::command` and `dev` call
//! it; it is hidden from `--help`.
//!
//! The kernel ties the death signal to the parent *thread*. Spawn from async code, whose threads
//! live as long as the runtime, never from `spawn_blocking`, whose threads retire when idle. A
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

/// Exit code of a launcher that could not become the program, as `env` and `timeout` use it: no
/// failure of the program itself is mistaken for it.
pub const NOT_STARTED: u8 = 125;

/// What to start and under which limits; each one is optional.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Process that must be the parent; when it died in between, nothing is started
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub parent: Option<i32>,
    /// CPU seconds, then SIGKILL
    #[arg(long, value_name = "SECS")]
    pub cpu: Option<u64>,
    /// Address space in bytes
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<u64>,
    /// Size of any written file in bytes, then SIGXFSZ
    #[arg(long, value_name = "BYTES")]
    pub file_size: Option<u64>,
    /// How far the program steps back behind others that want a processor
    #[arg(long, value_name = "NICENESS", value_parser = clap::value_parser!(i32).range(0..=19))]
    pub nice: Option<i32>,
    /// Signal that the program gets when its parent dies
    #[arg(long, value_name = "SIGNAL", ignore_case = true)]
    pub death_signal: Option<DeathSignal>,
    /// Reach no file but these and the program's own, no socket and no other process; fails where
    /// the kernel cannot ensure it
    #[arg(long)]
    pub sandbox: bool,
    /// File or folder that may be read in the sandbox
    #[arg(long, value_name = "PATH", requires = "sandbox")]
    pub read: Vec<PathBuf>,
    /// Folder in which files may be read and written in the sandbox
    #[arg(long, value_name = "FOLDER", requires = "sandbox")]
    pub write: Option<PathBuf>,
    /// Program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub command: Vec<OsString>,
}

/// What a program is told when its parent dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DeathSignal {
    /// `SIGKILL`: a program whose work may be thrown away.
    Kill,
    /// `SIGINT`: the fast shutdown of `postgres`.
    Int,
    /// `SIGTERM`: a clean stop.
    Term,
}

/// Becomes the program; returns only when that fails, having said why on standard error.
pub fn run(args: &Args) -> ExitCode {
    let error = match confine_and_exec(args) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    // Nobody is left to tell when standard error is closed.
    drop(writeln!(std::io::stderr().lock(), "error: {error:#}"));
    ExitCode::from(NOT_STARTED)
}

fn confine_and_exec(args: &Args) -> anyhow::Result<Infallible> {
    let Some((program, rest)) = args.command.split_first() else {
        bail!("no program given");
    };
    // A crash on a hostile file must not fill the disk.
    limit(Resource::Core, Some(0)).context("switch off core dumps")?;
    limit(Resource::Cpu, args.cpu).context("limit CPU time")?;
    limit(Resource::Fsize, args.file_size).context("limit file size")?;
    if let Some(niceness) = args.nice {
        setpriority_process(None, niceness).context("step back behind others")?;
    }
    if let Some(signal) = args.death_signal {
        let signal = match signal {
            DeathSignal::Kill => Signal::KILL,
            DeathSignal::Int => Signal::INT,
            DeathSignal::Term => Signal::TERM,
        };
        set_parent_process_death_signal(Some(signal)).context("ask for the death signal")?;
    }
    // After the death signal is armed: a parent that died before is seen here, one that dies later
    // sends the signal.
    if let Some(parent) = args.parent
        && getppid().map(Pid::as_raw_pid) != Some(parent)
    {
        bail!("parent {parent} is gone");
    }
    if args.sandbox {
        sandbox::enter(Path::new(program), &args.read, args.write.as_deref())
            .context("enter the sandbox")?;
    }
    // Last, for this executable is itself larger than some limits.
    limit(Resource::As, args.memory).context("limit memory")?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the launcher itself: it becomes the program instead of starting one"
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
