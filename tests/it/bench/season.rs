//! A season: the real program takes the entries and the votes of a contest, which is then frozen
//! and published. The result must equal the votes.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Client, header};
use ring::digest;

use super::{
    arena::Arena,
    load::{Load, Outcome},
    moments::new_user_token,
    seed, uploads,
};
use crate::{
    processes::process::Role,
    support::{eventually, film},
};

/// Extent of a season.
struct Season {
    /// Players with a clip each, inserted by SQL. To sign all of them up would take longer than the
    /// voting, since each password costs 20 ms of CPU.
    players: u32,
    /// Further players, who sign up and upload a film that a worker makes a clip of.
    arrivals: usize,
    votes: f64,
    /// Fans of one burst of votes.
    fans: usize,
    burst: Duration,
}

/// Few fans reach it, but the database counts for all of them.
const VOTES_PER_DAY: u32 = 60;

/// Connections that vote.
const VOTERS: usize = 32;

/// Connections that read pages while others vote, each after a pause.
const READERS: usize = 8;
const READ_PAUSE_MS: u32 = 200;

/// Maximum size of the first page and of others, as browsers receive them (`tests/web/budgets.rs`).
const FIRST_BYTES: usize = 8_000;
const NEXT_BYTES: usize = 10_000;

/// Read while others vote. The first is the one that visitors open first.
const PAGES: [&str; 5] = [
    "/",
    "/clasificacion",
    "/clasificacion?ciudad=cali",
    "/api/public/rankings",
    "/api/public/videos",
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes ten minutes: make bench-season"]
async fn season_of_50_000_players_ends_with_the_votes_that_were_cast() {
    let season = Season {
        players: 50_000,
        arrivals: 100,
        votes: 2_000_000.0,
        fans: 10_000,
        burst: Duration::from_mins(1),
    };
    println!("{}", season.play().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn short_season_ends_with_the_votes_that_were_cast() {
    let season = Season {
        players: 200,
        arrivals: 1,
        votes: 300.0,
        fans: 500,
        burst: Duration::from_secs(1),
    };
    println!("{}", season.play().await);
}

impl Season {
    async fn play(&self) -> String {
        let begun = Instant::now();
        let arena = Arena::open_with(&seed::without_votes(self.players)).await;
        let mut report = Report::new(begun, "accounts and clips inserted");
        contest(
            &arena,
            "create season --name Season --submissions-open 2020-01-01 \
             --submissions-close 2999-01-01 --voting-open 2999-01-01 --voting-close 2999-12-31",
        )
        .await;
        report.add("contest created, all clips enter it");
        self.arrive(&arena).await;
        report.add(&format!(
            "{} players signed up, uploaded and have their clips",
            self.arrivals
        ));
        let rule = format!("--votes-per-day {VOTES_PER_DAY}");
        contest(
            &arena,
            &format!("schedule season --submissions-close now --voting-open now {rule} --force"),
        )
        .await;
        let (acknowledged, bursts) = self.vote(&arena, &mut report).await;
        contest(&arena, "schedule season --voting-close now --force").await;
        report.add("voting closed");
        contest(&arena, "freeze season").await;
        report.add("frozen");
        contest(&arena, "publish season").await;
        report.add("published");
        compare(&arena, acknowledged, bursts).await;
        report.add("result compared with the votes");
        for page in PAGES.into_iter().chain(["/resultados/season"]) {
            let bytes = document_bytes(&arena, page).await;
            let most = if page == PAGES[0] {
                FIRST_BYTES
            } else {
                NEXT_BYTES
            };
            assert!(bytes <= most, "{page}: {bytes} bytes");
            report.note(&format!("`{page}`"), &format!("{bytes} bytes"));
        }
        report.note(
            "memory of `serve`, peak",
            &format!("{} MB", arena.serve.memory("VmHWM") / 1_000_000),
        );
        arena.close().await;
        report.rows
    }

    /// Lets new players sign up, upload a film and wait for its clip.
    async fn arrive(&self, arena: &Arena) {
        let film = bytes::Bytes::from(film().await);
        let worker = arena.start(Role::Work);
        let uploads = (0..self.arrivals).map(async |_| {
            let token = new_user_token(arena).await;
            uploads::upload(&arena.serve.url, &token, film.clone()).await;
        });
        join_all(uploads).await;
        let made = "SELECT count(*)::text AS text FROM videos WHERE status = 'processed' AND clip_bytes IS NOT NULL";
        eventually("all clips are made", 300, async || {
            arena.column(made).await.concat() == self.arrivals.to_string()
        })
        .await;
        drop(worker);
        arena
            .execute("UPDATE videos SET is_public = true WHERE NOT is_public")
            .await;
    }

    /// Casts votes in bursts, each by other fans, while others read pages. Returns the number of
    /// acknowledged votes and that of bursts.
    async fn vote(&self, arena: &Arena, report: &mut Report) -> (f64, usize) {
        // Some videos get most of the votes. Fans who meet one of them again are refused.
        let popular = "
            SELECT '/api/public/videos/' || id || '/vote' AS text
            FROM (SELECT id, row_number() OVER (ORDER BY md5(id::text)) AS n FROM videos) AS video,
                generate_series(0, 1000 / n)
            ORDER BY md5(id::text || generate_series)";
        let paths = arena.column(popular).await;
        let pages = PAGES.map(str::to_owned);
        let reads = Load {
            connections: READERS,
            pause_ms: READ_PAUSE_MS,
            paths: &pages,
            ..Load::default()
        };
        let (mut acknowledged, mut bursts) = (0.0, 0);
        while acknowledged < self.votes {
            let tokens = arena.fans_after(bursts * self.fans, self.fans).await;
            let votes = Load {
                connections: VOTERS,
                method: "POST",
                paths: &paths,
                tokens: &tokens,
                ..Load::default()
            };
            let (cast, read) =
                tokio::join!(votes.run(arena, self.burst), reads.run(arena, self.burst));
            assert!(
                cast.broken + read.broken + read.refused == 0.0,
                "{cast:?} {read:?}"
            );
            acknowledged += cast.requests - cast.refused;
            bursts += 1;
            report.add(&line(&cast, &read));
        }
        (acknowledged, bursts)
    }
}

fn line(cast: &Outcome, read: &Outcome) -> String {
    format!(
        "{:.0} votes, {:.0}/s, p50 / p99 {:.1} / {:.1} ms, {:.0} refused; CPU per 1,000 {:.3} / {:.3} s; \
         pages meanwhile {:.1} / {:.1} ms",
        cast.requests - cast.refused,
        cast.goodput,
        cast.p50_ms,
        cast.p99_ms,
        cast.refused,
        cast.api_cpu,
        cast.database_cpu,
        read.p50_ms,
        read.p99_ms
    )
}

async fn contest(arena: &Arena, arguments: &str) {
    arena.system.run(&format!("contest {arguments}")).await;
}

/// Checks the published result against the rows of `votes`, and these against the answers.
async fn compare(arena: &Arena, acknowledged: f64, bursts: usize) {
    let number = async |query: &str| {
        let query = format!("SELECT ({query})::text AS text");
        arena.column(&query).await.concat()
    };
    let votes = number("SELECT count(*) FROM votes").await.parse().unwrap();
    // The last request of a connection may be counted after wrk has stopped to listen.
    let unheard = f64::from(u32::try_from(VOTERS * bursts).unwrap());
    assert!(
        (acknowledged..=acknowledged + unheard).contains(&votes),
        "{acknowledged} votes were acknowledged, {votes} exist"
    );
    let wrong = "SELECT count(*) FROM results
        FULL JOIN (
            SELECT videos.user_id, count(votes.video_id) AS votes
            FROM videos LEFT JOIN votes ON votes.video_id = videos.id
            GROUP BY videos.user_id) AS cast_for USING (user_id)
        WHERE results.votes IS DISTINCT FROM cast_for.votes";
    assert_eq!(number(wrong).await, "0");
    let over = format!(
        "SELECT count(*) FROM (
             SELECT FROM votes GROUP BY user_id HAVING count(*) > {VOTES_PER_DAY}) AS fan"
    );
    assert_eq!(number(&over).await, "0");

    let url = format!("{}/api/public/contest/season/results.json", arena.serve.url);
    let file = reqwest::get(url).await.unwrap().bytes().await.unwrap();
    let sum = hex::encode(digest::digest(&digest::SHA256, &file));
    let digest = arena.column("SELECT digest AS text FROM contests").await;
    assert_eq!(digest, [sum]);
}

/// Returns the size of a page as a browser receives it.
async fn document_bytes(arena: &Arena, path: &str) -> usize {
    let request = Client::new().get(format!("{}{path}", arena.serve.url));
    let request = request.header(header::ACCEPT_ENCODING, "gzip, deflate, br");
    let answer = request.send().await.unwrap().error_for_status().unwrap();
    answer.bytes().await.unwrap().len()
}

/// Rows of a table, with the time that each step took.
struct Report {
    rows: String,
    step: Instant,
}

impl Report {
    fn new(begun: Instant, step: &str) -> Self {
        let mut report = Self {
            rows: "| step | took |\n|---|---|\n".to_owned(),
            step: begun,
        };
        report.add(step);
        report
    }

    /// Adds a step that ends now.
    fn add(&mut self, step: &str) {
        let took = self.step.elapsed().as_secs_f64();
        self.note(step, &format!("{took:.1} s"));
        self.step = Instant::now();
    }

    fn note(&mut self, what: &str, measured: &str) {
        let row = format!("| {what} | {measured} |\n");
        print!("{row}");
        self.rows += &row;
    }
}
