//! Whose fault it is that there is no clip. A program's failure alone does not tell: the source may be
//! damaged, or a filter graph of ours may not work for it, or the program itself may be broken.
//!
//! So the source is decoded without filters. If that succeeds, the fault is ours. If it fails, one of
//! our bumpers is decoded the same way; only if that succeeds is the source at fault. Both runs are
//! bounded, and only failures pay for them.

use std::{fmt::Display, path::Path};

use anyhow::{Context, anyhow};

use super::{
    Error, JobReport,
    encode::{brand::Brand, plan},
    input::{
        probe::{Probe, Video},
        rejection::Rejection,
    },
    run::{
        command::{self, ResourceUsage, SandboxPaths, error::Cause},
        progress::Meter,
        scratch::Scratch,
        tools::Tools,
    },
    target::Target,
};
use crate::metric;

/// `ffmpeg`'s message when the frames between filters no longer fit into memory.
const FULL_FILTERS: &str = "Error marking filters as finished";

/// An encoding run that failed, or that made less than half of the expected frames.
#[derive(Debug)]
pub struct Fault {
    pub frames: u64,
    pub expected: u64,
    pub error: Option<command::Error>,
}

/// The party that a program's failure alone puts under suspicion.
#[derive(Debug)]
enum Suspect {
    /// The source exceeds what we process.
    Source(Rejection),
    /// The source or this program.
    SourceOrProgram,
    /// Not the source.
    Other,
}

/// Decides with the programs and films of a job.
#[derive(Debug)]
pub struct Judge<'a> {
    pub tools: &'a Tools,
    pub brand: &'a Brand,
    pub target: Target,
    pub scratch: &'a Scratch,
}

impl Judge<'_> {
    /// Finds out whose fault a failed encoding run is, and notes its error in `report`.
    pub async fn encode_failure(
        &self,
        fault: Fault,
        source: &Path,
        video: &Video,
        report: &mut JobReport,
    ) -> Error {
        let suspect = match &fault.error {
            Some(error) => encode_suspect(error, fault.frames),
            None => Suspect::SourceOrProgram,
        };
        let error = fault.into_error();
        report.cause = Some(message(&error));
        match suspect {
            Suspect::Source(rejection) => return rejection.into(),
            Suspect::Other => return error.into(),
            Suspect::SourceOrProgram => {}
        }
        let usage = &mut report.making;
        match self.decode(source, video, usage).await {
            Ok(true) => {}
            Ok(false) => match self.try_tools(usage).await {
                Ok(()) => return Rejection::Corrupt.into(),
                Err(error) => return error.into(),
            },
            Err(error) => return error.into(),
        }
        metrics::counter!(metric::MEDIA_FAULTS).increment(1);
        Error::from(error.context("the source decodes, but no clip could be made of it"))
    }

    /// Distinguishes videos that `ffprobe` cannot read from our failures.
    pub async fn probe_failure(&self, error: command::Error) -> Error {
        match probe_suspect(&error) {
            Suspect::Source(rejection) => rejection.into(),
            Suspect::Other => anyhow::Error::new(error).into(),
            Suspect::SourceOrProgram => {
                let usage = &mut ResourceUsage::default();
                match self.try_tools(usage).await {
                    Ok(()) => Rejection::Corrupt.into(),
                    Err(broken) => broken.into(),
                }
            }
        }
    }

    /// Decodes the part of a source that a clip shows, without filters. Returns whether at least
    /// half of its pictures decode.
    async fn decode(
        &self,
        source: &Path,
        video: &Video,
        usage: &mut ResourceUsage,
    ) -> anyhow::Result<bool> {
        let args = plan::decode(source, video.index, self.target);
        let mut meter = Meter::start(1);
        let on_stdout = |bytes: &[u8]| {
            meter.read(bytes);
        };
        let decoded = self
            .tools
            .encode(
                &args,
                self.target,
                self.scratch,
                &[source],
                usage,
                on_stdout,
            )
            .await;
        match decoded {
            Ok(_complaints) => {
                let kept = video
                    .duration
                    .as_secs()
                    .clamp(1, self.target.max_seconds.into());
                let expected =
                    u64::from(video.rate.numerator) * kept / u64::from(video.rate.denominator);
                Ok(meter.frames() > 0 && meter.frames() * 2 >= expected)
            }
            Err(error) if is_about_video(&error) => Ok(false),
            Err(error) => Err(error).context("decode the source without filters"),
        }
    }

    /// Returns an error unless both programs understand one of our own films.
    async fn try_tools(&self, usage: &mut ResourceUsage) -> anyhow::Result<()> {
        let Some(bumpers) = self.brand.bumpers().first() else {
            return Ok(());
        };
        let film = bumpers.write_opening(self.scratch)?;
        let broken = "a program cannot read our own film either";
        let probed = self.tools.ffprobe(&film, &Probe::args(&film), usage).await;
        probed.context(broken)?;
        let paths = SandboxPaths {
            read: &[&film],
            write: None,
        };
        let args = plan::decode(&film, 0, self.target);
        let decoded = self
            .tools
            .ffmpeg(&args, self.scratch.path(), paths, usage)
            .await;
        decoded.context(broken)
    }
}

impl Fault {
    fn into_error(self) -> anyhow::Error {
        let Self {
            frames, expected, ..
        } = self;
        self.error.map_or_else(
            || anyhow!("ffmpeg made {frames} of {expected} frames"),
            anyhow::Error::new,
        )
    }
}

/// Returns whether a failure says something about the video. Read errors say nothing: a video can
/// cause them, and so can a disk that recovers later.
fn is_about_video(error: &command::Error) -> bool {
    error.blame() == Cause::Program && !error.is_io_error()
}

/// Returns what a failure of `ffprobe` says.
fn probe_suspect(error: &command::Error) -> Suspect {
    match error {
        error if !is_about_video(error) => Suspect::Other,
        command::Error::OutOfCpu { .. }
        | command::Error::OutOfMemory { .. }
        | command::Error::OutputTooLarge { .. } => Suspect::Source(Rejection::TooComplex),
        command::Error::Exit { stderr, .. } if is_beyond_pixel_limit(stderr) => {
            Suspect::Source(Rejection::TooComplex)
        }
        command::Error::Exit { .. } | command::Error::Crashed { .. } => Suspect::SourceOrProgram,
        _ => Suspect::Other,
    }
}

/// Returns what a failure of `ffmpeg` after `frames` frames says; a full disk must not reject a video.
fn encode_suspect(error: &command::Error, frames: u64) -> Suspect {
    match error {
        error if !is_about_video(error) => Suspect::Other,
        command::Error::OutOfCpu { .. }
        | command::Error::OutOfMemory { .. }
        | command::Error::FileTooLarge { .. } => Suspect::Source(Rejection::TooComplex),
        command::Error::Exit { stderr, .. }
            if is_beyond_pixel_limit(stderr) || (frames > 0 && stderr.contains(FULL_FILTERS)) =>
        {
            Suspect::Source(Rejection::TooComplex)
        }
        command::Error::Exit { .. } | command::Error::Crashed { .. } => Suspect::SourceOrProgram,
        _ => Suspect::Other,
    }
}

/// Returns the message of an error with its causes, without NUL, which may come from a quoted file
/// and which PostgreSQL's JSON cannot hold.
pub fn message(error: &impl Display) -> String {
    format!("{error:#}").replace('\0', "\u{fffd}")
}

pub fn is_beyond_pixel_limit(stderr: &str) -> bool {
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

    fn is_too_complex(suspect: &Suspect) -> bool {
        matches!(suspect, Suspect::Source(Rejection::TooComplex))
    }

    #[test]
    fn full_disk_does_not_reject_the_video() {
        let full = exit(1, "av_interleaved_write_frame(): No space left on device");
        assert!(matches!(encode_suspect(&full, 0), Suspect::Other));
    }

    #[test]
    fn exit_and_crash_need_evidence() {
        let crash = command::Error::Crashed {
            program: "ffmpeg".into(),
            signal: 11,
            stderr: String::new(),
        };
        for (error, frames) in [
            (exit(1, "x"), 0),
            (exit(1, "x"), 9),
            (exit(69, "x"), 9),
            (crash, 5),
        ] {
            for suspect in [encode_suspect(&error, frames), probe_suspect(&error)] {
                assert!(matches!(suspect, Suspect::SourceOrProgram), "{error:?}");
            }
        }
    }

    #[test]
    fn picture_beyond_the_pixel_limit_is_too_complex() {
        let error = exit(
            1,
            "Picture size 9000x9000 exceeds specified max pixel count 8912896",
        );
        assert!(is_too_complex(&probe_suspect(&error)));
        assert!(is_too_complex(&encode_suspect(&error, 5)));
    }

    #[test]
    fn video_that_needs_too_much_memory_is_too_complex() {
        let error = command::Error::OutOfMemory {
            program: "ffmpeg".into(),
            limit: 1,
            stderr: String::new(),
        };
        assert!(is_too_complex(&probe_suspect(&error)));
        assert!(is_too_complex(&encode_suspect(&error, 5)));
        assert!(is_too_complex(&encode_suspect(&exit(1, FULL_FILTERS), 5)));
    }

    #[test]
    fn noise_that_would_fill_the_disk_is_too_complex() {
        let error = command::Error::FileTooLarge {
            program: "ffmpeg".into(),
            limit: 1,
        };
        assert!(is_too_complex(&encode_suspect(&error, 600)));
    }

    #[test]
    fn failed_program_start_does_not_reject_the_video() {
        let error = command::Error::NotStarted {
            program: "ffprobe".into(),
            stderr: String::new(),
        };
        assert!(matches!(probe_suspect(&error), Suspect::Other));
    }
}
