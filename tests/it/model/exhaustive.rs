//! Explores every schedule of a small system. No reachable state breaks a law.

use std::time::Instant;

use stateright::{Checker as _, Model, Property};

use super::{
    core::{Action, Cause, Row, Rules, State, Status, Video},
    laws,
};

/// The size of a system and the rules of its actions.
struct SmallSystem {
    rules: Rules,
    workers: usize,
}

#[derive(Debug, Clone, PartialEq, Hash)]
struct Seen {
    state: State,
    broken: Option<&'static str>,
}

impl Model for SmallSystem {
    type State = Seen;
    type Action = Action;

    fn init_states(&self) -> Vec<Seen> {
        let state = State {
            videos: vec![Video::new(Row::new())],
            messages: 0,
            workers: vec![None; self.workers],
        };
        vec![Seen {
            state,
            broken: None,
        }]
    }

    fn actions(&self, seen: &Seen, actions: &mut Vec<Action>) {
        if seen.broken.is_none() {
            actions.extend(seen.state.actions(&self.rules));
        }
    }

    fn next_state(&self, seen: &Seen, action: Action) -> Option<Seen> {
        let mut state = seen.state.clone();
        state.apply(&self.rules, action);
        let broken = laws::broken(&self.rules, &seen.state, action, &state);
        // Workers are interchangeable.
        state.workers.sort_unstable();
        (state != seen.state || broken.is_some()).then_some(Seen { state, broken })
    }

    fn within_boundary(&self, seen: &Seen) -> bool {
        seen.state.messages <= self.rules.messages
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no step breaks a law", |_, seen: &Seen| {
                seen.broken.is_none()
            }),
            Property::always("every state settles", |system: &Self, seen: &Seen| {
                laws::settles(&system.rules, &seen.state)
            }),
            Property::sometimes("a later attempt succeeds", |_, seen: &Seen| {
                seen.state
                    .rows()
                    .any(|row| row.status == Status::Processed && row.attempt > 1)
            }),
            Property::sometimes("workers keep dying", |_, seen: &Seen| {
                has_failed(seen, Cause::WorkerLost)
            }),
            Property::sometimes("attempts keep failing", |_, seen: &Seen| {
                has_failed(seen, Cause::ProcessingFailed)
            }),
            Property::sometimes("two workers process one video", |_, seen: &Seen| {
                seen.state.workers.iter().all(Option::is_some)
            }),
            Property::sometimes(
                "a video is deleted while it is processed",
                |_, seen: &Seen| {
                    let mut jobs = seen.state.workers.iter().flatten();
                    jobs.any(|job| seen.state.videos[job.video].row.is_none())
                },
            ),
            Property::sometimes("a vote is hidden", |_, seen: &Seen| {
                seen.state
                    .rows()
                    .any(|row| !row.is_public && !row.voters.is_empty())
            }),
        ]
    }
}

fn has_failed(seen: &Seen, cause: Cause) -> bool {
    seen.state
        .rows()
        .any(|row| row.status == Status::Failed(cause))
}

#[test]
fn no_schedule_breaks_a_law() {
    let rules = Rules {
        max_failures: 2,
        max_expirations: 2,
        users: 2,
        messages: 2,
        attempts: 2,
    };
    let started = Instant::now();
    let checker = SmallSystem { rules, workers: 2 }
        .checker()
        .threads(2)
        .spawn_bfs()
        .join();
    println!(
        "{} steps to {} states, {} deep, in {:?}",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        started.elapsed()
    );
    checker.assert_properties();
    assert!(checker.state_count() > 100_000);
}
