//! The `anb` executable.

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
enum Cli {
    #[command(hide = true)]
    Confine(anb::confine::Args),
}

fn main() -> ExitCode {
    let Cli::Confine(args) = Cli::parse();
    anb::confine::run(&args)
}
