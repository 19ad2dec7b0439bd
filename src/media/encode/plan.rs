//! Builds the argument list of an encoding run as a pure function of probe and target.
//!
//! A single run decodes the source once and writes the bodies of the clip and of its light rendition,
//! and stills. `graph` has the filters in between.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    encoder::encoder,
    graph::graph,
    outputs::{label, names},
    picture,
};
use crate::{
    config::media::Resolution,
    media::{
        args::{file_url, input_limits, split_args},
        input::probe::Video,
        stills::Stills,
        target::{RATE, Rendition, TIMESCALE, Target},
    },
};

/// Input files of a run; its outputs have the names in `outputs`.
#[derive(Debug)]
pub struct Files {
    pub source: PathBuf,
    pub watermark: PathBuf,
    /// The picture behind a film that does not fill the frame.
    pub backdrop: PathBuf,
}

#[derive(Debug, PartialEq)]
pub struct Plan {
    /// Frames of the body if the whole source decodes.
    pub frames: u64,
    pub args: Vec<OsString>,
}

/// Plans the run that turns the source into the body of a clip.
pub fn plan(video: &Video, target: Target, files: &Files) -> Plan {
    let frames = frames(video.duration, target.max_seconds);
    let mut args = split_args("-nostdin -hide_banner -loglevel error -nostats");
    args.extend(split_args("-progress pipe:1 -stats_period 0.5"));
    let threads = target.threads;
    args.extend(split_args(&format!(
        "-filter_complex_threads {threads} -threads {threads}"
    )));
    args.extend(input_limits());
    args.extend(picture::input_options(video));
    args.extend(["-i".into(), file_url(&files.source)]);
    args.extend(split_args("-f png_pipe -i"));
    args.push(file_url(&files.watermark));
    if picture::needs_backdrop(video, target.frame) {
        args.extend(split_args(&format!("-framerate {RATE} -f png_pipe -i")));
        args.push(file_url(&files.backdrop));
    }
    args.extend([
        "-filter_complex".into(),
        graph(video, target, frames).into(),
    ]);
    let max_frames = if video.stand.is_zero() {
        u64::from(target.max_seconds) * u64::from(RATE)
    } else {
        // The filter that repeats the last picture may add one more.
        frames
    };
    // The progress counts the frames of the first output.
    for rendition in target.renditions() {
        args.extend(split_args(&format!(
            "-map [{}] -frames:v {max_frames}",
            label(rendition)
        )));
        args.extend(encoder(rendition, threads));
        args.extend(split_args("-f mp4"));
        args.push(file_url(names(rendition).body));
    }
    args.extend(Stills::of(frames).output("stills"));
    Plan { frames, args }
}

/// Returns the frames of the clip's body: the source's length in frames, at most the target's.
fn frames(duration: Duration, max_seconds: u32) -> u64 {
    let kept = duration.min(Duration::from_secs(max_seconds.into()));
    let micros = u64::try_from(kept.as_micros()).unwrap_or(u64::MAX);
    (micros.saturating_mul(RATE.into()).saturating_add(500_000) / 1_000_000).max(1)
}

/// Returns the arguments that decode the part of a film which a clip shows, and nothing else.
pub fn decode(film: &Path, index: u32, target: Target) -> Vec<OsString> {
    let mut args = split_args("-nostdin -hide_banner -loglevel error -nostats");
    args.extend(split_args("-progress pipe:1 -stats_period 0.5"));
    args.extend(split_args(&format!("-threads {}", target.threads)));
    args.extend(input_limits());
    args.extend(["-i".into(), file_url(film)]);
    args.extend(split_args(&format!(
        "-map 0:{index} -t {} -fps_mode passthrough -f null -",
        target.max_seconds
    )));
    args
}

/// Returns the arguments that turn two still pictures into the bumpers of each rendition: fade in,
/// hold, fade out.
pub fn bumpers(
    opening: &str,
    closing: &str,
    frames: u64,
    renditions: &[Rendition],
) -> Vec<OsString> {
    let mut args = split_args("-nostdin -hide_banner -loglevel error");
    for still in [opening, closing] {
        args.extend(split_args(&format!("-framerate {RATE} -f png_pipe -i")));
        args.push(file_url(still));
    }
    for rendition in renditions {
        let names = names(*rendition);
        for (input, bumper) in [names.opening, names.closing].iter().enumerate() {
            args.extend(split_args(&format!("-map {input}:v -vf")));
            args.push(bumper_graph(frames, rendition.frame).into());
            args.extend(split_args(&format!("-frames:v {frames}")));
            args.extend(encoder(*rendition, 1));
            args.extend(split_args("-f mp4"));
            args.push(file_url(bumper));
        }
    }
    args
}

fn bumper_graph(frames: u64, Resolution { width, height }: Resolution) -> String {
    let fade = frames / 5;
    format!(
        "scale={width}:{height}:force_original_aspect_ratio=decrease:force_divisible_by=2:\
         flags=lanczos:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p,\
         pad={width}:{height}:(ow-iw)/4*2:(oh-ih)/4*2:black,\
         loop=loop=-1:size=1,setpts=N/({RATE}*TB),fps={RATE}:start_time=0,\
         fade=in:0:{fade},fade=out:{out}:{fade}",
        out = frames - fade,
    )
}

/// Returns the arguments that join the parts of each rendition, the files of its
/// `join_list`, without re-encoding, index first.
pub fn join(renditions: &[Rendition]) -> Vec<OsString> {
    let mut args = split_args("-nostdin -hide_banner -loglevel error");
    for rendition in renditions {
        args.extend(split_args("-f concat -protocol_whitelist file -i"));
        args.push(file_url(names(*rendition).join_list));
    }
    for (input, rendition) in renditions.iter().enumerate() {
        args.extend(split_args(&format!(
            "-map {input}:v -c copy -map_metadata -1"
        )));
        args.extend(split_args(&format!(
            "-video_track_timescale {TIMESCALE} -movflags +faststart -f mp4"
        )));
        args.push(file_url(names(*rendition).clip));
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Switch, media::input::turn::Turn};

    const TARGET: Target = Target::DEFAULT;

    fn video(width: u32, height: u32) -> Video {
        Video {
            width,
            height,
            turn: Turn::Upright,
            ..Video::portrait()
        }
    }

    fn files() -> Files {
        Files {
            source: "/job/original".into(),
            watermark: "/brand/watermark.png".into(),
            backdrop: "/brand/backdrop.png".into(),
        }
    }

    #[test]
    fn portrait_clip_has_the_expected_arguments() {
        let rotated = Video {
            turn: Turn::Clockwise,
            ..video(1920, 1080)
        };
        let plan = plan(&rotated, TARGET, &files());
        assert_eq!(plan.frames, 180);
        let lines = plan.args.join("\n".as_ref()).into_string().unwrap();
        assert_eq!(lines, include_str!("../testdata/portrait.args").trim_end());
    }

    #[test]
    fn all_outputs_are_made_of_one_decode() {
        let count =
            |args: &[OsString], wanted: &str| args.iter().filter(|arg| *arg == wanted).count();
        let with = plan(&video(1920, 1080), TARGET, &files());
        let without = Target {
            light: Switch::Off,
            ..TARGET
        };
        let without = plan(&video(1920, 1080), without, &files());
        for (plan, encoders) in [(&with, 2), (&without, 1)] {
            // The source and the watermark.
            assert_eq!(count(&plan.args, "-i"), 2);
            assert_eq!(count(&plan.args, "libx264"), encoders);
            assert_eq!(count(&plan.args, "file:out/stills.yuv"), 1);
        }
        let light: Vec<_> = without
            .args
            .iter()
            .filter(|arg| !with.args.contains(arg))
            .collect();
        assert_eq!(light.len(), 1, "only the graphs differ: {light:?}");
    }

    #[test]
    fn light_rendition_has_a_bounded_rate() {
        let light = encoder(TARGET.light().unwrap(), 1).join(" ".as_ref());
        let light = light.into_string().unwrap();
        assert!(light.contains("-maxrate 500k -bufsize 2000k -profile:v main -level:v 3 "));
        let full = encoder(TARGET.full(), 1).join(" ".as_ref());
        assert!(!full.into_string().unwrap().contains("maxrate"));
    }

    #[test]
    fn renditions_are_joined_in_one_run() {
        let renditions: Vec<_> = TARGET.renditions().collect();
        let args = join(&renditions).join(" ".as_ref()).into_string().unwrap();
        for part in [
            "-i file:join.ffconcat",
            "-i file:light-join.ffconcat",
            "-map 0:v -c copy",
            "-map 1:v -c copy",
        ] {
            assert_eq!(args.matches(part).count(), 1, "{args}");
        }
        assert!(args.ends_with("-movflags +faststart -f mp4 file:out/light-clip.mp4"));
        assert!(args.contains("-movflags +faststart -f mp4 file:out/clip.mp4 "));
    }

    #[test]
    fn frame_count_follows_the_kept_length() {
        assert_eq!(frames(Duration::from_mins(1), 30), 900);
        assert_eq!(frames(Duration::from_millis(10_017), 30), 301);
        assert_eq!(frames(Duration::from_millis(1), 30), 1);
    }
}
