//! Everything that can break is broken on purpose, by a seeded plan, under uploads, votes, deletes and
//! publishes; then the clients' own history and `anb fsck` must agree that nothing was lost, stuck or done
//! twice. `docs/faults.md` says how to run it.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

mod actors;
mod clients;
mod history;
mod plan;
mod town;
mod verdict;
mod watch;

/// The support of the integration tests.
#[path = "../it"]
#[expect(unused, reason = "other tests need more of it")]
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

use self::{clients::Clients, history::History, plan::Plan, town::Town, watch::Watch};

/// How much of everything there is.
#[derive(Debug, Clone)]
pub struct Size {
    /// The plan, and what the clients do, follow from it.
    pub seed: u64,
    pub faults: usize,
    pub uploads: usize,
    pub votes: usize,
    pub backend: Backend,
}

/// What the processes stand on, beside PostgreSQL.
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

    /// Shorter runs have no long outages, and let the clock jump over waits.
    fn is_long(&self) -> bool {
        self.faults >= plan::LONG
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_stuck_or_done_twice_whatever_breaks() {
    let size = Size::from_environment();
    println!("{size:?}");
    let started = Instant::now();
    let town = Town::build(&size).await;
    let plan = Plan::of(size.seed, size.faults, town.targets());
    let history = History::default();
    let watch = Watch::default();

    let clients = Clients::of(&town, &history, &size).await;
    let actors = plan
        .parts
        .iter()
        .map(|part| actors::play(&town, &watch, &history, part));
    let faults = async {
        join_all(actors).await;
        println!("{} faults in {:?}", size.faults, started.elapsed());
        town.rebuild().await;
        verdict::hurry(&town, &size).await;
    };
    let life = async {
        tokio::join!(faults, clients.live());
        verdict::quiesce(&town, &watch, &size).await;
        watch.stop();
    };
    tokio::join!(life, clients.read(&watch), watch.look(&town, &history));

    verdict::compare(&town, &history).await;
    plan.print();
    history.print();
    watch.print();
    println!("{:?} in all", started.elapsed());
    history.check(&town);
}
