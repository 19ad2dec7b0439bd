//! Time of each migration on a database with a million videos, and how long it makes others wait.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use anb::{
    config::database::Settings,
    db::{self, migrations},
};
use diesel::{QueryableByName, sql_query, sql_types::Text};
use diesel_async::{RunQueryDsl as _, SimpleAsyncConnection as _};
use tokio::{sync::watch, time::sleep};

use super::arena::Arena;

const VIDEOS: u32 = 1_000_000;

/// The newest migration of the release before (`anb migrate revert` leads back to it).
const RELEASED: &str = "20261129000020";

const PAUSE: Duration = Duration::from_millis(5);

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    text: String,
}

/// Statements that the program runs all the time. Each is rolled back.
const PROBES: [(&str, &str); 5] = [
    (
        "vote",
        "INSERT INTO votes (user_id, video_id)
         SELECT max(users.id), (SELECT id FROM videos LIMIT 1) FROM users",
    ),
    (
        "upload",
        "INSERT INTO videos (id, user_id, title, is_public, original_bytes)
         SELECT gen_random_uuid(), max(id), 'Mate', false, 1 FROM users",
    ),
    (
        "progress of a job",
        "UPDATE videos SET progress = 1 WHERE id = (SELECT id FROM videos LIMIT 1)",
    ),
    (
        "login",
        "UPDATE users SET password_hash = password_hash WHERE id = (SELECT max(id) FROM users)",
    ),
    (
        "list",
        "SELECT id FROM videos WHERE is_public ORDER BY uploaded_at DESC LIMIT 20",
    ),
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes ten minutes: make bench-migrations"]
async fn migrations_make_nobody_wait_on_a_million_videos() {
    let arena = Arena::open(VIDEOS).await;
    let settings = Settings::at(&arena.database_url());
    loop {
        let newest = "SELECT max(version) AS text FROM __diesel_schema_migrations";
        if arena.column(newest).await.concat().as_str() <= RELEASED {
            break;
        }
        let connection = db::connect(&settings).await.unwrap();
        let (version, begun) = (
            migrations::revert(connection).await.unwrap(),
            Instant::now(),
        );
        println!("reverted {version:?} in {:?}", begun.elapsed());
    }
    Arena::execute(&arena, "VACUUM ANALYZE").await;

    let (over, is_over) = watch::channel(false);
    let probes = PROBES.map(|(_, statement)| {
        let (settings, is_over) = (settings.clone(), is_over.clone());
        tokio::spawn(probe(settings, statement, is_over))
    });
    let applied = tokio::spawn(watch_applied(settings.clone(), is_over));
    let begun = Instant::now();
    let connection = db::connect(&settings).await.unwrap();
    let versions = migrations::run(connection).await.unwrap();
    let took = begun.elapsed();
    sleep(Duration::from_secs(1)).await;
    over.send_replace(true);

    let mut waits = Vec::new();
    for probe in probes {
        waits.push(probe.await.unwrap());
    }
    let names = PROBES.map(|(name, _)| name).join(" | ");
    let mut report = format!(
        "| migration | took | {names} |\n|---|---|{}\n",
        "---|".repeat(PROBES.len())
    );
    let mut from = begun;
    for (version, until) in applied.await.unwrap() {
        let longest = waits.iter().map(|waits: &Vec<(Instant, Duration)>| {
            let during = waits
                .iter()
                .filter(|(at, took)| *at < until && *at + *took >= from);
            let longest = during.map(|(_, took)| *took).max();
            format!(
                " {:.0} ms |",
                longest.unwrap_or_default().as_secs_f64() * 1000.0
            )
        });
        let longest: String = longest.collect();
        writeln!(
            report,
            "| {version} | {:.2} s |{longest}",
            (until - from).as_secs_f64()
        )
        .unwrap();
        from = until;
    }
    println!("{} migrations in {took:.1?}\n{report}", versions.len());
    arena.close().await;
}

/// Repeats a statement. Returns when it began, and how long it took.
async fn probe(
    settings: Settings,
    statement: &str,
    is_over: watch::Receiver<bool>,
) -> Vec<(Instant, Duration)> {
    let mut connection = db::connect(&settings).await.unwrap();
    let statement = format!("BEGIN; {statement}; ROLLBACK");
    let mut waits = Vec::new();
    while !*is_over.borrow() {
        let begun = Instant::now();
        connection.batch_execute(&statement).await.unwrap();
        waits.push((begun, begun.elapsed()));
        sleep(PAUSE).await;
    }
    waits
}

/// Returns each migration that is applied, and when.
async fn watch_applied(
    settings: Settings,
    is_over: watch::Receiver<bool>,
) -> Vec<(String, Instant)> {
    let mut connection = db::connect(&settings).await.unwrap();
    let mut applied: Vec<(String, Instant)> = Vec::new();
    while !*is_over.borrow() {
        let newest = applied.last().map_or(RELEASED, |(version, _)| version);
        let newer = format!(
            "SELECT version AS text FROM __diesel_schema_migrations WHERE version > '{newest}' ORDER BY version"
        );
        let rows: Vec<Row> = sql_query(newer).load(&mut connection).await.unwrap();
        applied.extend(rows.into_iter().map(|row| (row.text, Instant::now())));
        sleep(PAUSE).await;
    }
    applied
}
