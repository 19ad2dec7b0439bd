//! Latency of profile reads and votes while 100 clients search.

use super::{
    Paths,
    arena::Arena,
    load::Load,
    moments::{Size, middle},
    searches,
};

/// Number of concurrent search clients; each request searches for a different text.
const SEARCHING: usize = 100;

/// Number of concurrent clients that read profiles or vote.
const CLIENTS: usize = 4;

/// Number of voters, and of videos per run: enough that no voter votes twice for a video.
const PEOPLE: usize = 10_000;
const VIDEOS: usize = 7;

/// Number of videos reserved for the rows of the table.
const SKIPPED: usize = 310;

/// Measures each request without and with concurrent searches, and returns one row per request.
pub async fn measure(arena: &Arena, size: &Size) -> Vec<String> {
    let tokens = arena.fans(PEOPLE).await;
    let profile = ["/api/auth/profile".to_owned()];
    let texts = searches("jugada%20nadie");
    let searches = Load {
        connections: SEARCHING,
        paths: &texts,
        ..Load::default()
    };
    let (mut profiles, mut votes) = (Vec::new(), Vec::new());
    for round in 0..size.rounds {
        let load = Load {
            connections: CLIENTS,
            paths: &profile,
            tokens: &tokens,
            ..Load::default()
        };
        let alone = load.run(arena, size.span).await.p99_ms;
        let (beside, found) =
            tokio::join!(load.run(arena, size.span), searches.run(arena, size.span));
        profiles.push((beside.p99_ms / alone, alone, beside.p99_ms, found));

        let of_run = |run| Paths::Votes {
            videos: VIDEOS,
            skipped: SKIPPED + run * VIDEOS,
        };
        let (first, second) = (
            of_run(2 * round).of(arena, 0).await,
            of_run(2 * round + 1).of(arena, 0).await,
        );
        let load = |paths| Load {
            connections: CLIENTS,
            method: "POST",
            paths,
            tokens: &tokens,
            ..Load::default()
        };
        let alone = load(&first).run(arena, size.span).await.p99_ms;
        let second = load(&second);
        let (beside, found) =
            tokio::join!(second.run(arena, size.span), searches.run(arena, size.span));
        votes.push((beside.p99_ms / alone, alone, beside.p99_ms, found));
    }
    [("profile", profiles), ("vote", votes)]
        .into_iter()
        .map(|(name, rounds)| {
            let (times, alone, beside, found) = middle(rounds, |round| round.0);
            format!(
                "| p99 of {name} c{CLIENTS} alone / beside {SEARCHING} searching clients | {alone:.1} / {beside:.1} ms: \
                 {times:.1} ×; {:.0} searches/s, p99 {:.0} ms, {:.0} refused |",
                found.goodput, found.p99_ms, found.refused
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures: cargo test --release --test it -- --ignored searching"]
async fn profiles_and_votes_during_a_hundred_searches() {
    let videos = std::env::var("BENCH_VIDEOS").map_or(50_000, |videos| videos.parse().unwrap());
    let arena = Arena::open(videos).await;
    for row in measure(&arena, &super::FULL).await {
        println!("{row}");
    }
    arena.close().await;
}
