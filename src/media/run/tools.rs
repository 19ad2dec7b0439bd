//! Finds and checks the installed `ffmpeg` once, then runs it with the limits of each use.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow, ensure};

use super::{
    command::{Error, Invocation, Limits, NICENESS, ResourceUsage, Runner, SandboxPaths, find},
    scratch::Scratch,
};
use crate::{config::media::Sandbox, confine::sandbox::landlock_version, media::target::Target};

const MEBIBYTE: u64 = 1024 * 1024;

/// Limits for probing a file; a slow file is an attack.
const PROBE: Limits = Limits {
    cpu: Duration::from_secs(20),
    wall: Duration::from_mins(2),
    silence: Duration::from_mins(2),
    // A 4K video needs 400 MiB.
    memory_bytes: 640 * MEBIBYTE,
    file_bytes: MEBIBYTE,
    niceness: NICENESS,
};

/// Limits for questions about a program itself. They take milliseconds, and `/ready` waits for them
/// while clips use all processors.
const QUERY: Limits = Limits {
    niceness: "0",
    ..PROBE
};

/// Limits for joining and bumpers, which process only our own files.
const OWN_FILES: Limits = Limits {
    cpu: Duration::from_mins(1),
    wall: Duration::from_mins(5),
    silence: Duration::from_mins(5),
    memory_bytes: 2048 * MEBIBYTE,
    file_bytes: 1024 * MEBIBYTE,
    niceness: NICENESS,
};

/// An encoding run that reports nothing for this long is frozen.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum size of `ffprobe`'s report; a longer one is an attack.
const MAX_REPORT_BYTES: usize = 8 * 1024 * 1024;

/// For invocations that access no files.
const NO_FILES: SandboxPaths<'static> = SandboxPaths {
    read: &[],
    write: None,
};

const ENCODERS: [&str; 4] = ["libx264", "mjpeg", "rawvideo", "wrapped_avframe"];

const FILTERS: [&str; 18] = [
    "bwdif",
    "fade",
    "fps",
    "hflip",
    "loop",
    "overlay",
    "pad",
    "scale",
    "select",
    "setparams",
    "setpts",
    "sidedata",
    "split",
    "tonemap",
    "tpad",
    "transpose",
    "vflip",
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
    /// Finds both programs, tries the sandbox and checks for the encoders and filters in use.
    pub async fn find(launcher: PathBuf, sandbox: Sandbox) -> anyhow::Result<Self> {
        const INSTALL: &str = "install FFmpeg 5.1 or later (package `ffmpeg`)";
        let mut tools = Self {
            runner: Runner::new(launcher),
            ffmpeg: find("ffmpeg").context(INSTALL)?,
            ffprobe: find("ffprobe").context(INSTALL)?,
            version: String::new(),
        };
        // "ffmpeg version 5.1.9 Copyright …"
        let banner = tools.choose_sandbox(sandbox).await?;
        let version = banner.split_whitespace().nth(2);
        version.unwrap_or("unknown").clone_into(&mut tools.version);
        tools.check("-encoders", &ENCODERS).await?;
        tools.check("-filters", &FILTERS).await?;
        Ok(tools)
    }

    /// Keeps the sandbox if `ffmpeg` runs in it, logs the outcome and returns `ffmpeg`'s banner.
    async fn choose_sandbox(&mut self, sandbox: Sandbox) -> anyhow::Result<String> {
        let reason = match sandbox {
            Sandbox::Off => anyhow!("MEDIA_SANDBOX is off"),
            Sandbox::Auto | Sandbox::Require => match self.list("-version").await {
                Ok(banner) => {
                    let landlock = landlock_version();
                    tracing::info!(
                        landlock,
                        "media sandbox active: ffmpeg can access only its own files and no socket"
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
        tracing::warn!("media sandbox not active, only limits confine ffmpeg: {reason:#}");
        self.runner.disable_sandbox();
        self.list("-version").await
    }

    /// Returns an error unless both programs can be started.
    pub async fn try_start(&self) -> anyhow::Result<()> {
        for program in [&self.ffmpeg, &self.ffprobe] {
            self.query(program, &["-version"]).await?;
        }
        Ok(())
    }

    /// Returns the version of `ffmpeg` as named by its builder.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Describes a video with the given arguments. Returns `ffprobe`'s report and error output.
    pub async fn ffprobe(
        &self,
        film: &Path,
        args: &[OsString],
        usage: &mut ResourceUsage,
    ) -> Result<(Vec<u8>, String), Error> {
        let invocation = Invocation {
            program: &self.ffprobe,
            args,
            folder: Path::new("/"),
            paths: SandboxPaths {
                read: &[film],
                write: None,
            },
            limits: PROBE,
        };
        self.runner
            .capture(&invocation, usage, MAX_REPORT_BYTES)
            .await
    }

    /// Runs `ffmpeg` in `folder` on our own files.
    pub async fn ffmpeg(
        &self,
        args: &[OsString],
        folder: &Path,
        paths: SandboxPaths<'_>,
        usage: &mut ResourceUsage,
    ) -> Result<(), Error> {
        let invocation = Invocation {
            program: &self.ffmpeg,
            args,
            folder,
            paths,
            limits: OWN_FILES,
        };
        self.runner.run(&invocation, usage, |_| {}).await.map(drop)
    }

    /// Encodes the player's file, one of `inputs`, for `target` in the job's folder. Returns
    /// `ffmpeg`'s error output.
    pub async fn encode(
        &self,
        args: &[OsString],
        target: Target,
        scratch: &Scratch,
        inputs: &[&Path],
        usage: &mut ResourceUsage,
        on_stdout: impl FnMut(&[u8]) + Send,
    ) -> Result<String, Error> {
        // The heaviest legitimate source, 4K at 60 frames with tone mapping, needs 3 s per second,
        // of which the light rendition is a small part.
        let seconds = u64::from(target.max_seconds);
        let cpu = Duration::from_secs(60 + 10 * seconds);
        let pixels = u64::from(target.frame.width) * u64::from(target.frame.height);
        let limits = Limits {
            cpu,
            // Jobs share the processors.
            wall: cpu * 5,
            // It reports twice a second, even while it decodes frames that it drops.
            silence: SILENCE_TIMEOUT,
            memory_bytes: 2048 * MEBIBYTE,
            // 29 Mbit/s at 720 lines, ten times a busy court; pure noise needs 75. A rate cap in
            // the encoder would cost every legitimate clip 3 % of its time.
            // The stills need 24 bytes per pixel.
            file_bytes: pixels * (4 * seconds).max(24) + 16 * MEBIBYTE,
            niceness: NICENESS,
        };
        let invocation = Invocation {
            program: &self.ffmpeg,
            args,
            folder: scratch.path(),
            paths: SandboxPaths {
                read: inputs,
                write: Some(&scratch.outputs()),
            },
            limits,
        };
        self.runner.run(&invocation, usage, on_stdout).await
    }

    async fn list(&self, list: &str) -> anyhow::Result<String> {
        let args = ["-hide_banner", "-loglevel", "error", list];
        let listed = self.query(&self.ffmpeg, &args).await;
        let listed = listed.with_context(|| format!("run ffmpeg {list}"))?;
        Ok(String::from_utf8_lossy(&listed).into_owned())
    }

    /// Runs a program that accesses no files, and returns its output.
    async fn query(&self, program: &Path, args: &[&str]) -> Result<Vec<u8>, Error> {
        let args: Vec<_> = args.iter().map(OsString::from).collect();
        let invocation = Invocation {
            program,
            args: &args,
            folder: Path::new("/"),
            paths: NO_FILES,
            limits: QUERY,
        };
        let usage = &mut ResourceUsage::default();
        let (said, _) = self
            .runner
            .capture(&invocation, usage, MAX_REPORT_BYTES)
            .await?;
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

/// Returns the wanted names that are missing from the second column of all lines.
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
    fn missing_encoder_is_detected() {
        let listed =
            " V....D libx264rgb  libx264 RGB\n VFS..D mjpeg   MJPEG\n V....D rawvideo  raw\n";
        assert_eq!(missing(listed, &ENCODERS), ["libx264", "wrapped_avframe"]);
    }
}
