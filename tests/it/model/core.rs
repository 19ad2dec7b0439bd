//! The rules of jobs and votes as a pure state machine: the effect of each step of the program on
//! rows, files, messages and workers, and the events that may occur at any time.
//!
//! Time has no length here: a running timer may end at once or never. The results therefore hold
//! for every lease, back-off and timeout, and for clocks that stand still.

mod possible;
mod steps;
mod sweep;

use std::collections::BTreeSet;

use anb::{
    videos::{
        DeleteOutcome,
        process::{FailureOutcome, Outcome},
    },
    votes::CastOutcome,
};

/// The user who uploaded all videos; other numbers are fans.
pub const OWNER: usize = 0;

/// The limits of the program, and the bounds of a model.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// `JOB_MAX_ATTEMPTS`.
    pub max_failures: u8,
    pub max_expirations: u8,
    /// If zero, no video is published either.
    pub users: usize,
    /// Maximum number of waiting messages; at this number none is redelivered.
    pub messages: usize,
    /// Maximum number of claims per video.
    pub attempts: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub videos: Vec<Video>,
    /// Number of messages. Each entitles its receiver to the next video, whichever one it names.
    pub messages: usize,
    pub workers: Vec<Option<Job>>,
}

/// A video: its row, if it has one, and its files.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Video {
    pub row: Option<Row>,
    /// The attempts whose outputs are stored.
    pub outputs: BTreeSet<u8>,
    /// The row in `uploads` of a deleted video.
    pub note: Timer,
    /// Whether the API has not pushed it yet.
    pub is_new: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Row {
    pub status: Status,
    pub attempt: u8,
    pub failures: u8,
    pub lease_expirations: u8,
    pub lease: Timer,
    pub is_due: bool,
    pub pushed: Timer,
    pub strays: Timer,
    pub is_public: bool,
    pub voters: BTreeSet<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    Uploaded,
    Processing,
    Processed,
    Failed(Cause),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The video itself was rejected.
    Rejected,
    ProcessingFailed,
    WorkerLost,
}

/// A timestamp in a row: unset, too recent (or in the future), or old enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    Off,
    Running,
    Over,
}

/// The state of a job in its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Job {
    pub video: usize,
    pub attempt: u8,
    pub failures: u8,
    pub has_stored: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The API pushes a new video, at once or late.
    Push {
        video: usize,
    },
    Publish {
        video: usize,
    },
    Unpublish {
        video: usize,
    },
    Delete {
        video: usize,
    },
    Vote {
        user: usize,
        video: usize,
    },

    /// A message is delivered a second time, or is returned.
    Redeliver,
    Lose,

    /// A worker receives a message and claims the first waiting video.
    Take {
        worker: usize,
    },
    Beat {
        worker: usize,
    },
    Store {
        worker: usize,
    },
    Succeed {
        worker: usize,
    },
    Refuse {
        worker: usize,
    },
    Fail {
        worker: usize,
    },
    EnvironmentFailure {
        worker: usize,
    },
    GiveBack {
        worker: usize,
    },
    Die {
        worker: usize,
    },

    ExpireLease {
        video: usize,
    },
    ComeDue {
        video: usize,
    },
    AgePush {
        video: usize,
    },
    AgeOrphans {
        video: usize,
    },
    AgeNote {
        video: usize,
    },

    Sweep {
        leases: Leases,
        broker: Broker,
    },
    Redrive,
}

/// Whether a sweep revokes expired leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leases {
    Expire,
    Keep,
}

/// Results of a sweep and a cleanup.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub expired: usize,
    pub lost: usize,
    pub due: usize,
    pub again: usize,
    pub uploads: usize,
    pub strays: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broker {
    Up,
    Down,
}

/// The result of an action.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    Nothing,
    Changed(bool),
    Deleted(DeleteOutcome),
    Cast(CastOutcome),
    Claimed(Option<Job>),
    Held(bool),
    Succeeded(Outcome),
    Failed(FailureOutcome),
    /// `None` if the broker was needed but unavailable.
    Swept(Option<Swept>),
    Redriven(usize),
}

impl Row {
    /// Returns the row of a video that was uploaded and not pushed yet.
    pub fn new() -> Self {
        Self {
            status: Status::Uploaded,
            attempt: 0,
            failures: 0,
            lease_expirations: 0,
            lease: Timer::Off,
            is_due: true,
            pushed: Timer::Off,
            strays: Timer::Off,
            is_public: false,
            voters: BTreeSet::new(),
        }
    }

    pub fn is_ended(&self) -> bool {
        matches!(self.status, Status::Processed | Status::Failed(_))
    }

    pub fn is_votable(&self) -> bool {
        self.is_public && self.status == Status::Processed
    }

    fn is_expired(&self) -> bool {
        self.status == Status::Processing && self.lease == Timer::Over
    }

    fn is_waiting(&self) -> bool {
        self.status == Status::Uploaded && self.is_due
    }

    /// Ends the claim; the video waits or is finished.
    fn leave(&mut self, status: Status) {
        self.status = status;
        self.lease = Timer::Off;
    }

    /// Ends the claim; the video waits, and is pushed when it is due.
    fn put_off(&mut self) {
        self.leave(Status::Uploaded);
        self.is_due = false;
        self.pushed = Timer::Off;
    }
}

impl Video {
    pub fn new(row: Row) -> Self {
        Self {
            row: Some(row),
            outputs: BTreeSet::new(),
            note: Timer::Off,
            is_new: true,
        }
    }

    /// Returns the row if the job's claim is still the latest one and the video is not finished.
    fn held(&mut self, job: Job) -> Option<&mut Row> {
        let is_last = self.is_last(job);
        let row = self.row.as_mut()?;
        (is_last && row.failures == job.failures && !row.is_ended()).then_some(row)
    }

    fn is_last(&self, job: Job) -> bool {
        self.row
            .as_ref()
            .is_some_and(|row| row.attempt == job.attempt)
    }
}

impl State {
    /// Applies an action as the program does.
    pub fn apply(&mut self, rules: &Rules, action: Action) -> Reply {
        match action {
            Action::Push { video } => self.push_new(video),
            Action::Publish { video } => return Reply::Changed(self.publish(video)),
            Action::Unpublish { video } => {
                self.row(video).is_public = false;
                return Reply::Changed(true);
            }
            Action::Delete { video } => return Reply::Deleted(self.delete(video)),
            Action::Vote { user, video } => return Reply::Cast(self.vote(user, video)),
            Action::Redeliver => self.messages += 1,
            Action::Lose => self.messages -= 1,
            Action::Take { worker } => return Reply::Claimed(self.take(worker)),
            Action::Beat { worker } => return Reply::Held(self.beat(worker)),
            Action::Store { worker } => {
                let job = self.workers[worker].as_mut().unwrap();
                job.has_stored = true;
                self.videos[job.video].outputs.insert(job.attempt);
            }
            Action::Succeed { worker } => return Reply::Succeeded(self.succeed(worker)),
            Action::Refuse { worker } => return Reply::Failed(self.refuse(worker)),
            Action::Fail { worker } => return Reply::Failed(self.fail(rules, worker)),
            Action::EnvironmentFailure { worker } => return Reply::Failed(self.set_back(worker)),
            Action::GiveBack { worker } => self.give_back(worker),
            Action::Die { worker } => self.workers[worker] = None,
            Action::ExpireLease { video } => self.row(video).lease = Timer::Over,
            Action::ComeDue { video } => self.row(video).is_due = true,
            Action::AgePush { video } => self.row(video).pushed = Timer::Over,
            Action::AgeOrphans { video } => self.row(video).strays = Timer::Over,
            Action::AgeNote { video } => self.videos[video].note = Timer::Over,
            Action::Sweep { leases, broker } => {
                return Reply::Swept(self.sweep(rules, leases, broker));
            }
            Action::Redrive => return Reply::Redriven(self.redrive()),
        }
        Reply::Nothing
    }

    fn row(&mut self, video: usize) -> &mut Row {
        self.videos[video].row.as_mut().unwrap()
    }

    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.videos.iter().filter_map(|video| video.row.as_ref())
    }
}
