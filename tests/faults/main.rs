//! Injects faults into every component, by a seeded plan, during uploads, votes, deletions and
//! publications. Afterwards the clients' history and `anb fsck` must agree that nothing was lost,
//! stuck or duplicated. `docs/faults.md` explains how to run it.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

mod actors;
mod checks;
mod clients;
mod history;
mod plan;
mod system;
mod watch;

/// The support of the integration tests.
#[path = "../it"]
#[expect(unused, reason = "only other tests use all of it")]
mod it {
    pub mod support;
    #[path = "processes"]
    pub mod processes {
        pub mod process;
    }
}

use std::{env, time::Instant};

use futures_util::future::join_all;
use it::support;

use self::{clients::Clients, history::History, plan::Plan, system::System, watch::Watch};

/// Size of a run.
#[derive(Debug, Clone)]
pub struct Size {
    /// Determines the plan and what the clients do.
    pub seed: u64,
    pub faults: usize,
    pub uploads: usize,
    pub votes: usize,
    pub backend: Backend,
}

/// Queue and storage of the processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Redis and a disk.
    Redis,
    /// SQS and S3.
    Sqs,
}

impl Size {
    /// Reads `SEED`, `FAULTS`, `UPLOADS`, `VOTES` and `BACKEND`.
    fn from_environment() -> Self {
        let number = |name, default| match env::var(name) {
            Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text}")),
            Err(_) => default,
        };
        let faults = number("FAULTS", 24);
        Self {
            seed: number("SEED", 5).try_into().unwrap(),
            faults,
            uploads: number("UPLOADS", 12),
            votes: number("VOTES", 120),
            backend: match env::var("BACKEND").as_deref() {
                Err(_) | Ok("redis") => Backend::Redis,
                Ok("sqs") => Backend::Sqs,
                Ok(other) => panic!("BACKEND={other}: redis or sqs"),
            },
        }
    }

    /// Returns whether the run has long outages and waits in real time.
    fn is_long(&self) -> bool {
        self.faults >= plan::LONG
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_stuck_or_duplicated_under_faults() {
    let size = Size::from_environment();
    println!("{size:?}");
    let started = Instant::now();
    let system = System::build(&size).await;
    let plan = Plan::of(size.seed, size.faults, system.targets());
    let history = History::default();
    let watch = Watch::default();

    let clients = Clients::of(&system, &history, &size).await;
    let actors = plan
        .parts
        .iter()
        .map(|part| actors::play(&system, &watch, &history, part));
    let faults = async {
        join_all(actors).await;
        println!("{} faults in {:?}", size.faults, started.elapsed());
        system.rebuild().await;
        checks::hurry(&system, &size).await;
    };
    let work = async {
        tokio::join!(faults, clients.live());
        checks::quiesce(&system, &watch, &size).await;
        watch.stop();
    };
    tokio::join!(work, clients.read(&watch), watch.look(&system, &history));

    checks::compare(&system, &history).await;
    plan.print();
    history.print();
    watch.print();
    println!("{:?} in total", started.elapsed());
    history.check(&system);
}
