//! The commands, one per module. Each validates its settings, connects, works and stops.

mod admin;
mod dev;
mod fsck;
mod migrate;
mod queue;
mod serve;
mod work;

use std::{future::Future, process::ExitCode};

use anyhow::Context as _;

use crate::{cli::Command, confine};

/// Runs a command to completion and returns its exit code.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(settings) => block_on(serve::run(settings)),
        Command::Work(settings) => block_on(work::run(settings)),
        Command::Migrate(arguments) => block_on(migrate::run(arguments)),
        Command::Admin(arguments) => block_on(admin::run(arguments)),
        Command::Queue(arguments) => block_on(queue::run(arguments)),
        Command::Fsck(arguments) => block_on(fsck::run(arguments)),
        Command::Dev(settings) => block_on(dev::run(settings)),
        // No thread may exist yet, since this executes another program.
        Command::Confine(arguments) => Ok(confine::run(&arguments)),
    }
}

fn block_on(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the async runtime")?
        .block_on(command)?;
    Ok(ExitCode::SUCCESS)
}
