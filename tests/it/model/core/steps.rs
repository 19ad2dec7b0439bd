//! The steps of players, workers and operators.

use anb::{
    videos::{
        DeleteOutcome, Denial,
        process::{FailureOutcome, Outcome},
    },
    votes::CastOutcome,
};

use super::{Cause, Job, OWNER, Row, Rules, State, Status, Timer};

impl State {
    pub(super) fn push_new(&mut self, video: usize) {
        self.videos[video].is_new = false;
        self.messages += 1;
        let row = self.row(video);
        if row.attempt == 0 {
            row.pushed = Timer::Running;
        }
    }

    pub(super) fn publish(&mut self, video: usize) -> bool {
        let Some(row) = &mut self.videos[video].row else {
            return false;
        };
        let is_allowed = !matches!(row.status, Status::Failed(_));
        row.is_public |= is_allowed;
        is_allowed
    }

    pub(super) fn delete(&mut self, video: usize) -> DeleteOutcome {
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
        // A worker may still store outputs.
        video.note = Timer::Running;
        DeleteOutcome::Deleted
    }

    pub(super) fn vote(&mut self, user: usize, video: usize) -> CastOutcome {
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

    pub(super) fn take(&mut self, worker: usize) -> Option<Job> {
        self.messages -= 1;
        let rows = self.videos.iter_mut().map(|video| video.row.as_mut());
        let mut waiting = rows
            .enumerate()
            .filter_map(|(video, row)| Some((video, row.filter(|row| row.is_waiting())?)));
        let (video, row) = waiting.next()?;
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

    pub(super) fn beat(&mut self, worker: usize) -> bool {
        let job = self.workers[worker].unwrap();
        let video = &mut self.videos[job.video];
        if let Some(row) = video.held(job) {
            row.status = Status::Processing;
            row.lease = Timer::Running;
            return true;
        }
        if video.is_last(job) {
            return true;
        }
        video.outputs.remove(&job.attempt);
        self.workers[worker] = None;
        false
    }

    /// Ends the worker's job. Removes its outputs if the row can never name them; more may arrive.
    fn drop_job(&mut self, worker: usize) -> (Job, Option<&mut Row>) {
        let job = self.workers[worker].take().unwrap();
        let video = &mut self.videos[job.video];
        if let Some(row) = video.held(job) {
            row.strays = Timer::Running;
            video.outputs.remove(&job.attempt);
        }
        (job, video.held(job))
    }

    pub(super) fn succeed(&mut self, worker: usize) -> Outcome {
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

    pub(super) fn refuse(&mut self, worker: usize) -> FailureOutcome {
        let (_, Some(row)) = self.drop_job(worker) else {
            return FailureOutcome::Superseded;
        };
        row.leave(Status::Failed(Cause::Rejected));
        FailureOutcome::Rejected
    }

    pub(super) fn fail(&mut self, rules: &Rules, worker: usize) -> FailureOutcome {
        let (job, Some(row)) = self.drop_job(worker) else {
            return FailureOutcome::Superseded;
        };
        if job.failures + 1 == rules.max_failures {
            row.leave(Status::Failed(Cause::ProcessingFailed));
            return FailureOutcome::DeadLettered;
        }
        row.failures += 1;
        row.put_off();
        FailureOutcome::Waiting
    }

    pub(super) fn set_back(&mut self, worker: usize) -> FailureOutcome {
        let (_, Some(row)) = self.drop_job(worker) else {
            return FailureOutcome::Superseded;
        };
        row.attempt += 1;
        row.put_off();
        FailureOutcome::Postponed
    }

    pub(super) fn give_back(&mut self, worker: usize) {
        let (_, row) = self.drop_job(worker);
        if let Some(row) = row {
            row.leave(Status::Uploaded);
            row.attempt += 1;
        }
        self.messages += 1;
    }

    pub(super) fn redrive(&mut self) -> usize {
        let mut reset = 0;
        for video in &mut self.videos {
            let Some(row) = &mut video.row else { continue };
            if let Status::Failed(Cause::ProcessingFailed | Cause::WorkerLost) = row.status {
                row.status = Status::Uploaded;
                row.failures = 0;
                row.lease_expirations = 0;
                row.is_due = true;
                row.pushed = Timer::Running;
                reset += 1;
            }
        }
        self.messages += reset;
        reset
    }
}
