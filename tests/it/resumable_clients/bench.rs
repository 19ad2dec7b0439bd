//! Resumable uploads over bad links, for `docs/performance.md`.

use std::time::Duration;

use futures_util::{FutureExt as _, future::join_all};

use super::{CHUNK, client::Client, world::World};
use crate::support::{
    TestApp,
    link::{Link, Quality, Resets},
};

const MB: u64 = 1_000_000;

/// A mobile link: 5 Mb/s and 300 ms, with TLS 1.3.
const MOBILE: Quality = Quality {
    rate: Some(625_000),
    round_trip: Duration::from_millis(300),
    handshakes: 2,
    resets: Resets::Never,
};

/// A better link, on which a kill costs more: 24 Mb/s and 100 ms.
const GOOD: Quality = Quality {
    rate: Some(3_000_000),
    round_trip: Duration::from_millis(100),
    ..MOBILE
};

/// Number of kills during one upload of 100 MB.
const KILLS: u64 = 20;

#[derive(Debug, Clone, Copy)]
enum Place {
    Local,
    S3,
}

impl Place {
    async fn world(self, bytes: usize) -> World {
        let app = match self {
            Self::Local => TestApp::spawn().await,
            Self::S3 => TestApp::spawn_on_aws().await,
        };
        World::with_film(app, bytes).await
    }

    fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::S3 => "s3",
        }
    }
}

fn requests(chunk: Option<u64>) -> &'static str {
    match chunk {
        Some(_) => "5 MiB",
        None => "whole file",
    }
}

const VARIANTS: [(Place, Option<u64>); 4] = [
    (Place::Local, Some(CHUNK)),
    (Place::Local, None),
    (Place::S3, Some(CHUNK)),
    (Place::S3, None),
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes 7 minutes: make bench-resume"]
async fn uploads_over_a_mobile_link() {
    println!("| 5 Mb/s, 300 ms | to | requests of | took | × link | sent again |");
    println!("|---|---|---|---|---|---|");
    let links = [
        ("100 MB, no reset", 100 * MB, Resets::Never),
        ("25 MB, no reset", 25 * MB, Resets::Never),
        (
            "25 MB, a reset every 10 MB",
            25 * MB,
            Resets::Every(10 * MB),
        ),
        ("25 MB, a reset every 3 MB", 25 * MB, Resets::Every(3 * MB)),
    ];
    for (name, bytes, resets) in links {
        let variants = VARIANTS.map(|(place, chunk)| {
            let resets = resets.clone();
            over_mobile_link(name, bytes, place, chunk, resets).boxed_local()
        });
        for row in join_all(variants).await.into_iter().flatten() {
            println!("{row}");
        }
    }
}

async fn over_mobile_link(
    name: &str,
    bytes: u64,
    place: Place,
    chunk: Option<u64>,
    resets: Resets,
) -> Option<String> {
    let world = place.world(usize::try_from(bytes).unwrap()).await;
    let quality = Quality { resets, ..MOBILE };
    let own = seconds(bytes, &quality);
    let link = Link::to(&world.serve.url, quality).await;
    let outcome = world.upload(Client::TusJs, chunk, &link.url()).await?;
    world.assert_stored(&outcome).await;
    world.assert_videos(1, "uploaded").await;
    let (resets, again) = (link.resets(), world.sent_again(&link));
    let each = again.checked_div(resets);
    let each = each.map_or("–".to_owned(), |each| format!("{resets} × {}", mb(each)));
    Some(format!(
        "| {name} | {} | {} | {:.1} s | {:.2} | {each} |",
        place.name(),
        requests(chunk),
        outcome.seconds,
        outcome.seconds / own,
    ))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes 4 minutes: make bench-resume"]
async fn uploads_to_killed_apis() {
    println!(
        "| 100 MB at 24 Mb/s, 100 ms, {KILLS} kills | requests of | took | kills | sent again: mean | p50 | maximum |"
    );
    println!("|---|---|---|---|---|---|---|");
    for variants in VARIANTS.chunks(2) {
        let variants = variants
            .iter()
            .map(|(place, chunk)| through_kills(*place, *chunk).boxed_local());
        for row in join_all(variants).await.into_iter().flatten() {
            println!("{row}");
        }
    }
}

async fn through_kills(place: Place, chunk: Option<u64>) -> Option<String> {
    let mut world = place.world(100_000_000).await;
    let link = Link::to(&world.serve.url, GOOD).await;
    // From 1 to 9 MB, 5 MB on average.
    let distances = (0..KILLS).map(|number| (1 + number * 4 % 9) * MB);
    let distances: Vec<_> = distances.collect();
    let uploaded = world.upload_with_kills(Client::TusJs, chunk, &link, &distances);
    let (outcome, mut kills) = uploaded.await?;
    world.assert_stored(&outcome).await;
    world.assert_videos(1, "uploaded").await;
    assert_eq!(world.system.run("fsck").await, "");
    kills.sort_unstable();
    let count = kills.len();
    let mean = world.sent_again(&link) / u64::try_from(count).unwrap();
    Some(format!(
        "| {} | {} | {:.1} s | {count} | {} | {} | {} |",
        place.name(),
        requests(chunk),
        outcome.seconds,
        mb(mean),
        mb(kills[count / 2]),
        mb(kills[count - 1]),
    ))
}

/// Returns how long a link needs for `bytes`.
fn seconds(bytes: u64, quality: &Quality) -> f64 {
    let bytes = f64::from(u32::try_from(bytes).unwrap());
    bytes / f64::from(quality.rate.unwrap())
}

fn mb(bytes: u64) -> String {
    format!("{}.{:02} MB", bytes / MB, bytes % MB / 10_000)
}
