//! The watermark, the backdrop, and the bumpers, which are encoded once from embedded pictures at
//! process start.

use std::{fs, path::PathBuf};

use anyhow::{Context, ensure};
use mp4_atom::Avcc;

use super::{outputs::names, plan};
use crate::media::{
    output::inspect::{Expected, Film},
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
    parameter_sets: Avcc,
}

impl Brand {
    /// Frames of each bumper. Both together last 4 s; the contest allows 5.
    pub const FRAMES: u64 = 30 * 2;

    /// Encodes the bumpers of each rendition of this target in `folder`.
    pub async fn prepare(tools: &Tools, folder: &Scratch, target: Target) -> anyhow::Result<Self> {
        const PICTURES: [(&str, &[u8]); 2] = [("opening.png", OPENING), ("closing.png", CLOSING)];
        let [opening, closing] = PICTURES;
        let stills = [place(folder, opening)?, place(folder, closing)?];
        let renditions: Vec<_> = target.renditions().collect();
        let args = plan::bumpers(opening.0, closing.0, Self::FRAMES, &renditions);
        let paths = SandboxPaths {
            read: &stills.each_ref().map(PathBuf::as_path),
            write: Some(folder.path()),
        };
        let usage = &mut ResourceUsage::default();
        let encoded = tools.ffmpeg(&args, folder.path(), paths, usage).await;
        encoded.context("encode the bumpers")?;

        let mut bumpers = Vec::new();
        for rendition in renditions {
            let names = names(rendition);
            let opening = Bumper::read(folder, rendition, names.opening)?;
            let closing = Bumper::read(folder, rendition, names.closing)?;
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
        place(scratch, ("watermark.png", WATERMARK))
    }

    /// Writes the picture behind films that do not fill the frame. Returns its path.
    pub fn write_backdrop(scratch: &Scratch) -> anyhow::Result<PathBuf> {
        place(scratch, ("backdrop.png", BACKDROP))
    }
}

impl Bumpers {
    /// Returns the parameter sets that a body must share; see [`Film::parameter_sets`].
    pub fn parameter_sets(&self) -> &Avcc {
        &self.opening.parameter_sets
    }

    /// Writes the opening bumper into a job's folder. Returns its path.
    pub fn write_opening(&self, scratch: &Scratch) -> anyhow::Result<PathBuf> {
        place(scratch, self.opening.named())
    }

    /// Writes the bumpers into a job's folder, next to its body.
    pub fn write(&self, scratch: &Scratch) -> anyhow::Result<()> {
        for bumper in [&self.opening, &self.closing] {
            place(scratch, bumper.named())?;
        }
        Ok(())
    }
}

impl Bumper {
    fn named(&self) -> (&str, &[u8]) {
        (self.name, &self.film)
    }

    fn read(folder: &Scratch, rendition: Rendition, name: &'static str) -> anyhow::Result<Self> {
        let path = folder.file(name);
        let film = Film::read(&path)?;
        film.check(Expected {
            rendition,
            frames: Brand::FRAMES,
            parameter_sets: film.parameter_sets(),
        })
        .with_context(|| format!("check {name}"))?;
        Ok(Self {
            name,
            parameter_sets: film.parameter_sets().clone(),
            film: fs::read(&path).with_context(|| format!("read {}", path.display()))?,
        })
    }
}

/// Writes a file, by name and content, into a job's folder. Returns its path.
fn place(scratch: &Scratch, (name, bytes): (&str, &[u8])) -> anyhow::Result<PathBuf> {
    let path = scratch.file(name);
    fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
