//! Turns a player's video into the clip: 1280x720, 30 frames per second, silent, branded.
//!
//! The only place that runs `ffmpeg`. A source is hostile until proven otherwise: it is sniffed,
//! probed, judged, then decoded once under limits (`command`, `crate::confine`). What comes out is
//! verified before anybody sees it. `videos` calls [`sniff()`] on upload, `worker` [`Media`].

mod brand;
mod command;
mod inspect;
mod layout;
mod plan;
mod probe;
mod scratch;
mod sniff;
mod tools;
mod transcode;
mod verdict;

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use self::{brand::Brand, plan::Target, tools::Tools, verdict::Rules};
pub use self::{
    scratch::Scratch,
    sniff::{NotAnMp4, SNIFF_BYTES, sniff},
    verdict::Refusal,
};
use crate::config::media::Settings;

/// The media kit: `ffmpeg`, checked, and the encoded bumpers.
#[derive(Debug)]
pub struct Media {
    tools: Tools,
    rules: Rules,
    target: Target,
    scratch_root: PathBuf,
    brand: Brand,
}

/// A finished clip in the job's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clip {
    /// MP4, index first.
    pub video: PathBuf,
    /// JPEG of the same size as the clip.
    pub poster: PathBuf,
    /// Size of the video.
    pub bytes: u64,
    /// Bumpers included, as in `duration_ms`.
    pub frames: u64,
    pub duration_ms: u64,
    /// User and system time of encoding and joining, where the kernel tells.
    pub cpu_ms: Option<u64>,
}

/// Why there is no clip.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The video's fault: trying again cannot help.
    #[error("the video is refused: {}", .0.code())]
    Refused(Refusal),
    /// Ours: trying again may help.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Media {
    /// Finds `ffmpeg`, checks it, clears what killed workers left, and encodes the bumpers.
    ///
    /// `launcher` is the `anb` executable. Call from async code, not from `spawn_blocking`.
    pub async fn prepare(settings: &Settings, launcher: PathBuf) -> anyhow::Result<Self> {
        settings.validate().map_err(|message| anyhow!(message))?;
        let tools = Tools::find(launcher).await?;
        let root = std::path::absolute(settings.scratch_root()).context("resolve SCRATCH_PATH")?;
        scratch::open_root(&root)?;
        let target = Target::from(settings);
        let brand = Brand::prepare(&tools, Scratch::create(&root)?, target.frame).await?;
        Ok(Self {
            tools,
            rules: Rules::from(settings),
            target,
            scratch_root: root,
            brand,
        })
    }

    /// Creates a private folder for one job.
    pub fn scratch(&self) -> anyhow::Result<Scratch> {
        Scratch::create(&self.scratch_root)
    }

    /// Removes the folders of jobs whose workers were killed.
    pub async fn clear_scratch(&self) -> anyhow::Result<()> {
        let root = self.scratch_root.clone();
        tokio::task::spawn_blocking(move || scratch::clear(&root)).await?
    }

    /// Makes a clip and its poster in `scratch`, telling the percentage done up to 98.
    ///
    /// Dropping the future kills `ffmpeg`.
    pub async fn make_clip(
        &self,
        source: &Path,
        scratch: &Scratch,
        progress: impl Fn(u8) + Send + Sync,
    ) -> Result<Clip, Error> {
        transcode::make_clip(self, source, scratch, progress).await
    }
}
