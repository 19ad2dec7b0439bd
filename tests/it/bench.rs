//! `make bench`: what requests cost the API and PostgreSQL. The full run measures the release build and writes
//! its tables into `docs/performance.md`; a slice of it runs with the other tests and judges no time.

mod arena;
mod claims;
mod load;
mod moments;
mod searching;
mod seed;
mod shown;
mod uploads;

use std::{fmt::Write as _, fs, time::Duration};

use self::{
    arena::Arena,
    load::{Load, Outcome},
    moments::{Size, middle},
};
use crate::support::percentile;

/// Videos of the three seasons.
const SCALES: [u32; 3] = [5_000, 100_000, 1_000_000];

/// The middle one of so many runs counts.
const RUNS: usize = 3;

/// How long a run takes.
const SPAN: Duration = Duration::from_secs(4);

/// Votes for so many different videos are more than one run casts.
const MOST_PATHS: usize = 100_000;

/// What is measured once, and what of it with the other tests.
const FULL: Size = Size {
    span: SPAN,
    rounds: RUNS,
    uploads: &[1, 8, 32],
    megabytes: 100,
};
const SLICE: Size = Size {
    span: Duration::from_secs(1),
    rounds: 1,
    uploads: &[1, 2],
    megabytes: 1,
};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/performance.md");

/// What stands above the rows of a table.
const HEAD_LINES: usize = 5;

/// Where the tables stand in the document.
const MARKS: [&str; 2] = ["<!-- make bench -->\n", "<!-- end -->\n"];

/// One kind of request.
struct Row {
    name: &'static str,
    connections: usize,
    method: &'static str,
    paths: Paths,
    /// People who send it, each with a token; none: anybody.
    people: usize,
}

enum Paths {
    Fixed(Vec<String>),
    /// Votes for so many videos, in each run for others, less the first ones.
    Votes {
        videos: usize,
        skipped: usize,
    },
    /// Votes for all videos but the first ones, which have their own rows, in no order.
    VotesForAll {
        skipped: usize,
    },
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a quarter of an hour: make bench"]
async fn the_release_build_is_measured_at_three_scales() {
    let mut tables = String::new();
    for videos in SCALES {
        let mut arena = Arena::open(videos).await;
        let table = measure(&mut arena, rows(), videos, RUNS, SPAN).await;
        tables += &table;
        if videos == SCALES[0] {
            let moments = moments::measure(&arena, &FULL).await;
            println!("{moments}");
            tables += &moments;
        }
        arena.close().await;
    }
    let document = fs::read_to_string(DOCUMENT).unwrap();
    let (before, rest) = document.split_once(MARKS[0]).unwrap();
    let (_, after) = rest.split_once(MARKS[1]).unwrap();
    let document = [before, MARKS[0], &tables, MARKS[1], after].concat();
    fs::write(DOCUMENT, document).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures: cargo test --release --test it -- --ignored only_votes"]
async fn only_votes_at_a_hundred_thousand_videos() {
    let mut arena = Arena::open(100_000).await;
    measure(&mut arena, votes(), 100_000, RUNS, SPAN).await;
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_bench_is_answered() {
    let mut arena = Arena::open(500).await;
    let table = measure(&mut arena, rows(), 500, 1, Duration::from_secs(1)).await;
    assert_eq!(table.lines().count(), rows().len() + HEAD_LINES, "{table}");
    let moments = moments::measure(&arena, &SLICE).await;
    println!("{moments}");
    assert_eq!(
        moments.lines().count(),
        3 + 10 + SLICE.uploads.len(),
        "{moments}"
    );
    let counted = "SELECT ((SELECT sum(votes) FROM videos) + (SELECT coalesce(sum(votes), 0) FROM uncounted))::text
        AS text";
    let cast = "SELECT count(*)::text AS text FROM votes";
    assert_eq!(arena.column(counted).await, arena.column(cast).await);
    arena.close().await;
}

/// Measures rows, and returns the table.
async fn measure(
    arena: &mut Arena,
    rows: Vec<Row>,
    videos: u32,
    runs: usize,
    span: Duration,
) -> String {
    let mut table = format!(
        "\n{videos} videos:\n\n\
         | request | req/s | p50 / p99 | CPU per 1,000: API / PG | peak memory | a vote shows: p50 / p99 |\n\
         |---|---|---|---|---|---|\n"
    );
    for row in rows {
        let mut outcomes = Vec::new();
        let mut shown = Vec::new();
        for run in 0..runs {
            if row.is_vote() {
                // A fresh process, whose database session plans for one vote: the plans must stay fast for many.
                arena.restart().await;
                shown::lone_vote(arena).await;
            }
            let load = Load {
                connections: row.connections,
                method: row.method,
                paths: &row.paths.of(arena, run).await,
                tokens: &row.tokens(arena, run, videos).await,
                ..Load::default()
            };
            let outcome = if row.is_vote() {
                let (outcome, took) =
                    tokio::join!(load.run(arena, span), shown::measure(arena, span));
                shown.extend(took);
                outcome
            } else {
                load.run(arena, span).await
            };
            assert!(
                outcome.broken == 0.0 && outcome.refused == 0.0,
                "{}: {outcome:?}",
                row.name
            );
            outcomes.push(outcome);
        }
        let outcome = middle(outcomes, |outcome| outcome.api_cpu + outcome.database_cpu);
        let line = line(&row, &outcome, shown);
        print!("{line}");
        table += &line;
    }
    table
}

fn line(row: &Row, outcome: &Outcome, mut shown: Vec<Duration>) -> String {
    shown.sort_unstable();
    let delay = if shown.is_empty() {
        "–".to_owned()
    } else {
        let percentile = |percent| percentile(&shown, percent).as_secs_f64();
        format!("{:.2} / {:.2} s", percentile(50), percentile(99))
    };
    let mut line = String::new();
    writeln!(
        line,
        "| {} c{} | {:.0} | {:.1} / {:.1} ms | {:.3} / {:.3} s | {} MB | {delay} |",
        row.name,
        row.connections,
        outcome.per_second,
        outcome.p50_ms,
        outcome.p99_ms,
        outcome.api_cpu,
        outcome.database_cpu,
        outcome.peak / 1_000_000,
    )
    .unwrap();
    line
}

impl Row {
    fn is_vote(&self) -> bool {
        !matches!(self.paths, Paths::Fixed(_))
    }

    /// Returns the tokens of a run: those who voted for all videos have no other one to vote for.
    async fn tokens(&self, arena: &Arena, run: usize, videos: u32) -> Vec<String> {
        let people = self.people.min(usize::try_from(videos).unwrap() * 20);
        let used = match self.paths {
            Paths::VotesForAll { .. } => run * people,
            _ => 0,
        };
        arena.fans_after(used, people).await
    }
}

impl Paths {
    async fn of(&self, arena: &Arena, run: usize) -> Vec<String> {
        match self {
            Self::Fixed(paths) => paths.clone(),
            Self::Votes { videos, skipped } => {
                let others = format!(
                    "SELECT '/api/public/videos/' || id || '/vote' AS text FROM videos
                     WHERE city_key <> '{}' ORDER BY id LIMIT {videos} OFFSET {}",
                    seed::WITNESS_CITY,
                    skipped + run * videos
                );
                arena.column(&others).await
            }
            Self::VotesForAll { skipped } => {
                let others = format!(
                    "SELECT '/api/public/videos/' || id || '/vote' AS text
                     FROM (SELECT id FROM videos WHERE city_key <> '{}' ORDER BY id OFFSET {skipped}) AS other
                     ORDER BY md5(id::text) LIMIT {MOST_PATHS}",
                    seed::WITNESS_CITY
                );
                arena.column(&others).await
            }
        }
    }
}

/// Every row of the table, cheapest first.
fn rows() -> Vec<Row> {
    let read = |name, connections, paths| Row {
        name,
        connections,
        method: "GET",
        paths: Paths::Fixed(paths),
        people: 0,
    };
    let mut rows = vec![
        read("`/health`", 64, vec!["/health".to_owned()]),
        read("rankings", 16, vec!["/api/public/rankings".to_owned()]),
        read(
            "rankings by city",
            16,
            vec!["/api/public/rankings?city=medellin".to_owned()],
        ),
        read(
            "rankings, 5 cities × 20 pages × 2",
            16,
            pages("/api/public/rankings", &["by=player", "by=video"]),
        ),
        read("public videos", 16, vec!["/api/public/videos".to_owned()]),
        read(
            "public videos, 5 cities × 20 pages",
            16,
            pages("/api/public/videos", &[""]),
        ),
        read("search, found", 16, searches("jugada%20numero%20")),
        read("search, not found", 16, searches("jugada%20nadie")),
        Row {
            people: 64,
            ..read("profile", 32, vec!["/api/auth/profile".to_owned()])
        },
    ];
    rows.extend(votes());
    rows
}

/// The rows that vote.
fn votes() -> Vec<Row> {
    let vote = |name, people, paths| Row {
        name,
        connections: 32,
        method: "POST",
        paths,
        people,
    };
    let few = |videos, skipped| Paths::Votes { videos, skipped };
    vec![
        vote("vote, one video", 100_000, few(1, 300)),
        vote("vote, 97 videos", 20_000, few(97, 0)),
        vote(
            "vote, all videos",
            20_000,
            Paths::VotesForAll { skipped: 400 },
        ),
    ]
}

/// Returns searches, each for something else: answers are kept for a moment.
fn searches(text: &str) -> Vec<String> {
    (0..20_000)
        .map(|number| format!("/api/public/videos?q={text}{number}"))
        .collect()
}

/// Returns the first twenty pages of a list, of the whole country and of four cities.
fn pages(path: &str, variants: &[&str]) -> Vec<String> {
    let mut paths = Vec::new();
    for variant in variants {
        for city in ["", "bogota", "medellin", "cali", "ciudad%2029"] {
            paths.extend((1..=20).map(|page| format!("{path}?{variant}&city={city}&page={page}")));
        }
    }
    paths
}
