//! How votes get into their counters: in rounds, the oldest first, whatever somebody else locks.

use anb::{
    config::database::Settings,
    db::{self, Connection, Db},
};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{BigInt, Bool, Double},
};
use diesel_async::{RunQueryDsl as _, SimpleAsyncConnection as _};
use reqwest::Method;
use serde_json::json;

use crate::{
    processes::process::{House, Role},
    support::{Place, Seed, TestApp, eventually, free_port},
};

#[tokio::test]
async fn a_player_sees_votes_that_are_not_counted_yet() {
    let app = TestApp::spawn().await;
    count_nothing(&app).await;
    let (ana, luis) = (
        app.member("Ana", "Cali").await,
        app.member("Luis", "Cali").await,
    );
    let id = app.add(&ana, Seed::PUBLIC).await;
    app.vote(&luis, &id).await.ok();

    assert_eq!(app.number("SELECT max(votes) FROM videos").await, 0);
    assert_eq!(app.video(&ana, &id).await["votes"], 1);
    let own = app.call(&ana, Method::GET, "/api/videos").await.ok();
    assert_eq!(own[0]["votes"], 1);
}

#[tokio::test]
async fn votes_are_counted_while_others_wait_for_a_connection() {
    let mut app = TestApp::spawn_with(&["--db-pool-size=1"], &[]).await;
    // The test asks on connections of its own.
    app.db = Db::new(&app.serve.database).unwrap();
    let (ana, luis) = (
        app.member("Ana", "Cali").await,
        app.member("Luis", "Cali").await,
    );
    let id = app.add(&ana, Seed::PUBLIC).await;
    app.vote(&luis, &id).await.ok();
    app.counted().await;

    let mut lock = app.db.own_connection().await.unwrap();
    lock.batch_execute("BEGIN; LOCK TABLE revoked_tokens")
        .await
        .unwrap();
    let count = async {
        app.until_blocked().await;
        app.sql(&format!("INSERT INTO uncounted VALUES ('{id}', 1)"))
            .await;
        app.counted().await;
    };
    tokio::select! {
        answer = app.call(&ana, Method::GET, "/api/auth/profile") => panic!("{answer:?}"),
        () = count => {}
    }
    lock.batch_execute("ROLLBACK").await.unwrap();
}

/// What is skipped is not deleted, and so never counted.
async fn count_nothing(app: &TestApp) {
    let function =
        "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'";
    let trigger =
        "CREATE TRIGGER skip BEFORE DELETE ON uncounted FOR EACH ROW EXECUTE FUNCTION skip()";
    app.sql(function).await;
    app.sql(trigger).await;
}

#[tokio::test]
async fn a_round_counts_the_oldest_votes_and_tells_what_is_left() {
    let place = Place::make().await;
    let settings = Settings::at(&place.database_url);
    let mut connection = db::connect(&settings).await.unwrap();
    let videos = "
        INSERT INTO users (first_name, last_name, email, password_hash, city, city_key, country)
            VALUES ('Ana', 'Ruiz', 'ana@example.com', '', 'Cali', 'cali', 'Colombia');
        INSERT INTO videos (id, user_id, title, status, is_public, original_bytes, attempt, processed_at)
            SELECT gen_random_uuid(), id, age, 'processed', true, 1, 1, now()
            FROM users, generate_series(1, 3) AS age;
        INSERT INTO uncounted SELECT id, title::bigint, now() - title::bigint * interval '1 hour' FROM videos";
    connection.batch_execute(videos).await.unwrap();
    for (votes, hours) in [(3, 2), (3 + 2, 1), (3 + 2 + 1, 0)] {
        let round = Round::of_one(&mut connection).await;
        assert!(round.is_more);
        let age = round.oldest_left / 3600.0 - f64::from(hours);
        assert!((-0.001..0.1).contains(&age), "{round:?}");
        assert_eq!(round.votes, votes);
    }
    let round = Round::of_one(&mut connection).await;
    assert!(!round.is_more && round.oldest_left < 0.001, "{round:?}");
}

#[tokio::test]
async fn a_locked_video_keeps_no_other_from_being_counted() {
    let app = TestApp::spawn().await;
    let ana = app.member("Ana", "Cali").await;
    let luis = app.member("Luis", "Cali").await;
    let (locked, free) = (
        app.add(&ana, Seed::PUBLIC).await,
        app.add(&luis, Seed::PUBLIC).await,
    );
    let mut lock = app.db.own_connection().await.unwrap();
    lock.batch_execute(&format!(
        "BEGIN; SELECT FROM videos WHERE id = '{locked}' FOR UPDATE"
    ))
    .await
    .unwrap();
    app.sql(&format!(
        "INSERT INTO uncounted VALUES ('{locked}', 1), ('{free}', 1)"
    ))
    .await;
    eventually("the other video is counted", 30, async || {
        app.number("SELECT count(*) FROM uncounted").await == 1
    })
    .await;
    let votes = format!("SELECT votes FROM videos WHERE id = '{free}'");
    assert_eq!(app.number(&votes).await, 1);

    lock.batch_execute("ROLLBACK").await.unwrap();
    app.counted().await;
    assert_eq!(app.number("SELECT sum(votes)::bigint FROM videos").await, 2);
    assert_eq!(app.misranked().await, 0);
}

#[tokio::test]
async fn votes_for_a_video_that_was_deleted_are_forgotten() {
    let app = TestApp::spawn().await;
    app.sql("INSERT INTO uncounted VALUES (gen_random_uuid(), 1)")
        .await;
    app.counted().await;
}

#[tokio::test]
async fn late_counters_are_told_and_stop_nobody() {
    let mut app = TestApp::spawn().await;
    let metrics = format!("127.0.0.1:{}", free_port());
    let settings = [("METRICS_ADDR", metrics.as_str())];
    let mut serve = House::of(&app).start_with(Role::Serve, &settings);
    serve.until_ready().await;
    app.url.clone_from(&serve.url);
    count_nothing(&app).await;
    let (ana, luis) = (
        app.member("Ana", "Cali").await,
        app.member("Luis", "Cali").await,
    );
    let id = app.add(&ana, Seed::PUBLIC).await;
    app.vote(&luis, &id).await.ok();
    eventually("votes are late", 30, async || {
        app.get("/ready").await.ok() == json!({"status": "ready", "late": ["votes"]})
    })
    .await;
    assert!(lag(&metrics).await > 0.5);

    app.sql("DROP TRIGGER skip ON uncounted").await;
    eventually("votes are in time again", 30, async || {
        app.get("/ready").await.ok() == json!({"status": "ready", "late": []})
    })
    .await;
    assert_eq!(app.number("SELECT sum(votes)::bigint FROM videos").await, 1);
}

/// Returns the age of the oldest vote that may not be counted, as the process tells it (s).
async fn lag(address: &str) -> f64 {
    let answer = reqwest::get(format!("http://{address}/metrics")).await;
    let metrics = answer.unwrap().text().await.unwrap();
    let lag = metrics
        .lines()
        .find_map(|line| line.strip_prefix("anb_votes_lag_seconds "));
    lag.unwrap().parse().unwrap()
}

/// How a round ended, and the votes that are counted then.
#[derive(Debug, QueryableByName)]
struct Round {
    #[diesel(sql_type = Bool)]
    is_more: bool,
    #[diesel(sql_type = Double)]
    oldest_left: f64,
    #[diesel(sql_type = BigInt)]
    votes: i64,
}

impl Round {
    /// Counts the votes of one note.
    async fn of_one(connection: &mut Connection) -> Self {
        let count = "WITH round AS MATERIALIZED (SELECT * FROM count_votes(1)) SELECT *, 0::bigint AS votes FROM round";
        let round: Self = sql_query(count).get_result(connection).await.unwrap();
        let votes = "SELECT sum(votes)::bigint AS votes, false AS is_more, 0::float8 AS oldest_left FROM videos";
        let counted: Self = sql_query(votes).get_result(connection).await.unwrap();
        Self {
            votes: counted.votes,
            ..round
        }
    }
}
