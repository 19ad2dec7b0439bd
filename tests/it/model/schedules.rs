//! Random schedules of two videos and three workers, generated and shrunk by proptest.

use proptest::{
    collection::vec,
    sample::select,
    strategy::{BoxedStrategy, Just, Strategy as _, Union},
};
use proptest_state_machine::ReferenceStateMachine;

use super::core::{Action, Broker, Leases, Row, Rules, State, Status, Video};

pub const RULES: Rules = Rules {
    max_failures: 2,
    max_expirations: 10,
    users: 3,
    messages: 4,
    attempts: u8::MAX,
};

pub struct Model;

impl ReferenceStateMachine for Model {
    type State = State;
    type Transition = Action;

    fn init_state() -> BoxedStrategy<State> {
        // Ten leases rarely expire in one schedule, so some videos start with earlier expirations.
        let video = select(vec![0, 8, 9]).prop_map(|lease_expirations| {
            Video::new(Row {
                lease_expirations,
                ..Row::new()
            })
        });
        let state = vec(video, 2).prop_map(|videos| State {
            videos,
            messages: 0,
            workers: vec![None; 3],
        });
        state.boxed()
    }

    fn transitions(state: &State) -> BoxedStrategy<Action> {
        let actions = state.actions(&RULES).into_iter();
        Union::new_weighted(
            actions
                .map(|action| (weight(state, action), Just(action)))
                .collect(),
        )
        .boxed()
    }

    fn preconditions(state: &State, action: &Action) -> bool {
        state.actions(&RULES).contains(action)
    }

    fn apply(mut state: State, action: &Action) -> State {
        state.apply(&RULES, *action);
        state
    }
}

/// Actions that lead far are frequent; those that end a schedule or change nothing are rare.
fn weight(state: &State, action: Action) -> u32 {
    let is_processed = |video: usize| {
        let row = state.videos[video].row.as_ref();
        row.is_some_and(|row| row.status == Status::Processed)
    };
    match action {
        Action::Push { .. }
        | Action::Take { .. }
        | Action::Store { .. }
        | Action::Succeed { .. } => 12,
        Action::Publish { video } | Action::Vote { video, .. } if is_processed(video) => 6,
        Action::ExpireLease { .. }
        | Action::ComeDue { .. }
        | Action::AgePush { .. }
        | Action::AgeOrphans { .. }
        | Action::AgeNote { .. }
        | Action::Sweep {
            leases: Leases::Expire,
            broker: Broker::Up,
        } => 6,
        Action::Beat { .. }
        | Action::Fail { .. }
        | Action::EnvironmentFailure { .. }
        | Action::GiveBack { .. }
        | Action::Die { .. }
        | Action::Redeliver => 3,
        Action::Publish { .. }
        | Action::Unpublish { .. }
        | Action::Vote { .. }
        | Action::Delete { .. }
        | Action::Refuse { .. }
        | Action::Lose
        | Action::Sweep { .. }
        | Action::Redrive => 1,
    }
}
