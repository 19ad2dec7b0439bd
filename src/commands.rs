//! The commands, one per module. Each validates its settings, connects, works and stops.

mod admin;
mod contest;
mod dev;
mod fsck;
mod migrate;
mod queue;
mod serve;
mod work;

use std::{fs, future::Future, process::ExitCode};

use anyhow::Context as _;

use crate::{audit::By, cli::Command, confine};

/// Runs a command to completion and returns its exit code.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(settings) => block_on(serve::run(settings)),
        Command::Work(settings) => block_on(work::run(settings)),
        Command::Migrate(arguments) => block_on(migrate::run(arguments)),
        Command::Admin(arguments) => block_on(admin::run(arguments)),
        Command::Contest(arguments) => block_on(contest::run(arguments)),
        Command::Queue(arguments) => block_on(queue::run(arguments)),
        Command::Fsck(arguments) => block_on(fsck::run(arguments)),
        Command::Dev(settings) => block_on(dev::run(settings)),
        // No thread may exist yet, since this executes another program.
        Command::Confine(arguments) => Ok(confine::run(&arguments)),
    }
}

/// Returns who runs a command, for the record of acts: the command, the user's id and the host.
fn operator(command: &str) -> By {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let user = rustix::process::getuid().as_raw();
    By::command(format!("{command} (uid {user}@{})", host.trim()))
}

fn block_on(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the async runtime")?
        .block_on(command)?;
    Ok(ExitCode::SUCCESS)
}
