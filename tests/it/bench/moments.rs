//! Measurements that yield a single number each: machine speed, startup, reads during logins,
//! overload, single votes, searches, uploads compared with `dd`, and the delay until a job starts.

use std::{
    thread,
    time::{Duration, Instant},
};

use actix_web::web::Bytes;
use anb::ids::VideoId;
use chrono::{DateTime, Utc};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::{net::TcpStream, process::Command, time::sleep};

use super::{
    arena::Arena,
    load::{Load, Outcome},
    searching, seed, uploads,
};
use crate::{
    processes::process::Role,
    support::{PASSWORD, eventually, mp4},
};

/// Number of concurrent logins.
const LOGINS: usize = 16;

/// Connections that saturate the API, and connections that far exceed its capacity.
const FULL: usize = 32;
const TOO_MANY: usize = 2_000;

/// Logins sent per second, as a multiple of the possible rate.
const OVERLOAD: f64 = 5.0;

/// Maximum number of queued logins per core (`auth/password.rs`).
const PASSWORDS_WAITING: usize = 128;

/// Number of `PING` requests that measure the machine itself.
const PINGS: u32 = 200_000;

/// Number of votes cast one after the other.
const LONE_VOTES: usize = 100;

/// Maximum time that a password waits to be hashed.
const MAX_QUEUE_TIME: Duration = Duration::from_secs(6);

/// Number of videos uploaded one after the other.
const VIDEOS: usize = 20;

/// The extent of the measurements.
pub struct Size {
    pub span: Duration,
    /// Number of rounds of each comparison; the median counts.
    pub rounds: usize,
    /// Numbers of concurrent uploads, measured one after the other.
    pub uploads: &'static [usize],
    pub megabytes: usize,
}

/// Runs all measurements and returns their table.
pub async fn measure(arena: &Arena, size: &Size) -> String {
    let mut rows = vec![machine(arena).await];
    rows.extend(start(arena).await);
    rows.push(logins(arena, size).await);
    rows.push(crowd(arena, size).await);
    rows.push(overload(arena, size).await);
    rows.push(lone_votes(arena).await);
    rows.extend(searching::measure(arena, size).await);
    rows.extend(uploads(arena, size).await);
    rows.push(pick_up(arena, &new_user_token(arena).await).await);
    let rows = rows.join("\n");
    format!("\n| what | measured |\n|---|---|\n{rows}\n")
}

/// Compares concurrent uploads with what the machine can do.
pub async fn uploads(arena: &Arena, size: &Size) -> Vec<String> {
    let token = new_user_token(arena).await;
    let mut rows = Vec::new();
    for count in size.uploads {
        rows.push(uploads::measure(arena, &token, *count, size).await);
    }
    rows
}

/// Measures `PING` over a socket with `redis-benchmark`. The result makes runs comparable across
/// machines, and on one that its neighbours slow down.
async fn machine(arena: &Arena) -> String {
    #[expect(clippy::disallowed_methods, reason = "tests start programs")]
    let mut ping = Command::new("redis-benchmark");
    ping.args(["-c", "64", "-t", "ping_mbulk", "-q", "-n"])
        .arg(PINGS.to_string())
        .arg("-s")
        .arg(arena.redis_socket());
    let (begun, cpu) = (Instant::now(), arena.redis_cpu_seconds());
    let output = ping.output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let cpu = arena.redis_cpu_seconds() - cpu;
    let thousands = f64::from(PINGS) / 1000.0;
    format!(
        "| the machine: Redis answers `PING` c64 | {:.0}/s, CPU per 1,000: {:.4} s |",
        thousands * 1000.0 / begun.elapsed().as_secs_f64(),
        cpu / thousands
    )
}

async fn start(arena: &Arena) -> Vec<String> {
    let begun = Instant::now();
    let mut process = arena.start(Role::Serve);
    let address = process.url.strip_prefix("http://").unwrap().to_owned();
    while TcpStream::connect(&address).await.is_err() {
        sleep(Duration::from_millis(1)).await;
    }
    let took = begun.elapsed().as_millis();
    process.until_ready().await;
    let idle = process.memory("VmRSS") / 1_000_000;
    vec![
        format!("| start of `serve` until it listens | {took} ms |"),
        format!("| memory of `serve` when it is ready | {idle} MB |"),
    ]
}

async fn logins(arena: &Arena, size: &Size) -> String {
    let paths = ["/api/public/rankings".to_owned()];
    let reads = Load {
        connections: 16,
        paths: &paths,
        ..Load::default()
    };
    let login = ["/api/auth/login".to_owned()];
    let body = credentials(&sign_up(arena).await).to_string();
    let logins = login_load(&login, &body, LOGINS, 0);
    let mut rounds = Vec::new();
    for _ in 0..size.rounds {
        let alone = reads.run(arena, size.span).await.p99_ms;
        let (beside, _) = tokio::join!(reads.run(arena, size.span), logins.run(arena, size.span));
        rounds.push((beside.p99_ms / alone, alone, beside.p99_ms));
    }
    let (times, alone, beside) = middle(rounds, |round| round.0);
    format!(
        "| p99 of rankings c16 alone / beside {LOGINS} logins at once | {alone:.1} / {beside:.1} ms: {times:.1} × |"
    )
}

/// Sends far more concurrent requests than the API runs at once, so that most wait their turn.
async fn crowd(arena: &Arena, size: &Size) -> String {
    let tokens = arena.fans(64).await;
    let paths = ["/api/auth/profile".to_owned()];
    let profiles = |connections| Load {
        connections,
        paths: &paths,
        tokens: &tokens,
        ..Load::default()
    };
    let possible = profiles(FULL);
    let row = compare(arena, size, &possible, Duration::ZERO, |_| {
        profiles(TOO_MANY)
    })
    .await;
    format!("| profile c{TOO_MANY}: {row}")
}

/// Sends more logins per second than the processors can hash, so that the API refuses the excess.
async fn overload(arena: &Arena, size: &Size) -> String {
    let login = ["/api/auth/login".to_owned()];
    let body = credentials(&sign_up(arena).await).to_string();
    let possible = login_load(&login, &body, LOGINS, 0);
    // A connection that waits for its response sends nothing, so more connections are needed.
    let waiting = PASSWORDS_WAITING * thread::available_parallelism().unwrap().get();
    // Passwords still queued at the end are hashed although their clients are gone.
    let row = compare(arena, size, &possible, MAX_QUEUE_TIME, |possible| {
        let each_second = (possible.goodput * OVERLOAD).round().to_string();
        let each_second: usize = each_second.parse().unwrap();
        login_load(&login, &body, each_second + waiting, 1000)
    });
    format!("| logins: {}", row.await)
}

fn login_load<'a>(
    paths: &'a [String],
    body: &'a str,
    connections: usize,
    pause_ms: u32,
) -> Load<'a> {
    Load {
        connections,
        pause_ms,
        method: "POST",
        paths,
        body,
        ..Load::default()
    }
}

/// Compares a crowd with the possible load, which is measured before and after it because the speed
/// of a shared machine varies. After the crowd, `rest` lets the queue empty.
async fn compare<'a>(
    arena: &Arena,
    size: &Size,
    possible: &Load<'_>,
    rest: Duration,
    crowd: impl Fn(&Outcome) -> Load<'a>,
) -> String {
    let mut rounds = Vec::new();
    let mut before = possible.run(arena, size.span).await;
    for _ in 0..size.rounds {
        // Longer, because connecting all clients takes a while.
        let crowd = crowd(&before).run(arena, size.span * 3).await;
        assert!(crowd.broken == 0.0, "{crowd:?}");
        sleep(rest).await;
        let after = possible.run(arena, size.span).await;
        let most = f64::midpoint(before.goodput, after.goodput);
        rounds.push((crowd.goodput / most, most, crowd));
        before = after;
    }
    let (share, most, crowd) = middle(rounds, |round| round.0);
    format!(
        "{:.1} × what is possible | {:.0}/s answered, {:.0} % of c{}; {:.0}/s refused; \
         p50 / p99 {:.0} / {:.0} ms; peak {} MB |",
        crowd.per_second / most,
        crowd.goodput,
        share * 100.0,
        possible.connections,
        crowd.per_second - crowd.goodput,
        crowd.p50_ms,
        crowd.p99_ms,
        crowd.peak / 1_000_000
    )
}

/// Returns the median.
pub fn middle<T>(mut measured: Vec<T>, by: impl Fn(&T) -> f64) -> T {
    measured.sort_by(|one, other| by(one).total_cmp(&by(other)));
    measured.swap_remove(measured.len() / 2)
}

/// Compares votes cast one after the other with rows inserted directly: batching must not delay a
/// single vote.
async fn lone_votes(arena: &Arena) -> String {
    let fans = arena.fans(LONE_VOTES).await;
    let other = format!(
        "SELECT id::text AS text FROM videos WHERE city_key <> '{}' ORDER BY id LIMIT 1 OFFSET 399",
        seed::WITNESS_CITY
    );
    let video = arena.column(&other).await.concat();
    let url = format!("{}/api/public/videos/{video}/vote", arena.serve.url);
    let client = Client::new();
    let mut votes = Vec::new();
    for fan in fans {
        let request = client.post(&url).bearer_auth(fan);
        let begun = Instant::now();
        request.send().await.unwrap().error_for_status().unwrap();
        votes.push(begun.elapsed());
    }
    let mut rows = Vec::new();
    for _ in 0..LONE_VOTES {
        let begun = Instant::now();
        let insert = "WITH row AS (INSERT INTO revoked_tokens VALUES (gen_random_uuid(), now())) SELECT '' AS text";
        arena.column(insert).await;
        rows.push(begun.elapsed());
    }
    let median = |times| middle(times, Duration::as_secs_f64).as_secs_f64() * 1000.0;
    format!(
        "| one vote after the other / rows committed past the API, p50 of {LONE_VOTES} | {:.1} / {:.1} ms |",
        median(votes),
        median(rows)
    )
}

/// Measures the time from the response to an upload until an idle worker starts its job. It is
/// negative if the job starts before the response arrives.
async fn pick_up(arena: &Arena, token: &str) -> String {
    arena
        .column("WITH gone AS (DELETE FROM videos WHERE status = 'uploaded') SELECT '' AS text")
        .await;
    let mut work = arena.start(Role::Work);
    work.until_ready().await;
    let mut waits = Vec::new();
    for _ in 0..VIDEOS {
        uploads::upload(&arena.serve.url, token, Bytes::from(mp4(5000))).await;
        let answered = Utc::now();
        let mut begun = Vec::new();
        eventually("the worker has finished the job", 60, async || {
            // The file is not a film, so its job fails.
            let last = "SELECT (extract(epoch FROM started_at) * 1000000)::bigint::text AS text
                FROM videos WHERE uploaded_at > now() - interval '1 minute' AND status = 'failed'
                ORDER BY uploaded_at DESC LIMIT 1";
            begun = arena.column(last).await;
            let left =
                "SELECT id::text AS text FROM videos WHERE status IN ('uploaded', 'processing')";
            !begun.is_empty() && arena.column(left).await.is_empty()
        })
        .await;
        let begun: i64 = begun.concat().parse().unwrap();
        let begun = DateTime::from_timestamp_micros(begun).unwrap();
        waits.push((begun - answered).as_seconds_f64() * 1000.0);
    }
    let median = middle(waits, |wait| *wait);
    format!("| upload answered → job started, p50 of {VIDEOS} | {median:.1} ms |")
}

/// Signs up a player and returns a token of theirs.
pub async fn new_user_token(arena: &Arena) -> String {
    let email = sign_up(arena).await;
    log_in(arena, &email).await
}

async fn sign_up(arena: &Arena) -> String {
    let email = format!("{}@example.com", VideoId::generate());
    let form = json!({
        "first_name": "Ana", "last_name": "Prueba", "email": email, "city": "Cali", "country": "Colombia",
        "password1": PASSWORD, "password2": PASSWORD,
    });
    post(arena, "/api/auth/signup", &form).await;
    email
}

async fn log_in(arena: &Arena, email: &str) -> String {
    let answer = post(arena, "/api/auth/login", &credentials(email)).await;
    answer["access_token"].as_str().unwrap().to_owned()
}

fn credentials(email: &str) -> Value {
    json!({"email": email, "password": PASSWORD})
}

async fn post(arena: &Arena, path: &str, form: &Value) -> Value {
    let url = format!("{}{path}", arena.serve.url);
    let answer = Client::new().post(url).json(form).send().await.unwrap();
    let answer = answer.error_for_status().unwrap();
    answer.json().await.unwrap()
}
