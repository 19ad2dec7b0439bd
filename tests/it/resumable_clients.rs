//! Resumable uploads with unchanged official clients, tus-js-client and tuspy, over bad links to
//! `anb serve`. Run `make clients`; `make bench-resume` measures.

mod bench;
mod client;
mod world;

use std::time::Duration;

use crate::support::{
    link::{Link, Quality, Resets},
    proxy::{Fault, Proxy},
};

use self::{client::Client, world::World};

/// The size that the API recommends for a request, and the size of a part of S3 (bytes).
const CHUNK: u64 = 5 * 1024 * 1024;

/// Size of the films (bytes): three full chunks and a smaller one.
const FILM: usize = 16_500_000;

/// Turns each case, a function of a world, into a test with files on disk and a test on S3.
macro_rules! on_both {
    ($($case:ident),+ $(,)?) => {
        mod local {
            $(
                #[tokio::test]
                #[ignore = "needs official clients: make clients"]
                async fn $case() {
                    let app = crate::support::TestApp::spawn().await;
                    super::$case(super::World::open(app).await).await;
                }
            )+
        }
        mod s3 {
            $(
                #[tokio::test]
                #[ignore = "needs official clients: make clients"]
                async fn $case() {
                    let app = crate::support::TestApp::spawn_on_aws().await;
                    super::$case(super::World::open(app).await).await;
                }
            )+
        }
    };
}

on_both!(
    whole_film_arrives_and_is_processed,
    upload_survives_resets,
    upload_survives_killed_apis,
    lost_creation_creates_one_video,
    lost_end_creates_one_video,
    unavailable_head_creates_one_video,
    upload_passes_a_proxy_that_buffers,
    upload_passes_a_proxy_that_fails_every_fifth_request,
);

async fn whole_film_arrives_and_is_processed(world: World) {
    let mut count = 0;
    for (client, chunk) in all() {
        let url = world.serve.url.clone();
        let Some(outcome) = world.upload(client, chunk, &url).await else {
            continue;
        };
        world.assert_stored(&outcome).await;
        count += 1;
    }
    world.app.run_pending_jobs().await;
    world.assert_videos(count, "processed").await;
}

/// A link fast enough for short tests. A faster one would fill the buffers of the sockets, and a
/// reset discards what the server has not read.
fn good() -> Quality {
    Quality {
        rate: Some(3_000_000),
        round_trip: Duration::from_millis(40),
        handshakes: 1,
        resets: Resets::Never,
    }
}

async fn upload_survives_resets(world: World) {
    let mut count = 0;
    for (client, chunk) in all() {
        let quality = Quality {
            resets: Resets::Every(3_000_000),
            ..good()
        };
        let link = Link::to(&world.serve.url, quality).await;
        let Some(outcome) = world.upload(client, chunk, &link.url()).await else {
            continue;
        };
        let (resets, again) = (link.resets(), world.sent_again(&link));
        println!("{client:?}, chunk {chunk:?}: {resets} resets, {again} bytes sent again");
        assert!(resets >= 5, "{resets} resets");
        world.assert_stored(&outcome).await;
        count += 1;
    }
    world.assert_videos(count, "uploaded").await;
}

async fn upload_survives_killed_apis(mut world: World) {
    let mut count = 0;
    for (client, chunk) in all() {
        let link = Link::to(&world.serve.url, good()).await;
        let distances = [2_000_000, 7_000_000, 8_000_000];
        let uploaded = world.upload_with_kills(client, chunk, &link, &distances);
        let Some((outcome, kills)) = uploaded.await else {
            continue;
        };
        println!("{client:?}, chunk {chunk:?}: bytes lost by kills: {kills:?}");
        assert!(kills.len() >= 2, "{kills:?}");
        // The part of S3 that is being sent, and the next one.
        assert!(kills.iter().all(|lost| *lost <= 2 * CHUNK), "{kills:?}");
        world.assert_stored(&outcome).await;
        count += 1;
    }
    world.assert_videos(count, "uploaded").await;
}

async fn lost_creation_creates_one_video(world: World) {
    upload_through(&world, Fault::LostCreation, Resets::Never).await;
}

async fn lost_end_creates_one_video(world: World) {
    upload_through(&world, Fault::LostEnd, Resets::Never).await;
}

/// tus-js-client then forgets the upload and creates it again.
async fn unavailable_head_creates_one_video(world: World) {
    let resets = Resets::At(vec![7_000_000, 12_000_000]);
    upload_through(&world, Fault::UnavailableHead, resets).await;
}

async fn upload_passes_a_proxy_that_buffers(world: World) {
    let resets = Resets::At(vec![3_000_000, 11_000_000]);
    upload_through(&world, Fault::Buffers, resets).await;
}

async fn upload_passes_a_proxy_that_fails_every_fifth_request(world: World) {
    let resets = Resets::At(vec![3_000_000, 11_000_000]);
    upload_through(&world, Fault::BadGateway(5), resets).await;
}

/// Uploads with both clients through a link and a faulty proxy.
async fn upload_through(world: &World, fault: Fault, resets: Resets) {
    let mut count = 0;
    for client in [Client::TusJs, Client::Tuspy] {
        let proxy = Proxy::to(&world.serve.url, fault).await;
        let resets = resets.clone();
        let link = Link::to(&proxy.url(), Quality { resets, ..good() }).await;
        let Some(outcome) = world.upload(client, Some(CHUNK), &link.url()).await else {
            continue;
        };
        let responses = proxy.exchanges();
        assert!(proxy.has_failed(), "{responses:?}");
        for response in &responses {
            assert_eq!(response.cache_control, "no-store", "{response:?}");
        }
        let (requests, again) = (responses.len(), world.sent_again(&link));
        println!("{client:?}, {fault:?}: {requests} requests, {again} bytes sent again");
        world.assert_stored(&outcome).await;
        count += 1;
    }
    world.assert_videos(count, "uploaded").await;
}

/// Returns the clients, each with chunks and with one request for the whole film.
fn all() -> [(Client, Option<u64>); 4] {
    [
        (Client::TusJs, Some(CHUNK)),
        (Client::TusJs, None),
        (Client::Tuspy, Some(CHUNK)),
        (Client::Tuspy, None),
    ]
}
