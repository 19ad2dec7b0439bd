//! The watermark, the backdrop, and the bumpers, which are encoded once from embedded pictures at
//! process start.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};

use super::{outputs::names, plan};
use crate::media::{
    output::inspect::{self, Expected},
    run::{
        command::{ResourceUsage, SandboxPaths},
        scratch::Scratch,
        tools::Tools,
    },
    target::{Rendition, Target},
};

const WATERMARK: &[u8] = include_bytes!("../../../web/brand/watermark.png");
const BACKDROP: &[u8] = include_bytes!("../../../web/brand/backdrop.png");
const OPENING: &[u8] = include_bytes!("../../../web/brand/bumper-opening.png");
const CLOSING: &[u8] = include_bytes!("../../../web/brand/bumper-closing.png");

/// Bumpers and watermark, kept in memory so that they survive an emptied scratch folder.
#[derive(Debug)]
pub struct Brand {
    bumpers: Vec<Bumpers>,
}

/// The bumpers of one rendition.
#[derive(Debug)]
pub struct Bumpers {
    pub rendition: Rendition,
    opening: Bumper,
    closing: Bumper,
}

#[derive(Debug)]
struct Bumper {
    name: &'static str,
    film: Vec<u8>,
    parameter_sets: String,
}

impl Brand {
    /// Frames of each bumper. Both together last 4 s; the contest allows 5.
    pub const FRAMES: u64 = 30 * 2;

    /// Encodes the bumpers of each rendition of this target in `folder`.
    pub async fn prepare(tools: &Tools, folder: &Scratch, target: Target) -> anyhow::Result<Self> {
        let mut bumpers = Vec::new();
        for rendition in target.renditions() {
            let names = names(rendition);
            let opening = encode(tools, folder, rendition, names.opening, OPENING).await?;
            let closing = encode(tools, folder, rendition, names.closing, CLOSING).await?;
            ensure!(
                opening.parameter_sets == closing.parameter_sets,
                "the bumpers cannot be joined"
            );
            bumpers.push(Bumpers {
                rendition,
                opening,
                closing,
            });
        }
        Ok(Self { bumpers })
    }

    /// Returns the bumpers of each rendition, in the order of [`Target::renditions`].
    pub fn bumpers(&self) -> &[Bumpers] {
        &self.bumpers
    }

    /// Writes the watermark, with its transparency, into a job's folder. Returns its path.
    pub fn write_watermark(scratch: &Scratch) -> anyhow::Result<PathBuf> {
        place(scratch, "watermark.png", WATERMARK)
    }

    /// Writes the picture behind films that do not fill the frame. Returns its path.
    pub fn write_backdrop(scratch: &Scratch) -> anyhow::Result<PathBuf> {
        place(scratch, "backdrop.png", BACKDROP)
    }
}

impl Bumpers {
    /// Returns the parameter sets that a body must share; see `inspect::Film::parameter_sets`.
    pub fn parameter_sets(&self) -> &str {
        &self.opening.parameter_sets
    }

    /// Writes the opening bumper into a job's folder. Returns its path.
    pub fn write_opening(&self, scratch: &Scratch) -> anyhow::Result<PathBuf> {
        place(scratch, self.opening.name, &self.opening.film)
    }

    /// Writes the bumpers into a job's folder, next to its body.
    pub fn write(&self, scratch: &Scratch) -> anyhow::Result<()> {
        for bumper in [&self.opening, &self.closing] {
            place(scratch, bumper.name, &bumper.film)?;
        }
        Ok(())
    }
}

async fn encode(
    tools: &Tools,
    folder: &Scratch,
    rendition: Rendition,
    name: &'static str,
    picture: &[u8],
) -> anyhow::Result<Bumper> {
    const PICTURE: &str = "bumper.png";
    let (still, made) = (folder.file(PICTURE), folder.file(name));
    write(&still, picture)?;
    let args = plan::bumper(PICTURE, Brand::FRAMES, rendition, name);
    let paths = SandboxPaths {
        read: &[&still],
        write: Some(folder.path()),
    };
    let usage = &mut ResourceUsage::default();
    let encoded = tools.ffmpeg(&args, folder.path(), paths, usage).await;
    encoded.with_context(|| format!("encode {name}"))?;
    let film = inspect::packets(tools, &made).await?;
    film.check(Expected {
        rendition,
        frames: Brand::FRAMES,
        parameter_sets: film.parameter_sets(),
    })
    .and_then(|()| film.check_times())
    .with_context(|| format!("check {name}"))?;
    Ok(Bumper {
        name,
        parameter_sets: film.parameter_sets().to_owned(),
        film: fs::read(&made).with_context(|| format!("read {}", made.display()))?,
    })
}

/// Writes a file into a job's folder. Returns its path.
fn place(scratch: &Scratch, name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
    let path = scratch.file(name);
    write(&path, bytes)?;
    Ok(path)
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
}
