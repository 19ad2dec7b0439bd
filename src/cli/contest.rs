//! The arguments of `anb contest`.

use clap::{Subcommand, builder::Resettable};

use crate::{config, contests::Plan};

/// Arguments of `anb contest`.
#[derive(Debug, clap::Args)]
#[command(mut_args(|arg| arg.global(true)))]
pub struct ContestTool {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub database: config::database::Settings,
    #[command(subcommand)]
    pub action: ContestAction,
}

/// Actions of `anb contest`.
#[derive(Debug, Subcommand)]
pub enum ContestAction {
    /// Creates a contest, which votes and uploads belong to from now on. Times are like `2026-12-03
    /// 08:00` in the contest's time zone, like `2026-12-03T08:00:00-05:00`, or `now`
    Create {
        /// Name of the contest in addresses and commands, like `rising-stars-2026`
        #[arg(env = "CONTEST_SLUG")]
        slug: String,
        #[command(flatten)]
        plan: Box<Plan>,
    },
    /// Shows a contest: phase, dates, rules, videos and votes
    Show {
        /// The contest; if unset, the current one
        slug: Option<String>,
    },
    /// Changes the given dates and rules; reads no variables for them
    #[command(mut_args(|arg| arg.env(Resettable::Reset).help_heading(Resettable::Reset)))]
    Schedule {
        /// The contest
        slug: String,
        /// Change it even if this affects a contest that is running
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        plan: Box<Plan>,
    },
    /// Counts the votes and fixes the result, once the voting has closed
    Freeze {
        /// The contest
        slug: String,
        /// Count again, if the result is frozen and not published
        #[arg(long)]
        force: bool,
    },
    /// Makes the frozen result public
    Publish {
        /// The contest
        slug: String,
    },
    /// Removes a contest that is not frozen; its videos and votes stay
    Remove {
        /// The contest
        slug: String,
        /// Remove it even if it has votes
        #[arg(long)]
        force: bool,
    },
}
