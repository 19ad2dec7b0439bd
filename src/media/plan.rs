//! The argument list of one encoding run, as a pure function of probe and target.
//!
//! One decode, one encode: the body of the clip and three sizes of its poster leave the same run.
//! Pixels are scaled once, straight to the rectangle that the picture gets in the frame.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    layout::{Rectangle, fit, watermark},
    probe::{Matrix, Transfer, Video, file_url, guards},
};
use crate::config::media::{Resolution, Settings};

/// Frames per second of every clip.
pub const RATE: u32 = 30;

/// Ticks per second of every clip: each frame lasts exactly 512.
pub const TIMESCALE: u32 = 15_360;

/// JPEG quantisers tried for the poster, the finest first.
pub const POSTER_QUALITIES: [u32; 3] = [4, 10, 31];

/// The clip to make.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub frame: Resolution,
    pub max_seconds: u32,
}

/// Files that a run reads and writes.
#[derive(Debug)]
pub struct Files {
    pub source: PathBuf,
    pub watermark: PathBuf,
    pub body: PathBuf,
    /// One per entry of [`POSTER_QUALITIES`].
    pub posters: [PathBuf; 3],
}

/// An encoding run.
#[derive(Debug, PartialEq)]
pub struct Plan {
    /// Frames that the body has when the whole source can be decoded.
    pub frames: u64,
    pub args: Vec<OsString>,
}

impl From<&Settings> for Target {
    fn from(settings: &Settings) -> Self {
        Self {
            frame: settings.output_resolution,
            max_seconds: settings.max_video_duration,
        }
    }
}

/// Plans the run that turns the source into the body of a clip.
pub fn plan(video: &Video, target: Target, files: &Files) -> Plan {
    let frames = frames(video.duration, target.max_seconds);
    let mut args = words("-nostdin -hide_banner -loglevel error -nostats");
    args.extend(words("-progress pipe:1 -stats_period 0.5"));
    // Jobs run side by side: more threads in one only cost.
    args.extend(words("-filter_complex_threads 1 -threads 1"));
    args.extend(guards());
    args.extend(["-i".into(), file_url(&files.source)]);
    args.extend(words("-f png_pipe -i"));
    args.push(file_url(&files.watermark));
    args.extend([
        "-filter_complex".into(),
        graph(video, target, frames).into(),
    ]);
    let most = u64::from(target.max_seconds) * u64::from(RATE);
    args.extend(words(&format!("-map [body] -frames:v {most}")));
    args.extend(encoder(target.frame));
    args.extend(words("-f mp4"));
    args.push(file_url(&files.body));
    let stills = ["p0", "p1", "p2"].into_iter().zip(POSTER_QUALITIES);
    for ((label, quality), poster) in stills.zip(&files.posters) {
        args.extend(words(&format!(
            "-map [{label}] -frames:v 1 -map_metadata -1"
        )));
        args.extend(words(&format!(
            "-c:v mjpeg -q:v {quality} -f image2 -update 1"
        )));
        args.push(file_url(poster));
    }
    Plan { frames, args }
}

/// Splits a line of arguments that have no blanks inside.
fn words(line: &str) -> Vec<OsString> {
    line.split_ascii_whitespace().map(OsString::from).collect()
}

/// Encoder and container options shared by body and bumpers, so that their parameter sets are the
/// same and the parts can be joined without encoding again.
///
/// `superfast` with macroblock-tree rate control gives the quality of `veryfast` at half its cost.
pub fn encoder(frame: Resolution) -> Vec<OsString> {
    let level = level(frame);
    let mut args = words("-an -sn -dn -map_metadata -1 -map_chapters -1");
    args.extend(words("-c:v libx264 -preset superfast -crf 25"));
    args.extend(words(&format!(
        "-profile:v high -level:v {level} -pix_fmt yuv420p -threads 1"
    )));
    // A key frame at least every four seconds, so that a player can seek.
    let params = "mbtree=1:rc-lookahead=20:keyint=120:stitchable=1:open-gop=0";
    args.extend(words(&format!("-x264-params {params}")));
    args.extend(words(
        "-color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range tv",
    ));
    // Written into the parameter sets, too: some decoders report another one.
    args.extend(words("-chroma_sample_location left"));
    args.extend(words(&format!("-video_track_timescale {TIMESCALE}")));
    args
}

/// Frames of the clip's body: the source's length in frames, at most the target's.
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
    // Early enough to exist in a source of which only the first half decodes.
    let still = (frames / 4).min(RATE.into());
    format!(
        "[0:{index}]{shift}fps={RATE}:start_time=0,{scale},setsar=1{bars}[picture];\
         [1:v]scale={mark_width}:{mark_height}:flags=lanczos:out_color_matrix=bt709:out_range=tv,\
         format=yuva420p[mark];\
         [picture][mark]overlay={mark_x}:{mark_y},split[body][still];\
         [still]select=eq(n\\,{still}),scale=in_color_matrix=bt709:out_color_matrix=bt601:out_range=pc,\
         format=yuvj420p,split=3[p0][p1][p2]",
        index = video.index,
        shift = shift(video.start),
        scale = scale(video, picture),
        mark_width = mark.width,
        mark_height = mark.height,
        mark_x = mark.x,
        mark_y = mark.y,
    )
}

/// Moves the picture's first frame to time zero.
///
/// By a constant, not by `STARTPTS`: the graph starts anew when the stream changes its size.
fn shift(start: Duration) -> String {
    if start.is_zero() {
        return String::new();
    }
    format!("setpts=PTS-{}/(1000000*TB),", start.as_micros())
}

/// Scales to the picture's rectangle and to BT.709, tone-mapping what is brighter.
fn scale(video: &Video, picture: Rectangle) -> String {
    let Rectangle { width, height, .. } = picture;
    let transfer = match video.colour.transfer {
        Transfer::Sdr => {
            let matrix = match video.colour.matrix {
                Matrix::Bt709 => "bt709",
                Matrix::Bt2020 => "bt2020",
                // What players assume of a file that does not say.
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
    // Scaled first, for the tone mapper works in 32-bit floats; 203 cd/m² is reference white of
    // ITU-R BT.2408. A direct conversion would clip the highlights.
    format!(
        "zscale={width}:{height}:filter=bicubic:min=2020_ncl:tin={transfer}:pin=2020:rin={range},\
         zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,\
         tonemap=mobius:desat=0:peak=4,zscale=t=bt709:m=bt709:r=tv,format=yuv420p"
    )
}

/// The lowest H.264 level for the frame at 30 frames per second (ITU-T H.264, table A-1).
fn level(frame: Resolution) -> &'static str {
    let blocks = u64::from(frame.width.div_ceil(16)) * u64::from(frame.height.div_ceil(16));
    match blocks {
        ..=1_350 => "3",
        1_351..=3_600 => "3.1",
        3_601..=8_192 => "4",
        8_193..=8_704 => "4.2",
        8_705..=32_768 => "5.1",
        _ => "5.2",
    }
}

/// Arguments that turn a still picture into a bumper: fade in, hold, fade out.
pub fn bumper(still: &Path, frames: u64, frame: Resolution, bumper: &Path) -> Vec<OsString> {
    let Resolution { width, height } = frame;
    let fade = frames / 5;
    let graph = format!(
        "scale={width}:{height}:force_original_aspect_ratio=decrease:force_divisible_by=2:\
         flags=lanczos:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p,\
         pad={width}:{height}:(ow-iw)/4*2:(oh-ih)/4*2:black,\
         loop=loop=-1:size=1,setpts=N/({RATE}*TB),fps={RATE}:start_time=0,\
         fade=in:0:{fade},fade=out:{out}:{fade}",
        out = frames - fade,
    );
    let mut args = words("-nostdin -hide_banner -loglevel error");
    args.extend(words(&format!("-framerate {RATE} -f png_pipe -i")));
    args.extend([file_url(still), "-vf".into(), graph.into()]);
    args.extend(words(&format!("-frames:v {frames}")));
    args.extend(encoder(frame));
    args.extend(words("-f mp4"));
    args.push(file_url(bumper));
    args
}

/// Arguments that join the files of a concat list without encoding, index first.
pub fn join(list: &Path, clip: &Path) -> Vec<OsString> {
    let mut args = words("-nostdin -hide_banner -loglevel error");
    args.extend(words("-f concat -protocol_whitelist file -i"));
    args.push(file_url(list));
    args.extend(words("-map 0:v -c copy -map_metadata -1"));
    args.extend(words(&format!(
        "-video_track_timescale {TIMESCALE} -movflags +faststart -f mp4"
    )));
    args.push(file_url(clip));
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::probe::{Colour, Probe};

    const TARGET: Target = Target {
        frame: Resolution {
            width: 1280,
            height: 720,
        },
        max_seconds: 30,
    };

    fn video(width: u32, height: u32) -> Video {
        let report = include_bytes!("testdata/portrait.json");
        let video = Probe::parse(report).unwrap().video.unwrap();
        Video {
            width,
            height,
            turned: false,
            ..video
        }
    }

    fn files() -> Files {
        Files {
            source: "/job/original".into(),
            watermark: "/brand/watermark.png".into(),
            body: "/job/body.mp4".into(),
            posters: ["/job/a.jpg", "/job/b.jpg", "/job/c.jpg"].map(PathBuf::from),
        }
    }

    #[test]
    fn the_whole_argument_list_of_a_portrait_clip() {
        let turned = Video {
            turned: true,
            ..video(1920, 1080)
        };
        let plan = plan(&turned, TARGET, &files());
        assert_eq!(plan.frames, 180);
        let lines = plan.args.join("\n".as_ref()).into_string().unwrap();
        assert_eq!(lines, include_str!("testdata/portrait.args").trim_end());
    }

    #[test]
    fn a_landscape_clip_fills_the_frame_and_needs_no_bars() {
        let graph = graph(&video(3840, 2160), TARGET, 900);
        assert!(!graph.contains("pad="), "{graph}");
        assert!(graph.contains("scale=1280:720:flags=bicubic"), "{graph}");
    }

    #[test]
    fn frames_are_counted_from_the_kept_length() {
        assert_eq!(frames(Duration::from_mins(1), 30), 900);
        assert_eq!(frames(Duration::from_millis(10_017), 30), 301);
        assert_eq!(frames(Duration::from_millis(1), 30), 1);
    }

    #[test]
    fn a_late_picture_is_moved_to_the_start() {
        let start = Duration::from_millis(1500);
        let graph = graph(
            &Video {
                start,
                ..video(1920, 1080)
            },
            TARGET,
            900,
        );
        assert!(graph.starts_with("[0:0]setpts=PTS-1500000/(1000000*TB),fps=30:start_time=0,"));
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
    fn an_untagged_picture_is_read_as_players_read_it() {
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

    #[test]
    fn the_level_follows_the_frame() {
        for (width, height, expected) in [(1280, 720, "3.1"), (1920, 1080, "4"), (720, 480, "3")] {
            assert_eq!(level(Resolution { width, height }), expected);
        }
    }
}
