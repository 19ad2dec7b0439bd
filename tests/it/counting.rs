//! Vote counting: each round applies the oldest vote deltas first and skips locked videos.

use anb::db::Db;
use diesel_async::SimpleAsyncConnection as _;
use reqwest::Method;
use serde_json::json;
use tokio_postgres::{Client, NoTls};

use crate::{
    processes::process::{Role, SystemUnderTest},
    support::{Place, Player, Seed, TestApp, eventually, free_port},
};

#[tokio::test]
async fn player_sees_votes_not_yet_counted() {
    let app = TestApp::spawn().await;
    stop_counting(&app).await;
    let (ana, id) = vote_once(&app).await;

    assert_eq!(app.number("SELECT max(votes) FROM videos").await, 0);
    assert_eq!(app.video(&ana, &id).await["votes"], 1);
    let own = app.call(&ana, Method::GET, "/api/videos").await.ok();
    assert_eq!(own[0]["votes"], 1);
}

#[tokio::test]
async fn votes_are_counted_while_the_pool_is_exhausted() {
    let mut app = TestApp::spawn_with(&["--db-pool-size=1"], &[]).await;
    // The test uses a pool of its own.
    app.db = Db::new(&app.serve.backends.database).unwrap();
    let (ana, id) = vote_once(&app).await;
    app.counted().await;

    let mut lock = app.db.dedicated_connection().await.unwrap();
    lock.batch_execute("BEGIN; LOCK TABLE revoked_tokens")
        .await
        .unwrap();
    let count = async {
        app.until_blocked().await;
        app.execute(&format!("INSERT INTO uncounted VALUES ('{id}', 1)"))
            .await;
        app.counted().await;
    };
    tokio::select! {
        answer = app.call(&ana, Method::GET, "/api/auth/profile") => panic!("{answer:?}"),
        () = count => {}
    }
    lock.batch_execute("ROLLBACK").await.unwrap();
}

/// Adds a video by Ana and a vote by Luis. Returns Ana and the id of the video.
async fn vote_once(app: &TestApp) -> (Player, String) {
    let ana = app.insert_user("Ana", "Cali").await;
    let luis = app.insert_user("Luis", "Cali").await;
    let id = app.add(&ana, Seed::PUBLIC).await;
    app.vote(&luis, &id).await.ok();
    (ana, id)
}

/// Stops vote counting with a trigger that suppresses deletions from `uncounted`.
async fn stop_counting(app: &TestApp) {
    let function =
        "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'";
    let trigger =
        "CREATE TRIGGER skip BEFORE DELETE ON uncounted FOR EACH ROW EXECUTE FUNCTION skip()";
    app.execute(function).await;
    app.execute(trigger).await;
}

#[tokio::test]
async fn round_counts_oldest_votes_and_reports_backlog_age() {
    let place = Place::make().await;
    let (client, connection) = tokio_postgres::connect(&place.database_url, NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let videos = "
        INSERT INTO users (first_name, last_name, email, password_hash, city, city_key, country)
            VALUES ('Ana', 'Ruiz', 'ana@example.com', '', 'Cali', 'cali', 'Colombia');
        INSERT INTO videos (id, user_id, title, status, is_public, original_bytes, attempt, processed_at)
            SELECT gen_random_uuid(), id, age, 'processed', true, 1, 1, now()
            FROM users, generate_series(1, 3) AS age;
        INSERT INTO uncounted SELECT id, title::bigint, now() - title::bigint * interval '1 hour' FROM videos";
    client.batch_execute(videos).await.unwrap();
    for (votes, hours) in [(3, 2), (3 + 2, 1), (3 + 2 + 1, 0)] {
        let (is_more, oldest_left) = count_one(&client).await;
        assert!(is_more);
        let age = oldest_left / 3600.0 - f64::from(hours);
        assert!((-0.001..0.1).contains(&age), "{oldest_left}");
        let counted = "SELECT sum(votes)::bigint FROM videos";
        let counted: i64 = client.query_one(counted, &[]).await.unwrap().get(0);
        assert_eq!(counted, votes);
    }
    let (is_more, oldest_left) = count_one(&client).await;
    assert!(!is_more && oldest_left < 0.001, "{oldest_left}");
}

/// Counts the votes of one row of `uncounted`. Returns whether the round was full, and the age of
/// the oldest remaining row (s).
async fn count_one(client: &Client) -> (bool, f64) {
    let count = "SELECT is_more, oldest_left FROM count_votes(1)";
    let row = client.query_one(count, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn locked_video_does_not_block_counting_of_others() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let luis = app.insert_user("Luis", "Cali").await;
    let (locked, free) = (
        app.add(&ana, Seed::PUBLIC).await,
        app.add(&luis, Seed::PUBLIC).await,
    );
    let mut lock = app.db.dedicated_connection().await.unwrap();
    lock.batch_execute(&format!(
        "BEGIN; SELECT FROM videos WHERE id = '{locked}' FOR UPDATE"
    ))
    .await
    .unwrap();
    app.execute(&format!(
        "INSERT INTO uncounted VALUES ('{locked}', 1), ('{free}', 1)"
    ))
    .await;
    eventually("the other video is counted", 60, async || {
        app.number("SELECT count(*) FROM uncounted").await == 1
    })
    .await;
    let votes = format!("SELECT votes FROM videos WHERE id = '{free}'");
    assert_eq!(app.number(&votes).await, 1);

    lock.batch_execute("ROLLBACK").await.unwrap();
    app.counted().await;
    assert_eq!(app.number("SELECT sum(votes)::bigint FROM videos").await, 2);
    assert_eq!(app.stale_standings().await, 0);
}

#[tokio::test]
async fn vote_deltas_of_deleted_video_are_discarded() {
    let app = TestApp::spawn().await;
    app.execute("INSERT INTO uncounted VALUES (gen_random_uuid(), 1)")
        .await;
    app.counted().await;
}

#[tokio::test]
async fn delayed_counting_is_reported_and_process_stays_ready() {
    let mut app = TestApp::spawn().await;
    let metrics = format!("127.0.0.1:{}", free_port());
    let settings = [("METRICS_ADDR", metrics.as_str())];
    let mut serve = SystemUnderTest::of(&app).start_with(Role::Serve, &settings);
    serve.until_ready().await;
    app.url.clone_from(&serve.url);
    stop_counting(&app).await;
    vote_once(&app).await;
    eventually("votes are late", 60, async || {
        app.get("/ready").await.ok() == json!({"status": "ready", "late": ["votes"]})
    })
    .await;
    assert!(lag(&metrics).await > 0.5);

    app.execute("DROP TRIGGER skip ON uncounted").await;
    eventually("votes are on time again", 60, async || {
        app.get("/ready").await.ok() == json!({"status": "ready", "late": []})
    })
    .await;
    assert_eq!(app.number("SELECT sum(votes)::bigint FROM videos").await, 1);
}

/// Returns the age of the oldest uncounted vote from the metrics of the process (s).
async fn lag(address: &str) -> f64 {
    let answer = reqwest::get(format!("http://{address}/metrics")).await;
    let metrics = answer.unwrap().text().await.unwrap();
    let lag = metrics
        .lines()
        .find_map(|line| line.strip_prefix("anb_votes_lag_seconds "));
    lag.unwrap().parse().unwrap()
}
