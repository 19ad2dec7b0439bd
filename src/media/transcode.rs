//! Makes a clip: probe, check, encode, join with the bumpers, verify, choose its pictures.
//!
//! A damaged source is shown as far as it decodes, because phones do leave small faults. It counts
//! as corrupt if less than half of the expected frames decode, which `fault` verifies.

use std::{borrow::Cow, ffi::OsString, fs, path::Path};

use anyhow::Context;

use super::{
    Clip, Error, JobReport, LightClip,
    encode::{
        brand::{Brand, Bumpers},
        outputs::{Names, names},
        pictures::{POSTERS, PictureQuality, STILL, THUMBS, pictures},
        plan::{self, Files},
    },
    fault::{Fault, Judge},
    input::{damage::Damage, probe::Video, rules::Rules},
    layout::fit,
    output::{
        inspect::{Expected, Film},
        poster::{self, MAX_POSTER_BYTES, MAX_THUMB_BYTES, Sheet, Still},
    },
    run::{
        admission::{self, Admission},
        command::{ResourceUsage, SandboxPaths},
        progress::{Meter, Progress},
        scratch::{Scratch, file_size},
        tools::Tools,
    },
    stills::{self, Stills},
    target::{RATE, Target},
};
use crate::version::VERSION;

/// Everything that the steps of a job need.
#[derive(Debug)]
pub struct Transcoder {
    pub tools: Tools,
    pub target: Target,
    pub brand: Brand,
    pub admission: Admission,
}

impl Transcoder {
    /// Makes a clip of `source` in the job's folder and fills in `report`.
    pub async fn make_clip(
        &self,
        source: &Path,
        rules: Rules,
        scratch: &Scratch,
        report: &mut JobReport,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Clip, Error> {
        report.anb = &VERSION;
        self.tools.version().clone_into(&mut report.ffmpeg);
        report.source_bytes = file_size(source)?;
        let video = &self.examine(source, rules, scratch, report).await?;

        let files = Files {
            source: source.to_owned(),
            watermark: Brand::write_watermark(scratch)?,
            backdrop: Brand::write_backdrop(scratch)?,
        };
        // Held until the job ends. Joining needs little, but other jobs were admitted to the rest.
        let _permit = self
            .admission
            .enter(admission::need(video, self.target))
            .await?;
        let plan = plan::plan(video, self.target, &files);
        report.arguments = shown(&plan.args);
        let mut meter = Meter::start(plan.frames);
        let usage = &mut report.making;
        let inputs = [files.source.as_path(), &files.watermark, &files.backdrop];
        let on_stdout = |bytes: &[u8]| {
            if let Some(made) = meter.read(bytes) {
                progress(made);
            }
        };
        let encoded =
            self.tools
                .encode(&plan.args, self.target, scratch, &inputs, usage, on_stdout);
        let encoded = encoded.await;
        let body_frames = meter.frames();
        let complaints = match encoded {
            Ok(complaints) if body_frames * 2 >= plan.frames => complaints,
            outcome => {
                let fault = Fault {
                    frames: body_frames,
                    expected: plan.frames,
                    error: outcome.err(),
                };
                return Err(self
                    .judge(scratch)
                    .encode_failure(fault, source, video, report)
                    .await);
            }
        };
        // Rounding may drop the last frames of a variable frame rate.
        if body_frames + u64::from(RATE) / 2 < plan.frames {
            tracing::warn!(
                frames = body_frames,
                expected = plan.frames,
                ffmpeg = complaints,
                "the source decodes only partly"
            );
        }

        self.join(scratch, body_frames, &mut report.making).await?;
        progress(Progress::MADE);
        let damage = if complaints.trim().is_empty() {
            Damage::default()
        } else {
            self.find_damage(source, video, &mut report.probing).await
        };
        let still = self.choose_still(scratch, video, plan.frames, &damage)?;
        self.draw(scratch, &still, &mut report.making).await?;
        Ok(self.gather(scratch, body_frames, &still)?)
    }

    /// Returns the judge of this job's failures.
    pub fn judge<'a>(&'a self, scratch: &'a Scratch) -> Judge<'a> {
        Judge {
            tools: &self.tools,
            brand: &self.brand,
            target: self.target,
            scratch,
        }
    }

    /// Joins the body of each rendition, of `frames` frames, with its bumpers and verifies the
    /// results. Any difference fails the attempt.
    async fn join(
        &self,
        scratch: &Scratch,
        frames: u64,
        usage: &mut ResourceUsage,
    ) -> anyhow::Result<()> {
        let mut renditions = Vec::new();
        for bumpers in self.brand.bumpers() {
            let names = names(bumpers.rendition);
            Film::read(&scratch.file(names.body))?
                .check(expected(bumpers, frames))
                .with_context(|| format!("check {}", names.body))?;
            bumpers.write(scratch)?;
            fs::write(scratch.file(names.join_list), concat_list(names, frames))
                .context("write the concat list")?;
            renditions.push(bumpers.rendition);
        }
        let paths = SandboxPaths {
            read: &[scratch.path()],
            write: Some(&scratch.outputs()),
        };
        let args = plan::join(&renditions);
        let joined = self.tools.ffmpeg(&args, scratch.path(), paths, usage);
        let joined = joined.await;
        joined.context("join the bumpers")?;

        for bumpers in self.brand.bumpers() {
            let clip = names(bumpers.rendition).clip;
            Film::read(&scratch.file(clip))?
                .check(expected(bumpers, frames + 2 * Brand::FRAMES))
                .with_context(|| format!("check {clip}"))?;
        }
        Ok(())
    }

    /// Returns when a film shows damage. A film that takes too long to decode again shows none.
    async fn find_damage(&self, source: &Path, video: &Video, usage: &mut ResourceUsage) -> Damage {
        let args = Damage::args(source, video.index, self.target.max_seconds);
        match self.tools.ffprobe(source, &args, usage).await {
            Ok((csv, _)) => Damage::parse(&csv),
            Err(error) => {
                tracing::debug!("failed to look for damage: {error}");
                Damage::default()
            }
        }
    }

    /// Returns the still that becomes the poster. `planned` is the number of frames by which the stills
    /// were selected.
    fn choose_still(
        &self,
        scratch: &Scratch,
        video: &Video,
        planned: u64,
        damage: &Damage,
    ) -> anyhow::Result<Still> {
        let frame = self.target.frame;
        let stills = Stills::of(planned);
        let sheet = Sheet {
            file: &scratch.file(stills::FILE),
            stills,
            frame,
            picture: fit(video.upright_shape(), frame),
        };
        poster::choose(&sheet, |number| {
            let frames = u32::try_from(stills.frame(number)).unwrap_or(u32::MAX);
            damage.is_at(video.start.as_secs_f64() + f64::from(frames) / f64::from(RATE))
        })
    }

    /// Makes poster and thumb of a still in all their qualities.
    async fn draw(
        &self,
        scratch: &Scratch,
        Still(frame): &Still,
        usage: &mut ResourceUsage,
    ) -> anyhow::Result<()> {
        fs::write(scratch.file(STILL), frame).context("write the still")?;
        let paths = SandboxPaths {
            read: &[&scratch.file(STILL)],
            write: Some(&scratch.outputs()),
        };
        let args = pictures(self.target);
        let drawn = self.tools.ffmpeg(&args, scratch.path(), paths, usage).await;
        drawn.context("make the poster")
    }

    /// Measures the finished renditions, whose bodies have `frames` frames, and chooses the pictures of
    /// the still.
    fn gather(&self, scratch: &Scratch, frames: u64, still: &Still) -> anyhow::Result<Clip> {
        let video = scratch.file(names(self.target.full()).clip);
        let light = self.target.light().map(|light| {
            let video = scratch.file(names(light).clip);
            let bytes = file_size(&video)?;
            anyhow::Ok(LightClip { video, bytes })
        });
        let choose = |qualities: &[PictureQuality], max_bytes| {
            let files = qualities.iter().map(|quality| scratch.file(quality.file));
            poster::finest(files, max_bytes)
        };
        let frames = frames + 2 * Brand::FRAMES;
        Ok(Clip {
            bytes: file_size(&video)?,
            video,
            light: light.transpose()?,
            poster: choose(&POSTERS, MAX_POSTER_BYTES)?,
            thumb: choose(&THUMBS, MAX_THUMB_BYTES)?,
            colour: still.colour(),
            frames,
            duration_ms: frames * 1000 / u64::from(RATE),
        })
    }
}

/// Returns what a film of `frames` frames must be to be joined with these bumpers.
fn expected(bumpers: &Bumpers, frames: u64) -> Expected<'_> {
    Expected {
        rendition: bumpers.rendition,
        frames,
        parameter_sets: bumpers.parameter_sets(),
    }
}

/// Returns the concat list of a rendition whose body has `frames` frames.
///
/// It states every duration, because the container rounds its own to milliseconds and leaves a gap.
fn concat_list(names: &Names, frames: u64) -> String {
    let micros = |frames: u64| (frames * 1_000_000 + u64::from(RATE) / 2) / u64::from(RATE);
    let (opening_us, body_us) = (micros(Brand::FRAMES), micros(frames));
    let Names {
        opening,
        body,
        closing,
        ..
    } = names;
    format!(
        "ffconcat version 1.0\nfile {opening}\nduration {opening_us}us\n\
         file {body}\nduration {body_us}us\nfile {closing}\n"
    )
}

fn shown(args: &[OsString]) -> Vec<String> {
    let args = args.iter().map(|arg| arg.to_string_lossy());
    args.map(Cow::into_owned).collect()
}
