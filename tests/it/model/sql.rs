//! Random schedules of the real functions that API, workers, sweeper and operator call, with
//! PostgreSQL, Redis and a disk. After each step, the result and the stored state must match the
//! model. Time passes by changing the timestamps in the rows.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anb::{
    app::{App, Backends, WorkerContext, counting::Counting},
    db::Connection,
    ids::{UserId, VideoId},
    media::Rejection,
    queue::Queue,
    videos::{
        self, Change, ChangeOutcome, Claim, Renditions, clean, operator,
        process::{self, JobError},
        sweep, upload,
    },
    votes::Votes,
};
use diesel_async::{SimpleAsyncConnection as _, pooled_connection::deadpool::Object};
use proptest::{
    prop_assert_eq,
    test_runner::{Config, TestCaseError, TestRunner},
};
use proptest_state_machine::ReferenceStateMachine;
use serde_json::Value;
use tokio::runtime;

use super::{
    core::{Action, Broker, Job, Leases, Reply, State, Swept},
    schedules::{Model, RULES},
    stored::Stored,
};
use crate::support::{RedisBroker, TestApp, aws};

/// Number of schedules of an ordinary test run, and the variable that overrides it.
const SCHEDULES: u32 = 1_000;
const SCHEDULES_VARIABLE: &str = "SCHEDULES";

#[test]
fn program_behaves_as_the_model() {
    let asked = std::env::var(SCHEDULES_VARIABLE).ok();
    let schedules = asked.map_or(SCHEDULES, |count| count.parse().unwrap());
    let config = Config {
        cases: schedules,
        // A failing schedule is printed, and becomes a separate test.
        failure_persistence: None,
        max_shrink_iters: 1_000,
        ..Config::default()
    };
    // With more threads, each response would have to wake another thread.
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let system = runtime.block_on(SystemUnderTest::open());
    let (steps, started) = (AtomicUsize::new(0), Instant::now());
    let followed = TestRunner::new(config).run(
        &Model::sequential_strategy(4..16),
        |(state, actions, seen)| {
            steps.fetch_add(actions.len(), Ordering::Relaxed);
            runtime.block_on(system.follow(state, actions, seen))
        },
    );
    followed.unwrap_or_else(|failure| panic!("{failure}"));
    println!(
        "{schedules} schedules, {steps:?} steps in {:?}",
        started.elapsed()
    );
}

/// The services, shared by all schedules.
struct SystemUnderTest {
    app: TestApp,
    api: App,
    votes: Votes,
    context: WorkerContext,
    no_queue: Queue,
    broker: RedisBroker,
    users: Vec<UserId>,
}

/// One schedule.
struct Run<'a> {
    system: &'a SystemUnderTest,
    connection: Object<Connection>,
    videos: Vec<VideoId>,
    workers: Vec<Option<Claim>>,
}

impl SystemUnderTest {
    async fn open() -> Self {
        let flags = [
            "--job-lease=1h",
            "--job-visibility=3h",
            "--job-max-attempts=2",
        ];
        let app = TestApp::spawn_with(&[], &flags).await;
        let mut users = Vec::new();
        for user in 0..RULES.users {
            let player = app.insert_user(&format!("Fan{user}"), "Cali").await;
            users.push(app.user_id(&player).await);
        }
        Self {
            api: App::build(&app.serve, &aws::config().await, &app.shutdown)
                .await
                .unwrap(),
            votes: Votes::new(&app.db, &Counting::default(), &app.shutdown),
            context: app.context().await,
            no_queue: RedisBroker::absent().await,
            broker: RedisBroker::at(&app.place.redis_url).await,
            users,
            app,
        }
    }

    /// Runs a schedule. Counts the actions in `seen`: a failure does not involve later ones.
    async fn follow(
        &self,
        mut state: State,
        actions: Vec<Action>,
        seen: Option<Arc<AtomicUsize>>,
    ) -> Result<(), TestCaseError> {
        let mut run = Run::start(self, &state).await;
        for action in actions {
            if let Some(seen) = &seen {
                seen.fetch_add(1, Ordering::Relaxed);
            }
            let answer = run.act(action).await;
            prop_assert_eq!(answer, state.apply(&RULES, action), "{:?}", action);
            prop_assert_eq!(run.look(&state).await, state.clone(), "{:?}", action);
        }
        Ok(())
    }
}

impl<'a> Run<'a> {
    async fn start(system: &'a SystemUnderTest, state: &State) -> Self {
        system.broker.wipe().await;
        let mut connection = system.app.db.connection().await.unwrap();
        let mut script = "DELETE FROM videos; DELETE FROM uploads;".to_owned();
        let mut videos = Vec::new();
        for row in state.rows() {
            let id = VideoId::generate();
            let insert = format!(
                "INSERT INTO videos (id, user_id, title, is_public, original_bytes, run_after, losses)
                 VALUES ('{id}', {}, 'Mi jugada', false, 1, '2020-01-01', {});",
                system.users[0], row.lease_expirations
            );
            script.push_str(&insert);
            videos.push(id);
        }
        connection.batch_execute(&script).await.unwrap();
        Self {
            system,
            connection,
            videos,
            workers: vec![None; state.workers.len()],
        }
    }

    async fn act(&mut self, action: Action) -> Reply {
        let SystemUnderTest {
            app,
            api,
            context,
            users,
            votes,
            ..
        } = self.system;
        match action {
            Action::Push { video } => {
                upload::enqueue(api, self.videos[video], String::new())
                    .await
                    .unwrap();
            }
            Action::Publish { video } => return self.change(video, true).await,
            Action::Unpublish { video } => return self.change(video, false).await,
            Action::Delete { video } => {
                let deleted = videos::delete(&api.backends, users[0], self.videos[video]).await;
                return Reply::Deleted(deleted.unwrap());
            }
            Action::Vote { user, video } => {
                let cast = votes.cast(users[user], self.videos[video]).await;
                return Reply::Cast(cast.unwrap());
            }
            // A message may name any video.
            Action::Redeliver => app.push(VideoId::generate()).await,
            Action::Lose => self.receive().await,
            Action::Take { worker } => {
                self.receive().await;
                let claim = process::claim(context).await.unwrap();
                self.workers[worker] = claim;
                return Reply::Claimed(claim.map(|claim| Job {
                    video: self.place(claim.video),
                    attempt: number(claim.attempt),
                    failures: number(claim.failures),
                    has_stored: false,
                }));
            }
            Action::Beat { worker }
            | Action::Store { worker }
            | Action::Succeed { worker }
            | Action::Refuse { worker }
            | Action::Fail { worker }
            | Action::EnvironmentFailure { worker }
            | Action::GiveBack { worker }
            | Action::Die { worker } => return self.work(action, worker).await,
            Action::ExpireLease { video } => self.set(video, "lease_until = '2020-01-01'").await,
            Action::ComeDue { video } => self.set(video, "run_after = '2020-01-01'").await,
            Action::AgePush { video } => self.set(video, "enqueued_at = '2020-01-01'").await,
            Action::AgeOrphans { video } => self.set(video, "strays_at = '2020-01-01'").await,
            Action::AgeNote { video } => {
                let id = self.videos[video];
                app.execute(&format!(
                    "UPDATE uploads SET started_at = '2020-01-01' WHERE video_id = '{id}'"
                ))
                .await;
            }
            Action::Sweep { leases, broker } => {
                let mut context = context.clone();
                if broker == Broker::Down {
                    context.backends.queue = self.system.no_queue.clone();
                }
                return Reply::Swept(sweep_and_clean(&context, leases).await.ok());
            }
            Action::Redrive => {
                let Backends { db, queue, .. } = &context.backends;
                let redriven = operator::redrive(db, queue, &crate::support::operator())
                    .await
                    .unwrap();
                // The sweeper skips videos that became due within the last second.
                app.execute("UPDATE videos SET run_after = '2020-01-01' WHERE run_after <= now()")
                    .await;
                return Reply::Redriven(redriven.videos);
            }
        }
        Reply::Nothing
    }

    async fn work(&mut self, action: Action, worker: usize) -> Reply {
        let SystemUnderTest { app, context, .. } = self.system;
        let claim = self.workers[worker].take().unwrap();
        match action {
            Action::Beat { .. } => {
                let is_held = process::heartbeat(context, claim).await.unwrap();
                if is_held {
                    self.workers[worker] = Some(claim);
                } else {
                    process::remove_outputs(context, claim).await;
                }
                Reply::Held(is_held)
            }
            Action::Store { .. } => {
                let folder = app.processed().join(claim.video.to_string());
                fs::create_dir_all(&folder).unwrap();
                fs::write(folder.join(format!("{}.mp4", claim.attempt)), "").unwrap();
                self.workers[worker] = Some(claim);
                Reply::Nothing
            }
            Action::Succeed { .. } => Reply::Succeeded(
                process::record_success(context, claim, &Renditions::default(), &Value::Null)
                    .await
                    .unwrap(),
            ),
            Action::Refuse { .. } => {
                let error = JobError::Rejected(Rejection::Corrupt.into());
                Reply::Failed(
                    process::record_failure(context, claim, error)
                        .await
                        .unwrap(),
                )
            }
            Action::Fail { .. } | Action::EnvironmentFailure { .. } => {
                let error = anyhow::anyhow!("no clip");
                let error = match action {
                    Action::Fail { .. } => JobError::failed(error),
                    _ => JobError::Environment(error),
                };
                let recorded = process::record_failure(context, claim, error)
                    .await
                    .unwrap();
                // A slow test must not reach the end of the short back-off.
                app.execute("UPDATE videos SET run_after = '2100-01-01' WHERE run_after > now()")
                    .await;
                Reply::Failed(recorded)
            }
            Action::GiveBack { .. } => {
                process::release(context, claim).await.unwrap();
                app.push(claim.video).await;
                Reply::Nothing
            }
            _ => Reply::Nothing,
        }
    }

    async fn change(&self, video: usize, is_public: bool) -> Reply {
        let change = Change {
            title: None,
            is_public: Some(is_public),
        };
        let SystemUnderTest { api, users, .. } = self.system;
        let changed = videos::change(&api.backends, users[0], self.videos[video], &change).await;
        Reply::Changed(matches!(changed.unwrap(), ChangeOutcome::Changed(_)))
    }

    async fn set(&self, video: usize, assignment: &str) {
        self.system.app.set(self.videos[video], assignment).await;
    }

    /// Receives and acknowledges a message.
    async fn receive(&self) {
        let queue = &self.system.app.queue;
        let received = queue.receive(1, Duration::from_millis(1)).await;
        received.unwrap().pop().unwrap().ack().await.unwrap();
    }

    fn place(&self, id: VideoId) -> usize {
        self.videos.iter().position(|video| *video == id).unwrap()
    }

    /// Returns `state` with its stored parts replaced by what the system stores.
    async fn look(&mut self, state: &State) -> State {
        let SystemUnderTest { app, broker, .. } = self.system;
        let mut seen = state.clone();
        seen.messages = broker.waiting().await.len();
        let stored = Stored::read(&mut self.connection, &self.videos).await;
        for ((video, id), stored) in seen.videos.iter_mut().zip(&self.videos).zip(stored) {
            video.note = stored.note();
            video.row = stored.row(&self.system.users);
            let names = app.outputs(*id);
            let attempts = names
                .iter()
                .map(|name| name.trim_end_matches(".mp4").parse());
            video.outputs = attempts.map(Result::unwrap).collect();
        }
        seen
    }
}

async fn sweep_and_clean(context: &WorkerContext, leases: Leases) -> anyhow::Result<Swept> {
    let leases = match leases {
        Leases::Expire => sweep::Leases::expired(&context.backends.db).await?,
        Leases::Keep => sweep::Leases::Keep,
    };
    let swept = sweep::run(&context.backends, leases).await;
    // The cleanup runs even if the sweep failed.
    let cleaned = clean::run(&context.backends, &context.upload).await?;
    let swept = swept?;
    assert_eq!(swept.remakes, 0);
    Ok(Swept {
        expired: swept.expired,
        lost: swept.lost,
        due: swept.due,
        again: swept.again,
        uploads: cleaned.uploads,
        strays: cleaned.strays,
    })
}

fn number(value: i32) -> u8 {
    value.try_into().unwrap()
}
