//! What must hold whatever happens: after each step, and at the end of every schedule.

use super::core::{Action, Broker, Cause, Leases, OWNER, Row, Rules, State, Status, Timer, Video};

/// Names the first law that the step from `before` to `after` broke.
pub fn broken(
    rules: &Rules,
    before: &State,
    action: Action,
    after: &State,
) -> Option<&'static str> {
    let mut steps = before.videos.iter().zip(&after.videos).enumerate();
    steps
        .find_map(|(video, (was, is))| match (&was.row, &is.row) {
            (None, Some(_)) => Some("what is deleted stays deleted"),
            (Some(row), None) if row.is_votable() => Some("nothing leaves the vote by a delete"),
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
            (!is_fenced(after)).then_some("an attempt has one worker, the last one the row")
        })
}

/// What holds of a row by itself.
fn standing(rules: &Rules, video: &Video, row: &Row) -> Option<&'static str> {
    let is_lost = row.losses == rules.max_losses;
    let laws = [
        (
            (row.status == Status::Processing) == (row.lease != Timer::Off),
            "who processes has a lease",
        ),
        (row.failures < rules.max_failures, "failures are bounded"),
        (
            row.losses < rules.max_losses || is_lost && row.is_ended(),
            "losses are bounded",
        ),
        (
            !row.voters.contains(&OWNER),
            "nobody votes for their own video",
        ),
        (
            row.status != Status::Processed || video.outputs.contains(&row.attempt),
            "a processed video has its clip",
        ),
    ];
    laws.iter().find(|(holds, _)| !holds).map(|(_, law)| *law)
}

/// Of the workers on one video no two have the same attempt, and none a later one than the row.
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

/// What one action did to one row.
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
        let is_given_back =
            matches!(action, Action::GiveBack { .. } | Action::SetBack { .. }) && was != row;
        let is_redrive = *action == Action::Redrive;
        let gained = row.voters.len() - was.voters.len().min(row.voters.len());
        let laws = [
            (
                was.status != Status::Processed
                    || row.status == was.status && row.attempt == was.attempt,
                "a processed video never goes back",
            ),
            (
                !matches!(was.status, Status::Failed(_)) || row.status == was.status || is_redrive,
                "only an operator gives a failed video another chance",
            ),
            (
                was.status != Status::Failed(Cause::Refused) || row.status == was.status,
                "a video that failed by its own fault stays so",
            ),
            (
                row.attempt == was.attempt + u8::from(is_claim || is_given_back),
                "a claim is an attempt, and so is the end of one that is given back",
            ),
            (
                row.failures == was.failures + u8::from(self.is_retry())
                    || is_redrive && row.failures == 0,
                "only a reported failure is a failure",
            ),
            (
                row.losses == was.losses + u8::from(self.is_loss())
                    || is_redrive && row.losses == 0,
                "only an expired lease is a loss",
            ),
            (row.voters.is_superset(&was.voters), "a vote stays"),
            (
                gained == 0 || gained == 1 && was.is_votable(),
                "votes are for public, processed videos",
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
                "only the last attempt changes the row",
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

    /// Whether the action is none of a worker, or of the one that may write.
    fn is_by_the_last_attempt(&self) -> bool {
        let (Action::Beat { worker }
        | Action::Store { worker }
        | Action::Succeed { worker }
        | Action::Refuse { worker }
        | Action::Fail { worker }
        | Action::SetBack { worker }
        | Action::GiveBack { worker }
        | Action::Die { worker }) = self.action
        else {
            return true;
        };
        let job = self.before.workers[worker].unwrap();
        job.video == self.video && job.attempt == self.was.attempt
    }
}

/// Whether the program puts everything right once nothing more goes wrong: every worker dies, every timer
/// ends, the sweeper runs, and a healthy worker does what it is told.
pub fn settles(rules: &Rules, state: &State) -> bool {
    let mut state = state.clone();
    state.workers = vec![None];
    // Round one ends what runs, two what was pushed by it, three what both left lying about.
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

/// Whether the video came to an end, and nothing lies about.
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
