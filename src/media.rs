//! Turns a player's video into the clip: 1280x720, 30 frames per second, silent, branded. A light
//! rendition of 640x360 has the same frames.
//!
//! Only this module runs `ffmpeg`. A source is hostile until proven otherwise, so it is decoded
//! once, under limits, after cheaper checks. `videos` calls [`sniff()`] on upload, `worker` uses
//! [`Media`], whose `transcode` takes each source through these steps:
//!
//! 1. `input::sniff` recognises the file by its first bytes.
//! 2. `examine` has `ffprobe` read the headers for `input::probe`, and corrects doubtful ones.
//! 3. `input::rules` accepts or rejects what they declare.
//! 4. `run::admission` waits until the job fits into memory.
//! 5. `encode::plan` builds the arguments of one run for all `encode::outputs`: the bodies of the
//!    renditions and the stills.
//! 6. `run::tools` runs it: `run::command` confines it (`crate::confine`), in the job's
//!    `run::scratch` folder, and `run::progress` reads its reports.
//! 7. `encode::brand` has the bumpers, which are joined to the bodies without re-encoding.
//! 8. `output::inspect` verifies the renditions before they are published.
//! 9. `output::poster` chooses a still, of which `encode::pictures` makes poster and thumb.
//!
//! If the run fails, `fault` decides between the source and us.
//!
//! The steps share `args`, `layout`, `stills` and `target`.

mod args;
mod encode;
mod examine;
mod fault;
mod input;
mod layout;
mod output;
mod run;
mod stills;
mod target;
mod transcode;

use std::{
    io,
    num::NonZero,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, anyhow};
use serde::Serialize;
use serde_json::Value;

use self::{
    encode::brand::Brand,
    run::{
        admission::Admission,
        command::{self, error::Cause},
        scratch,
        tools::Tools,
    },
    target::Target,
    transcode::Transcoder,
};
pub use self::{
    input::{
        rejection::Rejection,
        sniff::{NotAnMp4, SNIFF_BYTES, Sniffer, sniff},
    },
    run::{command::ResourceUsage, progress::Progress, scratch::Scratch},
};
use crate::config::media::{RuleSettings, Settings};

/// The media service: a checked `ffmpeg` and the encoded bumpers.
#[derive(Debug)]
pub struct Media {
    transcoder: Transcoder,
    rules: RuleSettings,
    scratch_root: PathBuf,
}

/// A finished clip in the job's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Clip {
    /// MP4 with its index first.
    #[serde(skip)]
    pub video: PathBuf,
    /// The same frames in fewer bytes, unless `LIGHT_RENDITION` is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub light: Option<LightClip>,
    /// JPEG of the same size as the clip.
    #[serde(skip)]
    pub poster: PathBuf,
    /// The same picture as a small JPEG of at most 16 KB.
    #[serde(skip)]
    pub thumb: PathBuf,
    /// Average colour of both pictures, six hexadecimal digits.
    pub colour: String,
    /// Size of the video.
    pub bytes: u64,
    /// Including the bumpers, as in `duration_ms`.
    pub frames: u64,
    pub duration_ms: u64,
}

/// The light rendition of a clip: half as wide and as high, at most 500 kbit/s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LightClip {
    /// MP4 with its index first.
    #[serde(skip)]
    pub video: PathBuf,
    /// Size of the video.
    pub bytes: u64,
}

/// Inputs, arguments and resource usage of a job as far as it got; enough to reproduce it.
#[derive(Debug, Default, Serialize)]
pub struct JobReport {
    /// Versions of this program and of `ffmpeg`.
    pub anb: &'static str,
    pub ffmpeg: String,
    /// Size of the source.
    pub source_bytes: u64,
    /// `ffprobe`'s report on the source.
    pub probe: Option<Value>,
    pub probing: ResourceUsage,
    /// Arguments of the encoding run.
    pub arguments: Vec<String>,
    /// Resource usage of encoding and joining.
    #[serde(flatten)]
    pub making: ResourceUsage,
    /// Error message of the program that failed.
    pub cause: Option<String>,
}

/// Why there is no clip.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The video itself is at fault; a retry cannot help.
    #[error("the video is rejected: {}", .0.code())]
    Rejected(Rejection),
    /// The attempt failed; a retry may help.
    #[error(transparent)]
    Failed(anyhow::Error),
    /// Environment failure; a retry helps once the machine is healthy again.
    #[error(transparent)]
    Environment(anyhow::Error),
    /// Another process or the kernel killed a program.
    #[error(transparent)]
    Killed(anyhow::Error),
}

/// Classifies an error by its causes.
impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        let causes = || error.chain();
        let programs = causes().filter_map(|cause| cause.downcast_ref::<command::Error>());
        match programs.map(command::Error::blame).next() {
            Some(Cause::External) => Self::Killed(error),
            Some(Cause::Machine) => Self::Environment(error),
            None if causes().any(is_os_error) => Self::Environment(error),
            _ => Self::Failed(error),
        }
    }
}

/// Returns whether the operating system reported the error. Our own files always exist and are
/// readable, so such an error is an environment failure.
fn is_os_error(cause: &(dyn std::error::Error + 'static)) -> bool {
    let error = cause.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.raw_os_error().is_some())
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl Media {
    /// Finds and checks `ffmpeg`, removes orphaned scratch folders and encodes the bumpers.
    ///
    /// `launcher` is the `anb` executable. Call from async code, not from `spawn_blocking`.
    pub async fn prepare(settings: &Settings, launcher: PathBuf) -> anyhow::Result<Self> {
        settings.validate().map_err(|message| anyhow!(message))?;
        let tools = Tools::find(launcher, settings.media_sandbox).await?;
        let root = std::path::absolute(settings.scratch_root()).context("resolve SCRATCH_PATH")?;
        scratch::open_root(&root)?;
        let target = Target::from(settings);
        let brand = Brand::prepare(&tools, &Scratch::create(&root)?, target).await?;
        let transcoder = Transcoder {
            tools,
            target,
            brand,
            admission: Admission::of_this_machine(&root),
        };
        Ok(Self {
            transcoder,
            rules: settings.rules,
            scratch_root: root,
        })
    }

    /// Divides the processors among `jobs` concurrent jobs. By default each run has one thread.
    #[must_use]
    pub fn shared_by(mut self, jobs: u16) -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        self.transcoder.target.threads = target::threads(processors, jobs.into());
        self
    }

    /// Returns the rules of the settings, for videos that no contest has other rules for.
    pub fn rules(&self) -> RuleSettings {
        self.rules
    }

    /// Creates a private folder for one job.
    pub fn scratch(&self) -> anyhow::Result<Scratch> {
        Scratch::create(&self.scratch_root)
    }

    /// Returns an error unless a job's files can be written.
    pub async fn scratch_ready(&self) -> anyhow::Result<()> {
        let root = self.scratch_root.clone();
        tokio::task::spawn_blocking(move || scratch::probe(&root)).await?
    }

    /// Returns an error unless programs can be started.
    pub async fn ffmpeg_ready(&self) -> anyhow::Result<()> {
        self.transcoder.tools.try_start().await
    }

    /// Removes the orphaned folders of killed workers.
    pub async fn clear_scratch(&self) -> anyhow::Result<()> {
        let root = self.scratch_root.clone();
        tokio::task::spawn_blocking(move || scratch::clear(&root)).await?
    }

    /// Makes a clip, its light rendition and its pictures in `scratch`, if the source obeys `rules`.
    /// Fills in `report` and reports progress.
    ///
    /// Dropping the future kills `ffmpeg`.
    pub async fn make_clip(
        &self,
        source: &Path,
        rules: RuleSettings,
        scratch: &Scratch,
        report: &mut JobReport,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Clip, Error> {
        let transcoder = &self.transcoder;
        let made = transcoder
            .make_clip(source, rules.into(), scratch, report, progress)
            .await;
        if let Err(failure @ (Error::Rejected(_) | Error::Failed(_))) = &made
            && let Err(error) = self.check_files(source).await
        {
            let error = error.context(format!("unreliable result: {failure:#}"));
            return Err(Error::Environment(error));
        }
        made
    }

    /// Returns an error unless the source can be read to its end and a job's files can be written.
    /// When a disk is missing or full, programs report that the video is broken.
    async fn check_files(&self, source: &Path) -> anyhow::Result<()> {
        let place = || format!("read {}", source.display());
        let mut file = tokio::fs::File::open(source).await.with_context(place)?;
        let mut nowhere = tokio::io::sink();
        tokio::io::copy(&mut file, &mut nowhere)
            .await
            .with_context(place)?;
        self.scratch_ready().await
    }
}
