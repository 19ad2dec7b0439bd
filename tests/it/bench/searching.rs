//! What profiles and votes take beside a hundred who search.

use super::{
    Paths,
    arena::Arena,
    load::Load,
    moments::{Size, middle},
    searches,
};

/// How many search at once, each for something else each time.
const SEARCHING: usize = 100;

/// How many ask for their profile or vote at once.
const BESIDE: usize = 4;

/// How many there are who vote, and for how many videos in one run: so nobody votes twice for one.
const PEOPLE: usize = 10_000;
const VIDEOS: usize = 7;

/// Videos that the rows of the table vote for.
const SKIPPED: usize = 310;

/// Measures both without and with those who search, in turn, and returns a row each.
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
            connections: BESIDE,
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
            connections: BESIDE,
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
                "| p99 of {name} c{BESIDE} alone / beside {SEARCHING} who search | {alone:.1} / {beside:.1} ms: \
                 {times:.1} ×; {:.0} searches/s, p99 {:.0} ms, {:.0} refused |",
                found.goodput, found.p99_ms, found.refused
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures: cargo test --release --test it -- --ignored searching"]
async fn profiles_and_votes_beside_a_hundred_who_search() {
    let videos = std::env::var("BENCH_VIDEOS").map_or(50_000, |videos| videos.parse().unwrap());
    let arena = Arena::open(videos).await;
    for row in measure(&arena, &super::FULL).await {
        println!("{row}");
    }
    arena.close().await;
}
