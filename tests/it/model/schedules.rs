//! Random schedules of two videos and three workers, as proptest draws and shrinks them.

use proptest::{
    collection::vec,
    sample::select,
    strategy::{BoxedStrategy, Just, Strategy as _, Union},
};
use proptest_state_machine::ReferenceStateMachine;

use super::core::{Action, Row, Rules, State, Video};

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
            messages: Vec::new(),
            workers: vec![None; 3],
        });
        state.boxed()
    }

    fn transitions(state: &State) -> BoxedStrategy<Action> {
        let actions = state.actions(&RULES).into_iter();
        Union::new_weighted(
            actions
                .map(|action| (weight(action), Just(action)))
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

/// What ends a story is rare, what leads far is frequent.
fn weight(action: Action) -> u32 {
    match action {
        Action::Delete { .. }
        | Action::Refuse { .. }
        | Action::Lose { .. }
        | Action::Redrive
        | Action::Sweep { .. } => 1,
        Action::Take { .. } | Action::Store { .. } | Action::Succeed { .. } => 6,
        _ => 2,
    }
}
