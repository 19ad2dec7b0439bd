//! What may stand between a browser and the program: a proxy that holds events back, and one that
//! sends requests to two builds during a rolling update.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anb::{ids::VideoId, web::assets::BUILD};
use serde_json::Value;

use crate::{
    it::processes::process::{Role, SystemUnderTest},
    stage::Stage,
    support::{
        Seed, eventually, free_port,
        proxy::{Exchange, Fault, Proxy},
    },
    visitor::Visitor,
};

/// Starts an API behind a proxy, which is its public address.
async fn behind(proxy: &Proxy, port: u16) -> Stage {
    let port = format!("--port={port}");
    let url = format!("--public-url={}", proxy.url());
    Stage::set_with_rules(&[], &[&port, &url]).await
}

/// Follows a video through a proxy, from the line to its clip. Returns what the page shows at each
/// step.
async fn follow(proxy: &Proxy, port: u16) -> Vec<String> {
    let stage = behind(proxy, port).await;
    let ana = stage.player("Ana", "Rentería", "Cali").await;
    let id = stage.clip(&ana, Seed::PRIVATE).await;
    let set = async |assignments: &str| {
        let video = VideoId::parse(&id).unwrap();
        stage.app.set(video, assignments).await;
    };
    set("status = 'uploaded', processed_at = NULL, progress = 0").await;

    let mut player = Visitor::at(&proxy.url()).await;
    player.be(&stage, &ana).await;
    player.open(&format!("/mis-videos/{id}")).await;
    let mut steps = vec![player.text("article .progress").await];
    for percent in [40, 70] {
        let processing = "status = 'processing', lease_until = now(), progress =";
        set(&format!("{processing} {percent}")).await;
        let shown = format!("{percent} %");
        player.until_text("[data-percent]", &shown).await;
        steps.push(player.text("article .progress").await);
    }
    // The page then loads itself again.
    player.judge().await;
    player.run("window.isLeft = true", Value::Null).await;
    set("status = 'processed', processed_at = now(), lease_until = NULL").await;
    player.until_arrived().await;
    steps.push(player.text("article .progress").await);
    player.end().await;
    steps
}

/// Returns the positions of the requests for a path.
fn requests(exchanges: &[Exchange], path: &str) -> Vec<usize> {
    let paths = exchanges.iter().map(|exchange| &exchange.path).enumerate();
    let found = paths.filter(|(_, one)| one.starts_with(path));
    found.map(|(index, _)| index).collect()
}

#[tokio::test]
async fn polling_shows_the_same_where_a_proxy_holds_events_back() {
    const EVENTS: &str = "/mis-videos/eventos";
    const POLL: &str = "/mis-videos/estado";
    let port = free_port();
    let server = format!("http://127.0.0.1:{port}");
    let holding = Proxy::to(&server, Fault::HoldsEvents).await;
    let polled = follow(&holding, port).await;
    let exchanges = holding.exchanges();
    let (streams, polls) = (requests(&exchanges, EVENTS), requests(&exchanges, POLL));
    assert_eq!(streams.len(), 1, "{exchanges:?}");
    assert!(polls.len() > 1 && polls[0] > streams[0], "{exchanges:?}");
    // The server learns that nobody waits for the stream.
    eventually("the stream is closed", 60, async || holding.held() == 0).await;

    let port = free_port();
    let passing = Proxy::between(&[&format!("http://127.0.0.1:{port}")]).await;
    assert_eq!(follow(&passing, port).await, polled);
    let exchanges = passing.exchanges();
    assert_eq!(requests(&exchanges, EVENTS).len(), 1);
    assert_eq!(requests(&exchanges, POLL).len(), 0);
}

/// Id of a build whose assets are other ones.
const OTHER_BUILD: &str = "0123456789abcdef";

/// Writes the program as another build of it: with another id of its assets.
fn other_build(folder: &Path) -> PathBuf {
    let program = folder.join("anb");
    let replace = format!("s/{BUILD}/{OTHER_BUILD}/g");
    let copied = Command::new("sed")
        .env("LC_ALL", "C")
        .args([&replace, env!("CARGO_BIN_EXE_anb")])
        .stdout(fs::File::create(&program).unwrap())
        .status();
    assert!(copied.unwrap().success());
    let executable = fs::metadata(env!("CARGO_BIN_EXE_anb")).unwrap();
    fs::set_permissions(&program, executable.permissions()).unwrap();
    program
}

#[tokio::test]
async fn rolling_update_breaks_no_page_and_caches_no_wrong_asset() {
    let [port, other] = [free_port(), free_port()];
    let urls = [port, other].map(|port| format!("http://127.0.0.1:{port}"));
    let proxy = Proxy::between(&urls.each_ref().map(String::as_str)).await;
    let public_url = proxy.url();
    let stage = behind(&proxy, port).await;
    let mut system = SystemUnderTest::of(&stage.app);
    system.program = other_build(system.folder());
    let mut process = system.start_at(other, Role::Serve, &[("PUBLIC_URL", &public_url)]);
    process.until_ready().await;

    let ana = stage.player("Ana", "Rentería", "Cali").await;
    let rosa = stage.player("Rosa", "Prueba", "Cali").await;
    let clip = stage.clip(&ana, Seed::PUBLIC).await;
    let watch = format!("/videos/{clip}");
    let mut visitor = Visitor::at(&public_url).await;
    visitor.be(&stage, &rosa).await;
    let pages = [
        "/",
        &watch,
        "/clasificacion",
        "/mis-videos",
        "/subir",
        "/ayuda",
    ];
    // An odd number of requests gives each page to the other process.
    for path in pages.iter().chain(&["/cuenta"]).chain(&pages) {
        visitor.open(path).await;
        let is_styled = "return getComputedStyle(document.body).getPropertyValue('--court') !== ''
            && document.fonts.check('36px Marcador')";
        let is_styled = visitor.run(is_styled, Value::Null).await;
        assert_eq!(is_styled, true, "{path}");
    }
    visitor.open(&watch).await;
    visitor.click("form.vote button").await;
    visitor.until("form.vote button[data-state=voted]").await;
    visitor.end().await;

    let exchanges = proxy.exchanges();
    let mut seen = [[0; 2]; 2];
    for exchange in &exchanges {
        let Some(path) = exchange.path.strip_prefix("/estatico/") else {
            continue;
        };
        let is_own = path.starts_with([BUILD, OTHER_BUILD][exchange.server]);
        let is_kept = exchange.cache_control.contains("immutable");
        assert_eq!(exchange.status, 200, "{exchange:?}");
        assert_eq!(is_kept, is_own, "{exchange:?}");
        seen[exchange.server][usize::from(is_own)] += 1;
    }
    println!("assets by server, of the other build and of its own: {seen:?}");
    assert!(
        seen.as_flattened().iter().all(|count| *count > 0),
        "{seen:?}"
    );
}
