//! What one number tells: the start, logins beside reads, too much at once, uploads next to `dd`, and how soon
//! a worker has a video.

use std::{
    thread,
    time::{Duration, Instant},
};

use actix_web::web::Bytes;
use anb::ids::VideoId;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::sleep};

use super::{
    arena::Arena,
    load::{Load, Outcome},
    uploads,
};
use crate::{
    processes::process::Role,
    support::{PASSWORD, eventually, mp4},
};

/// How many log in at once.
const LOGINS: usize = 16;

/// Connections that ask for as much as the API can do, and for far more than that.
const FULL: usize = 32;
const TOO_MANY: usize = 2_000;

/// How many times more logins are sent per second than are possible.
const OVERLOAD: f64 = 5.0;

/// Logins that wait for each core (`auth/password.rs`).
const PASSWORDS_WAITING: usize = 128;

/// Votes that are cast one after the other.
const LONE_VOTES: usize = 100;

/// Longest that passwords wait to be hashed.
const QUEUED: Duration = Duration::from_secs(6);

/// Videos that a worker gets one after the other.
const VIDEOS: usize = 20;

/// How much is measured.
pub struct Size {
    pub span: Duration,
    /// How many uploads run at once, one number after the other.
    pub uploads: &'static [usize],
    pub megabytes: usize,
}

/// Measures all of it, and returns a table.
pub async fn measure(arena: &Arena, size: &Size) -> String {
    let mut rows = start(arena).await;
    rows.push(logins(arena, size.span).await);
    rows.push(crowd(arena, size.span).await);
    rows.push(overload(arena, size.span).await);
    rows.push(lone_votes(arena).await);
    let token = somebody(arena).await;
    for count in size.uploads {
        rows.push(uploads::measure(arena, &token, *count, size.megabytes).await);
    }
    rows.push(pick_up(arena, &token).await);
    let rows = rows.join("\n");
    format!("\n| what | measured |\n|---|---|\n{rows}\n")
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

async fn logins(arena: &Arena, span: Duration) -> String {
    let paths = ["/api/public/rankings".to_owned()];
    let reads = Load {
        connections: 16,
        paths: &paths,
        ..Load::default()
    };
    let login = ["/api/auth/login".to_owned()];
    let body = credentials(&sign_up(arena).await).to_string();
    let logins = log_ins(&login, &body, LOGINS, 0);
    let alone = reads.run(arena, span).await;
    let (beside, _) = tokio::join!(reads.run(arena, span), logins.run(arena, span));
    format!(
        "| p99 of rankings c16 alone / beside {LOGINS} logins at once | {:.1} / {:.1} ms: {:.1} × |",
        alone.p99_ms,
        beside.p99_ms,
        beside.p99_ms / alone.p99_ms
    )
}

/// Far more at once than ever run at the same time: they wait their turn.
async fn crowd(arena: &Arena, span: Duration) -> String {
    let tokens = arena.fans(64).await;
    let paths = ["/api/auth/profile".to_owned()];
    let profiles = |connections| Load {
        connections,
        paths: &paths,
        tokens: &tokens,
        ..Load::default()
    };
    let before = profiles(FULL).run(arena, span).await;
    // Longer, since it takes a while until all are connected.
    let crowd = profiles(TOO_MANY).run(arena, span * 3).await;
    let after = profiles(FULL).run(arena, span).await;
    format!(
        "| profile c{TOO_MANY}: {}",
        beside(&crowd, [&before, &after], FULL)
    )
}

/// More per second than the processors can hash, whether answered or not: what cannot be done is refused.
async fn overload(arena: &Arena, span: Duration) -> String {
    let login = ["/api/auth/login".to_owned()];
    let body = credentials(&sign_up(arena).await).to_string();
    let before = log_ins(&login, &body, LOGINS, 0).run(arena, span).await;
    let each_second = (before.goodput * OVERLOAD).round().to_string();
    let each_second: usize = each_second.parse().unwrap();
    // Those who wait for their answer ask nothing meanwhile.
    let waiting = PASSWORDS_WAITING * thread::available_parallelism().unwrap().get();
    let crowd = log_ins(&login, &body, each_second + waiting, 1000)
        .run(arena, span * 3)
        .await;
    // What still waits is done, though nobody wants it any more.
    sleep(QUEUED).await;
    let after = log_ins(&login, &body, LOGINS, 0).run(arena, span).await;
    format!("| logins: {}", beside(&crowd, [&before, &after], LOGINS))
}

fn log_ins<'a>(paths: &'a [String], body: &'a str, connections: usize, pause_ms: u32) -> Load<'a> {
    Load {
        connections,
        pause_ms,
        method: "POST",
        paths,
        body,
        ..Load::default()
    }
}

/// Compares with what is possible, measured before and after: a machine that others share is never twice the same.
fn beside(crowd: &Outcome, possible: [&Outcome; 2], connections: usize) -> String {
    assert!(crowd.broken == 0.0, "{crowd:?}");
    let most = f64::midpoint(possible[0].goodput, possible[1].goodput);
    format!(
        "{:.1} × what is possible | {:.0}/s answered, {:.0} % of c{connections}; {:.0}/s refused; \
         p50 / p99 {:.0} / {:.0} ms; peak {} MB |",
        crowd.per_second / most,
        crowd.goodput,
        crowd.goodput / most * 100.0,
        crowd.per_second - crowd.goodput,
        crowd.p50_ms,
        crowd.p99_ms,
        crowd.peak / 1_000_000
    )
}

/// One vote after the other, beside rows that are inserted without the API: a vote that meets no other is not kept
/// for one.
async fn lone_votes(arena: &Arena) -> String {
    let fans = arena.fans(LONE_VOTES).await;
    let last = "SELECT id::text AS text FROM videos ORDER BY id DESC LIMIT 1";
    let video = arena.column(last).await.concat();
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
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1000.0
    };
    format!(
        "| one vote after the other / rows committed past the API, p50 of {LONE_VOTES} | {:.1} / {:.1} ms |",
        median(votes),
        median(rows)
    )
}

/// From the commit of an upload, which is before its answer, until a worker has it.
async fn pick_up(arena: &Arena, token: &str) -> String {
    arena
        .column("WITH gone AS (DELETE FROM videos WHERE status = 'uploaded') SELECT '' AS text")
        .await;
    let mut work = arena.start(Role::Work);
    work.until_ready().await;
    for number in 1..=VIDEOS {
        uploads::upload(&arena.serve.url, token, Bytes::from(mp4(5000))).await;
        eventually("the worker has it", 30, async || {
            let begun = "SELECT id::text AS text FROM videos WHERE started_at IS NOT NULL";
            arena.column(begun).await.len() == number
        })
        .await;
    }
    let waited = "SELECT round(1000 * extract(epoch FROM
            percentile_cont(0.5) WITHIN GROUP (ORDER BY started_at - uploaded_at)), 1)::text AS text
        FROM videos WHERE started_at IS NOT NULL";
    let median = arena.column(waited).await.concat();
    format!("| upload committed → job started, p50 of {VIDEOS} | {median} ms |")
}

async fn somebody(arena: &Arena) -> String {
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
