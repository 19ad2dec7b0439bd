//! Random schedules of two videos and three workers, as proptest draws and shrinks them.

use proptest::{
    collection::vec,
    sample::select,
    strategy::{BoxedStrategy, Just, Strategy as _, Union},
};
use proptest_state_machine::ReferenceStateMachine;

use super::core::{Action, Broker, Leases, Row, Rules, State, Status, Video};

pub const RULES: Rules = Rules {
    max_failures: 2,
    max_losses: 10,
    users: 3,
    messages: 4,
    attempts: u8::MAX,
};

/// Two videos and three workers.
pub struct Model;

impl ReferenceStateMachine for Model {
    type State = State;
    type Transition = Action;

    fn init_state() -> BoxedStrategy<State> {
        // Ten leases seldom expire in one schedule: some were lost before.
        let video = select(vec![0, 8, 9]).prop_map(|losses| {
            Video::new(Row {
                losses,
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

/// What leads far is frequent, what ends a story or changes nothing is rare.
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
        | Action::AgeStrays { .. }
        | Action::AgeNote { .. }
        | Action::Sweep {
            leases: Leases::Expire,
            broker: Broker::Up,
        } => 6,
        Action::Beat { .. }
        | Action::Fail { .. }
        | Action::SetBack { .. }
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
