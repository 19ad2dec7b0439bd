//! Random schedules on the real thing: the functions that API, workers, sweeper and operator call, on
//! PostgreSQL, Redis and a disk. After each step their answer and all that is stored must be what the
//! model says. Time passes by moving the moments in the rows.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anb::{
    app::{App, Workshop, counting::Counting},
    db::Connection,
    ids::{UserId, VideoId},
    job::JobError,
    media::Refusal,
    queue::Queue,
    videos::{
        self, Change, ChangeOutcome, Claim, clean, operator, process,
        sweep::{self, Sweeper},
        upload,
    },
    votes::Votes,
};
use diesel_async::{SimpleAsyncConnection as _, pooled_connection::deadpool::Object};
use proptest::{
    prop_assert_eq,
    test_runner::{Config, TestCaseError, TestRunner},
};
use proptest_state_machine::ReferenceStateMachine;
use tokio::runtime;

use super::{
    core::{Action, Broker, Job, Leases, Reply, State, Swept},
    schedules::{Model, RULES},
    stored::Stored,
};
use crate::support::{RedisBroker, TestApp, aws};

/// Schedules of the ordinary test run, and the variable that asks for more.
const SCHEDULES: u32 = 1_000;
const SCHEDULES_VARIABLE: &str = "SCHEDULES";

#[test]
fn the_sql_does_what_the_model_says() {
    let asked = std::env::var(SCHEDULES_VARIABLE).ok();
    let schedules = asked.map_or(SCHEDULES, |count| count.parse().unwrap());
    let config = Config {
        cases: schedules,
        // A schedule that fails is printed, and becomes a test of its own.
        failure_persistence: None,
        max_shrink_iters: 1_000,
        ..Config::default()
    };
    // One thread: with more, each answer would have to wake another.
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let house = runtime.block_on(House::open());
    let (steps, started) = (AtomicUsize::new(0), Instant::now());
    let followed = TestRunner::new(config).run(
        &Model::sequential_strategy(4..16),
        |(state, actions, seen)| {
            steps.fetch_add(actions.len(), Ordering::Relaxed);
            runtime.block_on(house.follow(state, actions, seen))
        },
    );
    followed.unwrap_or_else(|failure| panic!("{failure}"));
    println!(
        "{schedules} schedules, {steps:?} steps in {:?}",
        started.elapsed()
    );
}

/// The services, shared by all schedules.
struct House {
    app: TestApp,
    api: App,
    votes: Votes,
    workshop: Workshop,
    no_queue: Queue,
    broker: RedisBroker,
    users: Vec<UserId>,
}

/// One schedule.
struct Run<'a> {
    house: &'a House,
    connection: Object<Connection>,
    videos: Vec<VideoId>,
    workers: Vec<Option<Claim>>,
}

impl House {
    async fn open() -> Self {
        let flags = [
            "--job-lease=1h",
            "--job-visibility=3h",
            "--job-max-attempts=2",
        ];
        let app = TestApp::spawn_with(&[], &flags).await;
        let mut users = Vec::new();
        for user in 0..RULES.users {
            let player = app.member(&format!("Fan{user}"), "Cali").await;
            users.push(app.user_id(&player).await);
        }
        Self {
            api: App::build(&app.serve, &aws::config().await, &app.shutdown)
                .await
                .unwrap(),
            votes: Votes::new(&app.db, &Counting::default(), &app.shutdown),
            workshop: app.workshop().await,
            no_queue: RedisBroker::absent().await,
            broker: RedisBroker::at(&app.place.redis_url).await,
            users,
            app,
        }
    }

    /// Follows a schedule. Counts in `seen` what was done: the rest is no part of a failure.
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
    async fn start(house: &'a House, state: &State) -> Self {
        house.broker.wipe().await;
        let mut connection = house.app.db.connection().await.unwrap();
        let mut script = "DELETE FROM videos; DELETE FROM uploads;".to_owned();
        let mut videos = Vec::new();
        for row in state.rows() {
            let id = VideoId::generate();
            let insert = format!(
                "INSERT INTO videos (id, user_id, title, is_public, original_bytes, run_after, losses)
                 VALUES ('{id}', {}, 'Mi jugada', false, 1, '2020-01-01', {});",
                house.users[0], row.losses
            );
            script.push_str(&insert);
            videos.push(id);
        }
        connection.batch_execute(&script).await.unwrap();
        Self {
            house,
            connection,
            videos,
            workers: vec![None; state.workers.len()],
        }
    }

    async fn act(&mut self, action: Action) -> Reply {
        let House {
            app,
            api,
            workshop,
            users,
            ..
        } = self.house;
        match action {
            Action::Push { video } => {
                upload::enqueue(api, self.videos[video], String::new())
                    .await
                    .unwrap();
            }
            Action::Publish { video } => return self.change(video, true).await,
            Action::Unpublish { video } => return self.change(video, false).await,
            Action::Delete { video } => {
                let deleted = videos::delete(api, users[0], self.videos[video]).await;
                return Reply::Deleted(deleted.unwrap());
            }
            Action::Vote { user, video } => {
                let cast = self.house.votes.cast(users[user], self.videos[video]).await;
                return Reply::Cast(cast.unwrap());
            }
            // It names what it likes.
            Action::Redeliver => app.push(VideoId::generate()).await,
            Action::Lose => self.receive().await,
            Action::Take { worker } => {
                self.receive().await;
                let claim = process::claim(workshop).await.unwrap();
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
            | Action::SetBack { worker }
            | Action::GiveBack { worker }
            | Action::Die { worker } => return self.work(action, worker).await,
            Action::ExpireLease { video } => self.set(video, "lease_until = '2020-01-01'").await,
            Action::ComeDue { video } => self.set(video, "run_after = '2020-01-01'").await,
            Action::AgePush { video } => self.set(video, "enqueued_at = '2020-01-01'").await,
            Action::AgeStrays { video } => self.set(video, "strays_at = '2020-01-01'").await,
            Action::AgeNote { video } => {
                let id = self.videos[video];
                app.sql(&format!(
                    "UPDATE uploads SET started_at = '2020-01-01' WHERE video_id = '{id}'"
                ))
                .await;
            }
            Action::Sweep { leases, broker } => {
                let queue = match broker {
                    Broker::Up => &workshop.queue,
                    Broker::Down => &self.house.no_queue,
                };
                let sweeper = Sweeper {
                    queue,
                    ..Sweeper::from(workshop)
                };
                return Reply::Swept(sweep_and_clean(&sweeper, leases).await.ok());
            }
            Action::Redrive => {
                let redriven = operator::redrive(&workshop.db, &workshop.queue)
                    .await
                    .unwrap();
                // The sweeper leaves what came due within the last second to others.
                app.sql("UPDATE videos SET run_after = '2020-01-01' WHERE run_after <= now()")
                    .await;
                return Reply::Redriven(redriven.videos);
            }
        }
        Reply::Nothing
    }

    async fn work(&mut self, action: Action, worker: usize) -> Reply {
        let House { app, workshop, .. } = self.house;
        let claim = self.workers[worker].take().unwrap();
        match action {
            Action::Beat { .. } => {
                let is_held = process::heartbeat(workshop, claim).await.unwrap();
                if is_held {
                    self.workers[worker] = Some(claim);
                } else {
                    process::discard(workshop, claim).await;
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
                process::record_success(workshop, claim, &serde_json::Value::Null)
                    .await
                    .unwrap(),
            ),
            Action::Refuse { .. } => {
                let error = JobError::Video(Refusal::Corrupt.into());
                Reply::Failed(
                    process::record_failure(workshop, claim, error)
                        .await
                        .unwrap(),
                )
            }
            Action::Fail { .. } | Action::SetBack { .. } => {
                let error = anyhow::anyhow!("no clip");
                let error = match action {
                    Action::Fail { .. } => JobError::Job(error),
                    _ => JobError::Surroundings(error),
                };
                let recorded = process::record_failure(workshop, claim, error)
                    .await
                    .unwrap();
                // The back-off is short: no slow test may reach its end.
                app.sql("UPDATE videos SET run_after = '2100-01-01' WHERE run_after > now()")
                    .await;
                Reply::Failed(recorded)
            }
            Action::GiveBack { .. } => {
                process::release(workshop, claim).await.unwrap();
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
        let House { api, users, .. } = self.house;
        let changed = videos::change(api, users[0], self.videos[video], &change).await;
        Reply::Changed(matches!(changed.unwrap(), ChangeOutcome::Changed(_)))
    }

    async fn set(&self, video: usize, assignment: &str) {
        self.house.app.set(self.videos[video], assignment).await;
    }

    /// Receives a message.
    async fn receive(&self) {
        let queue = &self.house.app.queue;
        let received = queue.receive(1, Duration::from_millis(1)).await;
        received.unwrap().pop().unwrap().ack().await.unwrap();
    }

    fn place(&self, id: VideoId) -> usize {
        self.videos.iter().position(|video| *video == id).unwrap()
    }

    /// Returns `state` with everything that is stored as it is.
    async fn look(&mut self, state: &State) -> State {
        let House { app, broker, .. } = self.house;
        let mut seen = state.clone();
        seen.messages = broker.waiting().await.len();
        let stored = Stored::read(&mut self.connection, &self.videos).await;
        for ((video, id), stored) in seen.videos.iter_mut().zip(&self.videos).zip(stored) {
            video.note = stored.note();
            video.row = stored.row(&self.house.users);
            let names = app.outputs(*id);
            let attempts = names
                .iter()
                .map(|name| name.trim_end_matches(".mp4").parse());
            video.outputs = attempts.map(Result::unwrap).collect();
        }
        seen
    }
}

async fn sweep_and_clean(sweeper: &Sweeper<'_>, leases: Leases) -> anyhow::Result<Swept> {
    let leases = match leases {
        Leases::Expire => sweep::Leases::expired(sweeper.db).await?,
        Leases::Keep => sweep::Leases::Keep,
    };
    let swept = sweep::run(sweeper, leases).await;
    // One fails without the other.
    let cleaned = clean::run(sweeper).await?;
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
