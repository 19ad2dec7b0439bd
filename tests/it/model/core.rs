//! The rules of jobs and votes as a pure state machine: what each step of the program does to rows,
//! files, messages and workers, and what may happen to it at any time.
//!
//! Time has no length here: a timer that runs may end at once or never. So whatever holds, holds for
//! every lease, back-off and patience, and for clocks that stand still.

use std::collections::BTreeSet;

use anb::{
    videos::{
        DeleteOutcome, Denial,
        process::{Outcome, Recorded},
        sweep::{Leases, Swept},
    },
    votes::CastOutcome,
};

/// The user who uploaded all videos; other numbers are fans.
pub const OWNER: usize = 0;

/// The limits of the program, and how far a model goes.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// `JOB_MAX_ATTEMPTS`.
    pub max_failures: u8,
    pub max_losses: u8,
    /// Without any, nobody publishes either.
    pub users: usize,
    /// Not more wait, and none is delivered twice while so many do.
    pub messages: usize,
    /// No video is claimed more often.
    pub attempts: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub videos: Vec<Video>,
    /// The videos that messages name, sorted: they may arrive in any order.
    pub messages: Vec<usize>,
    pub workers: Vec<Option<Job>>,
}

/// A video: its row while there is one, and its files.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Video {
    pub row: Option<Row>,
    /// The attempts whose outputs are stored.
    pub outputs: BTreeSet<u8>,
    /// The note in `uploads`, of a video that was deleted.
    pub note: Timer,
    /// Whether the API has yet to push it.
    pub is_new: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Row {
    pub status: Status,
    pub attempt: u8,
    pub failures: u8,
    pub losses: u8,
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
    /// The video's own fault.
    Refused,
    ProcessingFailed,
    WorkerLost,
}

/// A moment in a row: none, not long enough ago (or still to come), or long enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    Off,
    Running,
    Over,
}

/// What a worker knows of its job.
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

    /// A message arrives a second time, or comes back.
    Redeliver {
        video: usize,
    },
    Lose {
        video: usize,
    },

    /// A worker receives a message and claims its video.
    Take {
        worker: usize,
        video: usize,
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
    AgeStrays {
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broker {
    Up,
    Down,
}

/// What whoever acts is told.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    Nothing,
    Changed(bool),
    Deleted(DeleteOutcome),
    Cast(CastOutcome),
    Claimed(Option<Job>),
    Held(bool),
    Succeeded(Outcome),
    Failed(Recorded),
    /// None: the broker was missed.
    Swept(Option<Swept>),
    Redriven(usize),
}

impl Row {
    /// A video that was uploaded and not pushed yet.
    pub fn new() -> Self {
        Self {
            status: Status::Uploaded,
            attempt: 0,
            failures: 0,
            losses: 0,
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

    /// Ends the claim: the video waits, or is done.
    fn leave(&mut self, status: Status) {
        self.status = status;
        self.lease = Timer::Off;
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

    /// The row, if the job's claim is still the last one and nothing is decided.
    fn held(&mut self, job: Job) -> Option<&mut Row> {
        let row = self.row.as_mut()?;
        (row.attempt == job.attempt && !row.is_ended()).then_some(row)
    }
}

impl State {
    /// Lists what may happen next.
    pub fn actions(&self, rules: &Rules) -> Vec<Action> {
        let mut actions = vec![Action::Redrive];
        for leases in [Leases::Expire, Leases::Keep] {
            for broker in [Broker::Up, Broker::Down] {
                actions.push(Action::Sweep { leases, broker });
            }
        }
        for video in 0..self.videos.len() {
            actions.extend(self.actions_on(video, rules));
        }
        for (worker, job) in self.workers.iter().enumerate() {
            if let Some(job) = job {
                actions.extend([
                    Action::Beat { worker },
                    Action::Refuse { worker },
                    Action::Fail { worker },
                    Action::GiveBack { worker },
                    Action::Die { worker },
                ]);
                actions.push(if job.has_stored {
                    Action::Succeed { worker }
                } else {
                    Action::Store { worker }
                });
            }
        }
        actions
    }

    fn actions_on(&self, video: usize, rules: &Rules) -> Vec<Action> {
        let Video {
            row, note, is_new, ..
        } = &self.videos[video];
        let mut actions = vec![Action::Delete { video }];
        if rules.users > 0 {
            actions.push(Action::Publish { video });
        }
        actions.extend((0..rules.users).map(|user| Action::Vote { user, video }));
        if self.messages.len() < rules.messages {
            actions.push(Action::Redeliver { video });
        }
        if self.messages.contains(&video) {
            actions.push(Action::Lose { video });
            let is_within = row.as_ref().is_none_or(|row| row.attempt < rules.attempts);
            let free = self.workers.iter().position(Option::is_none);
            actions.extend(
                free.filter(|_| is_within)
                    .map(|worker| Action::Take { worker, video }),
            );
        }
        // Whoever could still store outputs has long been told, or is dead.
        let jobs = self
            .workers
            .iter()
            .flatten()
            .filter(|job| job.video == video);
        let mut others = jobs.filter(|job| {
            row.as_ref()
                .is_none_or(|row| row.status != Status::Processing || row.attempt != job.attempt)
        });
        let is_quiet = others.next().is_none();
        if *note == Timer::Running && is_quiet {
            actions.push(Action::AgeNote { video });
        }
        let Some(row) = row else {
            return actions;
        };
        let possible = [
            (*is_new, Action::Push { video }),
            (row.is_public, Action::Unpublish { video }),
            (row.lease == Timer::Running, Action::ExpireLease { video }),
            (!row.is_due, Action::ComeDue { video }),
            (row.pushed == Timer::Running, Action::AgePush { video }),
            (
                row.strays == Timer::Running && is_quiet,
                Action::AgeStrays { video },
            ),
        ];
        actions.extend(
            possible
                .iter()
                .filter(|(is_possible, _)| *is_possible)
                .map(|(_, action)| action),
        );
        actions
    }

    /// Does what the program does.
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
            Action::Redeliver { video } => self.send(video),
            Action::Lose { video } => self.receive(video),
            Action::Take { worker, video } => return Reply::Claimed(self.take(worker, video)),
            Action::Beat { worker } => return Reply::Held(self.beat(worker)),
            Action::Store { worker } => {
                let job = self.workers[worker].as_mut().unwrap();
                job.has_stored = true;
                self.videos[job.video].outputs.insert(job.attempt);
            }
            Action::Succeed { worker } => return Reply::Succeeded(self.succeed(worker)),
            Action::Refuse { worker } => return Reply::Failed(self.refuse(worker)),
            Action::Fail { worker } => return Reply::Failed(self.fail(rules, worker)),
            Action::GiveBack { worker } => self.give_back(worker),
            Action::Die { worker } => self.workers[worker] = None,
            Action::ExpireLease { video } => self.row(video).lease = Timer::Over,
            Action::ComeDue { video } => self.row(video).is_due = true,
            Action::AgePush { video } => self.row(video).pushed = Timer::Over,
            Action::AgeStrays { video } => self.row(video).strays = Timer::Over,
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

    fn send(&mut self, video: usize) {
        let place = self.messages.partition_point(|other| *other < video);
        self.messages.insert(place, video);
    }

    fn receive(&mut self, video: usize) {
        let place = self.messages.iter().position(|other| *other == video);
        self.messages.remove(place.unwrap());
    }

    fn push_new(&mut self, video: usize) {
        self.videos[video].is_new = false;
        self.send(video);
        let row = self.row(video);
        if row.attempt == 0 {
            row.pushed = Timer::Running;
        }
    }

    fn publish(&mut self, video: usize) -> bool {
        let Some(row) = &mut self.videos[video].row else {
            return false;
        };
        let is_allowed = !matches!(row.status, Status::Failed(_));
        row.is_public |= is_allowed;
        is_allowed
    }

    fn delete(&mut self, video: usize) -> DeleteOutcome {
        let video = &mut self.videos[video];
        let Some(row) = &video.row else {
            return DeleteOutcome::Denied(Denial::NotFound);
        };
        if row.is_votable() {
            return DeleteOutcome::Published;
        }
        video.row = None;
        video.is_new = false;
        video.outputs.clear();
        // A worker may still store.
        video.note = Timer::Running;
        DeleteOutcome::Deleted
    }

    fn vote(&mut self, user: usize, video: usize) -> CastOutcome {
        match &mut self.videos[video].row {
            Some(row) if row.is_votable() && user == OWNER => CastOutcome::OwnVideo,
            Some(row) if row.is_votable() => {
                if row.voters.insert(user) {
                    CastOutcome::Counted
                } else {
                    CastOutcome::AlreadyVoted
                }
            }
            Some(_) | None => CastOutcome::NotFound,
        }
    }

    fn take(&mut self, worker: usize, video: usize) -> Option<Job> {
        self.receive(video);
        let row = self.videos[video].row.as_mut();
        let row = row.filter(|row| row.is_waiting())?;
        row.status = Status::Processing;
        row.lease = Timer::Running;
        row.attempt += 1;
        self.workers[worker] = Some(Job {
            video,
            attempt: row.attempt,
            failures: row.failures,
            has_stored: false,
        });
        self.workers[worker]
    }

    fn beat(&mut self, worker: usize) -> bool {
        let job = self.workers[worker].unwrap();
        let video = &mut self.videos[job.video];
        if let Some(row) = video.held(job) {
            row.status = Status::Processing;
            row.lease = Timer::Running;
            return true;
        }
        video.outputs.remove(&job.attempt);
        self.workers[worker] = None;
        false
    }

    /// Takes the job from its worker, which has no more to do with it, and what it stored.
    fn drop_job(&mut self, worker: usize) -> (Job, Option<&mut Row>) {
        let job = self.workers[worker].take().unwrap();
        let video = &mut self.videos[job.video];
        video.outputs.remove(&job.attempt);
        (job, video.held(job))
    }

    fn succeed(&mut self, worker: usize) -> Outcome {
        let job = self.workers[worker].take().unwrap();
        let video = &mut self.videos[job.video];
        let Some(row) = video.held(job) else {
            video.outputs.remove(&job.attempt);
            return Outcome::Superseded;
        };
        row.leave(Status::Processed);
        video.outputs.retain(|attempt| *attempt == job.attempt);
        Outcome::Processed
    }

    fn refuse(&mut self, worker: usize) -> Recorded {
        let (_, Some(row)) = self.drop_job(worker) else {
            return Recorded::Superseded;
        };
        row.leave(Status::Failed(Cause::Refused));
        Recorded::Failed
    }

    fn fail(&mut self, rules: &Rules, worker: usize) -> Recorded {
        let (job, Some(row)) = self.drop_job(worker) else {
            return Recorded::Superseded;
        };
        if job.failures + 1 == rules.max_failures {
            row.leave(Status::Failed(Cause::ProcessingFailed));
            return Recorded::Dead;
        }
        row.leave(Status::Uploaded);
        row.failures += 1;
        row.is_due = false;
        row.pushed = Timer::Off;
        Recorded::Waiting
    }

    fn give_back(&mut self, worker: usize) {
        let (job, row) = self.drop_job(worker);
        if let Some(row) = row {
            row.leave(Status::Uploaded);
        }
        self.send(job.video);
    }

    fn redrive(&mut self) -> usize {
        let mut reset = Vec::new();
        for (number, video) in self.videos.iter_mut().enumerate() {
            let Some(row) = &mut video.row else { continue };
            if let Status::Failed(Cause::ProcessingFailed | Cause::WorkerLost) = row.status {
                row.status = Status::Uploaded;
                row.failures = 0;
                row.losses = 0;
                row.is_due = true;
                row.pushed = Timer::Running;
                reset.push(number);
            }
        }
        reset.iter().for_each(|video| self.send(*video));
        reset.len()
    }

    fn sweep(&mut self, rules: &Rules, leases: Leases, broker: Broker) -> Option<Swept> {
        let mut swept = Swept::default();
        let mut pushed = Vec::new();
        for (number, video) in self.videos.iter_mut().enumerate() {
            let Some(row) = &mut video.row else { continue };
            if leases == Leases::Keep || !row.is_expired() {
                continue;
            }
            row.losses += 1;
            row.strays = Timer::Running;
            if row.losses == rules.max_losses {
                row.leave(Status::Failed(Cause::WorkerLost));
                swept.lost += 1;
            } else {
                row.leave(Status::Uploaded);
                row.pushed = Timer::Off;
                pushed.push(number);
                swept.expired += 1;
            }
        }
        let expired = pushed.clone();
        for (number, video) in self.videos.iter().enumerate() {
            let is_due = |row: &Row| row.is_waiting() && row.pushed == Timer::Off;
            if !expired.contains(&number) && video.row.as_ref().is_some_and(is_due) {
                pushed.push(number);
                swept.due += 1;
            }
        }
        if broker == Broker::Up {
            for video in &pushed {
                self.row(*video).pushed = Timer::Running;
                self.send(*video);
            }
        }
        let is_pushed = |row: &&Row| row.status == Status::Uploaded && row.pushed != Timer::Off;
        let count = self.rows().filter(is_pushed).count();
        let is_missed = broker == Broker::Down && !(pushed.is_empty() && count == 0);
        if broker == Broker::Up {
            swept.overdue = self.push_overdue(count.saturating_sub(self.messages.len()));
        }
        swept.uploads = self.remove_leftovers();
        swept.strays = self.remove_strays();
        (!is_missed).then_some(swept)
    }

    fn push_overdue(&mut self, missing: usize) -> usize {
        let mut overdue = Vec::new();
        for (number, video) in self.videos.iter_mut().enumerate() {
            let Some(row) = &mut video.row else { continue };
            if row.is_waiting() && row.pushed == Timer::Over && overdue.len() < missing {
                row.pushed = Timer::Running;
                overdue.push(number);
            }
        }
        overdue.iter().for_each(|video| self.send(*video));
        overdue.len()
    }

    fn remove_leftovers(&mut self) -> usize {
        let over = self
            .videos
            .iter_mut()
            .filter(|video| video.note == Timer::Over);
        over.map(|video| {
            video.note = Timer::Off;
            video.outputs.clear();
        })
        .count()
    }

    fn remove_strays(&mut self) -> usize {
        let mut count = 0;
        for Video { row, outputs, .. } in &mut self.videos {
            let Some(row) = row.as_mut().filter(|row| row.strays == Timer::Over) else {
                continue;
            };
            row.strays = Timer::Off;
            let has_outputs = matches!(row.status, Status::Processing | Status::Processed);
            outputs.retain(|attempt| has_outputs && *attempt == row.attempt);
            count += 1;
        }
        count
    }
}
