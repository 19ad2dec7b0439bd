//! The apps that the cases share, one per setting, each with an owner of videos and a fan.

mod callers;
mod contests;

use std::sync::atomic::{AtomicU32, Ordering};

use anb::{
    auth::{Role, Tokens},
    ids::{UserId, VideoId},
};
use reqwest::{Method, redirect::Policy};
use serde_json::json;
use tempfile::TempDir;

pub use self::callers::Caller;
use super::{
    case::{Upload, Video, Who},
    resumable::{LENGTH, METADATA},
    table::grant_form,
};
use crate::support::{Mount, PASSWORD, Player, Response, Seed, TestApp, aws};

/// The state of the app in which a case runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setting {
    Usual,
    /// One public video, which the fan has voted for. No case changes anything.
    Still,
    /// The rate limits of both players, and of logins as Ana or Eva, are exhausted.
    Limited,
    /// The rate limit of the client's address is exhausted.
    Crowded,
    /// The owner has the maximum number of waiting videos, and the fan of running uploads.
    Waiting,
    /// Uploads are limited to one second and 6000 bytes.
    Strict,
    /// The database is unavailable.
    NoDatabase,
    /// The account tables are missing, which the program does not expect.
    NoAccounts,
    /// The video tables are missing.
    NoVideos,
    /// A current contest that takes videos and votes.
    Contest,
    /// A current contest that takes neither videos nor votes yet.
    Upcoming,
    /// A current contest in which the fan has no vote left, and the owner may enter no more videos.
    Spent,
    /// The disk for uploads is full.
    Full,
    /// The files are in a bucket.
    Bucket,
}

pub struct World {
    pub app: TestApp,
    setting: Setting,
    tokens: Tokens,
    owner: UserId,
    fan: UserId,
    /// A player who sends nothing.
    third: UserId,
    organiser: UserId,
    count: AtomicU32,
    /// Unmounted before its folder is removed.
    disk: Option<(Mount, TempDir)>,
}

impl World {
    /// Creates the world of a setting. Returns `None` if this user may not mount file systems.
    pub async fn make(setting: Setting) -> Option<Self> {
        let (mut disk, mut bucket) = (None, None);
        let folder;
        let endpoint;
        let flags: &[&str] = match setting {
            Setting::Usual => &[
                "--min-input-duration",
                "20",
                "--max-input-duration",
                "60",
                "--min-input-height",
                "1080",
            ],
            Setting::Still
            | Setting::NoAccounts
            | Setting::NoVideos
            | Setting::Contest
            | Setting::Upcoming
            | Setting::Spent => &[],
            Setting::Limited => &[
                "--write-rate",
                "1/h",
                "--login-rate",
                "1/h",
                "--signup-rate",
                "1/h",
            ],
            Setting::Crowded => &["--address-rate", "1/h"],
            Setting::Waiting => &["--max-open-uploads", "1", "--max-waiting-videos", "1"],
            Setting::Strict => &["--upload-timeout", "1s", "--max-file-size", "6000"],
            Setting::NoDatabase => &["--database-url", "postgres://anb:hush@127.0.0.1:1/anb"],
            Setting::Full => {
                let place = TempDir::new().unwrap();
                let mount = Mount::tmpfs(place.path(), "nr_inodes=8")?;
                folder = place.path().display().to_string();
                disk = Some((mount, place));
                &["--upload-path", &folder]
            }
            Setting::Bucket => {
                endpoint = bucket.insert(aws::Bucket::fresh().await).url.clone();
                let name = aws::BUCKET;
                &[
                    "--storage-type",
                    "s3",
                    "--s3-bucket-name",
                    name,
                    "--s3-endpoint-url",
                    &endpoint,
                ]
            }
        };
        let mut app = TestApp::spawn_with(flags, &[]).await;
        app.bucket = bucket;
        // The cases compare redirects themselves.
        let client = reqwest::Client::builder().redirect(Policy::none());
        app.client = client.build().unwrap();
        let mut players = [UserId(1), UserId(2), UserId(3), UserId(4)];
        if setting != Setting::NoDatabase {
            for (player, name) in players.iter_mut().zip(["Ana", "Luis", "Mia", "Nora"]) {
                let inserted = app.insert_user(name, "Cali").await;
                *player = app.user_id(&inserted).await;
            }
            app.grant("nora@example.com", Role::Organiser).await;
        }
        let [owner, fan, third, organiser] = players;
        let world = Self {
            tokens: Tokens::new(&app.serve.auth, app.db.clone(), &app.shutdown),
            app,
            setting,
            owner,
            fan,
            third,
            organiser,
            count: AtomicU32::new(0),
            disk,
        };
        world.prepare().await;
        Some(world)
    }

    async fn prepare(&self) {
        let app = &self.app;
        match self.setting {
            Setting::Usual => {
                app.sign_up("Eva", "Cali").await;
                // Contests that are created here do not become the current one.
                app.execute(
                    "CREATE FUNCTION stay_apart() RETURNS trigger LANGUAGE plpgsql AS $$
                     BEGIN NEW.is_current := false; RETURN NEW; END $$",
                )
                .await;
                app.execute(
                    "CREATE TRIGGER apart BEFORE INSERT ON contests
                     FOR EACH ROW EXECUTE FUNCTION stay_apart()",
                )
                .await;
            }
            Setting::Contest => self.begin_contest("2020-01-01", "").await,
            Setting::Upcoming => self.begin_contest("2998-01-01", "").await,
            Setting::Spent => {
                let limits = ", votes_in_all = 1, min_account_age_seconds = 3600,
                    entries_per_player = 1";
                self.begin_contest("2020-01-01", limits).await;
                app.execute("UPDATE users SET created_at = '2026-01-01'")
                    .await;
                let id = self.video(Video::Voted(Seed::PUBLIC)).await;
                let enter = "UPDATE videos SET contest_id = (SELECT id FROM contests)";
                app.execute(&format!("{enter} WHERE id = '{id}'")).await;
                let always = "ALTER TABLE videos ALTER COLUMN contest_id SET DEFAULT";
                let contest = app.number("SELECT id FROM contests").await;
                app.execute(&format!("{always} {contest}")).await;
            }
            Setting::Still => {
                let id = self.video(Video::Voted(Seed::PUBLIC)).await;
                app.execute(&format!("UPDATE videos SET votes = 1 WHERE id = '{id}'"))
                    .await;
                // An entry with all members, besides that of a command.
                let grant = app
                    .request(Method::PUT, "/api/admin/roles")
                    .bearer_auth(self.tokens.issue(self.organiser).unwrap())
                    .json(&grant_form());
                Response::of(grant).await.ok();
                self.video(Video::Reported(Seed::PRIVATE)).await;
                self.video(Video::Answered).await;
            }
            Setting::Limited => self.exhaust_limits().await,
            Setting::Crowded => {
                app.get("/api/public/videos").await.ok();
            }
            Setting::Waiting => {
                let (UserId(owner), UserId(fan)) = (self.owner, self.fan);
                app.execute(&format!(
                    "INSERT INTO videos (id, user_id, title, is_public, original_bytes)
                     VALUES (gen_random_uuid(), {owner}, 'Mi mejor jugada', false, 1)"
                ))
                .await;
                app.execute(&format!(
                    "INSERT INTO uploads (video_id, user_id) VALUES (gen_random_uuid(), {fan})"
                ))
                .await;
            }
            Setting::NoAccounts => {
                app.execute("ALTER TABLE users RENAME TO gone").await;
            }
            Setting::NoVideos => {
                for table in ["videos", "uploads", "votes", "city_aliases", "contests"] {
                    app.execute(&format!("ALTER TABLE {table} RENAME TO {table}_gone"))
                        .await;
                }
            }
            Setting::Full => {
                let (_, disk) = self.disk.as_ref().unwrap();
                let mut names = (0..).map(|number: u32| disk.path().join(number.to_string()));
                while std::fs::write(names.next().unwrap(), "").is_ok() {}
            }
            Setting::Strict | Setting::NoDatabase | Setting::Bucket => {}
        }
    }

    async fn exhaust_limits(&self) {
        let app = &self.app;
        let id = self.video(Video::Fresh(Seed::PUBLIC)).await;
        let rename = app
            .request(Method::PATCH, &format!("/api/videos/{id}"))
            .bearer_auth(self.tokens.issue(self.owner).unwrap())
            .json(&json!({"title": "Otro título"}));
        Response::of(rename).await.ok();
        let vote = app
            .request(Method::POST, &format!("/api/public/videos/{id}/vote"))
            .bearer_auth(self.tokens.issue(self.fan).unwrap());
        Response::of(vote).await.ok();
        let wrong = json!({"email": "eva@example.com", "password": "x"});
        let login = app.request(Method::POST, "/api/auth/login").json(&wrong);
        assert_eq!(Response::of(login).await.status, 401);
        let wrong = json!({"current": "otra", "password1": PASSWORD, "password2": PASSWORD});
        let change = app
            .request(Method::POST, "/api/auth/password")
            .bearer_auth(self.tokens.issue(self.owner).unwrap())
            .json(&wrong);
        assert_eq!(Response::of(change).await.status, 401);
        app.sign_up("Once", "Cali").await;
    }

    /// Returns a unique number.
    pub fn next(&self) -> u32 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns the id of a new upload that can be resumed.
    pub async fn upload(&self, upload: Upload, who: Who, caller: &Caller) -> String {
        if !self.has_tables() {
            return VideoId::generate().to_string();
        }
        let user = if who == Who::Uploader {
            caller.user
        } else {
            self.third
        };
        self.add_upload(user, upload).await
    }

    /// Lets a player report the maximum number of videos.
    async fn add_reports(&self, UserId(user): UserId) {
        for _ in 0..20 {
            let id = self.video(Video::Fresh(Seed::PUBLIC)).await;
            self.add_report(user, &id).await;
        }
    }

    async fn add_report(&self, user: i64, id: &str) {
        let report = format!(
            "INSERT INTO reports (video_id, user_id, reason, text)
             VALUES ('{id}', {user}, 'violence', 'Al final hay una pelea.')"
        );
        self.app.execute(&report).await;
    }

    async fn add_upload(&self, UserId(user): UserId, upload: Upload) -> String {
        let id = VideoId::generate().to_string();
        let (length, received, hours) = match upload {
            Upload::Open(length) => (length, 0, 1),
            Upload::Expired => (LENGTH, 0, -1),
            Upload::Lost => (LENGTH, 100, 1),
        };
        let insert = format!(
            "INSERT INTO uploads (video_id, user_id, length, received, title, metadata, expires_at)
             VALUES ('{id}', {user}, {length}, {received}, 'Mi mejor jugada', '{METADATA}',
                 now() + {hours} * interval '1 hour')"
        );
        self.app.execute(&insert).await;
        id
    }

    pub async fn video(&self, video: Video) -> String {
        let seed = match video {
            Video::Fresh(seed) | Video::Voted(seed) | Video::Reported(seed) => seed,
            Video::Answered => Seed::HIDDEN,
            Video::Unknown => return VideoId::generate().to_string(),
            Video::Malformed => return "7".to_owned(),
            Video::Upload(_) | Video::Contest(_) => unreachable!("see Self::upload and contest"),
        };
        if !self.has_tables() {
            return VideoId::generate().to_string();
        }
        let owner = Player {
            email: "ana@example.com".to_owned(),
            token: String::new(),
        };
        let id = self.app.add(&owner, seed).await;
        if !matches!(self.setting, Setting::Full | Setting::Bucket) {
            self.app.add_files(&id);
        }
        if seed.status == "processing" {
            self.app
                .execute(&format!(
                    "UPDATE videos SET progress = 40, ready_at = now() + interval '1 minute'
                     WHERE id = '{id}'"
                ))
                .await;
        }
        let UserId(fan) = self.fan;
        match video {
            Video::Voted(_) => {
                let vote = format!("INSERT INTO votes (user_id, video_id) VALUES ({fan}, '{id}')");
                self.app.execute(&vote).await;
            }
            Video::Reported(_) => self.add_report(fan, &id).await,
            Video::Answered => {
                let answer = format!(
                    "INSERT INTO answers (moderation_id, video_id, text)
                     SELECT id, video_id, 'No es mi número.' FROM moderations WHERE video_id = '{id}'"
                );
                self.app.execute(&answer).await;
            }
            Video::Fresh(_)
            | Video::Unknown
            | Video::Malformed
            | Video::Upload(_)
            | Video::Contest(_) => {}
        }
        id
    }

    fn has_tables(&self) -> bool {
        !matches!(
            self.setting,
            Setting::NoDatabase | Setting::NoAccounts | Setting::NoVideos
        )
    }
}
