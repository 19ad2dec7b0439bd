//! Costs of pages when many people look at once: live progress for a thousand players, the
//! ranking as a table, public pages compared with the public lists.

use std::{
    fmt::Write as _,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use reqwest::{Client, header};
use rustix::process::Signal;
use tokio::{
    sync::{Semaphore, watch},
    time::sleep,
};

use super::{arena::Arena, load::Load, moments::middle};
use crate::{
    processes::process::{Process, Role},
    support::percentile,
};

/// Number of videos, five of each player.
const VIDEOS: u32 = 50_000;

const ROUNDS: usize = 3;

const WATCHERS: usize = 1000;

/// Number of streams that are opened at the same time.
const AT_ONCE: usize = 50;

/// Duration of the measurements of idle and watched processes.
const SPAN: Duration = Duration::from_secs(10);

/// Connections that load the lists and pages.
const CONNECTIONS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes two minutes: make bench-pages"]
async fn pages_for_many() {
    let mut arena = Arena::open(VIDEOS).await;
    let mut report = String::new();
    report += &rates(&arena).await;
    report += &ranking_table(&mut arena).await;
    report += &watchers(&mut arena).await;
    println!("{report}");
    arena.close().await;
}

/// Measures public pages and the public lists in turn.
async fn rates(arena: &Arena) -> String {
    let mut lines = String::new();
    for path in [
        "/api/public/videos",
        "/",
        "/api/public/rankings",
        "/clasificacion",
    ] {
        let mut outcomes = Vec::new();
        for _ in 0..ROUNDS {
            let load = Load {
                connections: CONNECTIONS,
                paths: &[path.to_owned()],
                ..Load::default()
            };
            outcomes.push(load.run(arena, Duration::from_secs(4)).await);
        }
        let outcome = middle(outcomes, |outcome| outcome.per_second);
        writeln!(
            lines,
            "`{path}`: {:.0} requests/s, p50 {:.1} ms, p99 {:.1} ms, {:.3} s CPU per 1,000",
            outcome.per_second, outcome.p50_ms, outcome.p99_ms, outcome.api_cpu
        )
        .unwrap();
    }
    lines
}

/// Reads the ranking as a table in a fresh process.
async fn ranking_table(arena: &mut Arena) -> String {
    let organiser = arena.players(1).await.remove(0);
    arena
        .execute(&format!(
            "UPDATE users SET role = 'organiser' WHERE id = {}",
            organiser.user
        ))
        .await;
    arena.restart().await;
    let url = format!("{}/organizacion/clasificacion.csv", arena.serve.url);
    let client = Client::new();
    let page = format!("{}/organizacion", arena.serve.url);
    organiser.get(&client, &page).await;
    // Resets the peak (`man 5 proc_pid_clear_refs`); the start of the process had a higher one.
    fs::write(format!("/proc/{}/clear_refs", arena.serve.id()), "5").unwrap();
    let idle = arena.serve.memory("VmHWM");
    let (mut times, mut bytes, mut rows) = (Vec::new(), 0, 0);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let text = organiser.get(&client, &url).await.text().await.unwrap();
        times.push(begun.elapsed());
        (bytes, rows) = (text.len(), text.lines().count() - 1);
    }
    times.sort_unstable();
    format!(
        "table of {rows} players: {:.2} s, {bytes} bytes, peak {:.1} MB over idle\n",
        percentile(&times, 50).as_secs_f64(),
        megabytes(arena.serve.memory("VmHWM") - idle),
    )
}

/// Lets [`WATCHERS`] players watch a waiting video each.
async fn watchers(arena: &mut Arena) -> String {
    let mut report = String::new();
    let players = arena.players(WATCHERS).await;
    let videos: Vec<&str> = players.iter().map(|player| player.video.as_str()).collect();
    let videos = format!("'{}'", videos.join("','"));
    let waiting = "status = 'uploaded', processed_at = NULL, is_public = false";
    arena
        .execute(&format!(
            "UPDATE videos SET {waiting} WHERE id IN ({videos})"
        ))
        .await;
    arena.restart().await;
    let idle = Costs::of(arena).await;
    writeln!(report, "nobody watches: {idle}").unwrap();

    let (memory, ready) = (arena.serve.memory("VmRSS"), watch::Sender::new(None));
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let client = Client::new();
    let streams: Vec<_> = players
        .into_iter()
        .map(|player| {
            let url = format!(
                "{}/mis-videos/eventos?videos={}",
                arena.serve.url, player.video
            );
            let stream = watch_video(
                client.clone(),
                player,
                url,
                Arc::clone(&gate),
                ready.clone(),
            );
            tokio::spawn(stream)
        })
        .collect();
    while ready.receiver_count() < WATCHERS {
        sleep(Duration::from_millis(50)).await;
    }
    let watched = Costs::of(arena).await;
    let grown = arena.serve.memory("VmRSS").saturating_sub(memory);
    writeln!(
        report,
        "{WATCHERS} watch: {watched}, {:.1} MB more memory",
        megabytes(grown)
    )
    .unwrap();

    // One after the other as a worker reports, then all at once.
    for percent in (5..=95).step_by(5) {
        arena
            .execute(&format!(
                "UPDATE videos SET status = 'processing', lease_until = now() + interval '1 min',
                     progress = {percent}, ready_at = now() + interval '9 s' WHERE id IN ({videos})"
            ))
            .await;
        sleep(Duration::from_millis(500)).await;
    }
    ready.send_replace(Some(Instant::now()));
    arena
        .execute(&format!(
            "UPDATE videos SET status = 'processed', processed_at = now(), lease_until = NULL WHERE id IN ({videos})"
        ))
        .await;
    let ended: Vec<Watched> = join_all(streams)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let sorted = |time: fn(&Watched) -> Duration| {
        let mut times: Vec<Duration> = ended.iter().map(time).collect();
        times.sort_unstable();
        times
    };
    let (first, shown) = (
        sorted(|watched| watched.first),
        sorted(|watched| watched.shown),
    );
    let bytes = ended.iter().map(|watched| watched.bytes).max().unwrap();
    writeln!(
        report,
        "first event after {:.2} / {:.2} s, the end shown after {:.2} / {:.2} s (p50 / p99), at most {bytes} bytes per job of 10 s",
        percentile(&first, 50).as_secs_f64(),
        percentile(&first, 99).as_secs_f64(),
        percentile(&shown, 50).as_secs_f64(),
        percentile(&shown, 99).as_secs_f64(),
    )
    .unwrap();

    let alone = stop(&mut arena.start(Role::Serve)).await;
    let crowded = stop(&mut arena.serve).await;
    writeln!(
        report,
        "SIGTERM: exit after {:.2} s with {WATCHERS} streams, {:.2} s without",
        crowded.as_secs_f64(),
        alone.as_secs_f64()
    )
    .unwrap();
    drop(ended);
    report
}

/// What a process and its database spend in a second.
struct Costs {
    transactions: f64,
    api_cpu: f64,
    database_cpu: f64,
}

impl Costs {
    async fn of(arena: &Arena) -> Self {
        // Sessions of PostgreSQL report their transactions up to ten seconds later.
        sleep(Duration::from_secs(12)).await;
        let transactions = arena.transactions().await;
        let (api, database) = (arena.serve.cpu_seconds(), arena.database_cpu_seconds());
        sleep(SPAN).await;
        let per_second = |spent: f64| spent / SPAN.as_secs_f64();
        Self {
            transactions: per_second(arena.transactions().await - transactions),
            api_cpu: per_second(arena.serve.cpu_seconds() - api),
            database_cpu: per_second(arena.database_cpu_seconds() - database),
        }
    }
}

impl std::fmt::Display for Costs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.1} transactions/s, CPU {:.1} % API, {:.1} % PostgreSQL",
            self.transactions,
            self.api_cpu * 100.0,
            self.database_cpu * 100.0
        )
    }
}

/// A player with a page session, and one of their videos.
pub struct Watcher {
    /// SQL literal of the user's id.
    pub user: String,
    pub video: String,
    pub token: String,
}

impl Watcher {
    async fn get(&self, client: &Client, url: &str) -> reqwest::Response {
        let request = client
            .get(url)
            .header(header::COOKIE, format!("anb={}", self.token));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{url}");
        response
    }
}

/// What a stream brought.
struct Watched {
    /// Time from the request to the first event.
    first: Duration,
    /// Time from the last change to its event.
    shown: Duration,
    bytes: usize,
    /// Keeps the connection open.
    _response: reqwest::Response,
}

/// Watches a video until the event that it is ready. `ready` has the time of that change.
async fn watch_video(
    client: Client,
    player: Watcher,
    url: String,
    gate: Arc<Semaphore>,
    ready: watch::Sender<Option<Instant>>,
) -> Watched {
    let permit = gate.acquire().await.unwrap();
    let begun = Instant::now();
    let mut response = player.get(&client, &url).await;
    let (mut text, mut first, mut changed) = (String::new(), None, None);
    let mut permit = Some(permit);
    loop {
        let chunk = response.chunk().await.unwrap().unwrap();
        text += str::from_utf8(&chunk).unwrap();
        if text.contains("data: ") && first.is_none() {
            first = Some(begun.elapsed());
            permit.take();
            changed = Some(ready.subscribe());
        }
        if text.contains(r#""state":"processed""#) {
            let since = changed.and_then(|changed| *changed.borrow()).unwrap();
            return Watched {
                first: first.unwrap(),
                shown: since.elapsed(),
                bytes: text.len(),
                _response: response,
            };
        }
    }
}

/// Stops a process. Returns how long it took.
async fn stop(process: &mut Process) -> Duration {
    process.until_ready().await;
    let begun = Instant::now();
    process.signal(Signal::TERM);
    assert_eq!(process.ended(Duration::from_mins(1)).await, Some(0));
    begun.elapsed()
}

fn megabytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1000).unwrap()) / 1000.0
}
