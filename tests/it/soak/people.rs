//! Readers, watchers of clips, voters and organisers. Each repeats what such a person does, with
//! pauses, until the soak is over.

use std::time::Duration;

use rand::{RngExt as _, rngs::StdRng};
use reqwest::{Method, header};
use serde_json::json;

use super::{
    browser::{Browser, pick},
    world::World,
};

const CITIES: [&str; 6] = [
    "bogota",
    "medellin",
    "cali",
    "barranquilla",
    "tunja",
    "pasto",
];

const WORDS: [&str; 6] = [
    "jugada",
    "mejor",
    "jugadora1",
    "prueba 17",
    "numero 42",
    "clavada",
];

/// Bytes that a video element asks for at a time.
const RANGE_BYTES: usize = 256 * 1024;

/// Reads pages and lists.
pub async fn read(world: &World, mut rng: StdRng) {
    let mut browser = Browser::new(world);
    while !world.is_over() {
        let city = *pick(&mut rng, &CITIES);
        let page = rng.random_range(1..8);
        let video = world.video(&mut rng);
        let query = pick(&mut rng, &WORDS).replace(' ', "+");
        let (kind, path) = match rng.random_range(0..20) {
            0..=3 => ("page: gallery", "/".to_owned()),
            4 => ("page: gallery", format!("/?ciudad={city}")),
            5 | 6 => ("page: ranking", "/clasificacion".to_owned()),
            7 => ("page: ranking", format!("/clasificacion?ciudad={city}")),
            8..=11 => ("page: clip", format!("/videos/{video}")),
            12 => ("page: search", format!("/?q={query}")),
            13..=15 => (
                "api: list",
                format!("/api/public/videos?page={page}&city={city}"),
            ),
            16 | 17 => ("api: ranking", format!("/api/public/rankings?page={page}")),
            18 => (
                "api: ranking",
                format!("/api/public/rankings?by=video&city={city}"),
            ),
            _ => ("api: search", format!("/api/public/videos?q={query}")),
        };
        if let Some(found) = browser.get(kind, &path).await {
            look_at_pictures(&mut browser, &found.text()).await;
        }
        world.think(&mut rng, Duration::from_millis(1500)).await;
        // Another visitor, who has nothing in the cache.
        if rng.random_ratio(1, 50) {
            browser = Browser::new(world);
        }
    }
}

/// Fetches the first pictures of a page, as far as this browser does not have them.
async fn look_at_pictures(browser: &mut Browser<'_>, html: &str) {
    let pictures = html.split("src=\"/media/").skip(1);
    let pictures = pictures.filter_map(|rest| Some(rest.split_once(".jpg\"")?.0));
    for picture in pictures.take(3) {
        let path = format!("/media/{picture}.jpg");
        browser.get("picture", &path).await;
    }
}

/// Watches clips, in ranges like a video element.
pub async fn watch(world: &World, mut rng: StdRng) {
    let mut browser = Browser::new(world);
    while !world.is_over() {
        let video = world.video(&mut rng);
        let page = browser.get("page: clip", &format!("/videos/{video}")).await;
        let text = page.map(|page| page.text()).unwrap_or_default();
        if let Some((_, rest)) = text.split_once(&format!("/media/processed/{video}/"))
            && let Some((attempt, _)) = rest.split_once(['.', '-'])
        {
            let clip = format!("/media/processed/{video}/{attempt}.mp4");
            play(&mut browser, &clip, &mut rng).await;
        }
        world.think(&mut rng, Duration::from_secs(4)).await;
    }
}

async fn play(browser: &mut Browser<'_>, path: &str, rng: &mut StdRng) {
    let world = browser.world;
    let (mut offset, mut total, mut tag) = (0, 1, None);
    while offset < total && !world.is_over() {
        let range = format!("bytes={offset}-{}", offset + RANGE_BYTES - 1);
        let mut request = browser.request(Method::GET, path);
        request = request.header(header::RANGE, range);
        if let Some(tag) = &tag {
            request = request.header(header::IF_RANGE, tag);
        }
        let Some(reply) = browser.send("clip", request, &[206]).await else {
            return;
        };
        let (_, length) = reply.header("content-range").rsplit_once('/').unwrap();
        total = length.parse().unwrap();
        offset += reply.body.len();
        tag = Some(reply.header("etag").to_owned());
        world.think(rng, Duration::from_millis(300)).await;
        // Few people watch to the end.
        if rng.random_ratio(1, 8) {
            return;
        }
    }
}

/// Signs up or logs in, votes for some videos, and leaves; again and again as another person.
pub async fn vote(world: &World, mut rng: StdRng) {
    let mut browser = Browser::new(world);
    while !world.is_over() {
        let is_app = rng.random_ratio(1, 2);
        let (email, is_in) = if rng.random_ratio(1, 5) {
            let email = world.next_newcomer();
            let city = *pick(&mut rng, &CITIES);
            let is_in = browser.sign_up(&email, city, is_app).await;
            (email, is_in)
        } else {
            let email = world.next_fan();
            let is_in = browser.log_in(&email, is_app).await;
            (email, is_in)
        };
        if is_in {
            let mut voted = Vec::new();
            for _ in 0..rng.random_range(4..16) {
                let video = world.video(&mut rng);
                if voted.contains(&video) {
                    continue;
                }
                cast(&mut browser, &email, &video, &mut rng).await;
                voted.push(video);
                world.think(&mut rng, Duration::from_millis(500)).await;
            }
            look_back(&mut browser, voted.first(), &mut rng).await;
            browser.log_out().await;
        }
        world.think(&mut rng, Duration::from_secs(1)).await;
    }
}

/// Votes for a video, at times twice: only the first vote may count.
async fn cast(browser: &mut Browser<'_>, email: &str, video: &str, rng: &mut StdRng) {
    let is_counted = if browser.is_app() {
        let path = format!("/api/public/videos/{video}/vote");
        let vote = browser.request(Method::POST, &path);
        let is_counted = browser.send("api: vote", vote, &[200]).await.is_some();
        if rng.random_ratio(1, 10) {
            let again = browser.request(Method::POST, &path);
            browser.send("api: vote again", again, &[400]).await;
        }
        is_counted
    } else {
        let path = format!("/videos/{video}/votar");
        let outcome = format!("/voto/{video}");
        let place = browser.form("page: vote", &path, &[]).await;
        let is_counted = place.as_ref() == Some(&outcome);
        if let Some(place) = place {
            if !is_counted {
                browser
                    .world
                    .records
                    .failed("page: vote", &format!("{email} is led to {place}"));
            }
            browser.get("page: outcome", &place).await;
        }
        if rng.random_ratio(1, 10) {
            browser.form("page: vote again", &path, &[]).await;
        }
        is_counted
    };
    if is_counted {
        let mut votes = browser.world.records.votes.lock().unwrap();
        votes.insert((email.to_owned(), video.to_owned()));
    }
}

/// Looks at the own votes or account, and at times reports a clip.
async fn look_back(browser: &mut Browser<'_>, video: Option<&String>, rng: &mut StdRng) {
    if browser.is_app() {
        browser.get("api: own", "/api/user/votes").await;
        browser.get("api: own", "/api/auth/profile").await;
        if let Some(video) = video
            && rng.random_ratio(1, 20)
        {
            let path = format!("/api/videos/{video}/report");
            let form = json!({"reason": "personal_data", "text": "Se ve un teléfono."});
            let report = browser.request(Method::POST, &path).json(&form);
            browser.send("api: report", report, &[200]).await;
        }
    } else {
        browser.get("page: account", "/cuenta").await;
        if let Some(video) = video {
            let path = format!("/sesion?videos={video}");
            browser.get("page: account", &path).await;
        }
    }
}

/// Looks at the dashboard and the lists, hides videos and shows them again. One of several
/// organisers, who share the videos that they hide.
pub async fn organise(world: &World, email: &str, share: (usize, usize), mut rng: StdRng) {
    let mut browser = Browser::new(world);
    let (number, count) = share;
    let videos: Vec<&String> = world.hidden.iter().skip(number).step_by(count).collect();
    let mut next = 0;
    while !world.is_over() {
        if !browser.log_in(email, false).await {
            world.think(&mut rng, Duration::from_secs(10)).await;
            continue;
        }
        for _ in 0..6 {
            if world.is_over() {
                break;
            }
            for path in [
                "/organizacion",
                "/organizacion/videos",
                "/organizacion/reportes",
            ] {
                browser.get("page: organiser", path).await;
                world.think(&mut rng, Duration::from_secs(2)).await;
            }
            let words = pick(&mut rng, &WORDS).replace(' ', "+");
            let path = format!("/organizacion/videos?q={words}&estado=public");
            browser.get("page: organiser", &path).await;
            browser.get("page: organiser", "/organizacion/estado").await;
            let video = videos[next % videos.len()];
            next += 1;
            moderate(&mut browser, video, &mut rng).await;
            if number == 0 {
                settle_a_report(&mut browser).await;
            }
            world.think(&mut rng, Duration::from_secs(8)).await;
        }
        browser
            .get("organiser: table", "/organizacion/clasificacion.csv")
            .await;
        browser.log_out().await;
    }
}

/// Hides a video and shows it again.
async fn moderate(browser: &mut Browser<'_>, video: &str, rng: &mut StdRng) {
    let page = format!("/organizacion/videos/{video}");
    browser.get("page: organiser", &page).await;
    let reason = [("motivo", "Se ven datos personales.")];
    let hide = format!("{page}/ocultar");
    browser.form("organiser: hide", &hide, &reason).await;
    let world = browser.world;
    world.think(rng, Duration::from_secs(5)).await;
    let show = format!("{page}/mostrar");
    browser.form("organiser: show", &show, &[]).await;
}

/// Dismisses the first report of the list.
async fn settle_a_report(browser: &mut Browser<'_>) {
    let Some(page) = browser
        .get("page: organiser", "/organizacion/reportes")
        .await
    else {
        return;
    };
    let html = page.text();
    let found = html.split_once("/descartar\"").map(|(before, _)| before);
    let path = found.and_then(|before| before.rsplit_once('"'));
    if let Some((_, path)) = path {
        let path = format!("{path}/descartar");
        browser.form("organiser: dismiss", &path, &[]).await;
    }
}
