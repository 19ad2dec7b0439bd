//! The `anb` executable. Runs the command and reports an error as one line and an exit code.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anb::{causes, cli, commands, telemetry, version};
use tikv_jemallocator::Jemalloc;

/// glibc's allocator never returns the memory of argon2, 19 MiB per thread (`docs/decisions/0006`).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    if let Some(commit) = option_env!("ANB_COMMIT") {
        version::name_commit(commit);
    }
    let cli = match cli::parse(&std::env::args_os().collect::<Vec<_>>()) {
        Ok(cli) => cli,
        Err(cli::Error::Clap(error)) => {
            // Help exits with 0 on standard output, a usage error with 2 on standard error.
            let code = if error.use_stderr() { 2 } else { 0 };
            return error
                .print()
                .map_or(ExitCode::FAILURE, |()| ExitCode::from(code));
        }
        Err(error @ cli::Error::Environment(_)) => return fail(&error.into()),
    };
    match telemetry::init(&cli.log).and_then(|()| commands::run(cli.command)) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

/// Prints the error in one line. A failure to print it cannot be reported.
fn fail(error: &anyhow::Error) -> ExitCode {
    drop(writeln!(
        io::stderr().lock(),
        "anb: {}",
        causes::line(error)
    ));
    ExitCode::FAILURE
}
