//! Makes a clip: probe, check, encode, join with the bumpers, verify, choose its pictures.
//!
//! A damaged source is shown as far as it decodes, because phones do leave small faults. It counts
//! as corrupt if less than half of the expected frames decode.

use std::{borrow::Cow, ffi::OsString, fs, path::Path};

use anyhow::Context;
use tokio::io::AsyncReadExt;

use super::{
    Clip, Error, JobReport, LightClip,
    encode::{
        brand::{Brand, Bumpers},
        outputs::{COLOURS, Names, POSTERS, StillQuality, THUMBS, names},
        plan::{self, Files},
    },
    input::{
        probe::Probe,
        rules::{Rejection, Rules, check},
        sniff::{SNIFF_BYTES, sniff},
    },
    output::{
        inspect::{self, Expected},
        poster::{self, MAX_POSTER_BYTES, MAX_THUMB_BYTES},
    },
    run::{
        admission::{self, Admission},
        command::{self, ResourceUsage, SandboxPaths, error::Cause},
        progress::{Meter, Progress},
        scratch::{Scratch, file_size},
        tools::Tools,
    },
    target::{RATE, Target},
};
use crate::version::VERSION;

/// `ffmpeg`'s exit code when more than two thirds of the frames fail to decode.
const MOSTLY_UNDECODABLE: i32 = 69;

/// `ffmpeg`'s message when the frames between filters no longer fit into memory.
const FULL_FILTERS: &str = "Error marking filters as finished";

/// Everything that the steps of a job need.
#[derive(Debug)]
pub struct Transcoder {
    pub tools: Tools,
    pub rules: Rules,
    pub target: Target,
    pub brand: Brand,
    pub admission: Admission,
}

impl Transcoder {
    /// Makes a clip of `source` in the job's folder and fills in `report`.
    pub async fn make_clip(
        &self,
        source: &Path,
        scratch: &Scratch,
        report: &mut JobReport,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Clip, Error> {
        report.anb = &VERSION;
        self.tools.version().clone_into(&mut report.ffmpeg);
        report.source_bytes = file_size(source)?;
        check_head(source).await?;
        let args = Probe::args(source);
        let json = self.tools.ffprobe(source, &args, &mut report.probing);
        let (json, complaints) = json.await.map_err(|error| {
            report.cause = Some(message(&error));
            probe_failure(error)
        })?;
        report.probe = serde_json::from_slice(&json).context("read ffprobe's JSON")?;
        let probe = Probe::parse(&json)?;
        let video = check(&probe, self.rules).map_err(|rejection| match rejection {
            // Above the limit `ffprobe` merely omits the size of some codecs.
            Rejection::Corrupt if too_many_pixels(&complaints) => Rejection::TooComplex,
            rejection => rejection,
        })?;

        let files = Files {
            source: source.to_owned(),
            watermark: Brand::write_watermark(scratch)?,
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
        let inputs = [files.source.as_path(), &files.watermark];
        let on_stdout = |bytes: &[u8]| {
            if let Some(made) = meter.read(bytes) {
                progress(made);
            }
        };
        let encoded =
            self.tools
                .encode(&plan.args, self.target, scratch, &inputs, usage, on_stdout);
        let complaints = match encoded.await {
            Ok(complaints) => complaints,
            Err(error) => {
                report.cause = Some(message(&error));
                return Err(encode_failure(error, meter.frames()));
            }
        };
        let body_frames = meter.frames();
        if body_frames * 2 < plan.frames {
            return Err(Rejection::Corrupt.into());
        }
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
        Ok(self.gather(scratch, body_frames)?)
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
            inspect::headers(&self.tools, &scratch.file(names.body))
                .await?
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
            let film = inspect::packets(&self.tools, &scratch.file(clip)).await?;
            film.check(expected(bumpers, frames + 2 * Brand::FRAMES))
                .and_then(|()| film.check_times())
                .with_context(|| format!("check {clip}"))?;
        }
        Ok(())
    }

    /// Measures the finished renditions, whose bodies have `frames` frames, and chooses the pictures.
    fn gather(&self, scratch: &Scratch, frames: u64) -> anyhow::Result<Clip> {
        let video = scratch.file(names(self.target.full()).clip);
        let light = self.target.light().map(|light| {
            let video = scratch.file(names(light).clip);
            let bytes = file_size(&video)?;
            anyhow::Ok(LightClip { video, bytes })
        });
        let [finest, ..] = &POSTERS;
        let number = poster::most_detailed(scratch.path(), finest.pattern)?;
        let choose = |qualities: &[StillQuality], max_bytes| {
            let patterns = qualities.iter().map(|quality| quality.pattern);
            poster::finest(scratch.path(), patterns, number, max_bytes)
        };
        let frames = frames + 2 * Brand::FRAMES;
        Ok(Clip {
            bytes: file_size(&video)?,
            video,
            light: light.transpose()?,
            poster: choose(&POSTERS, MAX_POSTER_BYTES)?,
            thumb: choose(&THUMBS, MAX_THUMB_BYTES)?,
            colour: poster::colour(&scratch.file(COLOURS), number)?,
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

async fn check_head(source: &Path) -> Result<(), Error> {
    let file = tokio::fs::File::open(source).await.context("open source")?;
    let mut head = Vec::with_capacity(SNIFF_BYTES);
    let limit = u64::try_from(SNIFF_BYTES).unwrap_or(u64::MAX);
    let mut file = file.take(limit);
    file.read_to_end(&mut head).await.context("read source")?;
    sniff(&head).map_err(|_not_an_mp4| Rejection::NotAnMp4.into())
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

/// Returns whether a failure says something about the video. Read errors say nothing: a video can
/// cause them, and so can a disk that recovers later.
fn is_about_video(error: &command::Error) -> bool {
    error.blame() == Cause::Program && !error.is_io_error()
}

/// Distinguishes videos that `ffprobe` cannot read from our failures.
fn probe_failure(error: command::Error) -> Error {
    let rejection = match &error {
        error if !is_about_video(error) => None,
        command::Error::OutOfCpu { .. }
        | command::Error::OutOfMemory { .. }
        | command::Error::OutputTooLarge { .. } => Some(Rejection::TooComplex),
        command::Error::Exit { stderr, .. } if too_many_pixels(stderr) => {
            Some(Rejection::TooComplex)
        }
        command::Error::Exit { .. } | command::Error::Crashed { .. } => Some(Rejection::Corrupt),
        _ => None,
    };
    rejection.map_or_else(|| anyhow::Error::new(error).into(), Error::Rejected)
}

/// Distinguishes undecodable sources from our failures; a full disk must not reject a video.
fn encode_failure(error: command::Error, frames: u64) -> Error {
    let rejection = match &error {
        error if !is_about_video(error) => None,
        command::Error::OutOfCpu { .. }
        | command::Error::OutOfMemory { .. }
        | command::Error::FileTooLarge { .. } => Some(Rejection::TooComplex),
        command::Error::Crashed { .. } => Some(Rejection::Corrupt),
        command::Error::Exit { stderr, .. }
            if too_many_pixels(stderr) || (frames > 0 && stderr.contains(FULL_FILTERS)) =>
        {
            Some(Rejection::TooComplex)
        }
        command::Error::Exit { code, .. } if frames == 0 || *code == MOSTLY_UNDECODABLE => {
            Some(Rejection::Corrupt)
        }
        _ => None,
    };
    rejection.map_or_else(|| anyhow::Error::new(error).into(), Error::Rejected)
}

/// Removes NUL, which may come from a quoted file and which PostgreSQL's JSON cannot hold.
fn message(error: &command::Error) -> String {
    error.to_string().replace('\0', "\u{fffd}")
}

fn shown(args: &[OsString]) -> Vec<String> {
    let args = args.iter().map(|arg| arg.to_string_lossy());
    args.map(Cow::into_owned).collect()
}

fn too_many_pixels(stderr: &str) -> bool {
    stderr.contains("exceeds specified max pixel count")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: i32, stderr: &str) -> command::Error {
        command::Error::Exit {
            program: "ffmpeg".into(),
            code,
            stderr: stderr.into(),
        }
    }

    #[test]
    fn full_disk_does_not_reject_the_video() {
        let error = encode_failure(
            exit(1, "av_interleaved_write_frame(): No space left on device"),
            0,
        );
        assert!(matches!(error, Error::Environment(_)));
    }

    #[test]
    fn undecodable_source_is_corrupt() {
        for error in [
            encode_failure(exit(1, "x"), 0),
            encode_failure(exit(69, "x"), 9),
        ] {
            assert!(
                matches!(error, Error::Rejected(Rejection::Corrupt)),
                "{error:?}"
            );
        }
        assert!(matches!(encode_failure(exit(1, "x"), 9), Error::Failed(_)));
    }

    #[test]
    fn picture_beyond_the_pixel_limit_is_too_complex() {
        let stderr = "Picture size 9000x9000 exceeds specified max pixel count 8912896";
        for error in [
            probe_failure(exit(1, stderr)),
            encode_failure(exit(1, stderr), 5),
        ] {
            assert!(
                matches!(error, Error::Rejected(Rejection::TooComplex)),
                "{error:?}"
            );
        }
    }

    #[test]
    fn video_that_needs_too_much_memory_is_too_complex() {
        let error = || command::Error::OutOfMemory {
            program: "ffmpeg".into(),
            limit: 1,
            stderr: String::new(),
        };
        for error in [
            probe_failure(error()),
            encode_failure(error(), 5),
            encode_failure(exit(1, FULL_FILTERS), 5),
        ] {
            assert!(
                matches!(error, Error::Rejected(Rejection::TooComplex)),
                "{error:?}"
            );
        }
    }

    #[test]
    fn video_that_crashes_a_program_is_corrupt() {
        let error = || command::Error::Crashed {
            program: "ffmpeg".into(),
            signal: 11,
            stderr: String::new(),
        };
        for error in [probe_failure(error()), encode_failure(error(), 5)] {
            assert!(
                matches!(error, Error::Rejected(Rejection::Corrupt)),
                "{error:?}"
            );
        }
    }

    #[test]
    fn noise_that_would_fill_the_disk_is_too_complex() {
        let error = command::Error::FileTooLarge {
            program: "ffmpeg".into(),
            limit: 1,
        };
        assert!(matches!(
            encode_failure(error, 600),
            Error::Rejected(Rejection::TooComplex)
        ));
    }

    #[test]
    fn failed_program_start_does_not_reject_the_video() {
        let error = command::Error::NotStarted {
            program: "ffprobe".into(),
            stderr: String::new(),
        };
        assert!(matches!(probe_failure(error), Error::Environment(_)));
    }
}
