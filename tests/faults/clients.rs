//! Players and fans. The seed determines whether an upload is published or deleted, and fans vote
//! for it. A client that gets no definite answer retries, as people do.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use anb::ids::VideoId;
use futures_util::{StreamExt as _, future::join_all, stream};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::{Client, Method, RequestBuilder, header::HeaderMap, multipart};
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    Size,
    history::{History, Upload, Vote},
    support::{
        Player, film, mp4,
        tus::{BYTES, metadata},
    },
    system::System,
    watch::Watch,
};

const PLAYERS: usize = 4;

/// Number of fans that vote for one video concurrently.
const VOTERS: usize = 8;

/// Delay before a retry.
const PAUSE: Duration = Duration::from_millis(300);

/// Maximum time of a request: the program's own limit and the longest freeze.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Time after which a video that has not ended counts as stuck.
const STUCK: Duration = Duration::from_hours(1);

pub struct Clients<'a> {
    system: &'a System,
    history: &'a History,
    size: &'a Size,
    http: Client,
    film: Vec<u8>,
    players: Vec<Player>,
    fans: Vec<Player>,
}

/// The course of an upload.
#[derive(Debug, Clone, Copy)]
struct Scenario {
    number: usize,
    is_film: bool,
    course: Course,
}

#[derive(Debug, Clone, Copy)]
enum Course {
    Public,
    Published(Duration),
    Deleted(Duration),
}

impl Scenario {
    fn random(number: usize, rng: &mut StdRng) -> Self {
        let later = Duration::from_millis(rng.random_range(0..8000));
        Self {
            number,
            is_film: rng.random_ratio(9, 10),
            course: match rng.random_range(0..10) {
                0 | 1 => Course::Deleted(later),
                2 | 3 => Course::Published(later),
                _ => Course::Public,
            },
        }
    }
}

impl<'a> Clients<'a> {
    pub async fn of(system: &'a System, history: &'a History, size: &'a Size) -> Self {
        let http = Client::builder().timeout(TIMEOUT).build().unwrap();
        let mut players = Vec::new();
        for number in 0..PLAYERS {
            players.push(
                system
                    .app
                    .insert_user(&format!("Player{number}"), "Cali")
                    .await,
            );
        }
        // About two uploads of three can be voted for.
        let fans = (2 * size.votes).div_ceil(size.uploads);
        Self {
            system,
            history,
            size,
            http,
            film: film().await,
            players,
            fans: system.app.insert_users(fans).await,
        }
    }

    pub async fn live(&self) {
        let mut rng = StdRng::seed_from_u64(self.size.seed);
        let scenarios = (0..self.size.uploads).map(|number| Scenario::random(number, &mut rng));
        let scenarios: Vec<_> = scenarios.collect();
        let runs = scenarios.into_iter().map(|scenario| self.run(scenario));
        join_all(runs).await;
    }

    /// Reads lists and rankings until the watch stops.
    pub async fn read(&self, watch: &Watch) {
        while !watch.is_over() {
            for (kind, path) in [
                ("list", "/api/public/videos"),
                ("ranking", "/api/public/rankings"),
                ("own", "/api/videos"),
            ] {
                let request = self.request(Method::GET, path, &self.players[0]);
                match self.call(kind, request).await {
                    None | Some((200 | 503, _)) => {}
                    Some(other) => self.history.breach(format!("{kind}: {other:?}")),
                }
            }
            sleep(PAUSE).await;
        }
    }

    async fn run(&self, scenario: Scenario) {
        // Uploads are spread over the whole plan.
        let due = scenario.number * self.size.faults / self.size.uploads;
        while self.system.faults.load(Ordering::Relaxed) < due {
            sleep(PAUSE).await;
        }
        let owner = &self.players[scenario.number % PLAYERS];
        let is_public = matches!(scenario.course, Course::Public);
        let video = if scenario.number.is_multiple_of(2) {
            self.upload(owner, scenario.is_film, is_public).await
        } else {
            self.upload_in_pieces(owner, scenario.is_film, is_public)
                .await
        };
        match scenario.course {
            Course::Public => {}
            Course::Published(later) => {
                sleep(later).await;
                self.publish(owner, video).await;
            }
            Course::Deleted(later) => {
                sleep(later).await;
                return self.delete(owner, video).await;
            }
        }
        if self.until_ended(owner, video).await == "processed" {
            let votes = self.fans.iter().map(|fan| self.vote(fan, video));
            stream::iter(votes).buffer_unordered(VOTERS).count().await;
        }
    }

    /// Uploads until accepted. An upload without an answer may have created a video nevertheless.
    async fn upload(&self, owner: &Player, is_film: bool, is_public: bool) -> VideoId {
        loop {
            let film = self.content(is_film);
            let form = multipart::Form::new()
                .text("title", "Mi mejor jugada")
                .text("is_public", is_public.to_string())
                .part(
                    "video_file",
                    multipart::Part::bytes(film).file_name("jugada.mp4"),
                );
            let request = self.request(Method::POST, "/api/videos/upload", owner);
            match self.call("upload", request.multipart(form)).await {
                Some((201, body)) => {
                    let video = VideoId::parse(body["task_id"].as_str().unwrap()).unwrap();
                    self.record_upload(video, is_film, is_public);
                    return video;
                }
                None | Some((503 | 507, _)) => self.history.unknown_upload(),
                Some(other) => self.history.breach(format!("upload: {other:?}")),
            }
            sleep(PAUSE).await;
        }
    }

    fn content(&self, is_film: bool) -> Vec<u8> {
        if is_film {
            self.film.clone()
        } else {
            mp4(20_000)
        }
    }

    fn record_upload(&self, video: VideoId, is_film: bool, is_public: bool) {
        let upload = Upload {
            is_film,
            is_public,
            is_deleted: false,
        };
        self.history.upload(video, upload);
    }

    /// Uploads by tus. Whatever happens, the upload makes one video and its offset never goes back.
    async fn upload_in_pieces(&self, owner: &Player, is_film: bool, is_public: bool) -> VideoId {
        let film = self.content(is_film);
        let key = rand::random::<u128>().to_string();
        let pairs = [
            ("title", "Mi mejor jugada"),
            ("is_public", if is_public { "true" } else { "false" }),
        ];
        let video = loop {
            let request = self
                .tus(Method::POST, "/api/uploads", owner)
                .header("upload-length", film.len())
                .header("upload-metadata", metadata(&pairs))
                .header("idempotency-key", &key);
            match self.call("create", request).await {
                Some((201, body)) => {
                    break VideoId::parse(body["task_id"].as_str().unwrap()).unwrap();
                }
                None | Some((503, _)) => {}
                Some(other) => self.history.breach(format!("create: {other:?}")),
            }
            sleep(PAUSE).await;
        };
        let path = format!("/api/uploads/{video}");
        let mut acknowledged = 0;
        while acknowledged < film.len() {
            let asked = self.tus(Method::HEAD, &path, owner);
            let found = match self.exchange("offset", asked).await {
                Some((200, headers, _)) => offset_in(&headers),
                None | Some((503, ..)) => None,
                Some(other) => {
                    self.history.breach(format!("{video}: offset {other:?}"));
                    None
                }
            };
            let Some(offset) = found else {
                sleep(PAUSE).await;
                continue;
            };
            if offset < acknowledged {
                let lost = format!("{video}: offset {offset} after {acknowledged}");
                self.history.breach(lost);
            }
            acknowledged = offset;
            // Pieces of a third, so that a video takes several requests.
            let end = film.len().min(offset + film.len() / 3 + 1);
            if offset == end {
                break;
            }
            let request = self
                .tus(Method::PATCH, &path, owner)
                .header("upload-offset", offset)
                .header("content-type", BYTES)
                .body(film[offset..end].to_vec());
            match self.exchange("piece", request).await {
                Some((204, headers, _)) => {
                    acknowledged = offset_in(&headers).unwrap_or(acknowledged);
                }
                None | Some((409 | 423 | 503, ..)) => sleep(PAUSE).await,
                Some(other) => self.history.breach(format!("{video}: piece {other:?}")),
            }
        }
        self.record_upload(video, is_film, is_public);
        video
    }

    fn tus(&self, method: Method, path: &str, player: &Player) -> RequestBuilder {
        let request = self.request(method, path, player);
        request.header("tus-resumable", "1.0.0")
    }

    async fn publish(&self, owner: &Player, video: VideoId) {
        let path = format!("/api/videos/{video}/publish");
        loop {
            match self
                .call("publish", self.request(Method::POST, &path, owner))
                .await
            {
                Some((200, _)) => {
                    return self.history.update(video, |upload| upload.is_public = true);
                }
                Some((400, body)) if body["code"] == "not_publishable" => return,
                None | Some((503, _)) => sleep(PAUSE).await,
                Some(other) => return self.history.breach(format!("{video}: publish {other:?}")),
            }
        }
    }

    async fn delete(&self, owner: &Player, video: VideoId) {
        let path = format!("/api/videos/{video}");
        let mut may_be_deleted = false;
        loop {
            match self
                .call("delete", self.request(Method::DELETE, &path, owner))
                .await
            {
                Some((200, _)) => break,
                Some((404, _)) if may_be_deleted => break,
                None | Some((503, _)) => may_be_deleted = true,
                Some(other) => return self.history.breach(format!("{video}: delete {other:?}")),
            }
            sleep(PAUSE).await;
        }
        self.history
            .update(video, |upload| upload.is_deleted = true);
    }

    /// Waits until the video has ended. Returns its status.
    async fn until_ended(&self, owner: &Player, video: VideoId) -> String {
        let path = format!("/api/videos/{video}");
        let started = Instant::now();
        loop {
            match self
                .call("detail", self.request(Method::GET, &path, owner))
                .await
            {
                Some((200, body)) => {
                    let status = body["status"].as_str().unwrap();
                    if ["processed", "failed"].contains(&status) {
                        return status.to_owned();
                    }
                }
                None | Some((503, _)) => {}
                Some(other) => self.history.breach(format!("{video}: detail {other:?}")),
            }
            if started.elapsed() > STUCK {
                self.history.breach(format!("{video}: stuck"));
                return "stuck".to_owned();
            }
            sleep(PAUSE).await;
        }
    }

    /// Votes until the vote is known to count. One in ten fans gives up after a missing answer.
    async fn vote(&self, fan: &Player, video: VideoId) {
        let path = format!("/api/public/videos/{video}/vote");
        let mut may_count = false;
        loop {
            match self
                .call("vote", self.request(Method::POST, &path, fan))
                .await
            {
                Some((200, _)) => return self.history.vote(&fan.email, video, Vote::Counted),
                Some((400, body)) if body["code"] == "already_voted" && may_count => {
                    return self.history.vote(&fan.email, video, Vote::Counted);
                }
                None | Some((503, _)) => {
                    may_count = true;
                    self.history.vote(&fan.email, video, Vote::Maybe);
                    if rand::random_ratio(1, 10) {
                        return;
                    }
                }
                Some(other) => return self.history.breach(format!("{video}: vote {other:?}")),
            }
            sleep(PAUSE).await;
        }
    }

    fn request(&self, method: Method, path: &str, player: &Player) -> RequestBuilder {
        let url = format!("{}{path}", self.system.api());
        self.http.request(method, url).bearer_auth(&player.token)
    }

    async fn call(&self, kind: &'static str, request: RequestBuilder) -> Option<(u16, Value)> {
        let answer = self.exchange(kind, request).await;
        answer.map(|(status, _, body)| (status, body))
    }

    /// Sends a request. Returns none without a complete answer, or for a 408, with which a server
    /// closes an idle connection.
    async fn exchange(
        &self,
        kind: &'static str,
        request: RequestBuilder,
    ) -> Option<(u16, HeaderMap, Value)> {
        let answer = async {
            let answer = request.send().await?;
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let body = answer.bytes().await?;
            let body = serde_json::from_slice(&body).unwrap_or_default();
            Ok((status, headers, body))
        };
        let answer: reqwest::Result<(u16, HeaderMap, Value)> = answer.await;
        let failure = match &answer {
            Ok((status, _, body)) if *status >= 500 || *status == 408 => {
                Some(format!("{status} {}", body["code"]))
            }
            Ok(_) => None,
            Err(error) if error.is_timeout() => {
                self.history.breach(format!("{kind}: {error:?}"));
                Some("no answer".to_owned())
            }
            Err(error) if error.is_connect() => Some("no connection".to_owned()),
            Err(_) => Some("connection broke".to_owned()),
        };
        self.history.request(kind, failure);
        answer.ok().filter(|(status, ..)| *status != 408)
    }
}

fn offset_in(headers: &HeaderMap) -> Option<usize> {
    headers.get("upload-offset")?.to_str().ok()?.parse().ok()
}
