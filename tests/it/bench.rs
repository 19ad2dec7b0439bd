//! `make bench` measures what requests cost the API and PostgreSQL. The full run measures the
//! release build and writes its tables to `docs/performance.md`. A short run is part of the normal
//! tests and asserts nothing about time.

pub mod arena;
mod claims;
mod load;
mod million;
mod moments;
mod pages;
mod patches;
mod searching;
mod season;
pub mod seed;
mod shown;
mod uploads;

use std::{env, fmt::Write as _, fs, time::Duration};

use self::{
    arena::Arena,
    load::{Load, Outcome},
    moments::{Size, middle},
};
use crate::support::percentile;

/// Number of videos at each of the three scales.
const SCALES: [u32; 3] = [5_000, 100_000, 1_000_000];

/// Number of runs, whose median is reported.
const RUNS: usize = 3;

/// Duration of a run.
const SPAN: Duration = Duration::from_secs(4);

/// Maximum number of videos that a run votes for; a run casts fewer votes.
const MAX_PATHS: usize = 100_000;

/// Sizes of the one-off measurements in the full run and in the normal tests.
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

/// Rounds of a comparison with an earlier program, and the fans who vote for all videos in each.
const ROUNDS: usize = 9;
const FANS_OF_A_ROUND: usize = 4_000;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/performance.md");

/// Number of lines above the rows of a table.
const HEAD_LINES: usize = 5;

/// Markers that enclose the tables in the document.
const MARKERS: [&str; 2] = ["<!-- make bench -->\n", "<!-- end -->\n"];

/// One kind of request.
struct Row {
    name: &'static str,
    connections: usize,
    method: &'static str,
    paths: Paths,
    /// Number of users that send the request, each with a token; 0 for requests without a token.
    people: usize,
}

enum Paths {
    Fixed(Vec<String>),
    /// Votes for `videos` videos, different ones in each run, after the first `skipped`.
    Votes {
        videos: usize,
        skipped: usize,
    },
    /// Votes in random order for all videos except the first `skipped`, which have their own rows.
    VotesForAll {
        skipped: usize,
    },
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes 15 minutes; run `make bench`"]
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
    let (before, rest) = document.split_once(MARKERS[0]).unwrap();
    let (_, after) = rest.split_once(MARKERS[1]).unwrap();
    let document = [before, MARKERS[0], &tables, MARKERS[1], after].concat();
    fs::write(DOCUMENT, document).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a benchmark; run `cargo test --release --test it -- --ignored only_votes`"]
async fn only_votes_at_a_hundred_thousand_videos() {
    let mut arena = Arena::open(100_000).await;
    measure(&mut arena, votes(), 100_000, RUNS, SPAN).await;
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a benchmark; run `cargo test --release --test it -- --ignored only_uploads`"]
async fn only_uploads_with_nine_rounds() {
    let arena = Arena::open(500).await;
    let size = Size { rounds: 9, ..FULL };
    println!("{}", moments::uploads(&arena, &size).await.join("\n"));
    arena.close().await;
}

/// Votes through this program and through an earlier one (`ANB_EARLIER`), in turn on one database.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a benchmark: ANB_EARLIER=… cargo test --test it -- --ignored earlier_program"]
async fn votes_are_compared_with_an_earlier_program() {
    #[expect(clippy::disallowed_methods, reason = "a setting of the tests")]
    let earlier = env::var_os("ANB_EARLIER").expect("ANB_EARLIER names a program");
    let mut arena = Arena::open(100_000).await;
    let programs = [earlier.into(), arena.system.program.clone()];
    for (number, mut row) in votes().into_iter().enumerate() {
        // No fan meets a video of another row or round again.
        match &mut row.paths {
            Paths::Fixed(_) => {}
            Paths::Votes { skipped, .. } => *skipped = 2_000 * number,
            Paths::VotesForAll { skipped } => {
                *skipped = 2_000 * number;
                row.people = FANS_OF_A_ROUND;
            }
        }
        let mut costs = [const { Vec::new() }; 2];
        for run in 0..2 * ROUNDS {
            // Whichever is second finds the tables larger.
            let turn = (run + run / 2) % 2;
            arena.system.program.clone_from(&programs[turn]);
            arena.restart().await;
            let load = Load {
                connections: row.connections,
                method: row.method,
                paths: &row.paths.of(&arena, run).await,
                tokens: &row.tokens(&arena, run, 100_000).await,
                ..Load::default()
            };
            shown::single_vote(&arena).await;
            let outcome = load.run(&arena, SPAN).await;
            assert!(outcome.broken + outcome.refused == 0.0, "{outcome:?}");
            costs[turn].push(outcome.api_cpu + outcome.database_cpu);
        }
        let [before, after] = costs;
        let mut ratios: Vec<f64> = before
            .iter()
            .zip(&after)
            .map(|(one, other)| other / one)
            .collect();
        ratios.sort_by(f64::total_cmp);
        println!(
            "{}: CPU per 1,000 {:.3} and {:.3} s; ratios {ratios:.2?}",
            row.name,
            middle(before, |cost| *cost),
            middle(after, |cost| *cost)
        );
    }
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bench_row_completes() {
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
                // A fresh process plans its statements for a single vote. The plans must stay fast
                // for many votes.
                arena.restart().await;
                shown::single_vote(arena).await;
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

    /// Returns the tokens of a run. Users who have voted for all videos are not used again.
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
                     ORDER BY md5(id::text) LIMIT {MAX_PATHS}",
                    seed::WITNESS_CITY
                );
                arena.column(&others).await
            }
        }
    }
}

/// Returns every row of the table, cheapest first.
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

/// Returns searches for different texts, because responses are cached briefly.
fn searches(text: &str) -> Vec<String> {
    (0..20_000)
        .map(|number| format!("/api/public/videos?q={text}{number}"))
        .collect()
}

/// Returns the first twenty pages of a list for the whole country and for four cities.
fn pages(path: &str, variants: &[&str]) -> Vec<String> {
    let mut paths = Vec::new();
    for variant in variants {
        for city in ["", "bogota", "medellin", "cali", "ciudad%2029"] {
            paths.extend((1..=20).map(|page| format!("{path}?{variant}&city={city}&page={page}")));
        }
    }
    paths
}
