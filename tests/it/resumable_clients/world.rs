//! An `anb serve` process that can be killed, and a film to upload to it.

use std::{
    fs,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anb::{ids::VideoId, storage::StorageKey};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::sleep;

use super::{
    FILM,
    client::{Client, Outcome},
};
use crate::{
    processes::process::{Process, Role, SystemUnderTest},
    support::{Player, TestApp, film, free_port, link::Link},
};

/// Settings of the API: no limit is reached.
const UNLIMITED: [(&str, &str); 3] = [
    ("WRITE_RATE", "off"),
    ("MAX_RESUMABLE_UPLOADS", "100"),
    ("MAX_WAITING_VIDEOS", "100"),
];

pub struct World {
    pub app: TestApp,
    pub serve: Process,
    pub system: SystemUnderTest,
    pub player: Player,
    port: u16,
    film: Vec<u8>,
    folder: TempDir,
    /// Number of films so far, each with its own name: others would be the same upload.
    films: AtomicU32,
}

impl World {
    pub async fn open(app: TestApp) -> Self {
        Self::with_film(app, FILM).await
    }

    /// Starts the API for films of `bytes`.
    pub async fn with_film(app: TestApp, bytes: usize) -> Self {
        let system = SystemUnderTest::of(&app);
        let port = free_port();
        let mut serve = system.start_at(port, Role::Serve, &UNLIMITED);
        serve.until_ready().await;
        let folder = tempfile::tempdir().unwrap();
        let film = film_of(bytes).await;
        fs::write(folder.path().join("jugada.mp4"), &film).unwrap();
        Self {
            player: app.insert_user("Ana", "Cali").await,
            app,
            serve,
            system,
            port,
            film,
            folder,
            films: AtomicU32::new(0),
        }
    }

    /// Uploads the film to the API at `url`, as another one than before.
    pub async fn upload(&self, client: Client, chunk: Option<u64>, url: &str) -> Option<Outcome> {
        let file = self.folder.path().join("jugada.mp4");
        let number = self.films.fetch_add(1, Ordering::SeqCst);
        let name = format!("jugada{number}.mp4");
        let uploaded = client.upload(&file, &name, url, &self.player.token, chunk);
        let limit = Duration::from_mins(5);
        tokio::time::timeout(limit, uploaded).await.unwrap()
    }

    /// Uploads the film, while the API is killed and restarted after the client has sent each of
    /// the numbers of bytes in `distances`. Returns how many bytes each kill lost as well.
    pub async fn upload_with_kills(
        &mut self,
        client: Client,
        chunk: Option<u64>,
        link: &Link,
        distances: &[u64],
    ) -> Option<(Outcome, Vec<u64>)> {
        let file = self.folder.path().join("jugada.mp4");
        let number = self.films.fetch_add(1, Ordering::SeqCst);
        let (name, token) = (format!("jugada{number}.mp4"), self.player.token.clone());
        let url = link.url();
        let uploaded = client.upload(&file, &name, &url, &token, chunk);
        tokio::pin!(uploaded);
        let mut kills = Vec::new();
        // Sent and durable bytes at the last kill.
        let mut last = (0, 0);
        for distance in distances {
            let due = async {
                while link.sent() < last.0 + distance {
                    sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::select! {
                outcome = &mut uploaded => return Some((outcome?, kills)),
                () = due => {}
            }
            self.restart().await;
            let durable = "SELECT coalesce(max(received), 0) FROM uploads";
            let durable = u64::try_from(self.app.number(durable).await).unwrap();
            let now = (link.sent(), durable);
            kills.push((now.0 - last.0).saturating_sub(now.1.saturating_sub(last.1)));
            last = now;
        }
        let limit = Duration::from_mins(5);
        let outcome = tokio::time::timeout(limit, uploaded).await.unwrap();
        Some((outcome?, kills))
    }

    /// Kills the API and starts it again.
    async fn restart(&mut self) {
        self.serve.signal(Signal::KILL);
        assert_eq!(self.serve.ended(Duration::from_mins(1)).await, None);
        self.serve = self.system.start_at(self.port, Role::Serve, &UNLIMITED);
    }

    /// Returns how many bytes were sent beyond those of the film.
    pub fn sent_again(&self, link: &Link) -> u64 {
        link.sent() - u64::try_from(self.film.len()).unwrap()
    }

    /// Checks that the stored original equals the film.
    pub async fn assert_stored(&self, outcome: &Outcome) {
        let video = VideoId::parse(outcome.id()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let original = folder.path().join("original.mp4");
        let key = StorageKey::Original(video);
        self.app.storage.fetch(key, &original).await.unwrap();
        let original = fs::read(original).unwrap();
        assert_eq!(digest(&original), digest(&self.film));
    }

    /// Checks that there are `count` videos with a status, and no traces of other uploads.
    pub async fn assert_videos(&self, count: i64, status: &str) {
        let videos = "SELECT count(*) FROM videos";
        assert_eq!(self.app.number(videos).await, count);
        let videos = format!("{videos} WHERE status = '{status}'");
        assert_eq!(self.app.number(&videos).await, count);
        assert_eq!(self.app.number("SELECT count(*) FROM uploads").await, 0);
        let mut files = self.app.files();
        files.retain(|name| !name.starts_with("processed/"));
        let is_original = |name: &String| !name.contains(".part") && !name.contains(".tail");
        assert!(files.iter().all(is_original), "{files:?}");
        assert_eq!(i64::try_from(files.len()), Ok(count), "{files:?}");
        if let Some(bucket) = &self.app.bucket {
            assert_eq!(bucket.uploads(), [""; 0]);
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    hex::encode(digest)
}

/// Returns a valid film of `bytes`. A box without meaning (ISO/IEC 14496-12, `free`) with random
/// content follows its other boxes.
async fn film_of(bytes: usize) -> Vec<u8> {
    let mut film = film().await;
    let size = u32::try_from(bytes - film.len()).unwrap();
    film.extend(size.to_be_bytes());
    film.extend(b"free");
    let start = film.len();
    film.resize(bytes, 0);
    rand::fill(&mut film[start..]);
    film
}
