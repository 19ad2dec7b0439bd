//! The command line: its commands, and how their settings are read.
//!
//! clap reads flags and variables, with three changes. An empty variable counts as unset. An
//! invalid variable ends the program with exit code 1 and one line that names it (an invalid flag
//! keeps clap's own message and exit code 2). A `.env` file is read first.

mod contest;
pub(crate) mod env_file;

use std::{
    error::Error as _,
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use clap::{
    Arg, ArgAction, Command as Clap, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
    builder::Resettable,
    error::{ContextKind, ContextValue, ErrorKind},
};

pub use self::contest::{ContestAction, ContestTool};
use crate::{auth::Role, config, confine, version::VERSION};

/// ANB Rising Stars Showcase: players upload a video, workers make a branded clip of it, the public
/// votes, and a ranking by city decides who plays.
#[derive(Debug, Parser)]
#[command(name = "anb", version = VERSION.as_str(), propagate_version = true)]
pub struct Cli {
    /// Settings file, overridden by the environment and by files named before it; if unset, `.env` if
    /// it exists
    // Declared first, since an argument inherits the help heading of the arguments before it.
    #[arg(long, global = true, value_name = "FILE", action = ArgAction::Append)]
    pub env_file: Vec<PathBuf>,
    #[command(flatten)]
    pub log: config::log::Settings,
    #[command(subcommand)]
    pub command: Command,
}

/// Name of the hidden command that executes another program.
const LAUNCHER: &str = "confine";

/// The commands, one per role.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the API
    Serve(config::Serve),
    /// Runs the queue worker
    Work(config::Work),
    /// Applies pending database migrations
    Migrate(Migrate),
    /// Runs everything on this machine: a private PostgreSQL and Redis, the API and a worker
    Dev(config::Dev),
    /// Operator tools for accounts
    Admin(Admin),
    /// The contest: its dates, its rules and its result
    Contest(ContestTool),
    /// Operator tools for the queue: its contents, and retries of failed videos
    Queue(QueueTool),
    /// Compares rows, files and queue, and lists inconsistencies; exit code 1 on findings
    Fsck(Fsck),
    /// Restricts itself, then executes another program
    #[command(name = LAUNCHER, hide = true)]
    Confine(confine::Args),
}

/// Arguments of `anb migrate`.
#[derive(Debug, clap::Args)]
#[command(mut_args(|arg| arg.global(true)))]
pub struct Migrate {
    /// List the pending migrations without applying them
    #[arg(long)]
    pub dry_run: bool,
    /// Lock the database users that `DB_USER` replaced: those with a lower number
    #[arg(long, requires = "db_owner_user")]
    pub lock_earlier_users: bool,
    #[command(flatten)]
    pub database: config::database::Settings,
    #[command(flatten)]
    pub owner: config::database::Owner,
    #[command(subcommand)]
    pub direction: Option<Direction>,
}

/// Arguments of `anb admin`.
#[derive(Debug, clap::Args)]
#[command(mut_args(|arg| arg.global(true)))]
pub struct Admin {
    #[command(flatten)]
    pub database: config::database::Settings,
    #[command(subcommand)]
    pub action: AdminAction,
}

/// Arguments of `anb queue`.
#[derive(Debug, clap::Args)]
#[command(mut_args(|arg| arg.global(true)))]
pub struct QueueTool {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub database: config::database::Settings,
    #[command(flatten)]
    pub queue: config::queue::Settings,
    #[command(flatten)]
    pub aws: config::aws::Settings,
    #[command(subcommand)]
    pub action: QueueAction,
}

/// Arguments of `anb fsck`.
#[derive(Debug, clap::Args)]
pub struct Fsck {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub repair: Repair,
    #[command(flatten)]
    pub backends: config::Backends,
    #[command(flatten)]
    pub upload: config::storage::UploadSettings,
}

/// Flags for the repairs of `anb fsck`.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Repair")]
#[group(skip)]
pub struct Repair {
    /// Repair findings where possible; files are deleted only with --delete-orphans
    #[arg(long)]
    pub fix: bool,
    /// Report what --fix would do, without doing it
    #[arg(long, requires = "fix")]
    pub dry_run: bool,
    /// Delete files that no row refers to and that are not newer than the newest video
    #[arg(long, requires = "fix")]
    pub delete_orphans: bool,
    /// Confirm that this many files are deleted; required for more than a tenth of all files
    #[arg(long, requires = "delete_orphans", value_name = "COUNT")]
    pub yes_delete: Option<usize>,
}

/// Actions of `anb queue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum QueueAction {
    /// Shows how many videos and messages are waiting, in flight and dead
    Stats,
    /// Requeues videos given up because of a system failure, and removes their dead messages
    Redrive,
    /// Shows dead messages without removing them
    Peek {
        /// Maximum number of messages to show
        #[arg(long, default_value_t = 100, value_name = "COUNT")]
        limit: usize,
    },
}

/// Actions of `anb admin`.
#[derive(Debug, Subcommand)]
pub enum AdminAction {
    /// Grants a role to an account, for example to the first organiser
    Grant {
        /// The role
        role: Role,
        /// E-mail address of the account
        email: String,
    },
    /// Gives an account a new random password, prints it, and ends all its sessions
    ResetPassword {
        /// E-mail address of the account
        email: String,
    },
}

/// Further actions of `anb migrate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum Direction {
    /// Reverts the last migration
    Revert,
}

/// The reason why no command runs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// clap prints help, the version, or a usage error (exit code 2).
    #[error(transparent)]
    Clap(#[from] clap::Error),
    /// A setting from the environment is invalid (exit code 1).
    #[error("{0}")]
    Environment(String),
}

/// Reads the settings file, the environment and `arguments` (the program's name first).
pub fn parse(arguments: &[OsString]) -> Result<Cli, Error> {
    // The launcher executes a program that must not see the secrets of a settings file.
    if arguments.get(1).is_none_or(|word| word != LAUNCHER) {
        env_file::load(arguments).map_err(|error| Error::Environment(format!("{error:#}")))?;
    }
    let command = ignore_empty_variables(Cli::command());
    let parsed = command
        .clone()
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.map_err(
        |error| match variable_at_fault(&command, arguments, &error) {
            Some(message) => Error::Environment(message),
            None => Error::Clap(error),
        },
    )
}

/// Detaches empty variables from their arguments.
fn ignore_empty_variables(command: Clap) -> Clap {
    let is_empty = |arg: &Arg| {
        let variable = arg.get_env();
        variable.is_some_and(|name| value_of(name).is_some_and(|value| value.is_empty()))
    };
    command
        .mut_args(|arg| {
            if is_empty(&arg) {
                arg.env(Resettable::Reset)
            } else {
                arg
            }
        })
        .mut_subcommands(ignore_empty_variables)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the command line is where settings are read"
)]
fn value_of(variable: &OsStr) -> Option<OsString> {
    std::env::var_os(variable)
}

/// Returns one line that names the variable if `error` is about a variable's value. The value of a
/// secret is not repeated.
fn variable_at_fault(
    command: &Clap,
    arguments: &[OsString],
    error: &clap::Error,
) -> Option<String> {
    if error.kind() == ErrorKind::InvalidUtf8
        && arguments.iter().all(|word| word.to_str().is_some())
    {
        let variable = find_unreadable(command)?;
        return Some(format!("{variable}: not UTF-8"));
    }
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let flag = argument.split_whitespace().next()?.trim_end_matches('=');
    let given = arguments.iter().any(|word| {
        let word = word.to_string_lossy();
        word == flag
            || word
                .strip_prefix(flag)
                .is_some_and(|rest| rest.starts_with('='))
    });
    let arg = find_by_flag(command, flag)?;
    let variable = arg.get_env()?;
    let value = value_of(variable)?;
    if given {
        return None;
    }
    let shown = if arg.is_hide_env_values_set() {
        "…".into()
    } else {
        value.to_string_lossy()
    };
    let cause = match (error.source(), error.get(ContextKind::ValidValue)) {
        (Some(cause), _) => cause.to_string(),
        (None, Some(ContextValue::Strings(values))) => {
            format!("possible values are {}", values.join(", "))
        }
        (None, _) => "not a valid value".to_owned(),
    };
    Some(format!("{}={shown}: {cause}", variable.to_string_lossy()))
}

/// Finds a variable whose value is not UTF-8, since clap does not report which one it is.
fn find_unreadable(command: &Clap) -> Option<String> {
    let variables = command.get_arguments().filter_map(Arg::get_env);
    let unreadable = variables
        .filter(|name| value_of(name).is_some_and(|value| value.to_str().is_none()))
        .map(|name| name.to_string_lossy().into_owned())
        .next();
    unreadable.or_else(|| command.get_subcommands().find_map(find_unreadable))
}

fn find_by_flag<'a>(command: &'a Clap, flag: &str) -> Option<&'a Arg> {
    let long = flag.strip_prefix("--")?;
    let here = command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(long));
    here.or_else(|| {
        command
            .get_subcommands()
            .find_map(|inner| find_by_flag(inner, flag))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_setting_has_a_variable_and_no_secret_shows() {
        for command in Cli::command().get_subcommands_mut() {
            if command.is_hide_set() {
                continue;
            }
            let help = command.render_long_help().to_string();
            assert!(!help.contains("anb-development-secret"), "{help}");
            for arg in command.get_arguments() {
                let is_setting = arg.get_long().is_some_and(|long| {
                    ![
                        "help",
                        "version",
                        "dry-run",
                        "env-file",
                        "json",
                        "fix",
                        "delete-orphans",
                        "yes-delete",
                        "lock-earlier-users",
                    ]
                    .contains(&long)
                });
                assert!(
                    !is_setting || arg.get_env().is_some(),
                    "{:?}",
                    arg.get_long()
                );
            }
        }
    }
}
