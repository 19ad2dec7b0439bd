//! Players and fans. Each upload has a life of its own, which follows from the seed: uploaded, published or
//! deleted, and voted for. Whoever gets no clear answer asks again, as people do.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use anb::ids::VideoId;
use futures_util::{StreamExt as _, future::join_all, stream};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::{Client, Method, RequestBuilder, multipart};
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    Size,
    history::{History, Upload, Vote},
    support::{Player, film, mp4},
    town::Town,
    watch::Watch,
};

const PLAYERS: usize = 4;

/// Fans who vote for one video at the same time.
const AT_ONCE: usize = 8;

/// Time until somebody asks again.
const PAUSE: Duration = Duration::from_millis(300);

/// Longest that a request may take: what the program allows itself, and the longest freeze.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A video that has not ended after this is stuck.
const STUCK: Duration = Duration::from_hours(1);

pub struct Clients<'a> {
    town: &'a Town,
    history: &'a History,
    size: &'a Size,
    http: Client,
    film: Vec<u8>,
    players: Vec<Player>,
    fans: Vec<Player>,
}

/// What shall happen to an upload.
#[derive(Debug, Clone, Copy)]
struct Life {
    number: usize,
    is_film: bool,
    fate: Fate,
}

#[derive(Debug, Clone, Copy)]
enum Fate {
    Public,
    Published(Duration),
    Deleted(Duration),
}

impl Life {
    fn random(number: usize, rng: &mut StdRng) -> Self {
        let later = Duration::from_millis(rng.random_range(0..8000));
        Self {
            number,
            is_film: rng.random_ratio(9, 10),
            fate: match rng.random_range(0..10) {
                0 | 1 => Fate::Deleted(later),
                2 | 3 => Fate::Published(later),
                _ => Fate::Public,
            },
        }
    }
}

impl<'a> Clients<'a> {
    pub async fn of(town: &'a Town, history: &'a History, size: &'a Size) -> Self {
        let http = Client::builder().timeout(TIMEOUT).build().unwrap();
        let mut players = Vec::new();
        for number in 0..PLAYERS {
            players.push(town.app.member(&format!("Player{number}"), "Cali").await);
        }
        // About two uploads of three can be voted for.
        let fans = (2 * size.votes).div_ceil(size.uploads);
        Self {
            town,
            history,
            size,
            http,
            film: film().await,
            players,
            fans: town.app.members(fans).await,
        }
    }

    /// Lives all lives.
    pub async fn live(&self) {
        let mut rng = StdRng::seed_from_u64(self.size.seed);
        let lives = (0..self.size.uploads).map(|number| Life::random(number, &mut rng));
        let lives: Vec<_> = lives.collect();
        join_all(lives.into_iter().map(|life| self.live_one(life))).await;
    }

    /// Reads what everybody reads, until the end.
    pub async fn read(&self, watch: &Watch) {
        while !watch.is_over() {
            for (kind, path) in [
                ("list", "/api/public/videos"),
                ("ranking", "/api/public/rankings"),
                ("own", "/api/videos"),
            ] {
                let request = self.request(Method::GET, path, &self.players[0]);
                match self.ask(kind, request).await {
                    None | Some((200 | 503, _)) => {}
                    Some(other) => self.history.breach(format!("{kind}: {other:?}")),
                }
            }
            sleep(PAUSE).await;
        }
    }

    async fn live_one(&self, life: Life) {
        // Spread over the whole plan.
        let due = life.number * self.size.faults / self.size.uploads;
        while self.town.faults.load(Ordering::Relaxed) < due {
            sleep(PAUSE).await;
        }
        let owner = &self.players[life.number % PLAYERS];
        let is_public = matches!(life.fate, Fate::Public);
        let video = self.upload(owner, life.is_film, is_public).await;
        match life.fate {
            Fate::Public => {}
            Fate::Published(later) => {
                sleep(later).await;
                self.publish(owner, video).await;
            }
            Fate::Deleted(later) => {
                sleep(later).await;
                return self.delete(owner, video).await;
            }
        }
        if self.ends(owner, video).await == "processed" {
            let votes = self.fans.iter().map(|fan| self.vote(fan, video));
            stream::iter(votes).buffer_unordered(AT_ONCE).count().await;
        }
    }

    /// Uploads until it is accepted. An upload without an answer may be a video all the same.
    async fn upload(&self, owner: &Player, is_film: bool, is_public: bool) -> VideoId {
        loop {
            let film = if is_film {
                self.film.clone()
            } else {
                mp4(20_000)
            };
            let form = multipart::Form::new()
                .text("title", "Mi mejor jugada")
                .text("is_public", is_public.to_string())
                .part(
                    "video_file",
                    multipart::Part::bytes(film).file_name("jugada.mp4"),
                );
            let request = self.request(Method::POST, "/api/videos/upload", owner);
            match self.ask("upload", request.multipart(form)).await {
                Some((201, body)) => {
                    let video = VideoId::parse(body["task_id"].as_str().unwrap()).unwrap();
                    let upload = Upload {
                        is_film,
                        is_public,
                        is_deleted: false,
                    };
                    self.history.upload(video, upload);
                    return video;
                }
                None | Some((503 | 507, _)) => self.history.unknown_upload(),
                Some(other) => self.history.breach(format!("upload: {other:?}")),
            }
            sleep(PAUSE).await;
        }
    }

    async fn publish(&self, owner: &Player, video: VideoId) {
        let path = format!("/api/videos/{video}/publish");
        loop {
            match self
                .ask("publish", self.request(Method::POST, &path, owner))
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
        let mut may_be_gone = false;
        loop {
            match self
                .ask("delete", self.request(Method::DELETE, &path, owner))
                .await
            {
                Some((200, _)) => break,
                Some((404, _)) if may_be_gone => break,
                None | Some((503, _)) => may_be_gone = true,
                Some(other) => return self.history.breach(format!("{video}: delete {other:?}")),
            }
            sleep(PAUSE).await;
        }
        self.history
            .update(video, |upload| upload.is_deleted = true);
    }

    /// Asks until the video has ended, and returns how.
    async fn ends(&self, owner: &Player, video: VideoId) -> String {
        let path = format!("/api/videos/{video}");
        let started = Instant::now();
        loop {
            match self
                .ask("detail", self.request(Method::GET, &path, owner))
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

    /// Votes until the vote is known to count; one in ten gives up when there is no answer.
    async fn vote(&self, fan: &Player, video: VideoId) {
        let path = format!("/api/public/videos/{video}/vote");
        let mut may_count = false;
        loop {
            match self
                .ask("vote", self.request(Method::POST, &path, fan))
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
        let url = format!("{}{path}", self.town.api());
        self.http.request(method, url).bearer_auth(&player.token)
    }

    /// Sends a request; none if no whole answer came, or one to no request: a server ends a connection
    /// with 408 that was opened, and not used for too long.
    async fn ask(&self, kind: &'static str, request: RequestBuilder) -> Option<(u16, Value)> {
        let answer = async {
            let answer = request.send().await?;
            let status = answer.status().as_u16();
            let body = answer.bytes().await?;
            Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
        };
        let answer: reqwest::Result<(u16, Value)> = answer.await;
        let failure = match &answer {
            Ok((status, body)) if *status >= 500 || *status == 408 => {
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
        answer.ok().filter(|(status, _)| *status != 408)
    }
}
