//! Turns a player's video into the clip: 1280x720, 30 frames per second, silent, branded.
//!
//! The only place that runs `ffmpeg`. A source is hostile until proven otherwise: it is sniffed,
//! probed, judged, then decoded once under limits (`command`, `crate::confine`). What comes out is
//! verified before anybody sees it. `videos` calls [`sniff()`] on upload, `worker` [`Media`].

mod admission;
mod brand;
mod command;
mod encoder;
mod inspect;
mod layout;
mod plan;
mod poster;
mod probe;
mod progress;
mod scratch;
mod sniff;
mod tools;
mod transcode;
mod verdict;

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
    admission::Admission, brand::Brand, command::error::Blame, plan::Target, tools::Tools,
    verdict::Rules,
};
pub use self::{
    command::Costs,
    progress::Progress,
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
    admission: Admission,
}

/// A finished clip in the job's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Clip {
    /// MP4, index first.
    #[serde(skip)]
    pub video: PathBuf,
    /// JPEG of the same size as the clip.
    #[serde(skip)]
    pub poster: PathBuf,
    /// Size of the video.
    pub bytes: u64,
    /// Bumpers included, as in `duration_ms`.
    pub frames: u64,
    pub duration_ms: u64,
}

/// What a job was given, did and spent, as far as it came: enough to do it again.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Versions of this program and of `ffmpeg`.
    pub anb: &'static str,
    pub ffmpeg: String,
    /// Size of the source.
    pub source_bytes: u64,
    /// What `ffprobe` said about the source.
    pub probe: Option<Value>,
    pub probing: Costs,
    /// What `ffmpeg` was told.
    pub arguments: Vec<String>,
    /// Costs of encoding and joining.
    #[serde(flatten)]
    pub making: Costs,
    /// The words of the program that could not go on.
    pub cause: Option<String>,
}

/// Why there is no clip.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The video's fault: trying again cannot help.
    #[error("the video is refused: {}", .0.code())]
    Refused(Refusal),
    /// Ours: trying again may help.
    #[error(transparent)]
    Failed(anyhow::Error),
    /// The machine's: trying again helps once it is well again.
    #[error(transparent)]
    Surroundings(anyhow::Error),
    /// Somebody else killed a program.
    #[error(transparent)]
    Killed(anyhow::Error),
}

/// Finds out whose fault it was, from the causes.
impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        let causes = || error.chain();
        let programs = causes().filter_map(|cause| cause.downcast_ref::<command::Error>());
        match programs.map(command::Error::blame).next() {
            Some(Blame::Killer) => Self::Killed(error),
            Some(Blame::Machine) => Self::Surroundings(error),
            None if causes().any(is_of_the_machine) => Self::Surroundings(error),
            _ => Self::Failed(error),
        }
    }
}

/// Tells whether the operating system refused something: our own files are always there and may be read.
fn is_of_the_machine(cause: &(dyn std::error::Error + 'static)) -> bool {
    let error = cause.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.raw_os_error().is_some())
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
        let tools = Tools::find(launcher, settings.media_sandbox).await?;
        let root = std::path::absolute(settings.scratch_root()).context("resolve SCRATCH_PATH")?;
        scratch::open_root(&root)?;
        let target = Target::from(settings);
        let brand = Brand::prepare(&tools, &Scratch::create(&root)?, target).await?;
        Ok(Self {
            tools,
            rules: Rules::from(settings),
            target,
            admission: Admission::of_this_machine(&root),
            scratch_root: root,
            brand,
        })
    }

    /// Divides the processors among as many jobs; without it each run has one thread.
    #[must_use]
    pub fn shared_by(mut self, jobs: u16) -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        self.target.threads = plan::threads(processors, jobs.into());
        self
    }

    /// Creates a private folder for one job.
    pub fn scratch(&self) -> anyhow::Result<Scratch> {
        Scratch::create(&self.scratch_root)
    }

    /// Returns an error unless a job's files can be made.
    pub async fn scratch_ready(&self) -> anyhow::Result<()> {
        let root = self.scratch_root.clone();
        tokio::task::spawn_blocking(move || scratch::probe(&root)).await?
    }

    /// Returns an error unless programs can be started.
    pub async fn ffmpeg_ready(&self) -> anyhow::Result<()> {
        self.tools.try_start().await
    }

    /// Removes the folders of jobs whose workers were killed.
    pub async fn clear_scratch(&self) -> anyhow::Result<()> {
        let root = self.scratch_root.clone();
        tokio::task::spawn_blocking(move || scratch::clear(&root)).await?
    }

    /// Makes a clip and its poster in `scratch`, telling how far it is, and in the end what became of it.
    ///
    /// Dropping the future kills `ffmpeg`.
    pub async fn make_clip(
        &self,
        source: &Path,
        scratch: &Scratch,
        report: &mut Report,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Clip, Error> {
        let made = transcode::make_clip(self, source, scratch, report, progress).await;
        if let Err(verdict @ (Error::Refused(_) | Error::Failed(_))) = &made
            && let Err(error) = self.check_files(source).await
        {
            let error = error.context(format!("not to be believed: {verdict:#}"));
            return Err(Error::Surroundings(error));
        }
        made
    }

    /// Returns an error unless the source can be read to its end and a job's files can be made: programs that met a
    /// disk that is gone or full say that the film is broken.
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
