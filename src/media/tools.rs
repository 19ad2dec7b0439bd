//! The installed `ffmpeg`: found and checked once, then run with the limits of each use.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow, ensure};

use super::{
    command::{Call, Costs, Error, Limits, Reach, Runner, find},
    plan::{Files, Target},
    scratch::Scratch,
};
use crate::{config::media::Sandbox, confine::sandbox::landlock_version};

const MEBIBYTE: u64 = 1024 * 1024;

/// Looking at a file; a slow one is an attack.
const PROBE: Limits = Limits {
    cpu: Duration::from_secs(20),
    wall: Duration::from_mins(2),
    silence: Duration::from_mins(2),
    // A film of 4K needs 400.
    memory_bytes: 640 * MEBIBYTE,
    file_bytes: MEBIBYTE,
};

/// Joining and the bumpers: our own files.
const OWN: Limits = Limits {
    cpu: Duration::from_mins(1),
    wall: Duration::from_mins(5),
    silence: Duration::from_mins(5),
    memory_bytes: 2048 * MEBIBYTE,
    file_bytes: 1024 * MEBIBYTE,
};

/// An encoding run that reports nothing for this long is frozen.
const FROZEN: Duration = Duration::from_secs(30);

/// What `ffprobe` may say; a long report is an attack.
const REPORT_BYTES: usize = 8 * 1024 * 1024;

/// For what only looks at the program itself.
const NO_FILES: Reach<'static> = Reach {
    read: &[],
    write: None,
};

const ENCODERS: [&str; 2] = ["libx264", "mjpeg"];

const FILTERS: [&str; 11] = [
    "fade", "fps", "loop", "overlay", "pad", "scale", "select", "setpts", "split", "tonemap",
    "zscale",
];

/// `ffmpeg` and `ffprobe`, and the launcher that confines them.
#[derive(Debug)]
pub struct Tools {
    runner: Runner,
    ffmpeg: PathBuf,
    ffprobe: PathBuf,
    version: String,
}

impl Tools {
    /// Finds both programs, tries the sandbox, and checks that they have what the plans use.
    pub async fn find(launcher: PathBuf, sandbox: Sandbox) -> anyhow::Result<Self> {
        const INSTALL: &str = "install FFmpeg 5.1 or later (package `ffmpeg`)";
        let mut tools = Self {
            runner: Runner::new(launcher),
            ffmpeg: find("ffmpeg").context(INSTALL)?,
            ffprobe: find("ffprobe").context(INSTALL)?,
            version: String::new(),
        };
        // "ffmpeg version 5.1.9 Copyright …"
        let banner = tools.settle(sandbox).await?;
        let version = banner.split_whitespace().nth(2);
        version.unwrap_or("unknown").clone_into(&mut tools.version);
        tools.check("-encoders", &ENCODERS).await?;
        tools.check("-filters", &FILTERS).await?;
        Ok(tools)
    }

    /// Keeps the sandbox if `ffmpeg` runs in it, says so, and returns `ffmpeg`'s banner.
    async fn settle(&mut self, sandbox: Sandbox) -> anyhow::Result<String> {
        let reason = match sandbox {
            Sandbox::Off => anyhow!("MEDIA_SANDBOX is off"),
            Sandbox::Auto | Sandbox::Require => match self.list("-version").await {
                Ok(banner) => {
                    let landlock = landlock_version();
                    tracing::info!(
                        landlock,
                        "media sandbox active: ffmpeg sees its own files only, and no socket"
                    );
                    return Ok(banner);
                }
                Err(error) if sandbox == Sandbox::Require => {
                    return Err(error.context(
                        "MEDIA_SANDBOX is require, but ffmpeg cannot run in the sandbox",
                    ));
                }
                Err(error) => error,
            },
        };
        tracing::warn!("media sandbox not active, limits alone confine ffmpeg: {reason:#}");
        self.runner.leave_sandbox();
        self.list("-version").await
    }

    /// Starts both programs for nothing.
    pub async fn try_start(&self) -> anyhow::Result<()> {
        for program in [&self.ffmpeg, &self.ffprobe] {
            self.ask(program, &["-version"]).await?;
        }
        Ok(())
    }

    /// Version of `ffmpeg`, as its builder names it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Describes a film, with the arguments that `probe` or `inspect` made. Returns also what `ffprobe`
    /// complained about.
    pub async fn ffprobe(
        &self,
        film: &Path,
        args: &[OsString],
        costs: &mut Costs,
    ) -> Result<(Vec<u8>, String), Error> {
        let call = Call {
            program: &self.ffprobe,
            args,
            folder: Path::new("/"),
            reach: Reach {
                read: &[film],
                write: None,
            },
            limits: PROBE,
        };
        self.runner.capture(&call, costs, REPORT_BYTES).await
    }

    /// Works in `folder` on files that we made.
    pub async fn ffmpeg(
        &self,
        args: &[OsString],
        folder: &Path,
        reach: Reach<'_>,
        costs: &mut Costs,
    ) -> Result<(), Error> {
        let call = Call {
            program: &self.ffmpeg,
            args,
            folder,
            reach,
            limits: OWN,
        };
        self.runner.run(&call, costs, |_| {}).await.map(drop)
    }

    /// Decodes a player's file and encodes it for `target` in the job's folder. Returns what `ffmpeg` complained about.
    pub async fn encode(
        &self,
        args: &[OsString],
        target: Target,
        (files, scratch): (&Files, &Scratch),
        costs: &mut Costs,
        on_stdout: impl FnMut(&[u8]) + Send,
    ) -> Result<String, Error> {
        // The heaviest honest source, 4K at 60 frames with tone mapping, needs 3 s per second.
        let seconds = u64::from(target.max_seconds);
        let cpu = Duration::from_secs(60 + 10 * seconds);
        let pixels = u64::from(target.frame.width) * u64::from(target.frame.height);
        let limits = Limits {
            cpu,
            // Jobs share the processors.
            wall: cpu * 5,
            // It reports twice a second, also while it decodes what it will not show.
            silence: FROZEN,
            memory_bytes: 2048 * MEBIBYTE,
            // 29 Mbit/s at 720 lines, ten times a busy court. Pure noise needs 75; a rate cap in the
            // encoder would cost every honest clip 3 % of its time.
            file_bytes: 4 * pixels * seconds + 16 * MEBIBYTE,
        };
        let call = Call {
            program: &self.ffmpeg,
            args,
            folder: scratch.path(),
            reach: Reach {
                read: &[&files.source, &files.watermark],
                write: Some(&scratch.outputs()),
            },
            limits,
        };
        self.runner.run(&call, costs, on_stdout).await
    }

    async fn list(&self, list: &str) -> anyhow::Result<String> {
        let args = ["-hide_banner", "-loglevel", "error", list];
        let listed = self.ask(&self.ffmpeg, &args).await;
        let listed = listed.with_context(|| format!("ask ffmpeg for its {list}"))?;
        Ok(String::from_utf8_lossy(&listed).into_owned())
    }

    /// Runs a program that only looks at itself, and returns what it says.
    async fn ask(&self, program: &Path, args: &[&str]) -> Result<Vec<u8>, Error> {
        let args: Vec<_> = args.iter().map(OsString::from).collect();
        let call = Call {
            program,
            args: &args,
            folder: Path::new("/"),
            reach: NO_FILES,
            limits: PROBE,
        };
        let costs = &mut Costs::default();
        let (said, _) = self.runner.capture(&call, costs, REPORT_BYTES).await?;
        Ok(said)
    }

    async fn check(&self, list: &str, wanted: &[&str]) -> anyhow::Result<()> {
        let listed = self.list(list).await?;
        let missing = missing(&listed, wanted);
        ensure!(
            missing.is_empty(),
            "{} lacks {} (see `ffmpeg {list}`): install a full build",
            shown(&self.ffmpeg),
            missing.join(", ")
        );
        Ok(())
    }
}

/// The wanted names that no line has in its second column.
fn missing<'a>(listed: &str, wanted: &[&'a str]) -> Vec<&'a str> {
    let names: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    let is_missing = |name: &&str| !names.contains(name);
    wanted.iter().copied().filter(is_missing).collect()
}

fn shown(program: &Path) -> String {
    program.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_an_encoder_is_noticed() {
        let listed = " V....D libx264rgb  libx264 RGB\n VFS..D mjpeg   MJPEG\n";
        assert_eq!(missing(listed, &ENCODERS), ["libx264"]);
    }
}
