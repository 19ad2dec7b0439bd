//! The laws: invariants of each step, and of the end of every schedule.

use super::core::{Action, Broker, Cause, Leases, OWNER, Row, Rules, State, Status, Timer, Video};

/// Returns the first law that the step from `before` to `after` breaks.
pub fn broken(
    rules: &Rules,
    before: &State,
    action: Action,
    after: &State,
) -> Option<&'static str> {
    let mut steps = before.videos.iter().zip(&after.videos).enumerate();
    steps
        .find_map(|(video, (was, is))| match (&was.row, &is.row) {
            (None, Some(_)) => Some("a deleted video stays deleted"),
            (Some(row), None) if row.is_votable() => Some("a votable video is not deleted"),
            (_, None) => None,
            (Some(was), Some(row)) => {
                let step = Step {
                    before,
                    action,
                    video,
                    was,
                    row,
                };
                step.broken().or_else(|| standing(rules, is, row))
            }
        })
        .or_else(|| {
            (!is_fenced(after)).then_some("an attempt has one worker and is not later than its row")
        })
}

/// Returns the first law that a row by itself breaks.
fn standing(rules: &Rules, video: &Video, row: &Row) -> Option<&'static str> {
    let is_lost = row.lease_expirations == rules.max_expirations;
    let laws = [
        (
            (row.status == Status::Processing) == (row.lease != Timer::Off),
            "exactly the videos in processing have a lease",
        ),
        (row.failures < rules.max_failures, "failures are bounded"),
        (
            row.lease_expirations < rules.max_expirations || is_lost && row.is_ended(),
            "lease expirations are bounded",
        ),
        (
            !row.voters.contains(&OWNER),
            "owners do not vote for their own videos",
        ),
        (
            row.status != Status::Processed || video.outputs.contains(&row.attempt),
            "a processed video has its clip",
        ),
    ];
    laws.iter().find(|(holds, _)| !holds).map(|(_, law)| *law)
}

/// Returns whether the workers of a video have distinct attempts, none later than the row's.
fn is_fenced(state: &State) -> bool {
    let mut jobs: Vec<_> = state
        .workers
        .iter()
        .flatten()
        .map(|job| (job.video, job.attempt))
        .collect();
    let count = jobs.len();
    jobs.sort_unstable();
    jobs.dedup();
    let mut rows = jobs
        .iter()
        .filter_map(|(video, attempt)| Some((attempt, state.videos[*video].row.as_ref()?)));
    jobs.len() == count && rows.all(|(attempt, row)| *attempt <= row.attempt)
}

/// The effect of an action on a row.
struct Step<'a> {
    before: &'a State,
    action: Action,
    video: usize,
    was: &'a Row,
    row: &'a Row,
}

impl Step<'_> {
    fn broken(&self) -> Option<&'static str> {
        let Self {
            action, was, row, ..
        } = self;
        let is_claim = matches!(action, Action::Take { .. }) && row.status != was.status;
        let is_given_back = matches!(
            action,
            Action::GiveBack { .. } | Action::EnvironmentFailure { .. }
        ) && was != row;
        let is_redrive = *action == Action::Redrive;
        let gained = row.voters.len() - was.voters.len().min(row.voters.len());
        let laws = [
            (
                was.status != Status::Processed
                    || row.status == was.status && row.attempt == was.attempt,
                "a processed video stays processed",
            ),
            (
                !matches!(was.status, Status::Failed(_)) || row.status == was.status || is_redrive,
                "only an operator redrives a failed video",
            ),
            (
                was.status != Status::Failed(Cause::Rejected) || row.status == was.status,
                "a rejected video stays rejected",
            ),
            (
                row.attempt == was.attempt + u8::from(is_claim || is_given_back),
                "exactly claims and releases increment the attempt",
            ),
            (
                row.failures == was.failures + u8::from(self.is_retry())
                    || is_redrive && row.failures == 0,
                "only a reported failure counts as a failure",
            ),
            (
                row.lease_expirations == was.lease_expirations + u8::from(self.is_loss())
                    || is_redrive && row.lease_expirations == 0,
                "only an expired lease counts as a loss",
            ),
            (row.voters.is_superset(&was.voters), "votes are permanent"),
            (
                gained == 0 || gained == 1 && was.is_votable(),
                "only public, processed videos gain votes",
            ),
            (
                was.is_public || !row.is_public || !matches!(was.status, Status::Failed(_)),
                "a failed video is not published",
            ),
            (
                !is_claim || was.is_due || row == was,
                "a retry waits until it is due",
            ),
            (
                self.is_by_the_last_attempt() || was == row,
                "only the latest attempt changes the row",
            ),
        ];
        laws.iter().find(|(holds, _)| !holds).map(|(_, law)| *law)
    }

    fn is_retry(&self) -> bool {
        matches!(self.action, Action::Fail { .. })
            && self.row.status == Status::Uploaded
            && self.was != self.row
    }

    fn is_loss(&self) -> bool {
        let is_sweep = matches!(
            self.action,
            Action::Sweep {
                leases: Leases::Expire,
                ..
            }
        );
        is_sweep && self.was.lease == Timer::Over
    }

    /// Returns whether the action is not a worker's, or is that of the worker that may write.
    fn is_by_the_last_attempt(&self) -> bool {
        let (Action::Beat { worker }
        | Action::Store { worker }
        | Action::Succeed { worker }
        | Action::Refuse { worker }
        | Action::Fail { worker }
        | Action::EnvironmentFailure { worker }
        | Action::GiveBack { worker }
        | Action::Die { worker }) = self.action
        else {
            return true;
        };
        let job = self.before.workers[worker].unwrap();
        job.video == self.video && job.attempt == self.was.attempt
    }
}

/// Returns whether the program recovers from a state once failures stop: all workers die, all
/// timers end, the sweeper runs, and a healthy worker processes the messages.
pub fn settles(rules: &Rules, state: &State) -> bool {
    let mut state = state.clone();
    state.workers = vec![None];
    // Round one ends the running jobs, two the jobs that it pushed, and three removes orphans.
    for _ in 0..3 {
        for video in &mut state.videos {
            end(&mut video.note);
            if let Some(row) = &mut video.row {
                row.is_due = true;
                [&mut row.lease, &mut row.pushed, &mut row.strays]
                    .into_iter()
                    .for_each(end);
            }
        }
        let (leases, broker) = (Leases::Expire, Broker::Up);
        state.apply(rules, Action::Sweep { leases, broker });
        while state.messages > 0 {
            let worker = 0;
            state.apply(rules, Action::Take { worker });
            if state.workers[worker].is_some() {
                state.apply(rules, Action::Store { worker });
                state.apply(rules, Action::Succeed { worker });
            }
        }
    }
    state.videos.iter().all(is_clean)
}

fn end(timer: &mut Timer) {
    if *timer == Timer::Running {
        *timer = Timer::Over;
    }
}

/// Returns whether the video is finished or deleted, and has no orphans.
fn is_clean(video: &Video) -> bool {
    let kept = video
        .row
        .as_ref()
        .filter(|row| row.status == Status::Processed);
    let kept: Vec<u8> = kept.iter().map(|row| row.attempt).collect();
    video.row.as_ref().is_none_or(Row::is_ended)
        && video.note == Timer::Off
        && video.outputs.iter().eq(&kept)
}
