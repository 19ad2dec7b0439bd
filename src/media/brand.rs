//! The mark and the bumpers: embedded pictures, made into films once when the process starts.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};

use super::{
    command::{Costs, Reach},
    inspect::{self, Expected},
    plan::{self, Target},
    scratch::Scratch,
    tools::Tools,
};

const WATERMARK: &[u8] = include_bytes!("../../web/brand/watermark.png");
const OPENING: &[u8] = include_bytes!("../../web/brand/bumper-opening.png");
const CLOSING: &[u8] = include_bytes!("../../web/brand/bumper-closing.png");

/// Bumpers and watermark as files, in a private folder that lives as long as this.
#[derive(Debug)]
pub struct Brand {
    folder: Scratch,
    parameter_sets: String,
}

impl Brand {
    /// Frames of the opening bumper, and of the closing one: 4 s together, the contest allows 5.
    pub const FRAMES: u64 = 30 * 2;

    /// Encodes the bumpers for this target.
    pub async fn prepare(tools: &Tools, folder: Scratch, target: Target) -> anyhow::Result<Self> {
        write(&folder.file("watermark.png"), WATERMARK)?;
        let opening = encode(tools, &folder, target, "opening", OPENING).await?;
        let closing = encode(tools, &folder, target, "closing", CLOSING).await?;
        ensure!(opening == closing, "the bumpers cannot be joined");
        Ok(Self {
            folder,
            parameter_sets: opening,
        })
    }

    /// The mark with its transparency.
    pub fn watermark(&self) -> PathBuf {
        self.folder.file("watermark.png")
    }

    /// What a body must have to stand between the bumpers; see `inspect::Film::parameter_sets`.
    pub fn parameter_sets(&self) -> &str {
        &self.parameter_sets
    }

    /// Puts the bumpers into a job's folder, beside its body, without copying where it can.
    pub fn lend(&self, scratch: &Scratch) -> anyhow::Result<()> {
        for name in ["opening.mp4", "closing.mp4"] {
            let (from, to) = (self.folder.file(name), scratch.file(name));
            // Another file system: a source folder given by the caller, for instance.
            if fs::hard_link(&from, &to).is_err() {
                fs::copy(&from, &to).with_context(|| format!("copy {name}"))?;
            }
        }
        Ok(())
    }
}

/// Encodes one bumper, checks it, and returns its parameter sets.
async fn encode(
    tools: &Tools,
    folder: &Scratch,
    target: Target,
    name: &str,
    picture: &[u8],
) -> anyhow::Result<String> {
    let (picture_name, film_name) = (format!("{name}.png"), format!("{name}.mp4"));
    let (still, film) = (folder.file(&picture_name), folder.file(&film_name));
    write(&still, picture)?;
    let args = plan::bumper(&picture_name, Brand::FRAMES, target, &film_name);
    let reach = Reach {
        read: &[&still],
        write: Some(folder.path()),
    };
    let costs = &mut Costs::default();
    let made = tools.ffmpeg(&args, folder.path(), reach, costs).await;
    made.with_context(|| format!("encode the {name} bumper"))?;
    let film = inspect::packets(tools, &film).await?;
    film.check(Expected {
        frame: target.frame,
        frames: Brand::FRAMES,
        parameter_sets: film.parameter_sets(),
    })
    .and_then(|()| film.check_times())
    .with_context(|| format!("check the {name} bumper"))?;
    Ok(film.parameter_sets().to_owned())
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
}
