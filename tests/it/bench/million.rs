//! A million videos, ten million votes, 300,000 users: the time of each migration and how long it
//! makes others wait, the time of each page and list, which tables the program reads as a whole,
//! and the memory of `anb fsck`.

use std::{
    fmt::Write as _,
    process::Stdio,
    time::{Duration, Instant},
};

use anb::{
    config::database::Settings,
    db::{self, migrations},
};
use diesel_async::SimpleAsyncConnection as _;
use reqwest::{Client, header, redirect::Policy};
use tokio::{process::Command, sync::watch, time::sleep};

use super::arena::{Arena, column};
use crate::{processes::process::Role, support::memory};

const VIDEOS: u32 = 1_000_000;

/// The newest migration of the release before (`anb migrate revert` leads back to it).
const RELEASED: &str = "20261129000020";

const PAUSE: Duration = Duration::from_millis(5);

/// Time after which PostgreSQL's sessions have reported what they read.
const STATISTICS: Duration = Duration::from_secs(12);

const PATHS: [&str; 40] = [
    "/",
    "/?ciudad=cali",
    "/?q=jugada",
    "/?q=nadie+conoce",
    "/?pagina=50",
    "/clasificacion",
    "/clasificacion?ciudad=cali",
    "/clasificacion?pagina=50",
    "/videos/{video}",
    "/reporte/{video}",
    "/sesion?videos={video}",
    "/mis-videos",
    "/mis-videos/{video}",
    "/mis-videos/estado?videos={video}",
    "/cuenta",
    "/subir",
    "/organizacion",
    "/organizacion/estado",
    "/organizacion/piezas",
    "/organizacion/videos",
    "/organizacion/videos?q=jugada",
    "/organizacion/videos?estado=failed",
    "/organizacion/videos/{video}",
    "/organizacion/clasificacion.csv",
    "/organizacion/concurso",
    "/organizacion/personas",
    "/organizacion/registro",
    "/organizacion/reportes",
    "/api/public/videos",
    "/api/public/videos?city=cali&page=50",
    "/api/public/videos?q=jugada",
    "/api/public/rankings",
    "/api/public/rankings?by=video&city=cali",
    "/api/public/rankings?page=50",
    "/api/public/cities?q=carta",
    "/api/public/contest",
    "/api/videos",
    "/api/user/votes",
    "/api/auth/profile",
    "/api/uploads",
];

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
#[ignore = "takes ten minutes: make bench-million"]
async fn million_videos_are_migrated_read_and_checked() {
    let mut arena = Arena::open(VIDEOS).await;
    migrate(&arena).await;
    arena.restart().await;
    read(&arena).await;
    check(&arena).await;
    arena.close().await;
}

/// Reverts the last migrations and applies them again, while other statements run.
async fn migrate(arena: &Arena) {
    let settings = Settings::at(&arena.database_url());
    loop {
        let newest = "SELECT max(version) AS text FROM __diesel_schema_migrations";
        if arena.column(newest).await.concat().as_str() <= RELEASED {
            break;
        }
        let connection = db::connect(&settings).await.unwrap();
        migrations::revert(connection).await.unwrap();
    }
    Arena::execute(arena, "VACUUM ANALYZE").await;

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
}

/// Requests every page and list twice, and prints those that took long. Then prints the tables of
/// which more was read than there was to show, also by the background tasks of a minute.
async fn read(arena: &Arena) {
    let reader = arena.players(1).await.remove(0);
    let role = format!(
        "UPDATE users SET role = 'organiser' WHERE id = {}",
        reader.user
    );
    Arena::execute(arena, &role).await;
    let worker = arena.start(Role::Work);
    sleep(STATISTICS).await;
    let before = scanned(arena).await;
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let api_token = arena.fans(1).await.remove(0);
    println!("| request | status | first | again |\n|---|---|---|---|");
    for path in PATHS {
        let path = path.replace("{video}", &reader.video);
        let mut took = Vec::new();
        let mut status = 0;
        for _ in 0..2 {
            let request = client.get(format!("{}{path}", arena.serve.url));
            let request = if path.starts_with("/api/") {
                request.bearer_auth(&api_token)
            } else {
                request.header(header::COOKIE, format!("anb={}", reader.token))
            };
            let begun = Instant::now();
            let answer = request.send().await.unwrap();
            status = answer.status().as_u16();
            answer.bytes().await.unwrap();
            took.push(format!("{:.1} ms", begun.elapsed().as_secs_f64() * 1000.0));
        }
        println!("| `{path}` | {status} | {} |", took.join(" | "));
    }
    sleep(STATISTICS).await;
    let after = scanned(arena).await;
    print_scans("requests", &before, &after);
    sleep(Duration::from_mins(1)).await;
    print_scans(
        "a minute of background tasks",
        &after,
        &scanned(arena).await,
    );
    drop(worker);
}

/// Returns each table with the number of scans and of the rows that they read.
async fn scanned(arena: &Arena) -> Vec<String> {
    let scanned = "SELECT relname || ' ' || seq_scan || ' ' || seq_tup_read AS text
        FROM pg_stat_user_tables ORDER BY relname";
    arena.column(scanned).await
}

fn print_scans(by: &str, before: &[String], after: &[String]) {
    for (before, after) in before.iter().zip(after) {
        let numbers = |line: &str| -> Vec<u64> {
            let numbers = line.split(' ').skip(1);
            numbers.map(|number| number.parse().unwrap()).collect()
        };
        let (earlier, later) = (numbers(before), numbers(after));
        let read = later[1] - earlier[1];
        if read > 10_000 {
            let (table, _) = after.split_once(' ').unwrap();
            println!(
                "{by}: {} scans of {table} read {read} rows",
                later[0] - earlier[0]
            );
        }
    }
}

/// Runs `anb fsck`, which finds that all files are missing, and prints its peak of memory.
async fn check(arena: &Arena) {
    let begun = Instant::now();
    #[expect(clippy::disallowed_methods, reason = "tests start programs")]
    let mut fsck = Command::new(&arena.system.program);
    fsck.args(["fsck", "--database-url", &arena.database_url()])
        .args(["--redis-url", arena.redis_url().as_str()])
        .current_dir(arena.system.folder())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = fsck.spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = memory(child.id().unwrap(), "VmHWM").unwrap_or(peak);
        sleep(PAUSE).await;
    }
    println!(
        "fsck: {:.1?}, peak {} MB",
        begun.elapsed(),
        peak / 1_000_000
    );
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
        let newer = column(&mut connection, &newer).await;
        applied.extend(newer.into_iter().map(|version| (version, Instant::now())));
        sleep(PAUSE).await;
    }
    applied
}
