//! Worker settings: concurrent jobs, leases, and the lifecycle of the EC2 instance.

use std::time::Duration;

use anyhow::ensure;
use clap::{Args, value_parser};

use super::{Switch, duration};

/// Visibility timeout for a process that only pushes, and therefore hides no messages.
pub const DEFAULT_VISIBILITY: Duration = Duration::from_mins(1);

/// Worker settings.
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(next_help_heading = "Worker")]
pub struct Settings {
    /// Maximum concurrent jobs in this worker
    #[arg(long, env, default_value_t = 5, value_name = "COUNT",
          value_parser = value_parser!(u16).range(1..=256))]
    pub worker_concurrency: u16,
    /// Number of reported failures after which a job is given up
    #[arg(long, env, default_value_t = 3, value_name = "COUNT",
          value_parser = value_parser!(i32).range(1..=100))]
    pub job_max_attempts: i32,
    /// Time after which a job is given up if environment failures (a full disk, an unavailable
    /// storage) keep it from completing
    #[arg(long, env, default_value = "24h", value_name = "TIME", value_parser = duration)]
    pub job_give_up_after: Duration,
    /// Time without a heartbeat after which a job is given to another worker [unit: 10s …]
    #[arg(long, env, default_value = "10s", value_name = "TIME", value_parser = duration)]
    pub job_lease: Duration,
    /// How long the broker hides a message without a heartbeat [unit: 60s …]
    #[arg(long, env, default_value = "60s", value_name = "TIME", value_parser = duration)]
    pub job_visibility: Duration,
}

/// How a worker handles the end of its machine.
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(next_help_heading = "Worker")]
pub struct MachineSettings {
    /// Follow notices of EC2 and the auto scaling group, and protect this instance while jobs run
    #[arg(long, env, default_value = "off", value_name = "SWITCH")]
    pub ec2_lifecycle: Switch,
}

impl Settings {
    /// Refuses durations that contradict each other.
    pub fn validate(&self) -> anyhow::Result<()> {
        ensure!(
            self.job_lease >= Duration::from_secs(1),
            "JOB_LEASE={:?} is below 1s: the heartbeat could not keep up",
            self.job_lease
        );
        ensure!(
            self.job_visibility >= self.job_lease,
            "JOB_VISIBILITY={:?} is shorter than JOB_LEASE={:?}: the broker would hand out jobs that \
             still run",
            self.job_visibility,
            self.job_lease
        );
        Ok(())
    }
}
