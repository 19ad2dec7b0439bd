//! What the people of a soak share.

use std::{
    sync::{
        RwLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use rand::{RngExt as _, rngs::StdRng};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::records::Records;

pub struct World {
    /// Address of the balancer.
    pub site: String,
    pub records: Records,
    /// Videos that nobody hides or deletes, so that each can be read and voted for.
    videos: RwLock<Vec<String>>,
    /// Videos that the organisers hide and show again.
    pub hidden: Vec<String>,
    /// The file that players upload.
    pub film: Vec<u8>,
    pub over: CancellationToken,
    fans: AtomicU32,
    newcomers: AtomicU32,
}

impl World {
    pub fn new(site: String, records: Records, mut videos: Vec<String>, film: Vec<u8>) -> Self {
        let hidden = videos.split_off(videos.len() - videos.len() / 20);
        Self {
            site,
            records,
            videos: RwLock::new(videos),
            hidden,
            film,
            over: CancellationToken::new(),
            fans: AtomicU32::new(0),
            newcomers: AtomicU32::new(0),
        }
    }

    pub fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Waits for about `mean`, or until the soak is over.
    pub async fn think(&self, rng: &mut StdRng, mean: Duration) {
        let time = mean.mul_f64(rng.random_range(0.5..1.5));
        tokio::select! {
            () = sleep(time) => {}
            () = self.over.cancelled() => {}
        }
    }

    /// Returns a video that stays public. A third of them are among the first hundred.
    pub fn video(&self, rng: &mut StdRng) -> String {
        let videos = self.videos.read().unwrap();
        let most = if rng.random_ratio(1, 3) {
            videos.len().min(100)
        } else {
            videos.len()
        };
        videos[rng.random_range(0..most)].clone()
    }

    /// Adds a video that its player keeps.
    pub fn published(&self, video: &str) {
        self.videos.write().unwrap().push(video.to_owned());
    }

    /// Returns the e-mail address of a seeded fan who was not here before.
    pub fn next_fan(&self) -> String {
        let number = self.fans.fetch_add(1, Ordering::Relaxed) + 1;
        format!("fan{number}@example.com")
    }

    /// Returns an e-mail address that nobody has.
    pub fn next_newcomer(&self) -> String {
        let number = self.newcomers.fetch_add(1, Ordering::Relaxed) + 1;
        format!("fan-new-{number}@example.com")
    }
}
