//! The plan of a run: the faults of each target and their times. It depends only on the seed.

use std::{collections::BTreeMap, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

/// Maximum time between two faults of one target.
const PAUSE_MS: u64 = 3000;

/// Minimum number of faults of a plan with long outages.
pub const LONG: usize = 200;

/// The component that a fault affects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Worker(usize),
    Api(usize),
    Database,
    Broker,
    Storage,
    Disk,
    /// The content of rows and queue.
    Rows,
}

/// The kind of a fault. A process that exits is restarted, as by a service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// SIGKILL.
    Kill,
    /// SIGTERM, or a clean stop of a server.
    Terminate,
    /// SIGTERM, twice.
    TerminateTwice,
    /// SIGSTOP for longer than a lease, then SIGCONT.
    FreezeLong,
    /// Like [`Fault::FreezeLong`], including its descendants.
    FreezeAll,
    /// SIGSTOP for up to 3 s.
    Freeze,
    /// All connections break.
    Cut,
    /// The target is unreachable for up to 4 s.
    Outage,
    /// The target is unreachable for a minute.
    LongOutage,
    /// The target loses all its data.
    Wipe,
    /// The disk is full for up to 4 s.
    Fill,
    /// The disk is full for a minute.
    FillLong,
    /// The worker's scratch folder is missing for at least 30 s.
    MissingScratch,
    /// Writes are blocked most of the time.
    Slow,
    /// The most recent lease expires, as if its worker had been suspended.
    Expire,
    /// Every waiting or running job is pushed once more.
    Duplicate,
}

/// A fault and the pause before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub pause: Duration,
    pub fault: Fault,
    /// Duration, for faults that last.
    pub lasts: Duration,
}

/// The consecutive faults of one target.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    pub target: Target,
    pub steps: Vec<Step>,
}

/// The faults of all targets, which are injected concurrently.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    pub parts: Vec<Part>,
}

impl Target {
    /// Share of the faults. Targets with long faults have fewer of them.
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
                Fault::MissingScratch,
            ],
            Self::Api(_) => &[Fault::Kill, Fault::Terminate, Fault::Freeze],
            Self::Database => &[
                Fault::Kill,
                Fault::Terminate,
                Fault::Freeze,
                Fault::Cut,
                Fault::Cut,
                Fault::Outage,
                Fault::LongOutage,
            ],
            Self::Broker if broker_can_end => &[
                Fault::Kill,
                Fault::Terminate,
                Fault::Freeze,
                Fault::Cut,
                Fault::Outage,
                Fault::LongOutage,
                Fault::Wipe,
            ],
            Self::Broker => &[
                Fault::Cut,
                Fault::Cut,
                Fault::Cut,
                Fault::Outage,
                Fault::Outage,
                Fault::LongOutage,
                Fault::Wipe,
            ],
            Self::Storage => &[
                Fault::Cut,
                Fault::Cut,
                Fault::Cut,
                Fault::Outage,
                Fault::Outage,
                Fault::Outage,
                Fault::LongOutage,
            ],
            Self::Disk => &[Fault::Fill, Fault::Slow, Fault::Slow, Fault::FillLong],
            Self::Rows => &[Fault::Expire, Fault::Duplicate],
        }
    }
}

impl Fault {
    /// Range of durations. Short runs have no long outages.
    fn lasts_ms(self, is_long: bool) -> std::ops::Range<u64> {
        match self {
            Self::LongOutage | Self::FillLong if is_long => 60_000..61_000,
            Self::MissingScratch if is_long => 30_000..60_000,
            Self::LongOutage | Self::FillLong | Self::MissingScratch => 4000..6000,
            // A lease is 10 s.
            Self::FreezeLong | Self::FreezeAll => 11_000..14_000,
            Self::Freeze => 200..3000,
            Self::Outage | Self::Fill | Self::Slow => 200..4000,
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
    /// Distributes `count` faults over the targets.
    pub fn of(seed: u64, count: usize, targets: Vec<Target>) -> Self {
        // SQS cannot be stopped: it is a managed service.
        let broker_can_end = !targets.contains(&Target::Storage);
        let weights = targets.iter().map(|target| target.weight()).sum::<usize>();
        let mut assigned = 0;
        let mut passed = 0;
        let mut rng = StdRng::seed_from_u64(seed);
        let parts = targets.into_iter().map(|target| {
            passed += target.weight();
            let upto = count * passed / weights;
            let faults = target.faults(broker_can_end);
            let steps = (assigned..upto)
                .map(|_| Step::random(&mut rng, faults, count >= LONG))
                .collect();
            assigned = upto;
            Part { target, steps }
        });
        Self {
            parts: parts.collect(),
        }
    }

    /// Prints the number of faults of each kind.
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
fn plan_depends_only_on_the_seed() {
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
