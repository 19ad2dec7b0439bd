//! Logging settings.

use clap::{Args, ValueEnum};

/// Logging settings, common to every command.
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(next_help_heading = "Logging")]
pub struct Settings {
    /// Format of a log line
    #[arg(long, env, default_value = "text", value_name = "SHAPE", global = true)]
    pub log_format: LogFormat,
    /// Log filter: a level, or directives as in `info,anb=debug`
    #[arg(long, env = "RUST_LOG", default_value = "info", value_name = "FILTER")]
    #[arg(global = true)]
    pub log: String,
}

/// Format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for human readers.
    Text,
    /// One JSON object per line, for machines.
    Json,
}
