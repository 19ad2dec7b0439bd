//! Settings of the media service: the contest's rules for inputs, and the format of outputs.

use std::{path::PathBuf, str::FromStr};

use super::Switch;

/// The contest's rules for videos, which workers enforce, and which `anb serve` tells clients.
#[derive(Debug, Clone, Copy, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Contest rules")]
pub struct RuleSettings {
    /// Minimum duration of a video, in seconds; 0 for only the one second that every clip needs
    #[arg(long, env, default_value_t = 0, value_name = "SECONDS")]
    pub min_input_duration: u32,
    /// Maximum duration of a video, in seconds; 0 for no limit
    #[arg(long, env, default_value_t = 0, value_name = "SECONDS")]
    pub max_input_duration: u32,
    /// Minimum lines of a video, counted on the shorter side of the upright picture; 0 for no limit
    #[arg(long, env, default_value_t = 0, value_name = "LINES")]
    pub min_input_height: u32,
}

/// A contest's rules for videos; none where the settings count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContestRules {
    pub min_seconds: Option<u32>,
    pub max_seconds: Option<u32>,
    pub min_lines: Option<u32>,
}

/// Rules, output frame, scratch folder.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Media")]
pub struct Settings {
    #[command(flatten)]
    pub rules: RuleSettings,
    /// Seconds of the source that the clip keeps, from its start
    #[arg(long, env, default_value_t = 30, value_name = "SECONDS")]
    pub max_video_duration: u32,
    /// Width and height of the clip in pixels, both even
    #[arg(long, env, default_value = "1280x720", value_name = "WxH")]
    pub output_resolution: Resolution,
    /// Aspect ratio that the resolution must have
    #[arg(long, env, default_value = "16:9", value_name = "W:H")]
    pub output_aspect_ratio: AspectRatio,
    /// Priority of the encoder: speed and small files, a balance, or the best picture
    #[arg(long, env, default_value = "balanced", value_name = "EFFORT")]
    pub encode_effort: Effort,
    /// Whether each job also makes a light clip of about 2 MB, half as wide and half as high, for
    /// viewers with little data
    #[arg(long, env, default_value = "on", value_name = "SWITCH")]
    pub light_rendition: Switch,
    /// Folder for the files of running jobs, on a real disk: a job stores its source and its clip
    /// there, up to twice `MAX_FILE_SIZE` (default: `anb-scratch` in the system's temporary folder,
    /// which is in memory on some systems)
    #[arg(long, env, value_name = "FOLDER")]
    pub scratch_path: Option<PathBuf>,
    /// Sandbox of FFmpeg: no files except the job's, no network, no other processes
    #[arg(long, env, default_value = "auto", value_name = "MODE")]
    pub media_sandbox: Sandbox,
}

/// Whether `ffmpeg` runs in the sandbox of `anb confine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Sandbox {
    /// If the kernel has Landlock and seccomp; otherwise the worker warns and runs without it
    Auto,
    /// Always; the worker does not start if the sandbox is unavailable
    Require,
    /// Never; for a build of FFmpeg that does not run in it
    Off,
}

/// Encoding effort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Effort {
    /// Less time and smaller files, with a coarser picture.
    Fast,
    /// The best picture for the time spent.
    Balanced,
    /// A better picture in three times the time.
    Best,
}

/// A frame size in pixels, written `1280x720`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolution {
    pub width: u32,
    pub height: u32,
}

/// A ratio of sides, written `16:9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AspectRatio {
    pub width: u32,
    pub height: u32,
}

impl RuleSettings {
    /// Returns minimum and maximum duration (s) and minimum lines; none where there is no rule.
    pub fn limits(self) -> [Option<u32>; 3] {
        let rules = [
            self.min_input_duration,
            self.max_input_duration,
            self.min_input_height,
        ];
        rules.map(|limit| (limit > 0).then_some(limit))
    }

    /// Returns these rules with those of a contest in their place, where it has them.
    #[must_use]
    pub fn under(self, contest: ContestRules) -> Self {
        Self {
            min_input_duration: contest.min_seconds.unwrap_or(self.min_input_duration),
            max_input_duration: contest.max_seconds.unwrap_or(self.max_input_duration),
            min_input_height: contest.min_lines.unwrap_or(self.min_input_height),
        }
    }

    /// Refuses rules that no video could pass.
    pub fn validate(self) -> Result<(), String> {
        if self.max_input_duration > 0 && self.min_input_duration > self.max_input_duration {
            return Err(format!(
                "MIN_INPUT_DURATION is {} and MAX_INPUT_DURATION is {}: no video could pass",
                self.min_input_duration, self.max_input_duration
            ));
        }
        Ok(())
    }
}

impl Settings {
    /// Refuses impossible combinations, with a message that names the variable.
    pub fn validate(&self) -> Result<(), String> {
        self.rules.validate()?;
        let Resolution { width, height } = self.output_resolution;
        if !(1..=600).contains(&self.max_video_duration) {
            return Err(format!(
                "MAX_VIDEO_DURATION is {}: use 1 to 600 seconds",
                self.max_video_duration
            ));
        }
        if width % 2 != 0 || height % 2 != 0 {
            return Err(format!(
                "OUTPUT_RESOLUTION is {width}x{height}: both numbers must be even"
            ));
        }
        if !(128..=4096).contains(&width) || !(128..=4096).contains(&height) {
            return Err(format!(
                "OUTPUT_RESOLUTION is {width}x{height}: each side must have 128 to 4096 pixels"
            ));
        }
        let ratio = self.output_aspect_ratio;
        let (across, down) = (
            u64::from(width) * u64::from(ratio.height),
            u64::from(height) * u64::from(ratio.width),
        );
        // Tolerates one per cent, since 854x480 is sold as 16:9.
        if across.abs_diff(down) * 100 > across.max(down) {
            return Err(format!(
                "OUTPUT_RESOLUTION is {width}x{height} but OUTPUT_ASPECT_RATIO is {}:{}: change one",
                ratio.width, ratio.height
            ));
        }
        Ok(())
    }

    /// Returns the folder that contains a folder for each job.
    pub fn scratch_root(&self) -> PathBuf {
        self.scratch_path
            .clone()
            .unwrap_or_else(|| std::env::temp_dir().join("anb-scratch"))
    }
}

impl FromStr for Resolution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (width, height) = pair(text, 'x').ok_or("write it as WIDTHxHEIGHT, like 1280x720")?;
        Ok(Self { width, height })
    }
}

impl FromStr for AspectRatio {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (width, height) = pair(text, ':').ok_or("write it as WIDTH:HEIGHT, like 16:9")?;
        Ok(Self { width, height })
    }
}

fn pair(text: &str, separator: char) -> Option<(u32, u32)> {
    let (left, right) = text.split_once(separator)?;
    let (left, right) = (left.trim().parse().ok()?, right.trim().parse().ok()?);
    (left > 0 && right > 0).then_some((left, right))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        media: Settings,
    }

    fn settings(args: &[&str]) -> Settings {
        Cli::parse_from([&["anb"], args].concat()).media
    }

    #[test]
    fn the_defaults_are_valid() {
        let settings = settings(&[]);
        assert_eq!(settings.validate(), Ok(()));
        assert_eq!(settings.max_video_duration, 30);
    }

    #[test]
    fn each_impossible_combination_names_its_variable() {
        for (args, variable) in [
            (
                &["--min-input-duration=9", "--max-input-duration=8"][..],
                "MIN_INPUT_DURATION",
            ),
            (&["--max-video-duration=0"], "MAX_VIDEO_DURATION"),
            (&["--output-resolution=1281x720"], "OUTPUT_RESOLUTION"),
            (&["--output-resolution=64x36"], "OUTPUT_RESOLUTION"),
            (&["--output-aspect-ratio=4:3"], "OUTPUT_ASPECT_RATIO"),
        ] {
            let message = settings(args).validate().unwrap_err();
            assert!(message.contains(variable), "{args:?}: {message}");
        }
    }

    #[test]
    fn invalid_resolutions_are_refused() {
        for text in ["720p", "1280x", "0x0", "1280:720", "-1x2"] {
            assert!(text.parse::<Resolution>().is_err(), "{text}");
        }
        let resolution: Resolution = "1920x1080".parse().unwrap();
        assert_eq!((resolution.width, resolution.height), (1920, 1080));
    }
}
