//! Two API processes with one database, which resolves conflicts between them.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anb::contests::{self, Moment, Plan, Refusal};
use diesel_async::SimpleAsyncConnection as _;
use futures_util::{StreamExt as _, future::join_all, stream};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    STOP,
    process::{Process, Role, SystemUnderTest},
    until_stopping,
};
use crate::support::{PASSWORD, Player, Response, Seed, TestApp, eventually, operator};

/// Number of concurrent requests of one kind.
const REQUESTS: usize = 64;

struct TwoApis {
    app: TestApp,
    apis: [Process; 2],
    turn: AtomicUsize,
    _house: SystemUnderTest,
}

impl TwoApis {
    async fn start() -> Self {
        let app = TestApp::spawn().await;
        let system = SystemUnderTest::of(&app);
        let mut apis = [system.start(Role::Serve), system.start(Role::Serve)];
        for api in &mut apis {
            api.until_ready().await;
        }
        Self {
            app,
            apis,
            turn: AtomicUsize::new(0),
            _house: system,
        }
    }

    /// Sends requests to the two APIs alternately.
    async fn post(&self, path: &str, player: Option<&Player>, body: Option<&Value>) -> Response {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let api = &self.apis[turn % self.apis.len()];
        let url = format!("{}{path}", api.url);
        let mut request = self.app.client.request(Method::POST, url);
        if let Some(player) = player {
            request = request.bearer_auth(&player.token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Response::of(request).await
    }

    /// Creates a contest that all videos take part in, and whose voting is open.
    async fn create_contest(&self, votes_in_all: Option<i32>) {
        let date = |text: &str| text.parse::<Moment>().ok();
        let plan = Plan {
            name: Some("Copa de prueba".to_owned()),
            submissions_open_at: date("2020-01-01"),
            voting_open_at: date("2020-01-01"),
            voting_close_at: date("2999-01-01"),
            votes_in_all,
            ..Plan::default()
        };
        contests::create(&self.app.db, &operator(), "copa", &plan)
            .await
            .unwrap();
    }

    async fn vote(&self, fan: &Player, id: &str) -> Response {
        let path = format!("/api/public/videos/{id}/vote");
        self.post(&path, Some(fan), None).await
    }
}

/// Checks that exactly one request succeeded and all others failed with the same error.
fn assert_one(answers: &[Response], success: u16, code: &str) {
    let (succeeded, others): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.status.as_u16() == success);
    assert_eq!(succeeded.len(), 1);
    for other in others {
        assert_eq!(other.refusal(), (400, code));
    }
}

#[tokio::test]
async fn one_of_64_concurrent_sign_ups_succeeds_in_any_letter_case() {
    let two = TwoApis::start().await;
    let sign_ups = (0..REQUESTS).map(|number| {
        let email = ["ana@example.com", "Ana@Example.com", "ANA@EXAMPLE.COM"][number % 3];
        let form = json!({
            "first_name": "Ana", "last_name": "Prueba", "email": email, "password1": PASSWORD,
            "password2": PASSWORD, "city": "Cali", "country": "Colombia",
        });
        let two = &two;
        async move { two.post("/api/auth/signup", None, Some(&form)).await }
    });
    assert_one(&join_all(sign_ups).await, 201, "email_taken");
    assert_eq!(two.app.number("SELECT count(*) FROM users").await, 1);
}

#[tokio::test]
async fn one_of_64_concurrent_votes_counts() {
    let two = TwoApis::start().await;
    let ana = two.app.insert_user("Ana", "Cali").await;
    let luis = two.app.insert_user("Luis", "Cali").await;
    let id = two.app.add(&ana, Seed::PUBLIC).await;
    let votes = (0..REQUESTS).map(|_| two.vote(&luis, &id));
    assert_one(&join_all(votes).await, 200, "already_voted");
    assert_eq!(two.app.video(&ana, &id).await["votes"], 1);
}

#[tokio::test]
async fn vote_counters_are_exact_after_5_000_votes() {
    const FANS: usize = 250;
    const VIDEOS: usize = 20;
    let two = TwoApis::start().await;
    let ana = two.app.insert_user("Ana", "Cali").await;
    let fans = two.app.insert_users(FANS).await;
    let mut ids = Vec::new();
    for _ in 0..VIDEOS {
        ids.push(two.app.add(&ana, Seed::PUBLIC).await);
    }
    // Each fan votes for each video. One in ten votes twice.
    let votes = fans.iter().enumerate().flat_map(|(number, fan)| {
        let times = if number % 10 == 0 { 2 } else { 1 };
        let two = &two;
        ids.iter()
            .flat_map(move |id| (0..times).map(move |_| two.vote(fan, id)))
    });
    let started = Instant::now();
    let answers = stream::iter(votes.map(Box::pin)).buffer_unordered(REQUESTS);
    let counted = answers.filter(|answer| {
        let is_counted = answer.status == 200;
        assert!(
            is_counted || answer.refusal() == (400, "already_voted"),
            "{answer:?}"
        );
        std::future::ready(is_counted)
    });
    assert_eq!(counted.count().await, FANS * VIDEOS);
    println!("{} votes in {:?}", FANS * VIDEOS, started.elapsed());
    let rows = two.app.number("SELECT count(*) FROM votes").await;
    assert_eq!(usize::try_from(rows), Ok(FANS * VIDEOS));
    for id in ids {
        assert_eq!(two.app.video(&ana, &id).await["votes"], FANS);
    }
}

#[tokio::test]
async fn frozen_result_of_10_000_votes_that_race_the_close_has_exactly_the_accepted_ones() {
    const FANS: usize = 250;
    const VIDEOS: usize = 40;
    let two = TwoApis::start().await;
    let fans = two.app.insert_users(FANS).await;
    let mut ids = Vec::new();
    for number in 0..VIDEOS {
        let player = two.app.insert_user(&format!("Ana{number}"), "Cali").await;
        ids.push(two.app.add(&player, Seed::PUBLIC).await);
    }
    two.create_contest(None).await;
    let answered = AtomicUsize::new(0);
    let votes = fans
        .iter()
        .flat_map(|fan| ids.iter().map(move |id| (fan, id)));
    let votes = votes.map(|(fan, id)| {
        let (two, answered) = (&two, &answered);
        Box::pin(async move {
            let answer = two.vote(fan, id).await;
            answered.fetch_add(1, Ordering::Relaxed);
            answer
        })
    });
    let answers = stream::iter(votes).buffer_unordered(REQUESTS);
    let close = async {
        eventually("half of the votes are answered", 120, async || {
            answered.load(Ordering::Relaxed) > FANS * VIDEOS / 2
        })
        .await;
        let end = "UPDATE contests SET (submissions_close_at, voting_close_at)
            = (clock_timestamp() + interval '50 ms', clock_timestamp() + interval '50 ms')";
        two.app.execute(end).await;
        // The organiser cannot freeze too early, however often they try.
        loop {
            match contests::freeze(&two.app.db, &operator(), "copa", false).await {
                Ok(_) => return answered.load(Ordering::Relaxed),
                Err(Refusal::NotOver) => sleep(Duration::from_millis(1)).await,
                Err(other) => panic!("{other:?}"),
            }
        }
    };
    let (answers, answered_when_frozen) = tokio::join!(answers.collect::<Vec<_>>(), close);
    assert!(
        answered_when_frozen < FANS * VIDEOS,
        "no vote came after the close"
    );
    let (accepted, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 200);
    for answer in &refused {
        assert_eq!(answer.refusal(), (400, "voting_closed"));
    }
    println!(
        "{} votes accepted, {} refused, {answered_when_frozen} answered when frozen",
        accepted.len(),
        refused.len()
    );
    let accepted = i64::try_from(accepted.len()).unwrap();
    assert_eq!(
        two.app.number("SELECT sum(votes) FROM results").await,
        accepted
    );
    assert_eq!(two.app.number("SELECT count(*) FROM votes").await, accepted);
}

#[tokio::test]
async fn votes_through_two_apis_never_exceed_the_limit_of_one_person() {
    const LIMIT: usize = 10;
    let two = TwoApis::start().await;
    let ana = two.app.insert_user("Ana", "Cali").await;
    let luis = two.app.insert_user("Luis", "Cali").await;
    let mut ids = Vec::new();
    for _ in 0..REQUESTS {
        ids.push(two.app.add(&ana, Seed::PUBLIC).await);
    }
    two.create_contest(Some(10)).await;
    let answers = join_all(ids.iter().map(|id| two.vote(&luis, id))).await;
    let (counted, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(counted.len(), LIMIT);
    for answer in refused {
        assert_eq!(answer.refusal(), (400, "vote_limit"));
    }
    let rows = two.app.number("SELECT count(*) FROM votes").await;
    assert_eq!(usize::try_from(rows), Ok(LIMIT));
}

#[tokio::test]
async fn acknowledged_votes_survive_a_kill() {
    let mut two = TwoApis::start().await;
    let ana = two.app.insert_user("Ana", "Cali").await;
    let fans = two.app.insert_users(200).await;
    let id = two.app.add(&ana, Seed::PUBLIC).await;
    let path = format!("/api/public/videos/{id}/vote");
    let url = format!("{}{path}", two.apis[0].url);
    let votes = fans.iter().map(|fan| {
        let request = two.app.client.post(&url).bearer_auth(&fan.token).send();
        async { request.await.is_ok_and(|answer| answer.status() == 200) }
    });
    let kill = async {
        eventually("votes are being counted", 60, async || {
            two.app.number("SELECT count(*) FROM votes").await > 0
        })
        .await;
        two.apis[0].signal(Signal::KILL);
    };
    let (answered, ()) = tokio::join!(join_all(votes), kill);
    assert_eq!(two.apis[0].ended(STOP).await, None);
    for (fan, was_answered) in fans.iter().zip(answered) {
        let again = two.app.vote(fan, &id).await;
        let code = if was_answered { "already_voted" } else { "" };
        assert!(
            again.refusal() == (400, "already_voted") || again.refusal() == (200, code),
            "{again:?}"
        );
    }
    assert_eq!(two.app.video(&ana, &id).await["votes"], fans.len());
    assert_eq!(two.app.stale_standings().await, 0);
}

#[tokio::test]
async fn stopping_api_answers_all_received_votes() {
    let mut two = TwoApis::start().await;
    let ana = two.app.insert_user("Ana", "Cali").await;
    let fans = two.app.insert_users(32).await;
    let id = two.app.add(&ana, Seed::PUBLIC).await;
    let mut lock = two.app.db.connection().await.unwrap();
    let hold = "BEGIN; SELECT FROM videos FOR UPDATE";
    lock.batch_execute(hold).await.unwrap();
    let url = format!("{}/api/public/videos/{id}/vote", two.apis[0].url);
    let votes = fans
        .iter()
        .map(|fan| Response::of(two.app.client.post(&url).bearer_auth(&fan.token)));
    let stop = async {
        two.app.until_blocked().await;
        eventually("all votes have arrived", 60, async || {
            two.apis[0].requests_read() == fans.len()
        })
        .await;
        two.apis[0].signal(Signal::TERM);
        until_stopping(&two.apis[0]).await;
        lock.batch_execute("ROLLBACK").await.unwrap();
    };
    let (answers, ()) = tokio::join!(join_all(votes), stop);
    for answer in answers {
        answer.ok();
    }
    assert_eq!(two.apis[0].ended(STOP).await, Some(0));
    assert_eq!(two.app.video(&ana, &id).await["votes"], fans.len());
}
