//! The plan of a run: which faults hit what, and when. All of it follows from the seed.

use std::{collections::BTreeMap, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

/// Longest time between two faults of one target.
const PAUSE_MS: u64 = 3000;

/// A plan of so many faults has long outages as well.
pub const LONG: usize = 200;

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Worker(usize),
    Api(usize),
    Database,
    Broker,
    Storage,
    Disk,
    /// What a row or a queue says.
    Rows,
}

/// How it is broken. Whatever ends is started again, as a service manager does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// SIGKILL.
    Kill,
    /// SIGTERM, for a program or a server in order.
    Terminate,
    /// SIGTERM, and again.
    TerminateTwice,
    /// SIGSTOP, for longer than a lease; SIGCONT.
    FreezeLong,
    /// The same with all that it has started.
    FreezeAll,
    /// SIGSTOP for a moment.
    Freeze,
    /// All connections break.
    Cut,
    /// Nothing is reached for a while.
    Away,
    /// Nothing is reached for a minute.
    AwayLong,
    /// Everything in it is lost.
    Wipe,
    /// No room is left for a while.
    Fill,
    /// No room is left for a minute.
    FillLong,
    /// The worker's scratch folder is gone, for half a minute or more.
    LoseScratch,
    /// Writes wait most of the time.
    Slow,
    /// The youngest lease expires, as if its worker had been away.
    Expire,
    /// Every waiting and running job is pushed once more.
    Duplicate,
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub pause: Duration,
    pub fault: Fault,
    /// How long it lasts, if it does.
    pub lasts: Duration,
}

/// The faults of one target, one after the other.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    pub target: Target,
    pub steps: Vec<Step>,
}

/// The faults of all targets; targets suffer at the same time.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    pub parts: Vec<Part>,
}

impl Target {
    /// Its share of the faults: those that last long are fewer.
    fn weight(self) -> usize {
        match self {
            Self::Worker(_) | Self::Disk => 2,
            Self::Api(_) | Self::Database | Self::Rows => 3,
            Self::Broker | Self::Storage => 4,
        }
    }

    fn faults(self, broker_can_end: bool) -> &'static [Fault] {
        match self {
            Self::Worker(_) => &[
                Fault::Kill,
                Fault::Kill,
                Fault::Terminate,
                Fault::TerminateTwice,
                Fault::Freeze,
                Fault::FreezeLong,
                Fault::FreezeAll,
                Fault::LoseScratch,
            ],
            Self::Api(_) => &[Fault::Kill, Fault::Terminate, Fault::Freeze],
            Self::Database => &[
                Fault::Kill,
                Fault::Terminate,
                Fault::Freeze,
                Fault::Cut,
                Fault::Cut,
                Fault::Away,
                Fault::AwayLong,
            ],
            Self::Broker if broker_can_end => &[
                Fault::Kill,
                Fault::Terminate,
                Fault::Freeze,
                Fault::Cut,
                Fault::Away,
                Fault::AwayLong,
                Fault::Wipe,
            ],
            Self::Broker => &[
                Fault::Cut,
                Fault::Cut,
                Fault::Cut,
                Fault::Away,
                Fault::Away,
                Fault::AwayLong,
                Fault::Wipe,
            ],
            Self::Storage => &[
                Fault::Cut,
                Fault::Cut,
                Fault::Cut,
                Fault::Away,
                Fault::Away,
                Fault::Away,
                Fault::AwayLong,
            ],
            Self::Disk => &[Fault::Fill, Fault::Slow, Fault::Slow, Fault::FillLong],
            Self::Rows => &[Fault::Expire, Fault::Duplicate],
        }
    }
}

impl Fault {
    /// How long it lasts. A short run has no time for long outages.
    fn lasts_ms(self, is_long: bool) -> std::ops::Range<u64> {
        match self {
            Self::AwayLong | Self::FillLong if is_long => 60_000..61_000,
            Self::LoseScratch if is_long => 30_000..60_000,
            Self::AwayLong | Self::FillLong | Self::LoseScratch => 4000..6000,
            // A lease is 10 s.
            Self::FreezeLong | Self::FreezeAll => 11_000..14_000,
            Self::Freeze => 200..3000,
            Self::Away | Self::Fill | Self::Slow => 200..4000,
            Self::Kill
            | Self::Terminate
            | Self::TerminateTwice
            | Self::Cut
            | Self::Wipe
            | Self::Expire
            | Self::Duplicate => 0..1,
        }
    }
}

impl Plan {
    /// Deals `count` faults to the targets.
    pub fn of(seed: u64, count: usize, targets: Vec<Target>) -> Self {
        // A broker that is a service of somebody else ends only for them.
        let broker_can_end = !targets.contains(&Target::Storage);
        let weights = targets.iter().map(|target| target.weight()).sum::<usize>();
        let mut dealt = 0;
        let mut passed = 0;
        let mut rng = StdRng::seed_from_u64(seed);
        let parts = targets.into_iter().map(|target| {
            passed += target.weight();
            let upto = count * passed / weights;
            let faults = target.faults(broker_can_end);
            let steps = (dealt..upto)
                .map(|_| Step::random(&mut rng, faults, count >= LONG))
                .collect();
            dealt = upto;
            Part { target, steps }
        });
        Self {
            parts: parts.collect(),
        }
    }

    /// Says how many faults of each sort there were.
    pub fn print(&self) {
        let mut counts = BTreeMap::new();
        for part in &self.parts {
            for step in &part.steps {
                *counts.entry((part.target, step.fault)).or_insert(0) += 1;
            }
        }
        let counts: Vec<_> = counts
            .into_iter()
            .map(|((target, fault), count)| format!("{target:?} {fault:?} {count}"))
            .collect();
        println!("faults: {}", counts.join(", "));
    }
}

impl Step {
    fn random(rng: &mut StdRng, faults: &[Fault], is_long: bool) -> Self {
        let fault = *faults.choose(rng).unwrap();
        Self {
            pause: Duration::from_millis(rng.random_range(0..PAUSE_MS)),
            fault,
            lasts: Duration::from_millis(rng.random_range(fault.lasts_ms(is_long))),
        }
    }
}

#[test]
fn a_seed_tells_the_whole_plan() {
    let targets = || {
        vec![
            Target::Worker(0),
            Target::Api(0),
            Target::Database,
            Target::Rows,
        ]
    };
    let plan = Plan::of(7, 100, targets());
    assert_eq!(plan, Plan::of(7, 100, targets()));
    assert_ne!(plan, Plan::of(8, 100, targets()));
    assert_eq!(
        plan.parts
            .iter()
            .map(|part| part.steps.len())
            .sum::<usize>(),
        100
    );
}
