//! The possible actions of a state.

use super::{Action, Broker, Leases, Rules, State, Status, Timer, Video};

impl State {
    pub fn actions(&self, rules: &Rules) -> Vec<Action> {
        let mut actions = vec![Action::Redrive];
        for leases in [Leases::Expire, Leases::Keep] {
            for broker in [Broker::Up, Broker::Down] {
                actions.push(Action::Sweep { leases, broker });
            }
        }
        if self.messages < rules.messages {
            actions.push(Action::Redeliver);
        }
        if self.messages > 0 {
            actions.push(Action::Lose);
            let is_within = self.rows().all(|row| row.attempt < rules.attempts);
            let free = self.workers.iter().position(Option::is_none);
            actions.extend(
                free.filter(|_| is_within)
                    .map(|worker| Action::Take { worker }),
            );
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
                    Action::EnvironmentFailure { worker },
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
        // Before orphans are removed, every superseded worker has noticed or is dead.
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
                Action::AgeOrphans { video },
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
}
