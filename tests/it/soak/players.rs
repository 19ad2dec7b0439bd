//! Players: they upload over a slow link that breaks, watch the progress of their video, publish
//! it, and keep or delete it.

use std::time::{Duration, Instant};

use rand::{RngExt as _, rngs::StdRng};
use reqwest::{
    Client, Method, RequestBuilder, Response,
    header::{self, HeaderMap},
};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::{
    browser::{Browser, client},
    records::Upload,
    world::World,
};
use crate::support::{
    link::{Link, Quality, Resets},
    tus::{BYTES, metadata},
};

/// A mobile link: 5 Mb/s and 80 ms, and it breaks once in most uploads.
const MOBILE: Quality = Quality {
    rate: Some(625_000),
    round_trip: Duration::from_millis(80),
    handshakes: 2,
    resets: Resets::Every(3_000_000),
};

/// Bytes of a request, like those of the upload page.
const CHUNK_BYTES: usize = 2 << 20;

/// Delay before an upload continues.
const PAUSE: Duration = Duration::from_millis(700);

/// Maximum time of a request of an upload.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Reconnection time of a stream of events, as the server asks for.
const RECONNECT: Duration = Duration::from_secs(2);

/// Time after which a video that has not ended counts as lost.
const STUCK: Duration = Duration::from_mins(5);

/// Uploads and publishes videos until the soak is over.
pub async fn play(world: &World, email: &str, pause: Duration, mut rng: StdRng) {
    let link = Link::to(&world.site, MOBILE).await;
    let mut browser = Browser::new(world);
    // Not all at once.
    let offset = pause.mul_f64(rng.random_range(0.0..1.0));
    world.think(&mut rng, offset).await;
    while !world.is_over() {
        if browser.log_in(email, false).await {
            browser.get("page: own", "/mis-videos").await;
            browser.get("page: own", "/subir").await;
            let is_public = rng.random_ratio(1, 2);
            let transfer = Transfer::new(&browser, &link, &mut rng);
            if let Some(video) = transfer.upload(is_public).await {
                follow_up(&mut browser, video, is_public, &mut rng).await;
            }
        }
        world.think(&mut rng, pause).await;
    }
}

/// Waits for the clip, then deletes the video or keeps it and publishes it.
async fn follow_up(browser: &mut Browser<'_>, video: String, is_public: bool, rng: &mut StdRng) {
    let world = browser.world;
    let page = format!("/mis-videos/{video}");
    browser.get("page: own", &page).await;
    if !until_processed(browser, &video).await {
        return;
    }
    browser.get("page: own", &page).await;
    let path = format!("/api/videos/{video}");
    if let Some(reply) = browser.get("page: own", &path).await
        && reply.json()["status"] != "processed"
    {
        world
            .records
            .failed("video", &format!("{path}: {}", reply.text()));
    }
    if rng.random_ratio(1, 2) {
        delete(browser, &video, is_public).await;
        return;
    }
    if !is_public {
        let path = format!("{page}/publicar");
        browser.form("page: publish", &path, &[]).await;
    }
    let clip = format!("/videos/{video}");
    browser.get("page: clip", &clip).await;
    world.published(&video);
}

/// Deletes a video, which must not be public.
async fn delete(browser: &mut Browser<'_>, video: &str, is_public: bool) {
    let page = format!("/mis-videos/{video}");
    if is_public {
        let path = format!("{page}/retirar");
        browser.form("page: unpublish", &path, &[]).await;
    }
    let path = format!("{page}/eliminar");
    browser.get("page: own", &path).await;
    if browser.form("page: delete", &path, &[]).await.is_some() {
        let mut uploads = browser.world.records.uploads.lock().unwrap();
        let upload = uploads.iter_mut().find(|upload| upload.video == video);
        upload.unwrap().is_deleted = true;
    }
}

/// Follows the stream of events of a video until it has ended. Like a browser, it connects again
/// when the stream ends early. Returns whether the video was processed.
async fn until_processed(browser: &Browser<'_>, video: &str) -> bool {
    let records = &browser.world.records;
    let begun = Instant::now();
    while begun.elapsed() < STUCK {
        let asked = Instant::now();
        let path = format!("/mis-videos/eventos?videos={video}");
        let request = browser.request(Method::GET, &path);
        match request.send().await {
            Ok(response) if response.status() == 200 => {
                records.answered("events", asked.elapsed());
                let left = STUCK.saturating_sub(begun.elapsed());
                match timeout(left, last_state(response)).await {
                    Ok(Some(state)) if state == "processed" => return true,
                    Ok(Some(state)) => {
                        records.failed("video", &format!("{video}: {state}"));
                        return false;
                    }
                    Ok(None) => records.count("streams that ended before the job", 1),
                    Err(_elapsed) => break,
                }
            }
            Ok(response) => records.failed("events", &format!("{video}: {}", response.status())),
            Err(error) => records.failed("events", &format!("{video}: {error:?}")),
        }
        sleep(RECONNECT).await;
    }
    records.failed("video", &format!("{video}: not processed after {STUCK:?}"));
    false
}

/// Reads events until the state is final. Returns none if the stream ends before.
async fn last_state(mut response: Response) -> Option<String> {
    let mut text = String::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        text += str::from_utf8(&chunk).unwrap();
        while let Some((event, rest)) = text.split_once("\n\n") {
            if let Some((_, data)) = event.split_once("data: ") {
                let data: Value = serde_json::from_str(data).unwrap();
                let state = data[0]["state"].as_str().unwrap_or("gone");
                if !["uploaded", "processing"].contains(&state) {
                    return Some(state.to_owned());
                }
            }
            text = rest.to_owned();
        }
    }
    None
}

/// A resumable upload over a link.
struct Transfer<'a> {
    world: &'a World,
    link: &'a Link,
    http: Client,
    cookies: String,
    key: String,
    /// Number of resets of the link before the upload.
    resets: u64,
    /// Number of requests without an answer.
    breaks: u64,
}

/// The outcome of a request of an upload.
enum Step {
    Answered(u16, HeaderMap, String),
    /// The connection broke.
    Broken,
}

impl<'a> Transfer<'a> {
    fn new(browser: &Browser<'a>, link: &'a Link, rng: &mut StdRng) -> Self {
        Self {
            world: browser.world,
            link,
            // A new page has no connections.
            http: client(),
            cookies: browser.cookies(),
            key: format!("{:032x}", rng.random::<u128>()),
            resets: link.resets(),
            breaks: 0,
        }
    }

    /// Uploads the film. Returns its video once the last byte is acknowledged.
    async fn upload(mut self, is_public: bool) -> Option<String> {
        let video = self.create(is_public).await?;
        let is_complete = self.send_all(&video).await;
        let records = &self.world.records;
        let resets = self.link.resets() - self.resets;
        records.count("connections that broke during uploads", self.breaks);
        if self.breaks > resets {
            let broken = format!("{video}: {} breaks, {resets} by the link", self.breaks);
            records.failed("upload: bytes", &broken);
        }
        if !is_complete {
            return None;
        }
        records.uploads.lock().unwrap().push(Upload {
            video: video.clone(),
            is_deleted: false,
        });
        Some(video)
    }

    async fn create(&mut self, is_public: bool) -> Option<String> {
        let is_public = if is_public { "true" } else { "false" };
        let pairs = [
            ("title", "Mi mejor jugada de hoy"),
            ("is_public", is_public),
        ];
        loop {
            let request = self
                .request(Method::POST, "/api/uploads")
                .header("upload-length", self.world.film.len())
                .header("upload-metadata", metadata(&pairs))
                .header("idempotency-key", &self.key);
            match self.send("upload: create", request).await {
                Step::Answered(201, _, body) => {
                    let body: Value = serde_json::from_str(&body).unwrap();
                    return body["task_id"].as_str().map(str::to_owned);
                }
                Step::Answered(status, _, body) => {
                    let failure = format!("POST /api/uploads: {status} {body}");
                    self.world.records.failed("upload: create", &failure);
                    return None;
                }
                Step::Broken => sleep(PAUSE).await,
            }
        }
    }

    /// Sends the film piece by piece. After a break, the server says where to continue.
    async fn send_all(&mut self, video: &str) -> bool {
        let path = format!("/api/uploads/{video}");
        let film = &self.world.film;
        let (mut offset, mut acknowledged) = (Some(0), 0);
        loop {
            let Some(begin) = offset else {
                sleep(PAUSE).await;
                let request = self.request(Method::HEAD, &path);
                match self.send("upload: offset", request).await {
                    Step::Answered(200, headers, _) => offset = Some(offset_in(&headers)),
                    Step::Answered(status, ..) => {
                        let failure = format!("HEAD {path}: {status}");
                        self.world.records.failed("upload: offset", &failure);
                        return false;
                    }
                    Step::Broken => {}
                }
                continue;
            };
            if begin < acknowledged {
                let lost = format!("{path}: offset {begin} after {acknowledged}");
                self.world.records.failed("upload: offset", &lost);
                return false;
            }
            acknowledged = begin;
            if begin == film.len() {
                return true;
            }
            let end = film.len().min(begin + CHUNK_BYTES);
            let request = self
                .request(Method::PATCH, &path)
                .header("upload-offset", begin)
                .header("content-type", BYTES)
                .body(film[begin..end].to_vec());
            offset = match self.send("upload: bytes", request).await {
                Step::Answered(204, headers, _) => Some(offset_in(&headers)),
                // The request before still ends, or the API stops.
                Step::Answered(409 | 423, ..) if self.breaks > 0 => None,
                Step::Answered(503, _, body) if body.contains("upload_interrupted") => {
                    let records = &self.world.records;
                    records.count("uploads that a stopping API interrupted", 1);
                    None
                }
                Step::Answered(status, _, body) => {
                    let failure = format!("PATCH {path}: {status} {body}");
                    self.world.records.failed("upload: bytes", &failure);
                    return false;
                }
                Step::Broken => None,
            };
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.link.url()))
            .header(header::COOKIE, &self.cookies)
            .header("sec-fetch-site", "same-origin")
            .header("tus-resumable", "1.0.0")
            .timeout(TIMEOUT)
    }

    async fn send(&mut self, kind: &'static str, request: RequestBuilder) -> Step {
        let asked = Instant::now();
        let answer = async {
            let answer = request.send().await?;
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            Ok((status, headers, answer.text().await?))
        };
        let answer: reqwest::Result<(u16, HeaderMap, String)> = answer.await;
        match answer {
            Ok((status, headers, body)) => {
                self.world.records.answered(kind, asked.elapsed());
                Step::Answered(status, headers, body)
            }
            Err(_broken) => {
                self.breaks += 1;
                Step::Broken
            }
        }
    }
}

fn offset_in(headers: &HeaderMap) -> usize {
    headers["upload-offset"].to_str().unwrap().parse().unwrap()
}
