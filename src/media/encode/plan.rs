//! Builds the argument list of an encoding run as a pure function of probe and target.
//!
//! A single run decodes the source once and writes the bodies of the clip and of its light
//! rendition, stills in several sizes and qualities, and the average colour of each. Pixels are
//! scaled once, directly to the picture's rectangle in the frame; all else is made of that frame.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use super::{
    encoder::encoder,
    layout::{Rectangle, fit, watermark},
    outputs::{COLOURS, POSTERS, SMOOTH, THUMBS, label, names},
};
use crate::{
    config::media::Resolution,
    media::{
        args::{file_url, input_limits, split_args},
        input::probe::{Matrix, Transfer, Video},
        target::{RATE, Rendition, STILLS, TIMESCALE, Target},
    },
};

/// Input files of a run; its outputs have the names in `outputs`.
#[derive(Debug)]
pub struct Files {
    pub source: PathBuf,
    pub watermark: PathBuf,
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
    args.extend(["-i".into(), file_url(&files.source)]);
    args.extend(split_args("-f png_pipe -i"));
    args.push(file_url(&files.watermark));
    args.extend([
        "-filter_complex".into(),
        graph(video, target, frames).into(),
    ]);
    let max_frames = u64::from(target.max_seconds) * u64::from(RATE);
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
    for still in POSTERS.iter().chain(&THUMBS) {
        args.extend(stills(still.label));
        // Each thread of a still encoder would use eight megabytes.
        args.extend(split_args(&format!(
            "-c:v mjpeg -threads 1 -q:v {} -f image2",
            still.quantiser
        )));
        args.push(file_url(still.pattern));
    }
    args.extend(stills("colour"));
    args.extend(split_args("-c:v rawvideo -threads 1 -f rawvideo"));
    args.push(file_url(COLOURS));
    Plan { frames, args }
}

/// Returns the arguments of an output that consists of stills.
fn stills(label: &str) -> Vec<OsString> {
    split_args(&format!(
        "-map [{label}] -frames:v {STILLS} -fps_mode vfr -map_metadata -1"
    ))
}

/// Returns the frames of the clip's body: the source's length in frames, at most the target's.
fn frames(duration: Duration, max_seconds: u32) -> u64 {
    let kept = duration.min(Duration::from_secs(max_seconds.into()));
    let micros = u64::try_from(kept.as_micros()).unwrap_or(u64::MAX);
    (micros.saturating_mul(RATE.into()).saturating_add(500_000) / 1_000_000).max(1)
}

fn graph(video: &Video, target: Target, frames: u64) -> String {
    let Resolution { width, height } = target.frame;
    let picture = fit(video.upright_shape(), target.frame);
    let mark = watermark(picture);
    let bars = if (picture.width, picture.height) == (width, height) {
        String::new()
    } else {
        format!(",pad={width}:{height}:{}:{}:black", picture.x, picture.y)
    };
    // Stills are the middles of equal parts; the first part decodes in every accepted source.
    let part = frames.div_ceil(STILLS);
    let (split, light) = match target.light() {
        None => ("split[body][still]", String::new()),
        Some(Rendition { frame, .. }) => (
            "split=3[body][whole][still]",
            format!(
                "[whole]scale={}:{}:flags=bicubic,setsar=1[light];",
                frame.width, frame.height
            ),
        ),
    };
    let thumb = target.thumb();
    format!(
        "[0:{index}]{shift},fps={RATE}:start_time=0,{scale},setsar=1{bars}[picture];\
         [1:v]scale={mark_width}:{mark_height}:flags=lanczos:out_color_matrix=bt709:out_range=tv,\
         format=yuva420p[mark];\
         [picture][mark]overlay={mark_x}:{mark_y},{split};{light}\
         [still]select=eq(mod(n\\,{part})\\,{middle}),split[large][small];\
         [large]scale={TO_JPEG},format=yuvj420p,split=3[p0][p1][p2];\
         [small]scale={thumb_width}:{thumb_height}:flags=bicubic:{TO_JPEG},setsar=1,\
         format=yuvj420p,split=6[t0][t1][t2][t3][detailed][mean];\
         [detailed]scale={smooth_width}:{smooth_height}:flags=area,\
         scale={thumb_width}:{thumb_height}:flags=bicubic[t4];\
         [mean]scale=16:16:flags=area:in_color_matrix=bt601:in_range=pc,format=rgb24,\
         scale=1:1:flags=area[colour]",
        index = video.index,
        shift = shift(video.start, target.max_seconds),
        scale = scale(video, picture),
        mark_width = mark.width,
        mark_height = mark.height,
        mark_x = mark.x,
        mark_y = mark.y,
        middle = part / 2,
        thumb_width = thumb.width,
        thumb_height = thumb.height,
        smooth_width = (thumb.width / SMOOTH).max(1),
        smooth_height = (thumb.height / SMOOTH).max(1),
    )
}

/// Options of the scaler that convert to the colours of JPEG.
const TO_JPEG: &str = "in_color_matrix=bt709:out_color_matrix=bt601:out_range=pc";

/// Moves the first frame to time zero and clamps later timestamps to just after the clip's end.
/// Otherwise `fps` would fill a gap of a month with frames that are then dropped.
///
/// Avoids `STARTPTS`, because the graph restarts when the stream changes its size.
fn shift(start: Duration, max_seconds: u32) -> String {
    let start = match start.as_micros() {
        0 => String::new(),
        micros => format!("-{micros}/(1000000*TB)"),
    };
    format!("setpts=min(PTS{start}\\,{}/TB)", max_seconds + 1)
}

/// Scales to the picture's rectangle and converts to BT.709, tone-mapping HDR.
fn scale(video: &Video, picture: Rectangle) -> String {
    let Rectangle { width, height, .. } = picture;
    let transfer = match video.colour.transfer {
        Transfer::Sdr => {
            let matrix = match video.colour.matrix {
                Matrix::Bt709 => "bt709",
                Matrix::Bt2020 => "bt2020",
                // The assumption of media players for untagged files.
                Matrix::Unknown if video.short_side() >= 720 => "bt709",
                Matrix::Bt601 | Matrix::Unknown => "bt601",
            };
            return format!(
                "scale={width}:{height}:flags=bicubic:in_color_matrix={matrix}:\
                 out_color_matrix=bt709:out_range=tv,format=yuv420p"
            );
        }
        Transfer::Hlg => "arib-std-b67",
        Transfer::Pq => "smpte2084",
    };
    let range = if video.colour.full_range { "pc" } else { "tv" };
    // Scales first, because the tone mapper works in 32-bit floats. 203 cd/m² is the reference
    // white of ITU-R BT.2408. A direct conversion would clip the highlights.
    format!(
        "zscale={width}:{height}:filter=bicubic:min=2020_ncl:tin={transfer}:pin=2020:rin={range},\
         zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,\
         tonemap=mobius:desat=0:peak=4,zscale=t=bt709:m=bt709:r=tv,format=yuv420p"
    )
}

/// Returns the arguments that turn a still picture into a bumper: fade in, hold, fade out.
pub fn bumper(still: &str, frames: u64, rendition: Rendition, bumper: &str) -> Vec<OsString> {
    let Resolution { width, height } = rendition.frame;
    let fade = frames / 5;
    let graph = format!(
        "scale={width}:{height}:force_original_aspect_ratio=decrease:force_divisible_by=2:\
         flags=lanczos:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p,\
         pad={width}:{height}:(ow-iw)/4*2:(oh-ih)/4*2:black,\
         loop=loop=-1:size=1,setpts=N/({RATE}*TB),fps={RATE}:start_time=0,\
         fade=in:0:{fade},fade=out:{out}:{fade}",
        out = frames - fade,
    );
    let mut args = split_args("-nostdin -hide_banner -loglevel error");
    args.extend(split_args(&format!("-framerate {RATE} -f png_pipe -i")));
    args.extend([file_url(still), "-vf".into(), graph.into()]);
    args.extend(split_args(&format!("-frames:v {frames}")));
    args.extend(encoder(rendition, 1));
    args.extend(split_args("-f mp4"));
    args.push(file_url(bumper));
    args
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
    use crate::{
        config::{Switch, media::Effort},
        media::input::probe::{Colour, Probe},
    };

    const TARGET: Target = Target {
        frame: Resolution {
            width: 1280,
            height: 720,
        },
        max_seconds: 30,
        effort: Effort::Balanced,
        light: Switch::On,
        threads: 1,
    };

    fn video(width: u32, height: u32) -> Video {
        let report = include_bytes!("../testdata/portrait.json");
        let video = Probe::parse(report).unwrap().video.unwrap();
        Video {
            width,
            height,
            rotated: false,
            ..video
        }
    }

    fn files() -> Files {
        Files {
            source: "/job/original".into(),
            watermark: "/brand/watermark.png".into(),
        }
    }

    #[test]
    fn portrait_clip_has_the_expected_arguments() {
        let rotated = Video {
            rotated: true,
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
            assert_eq!(count(&plan.args, "mjpeg"), POSTERS.len() + THUMBS.len());
            assert_eq!(count(&plan.args, "file:out/colours.rgb"), 1);
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
    fn landscape_clip_fills_the_frame_without_bars() {
        let graph = graph(&video(3840, 2160), TARGET, 900);
        assert!(!graph.contains("pad="), "{graph}");
        assert!(graph.contains("scale=1280:720:flags=bicubic"), "{graph}");
    }

    #[test]
    fn frame_count_follows_the_kept_length() {
        assert_eq!(frames(Duration::from_mins(1), 30), 900);
        assert_eq!(frames(Duration::from_millis(10_017), 30), 301);
        assert_eq!(frames(Duration::from_millis(1), 30), 1);
    }

    #[test]
    fn late_picture_is_moved_to_the_start() {
        let start = Duration::from_millis(1500);
        let graph = graph(
            &Video {
                start,
                ..video(1920, 1080)
            },
            TARGET,
            900,
        );
        assert!(graph.starts_with(r"[0:0]setpts=min(PTS-1500000/(1000000*TB)\,31/TB),fps=30:"));
    }

    #[test]
    fn hdr_is_tone_mapped_after_scaling() {
        let colour = Colour {
            matrix: Matrix::Bt2020,
            transfer: Transfer::Hlg,
            full_range: false,
        };
        let graph = graph(
            &Video {
                colour,
                ..video(3840, 2160)
            },
            TARGET,
            900,
        );
        assert!(graph.contains("zscale=1280:720:filter=bicubic:min=2020_ncl:tin=arib-std-b67"));
        assert!(graph.contains("tonemap=mobius"));
    }

    #[test]
    fn untagged_picture_gets_the_matrix_that_media_players_assume() {
        let colour = Colour {
            matrix: Matrix::Unknown,
            transfer: Transfer::Sdr,
            full_range: false,
        };
        let small = graph(
            &Video {
                colour,
                ..video(640, 480)
            },
            TARGET,
            900,
        );
        let large = graph(
            &Video {
                colour,
                ..video(1920, 1080)
            },
            TARGET,
            900,
        );
        assert!(small.contains("in_color_matrix=bt601:out_color_matrix=bt709"));
        assert!(large.contains("in_color_matrix=bt709:out_color_matrix=bt709"));
    }
}
