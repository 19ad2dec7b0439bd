//! Encoder options, shared by bodies and bumpers so that their H.264 parameter sets are equal and
//! the parts can be joined without re-encoding.

use std::ffi::OsString;

use crate::{
    config::media::{Effort, Resolution},
    media::{
        args::split_args,
        target::{Quality, Rendition, TIMESCALE},
    },
};

/// Options that bound the light rendition to 500 kbit/s, however wild the picture: a clip of 34 s has
/// at most 2.2 MB. The buffer is four seconds, over which a quiet picture leaves bits to a wild one.
const LIGHT_LIMITS: &str = "-maxrate 500k -bufsize 2000k";

/// Returns the encoder and container options.
pub fn encoder(rendition: Rendition, threads: usize) -> Vec<OsString> {
    let (preset, crf, decisions) = trade(rendition.quality);
    let level = level(rendition.frame);
    let (profile, limits) = match rendition.quality {
        Quality::Full(_) => ("high", ""),
        // Decoders of the cheapest phones know it as well.
        Quality::Light => ("main", LIGHT_LIMITS),
    };
    let mut args = split_args("-an -sn -dn -map_metadata -1 -map_chapters -1");
    args.extend(split_args(&format!(
        "-c:v libx264 -preset {preset} -crf {crf} {limits}"
    )));
    args.extend(split_args(&format!(
        "-profile:v {profile} -level:v {level} -pix_fmt yuv420p -threads {threads}"
    )));
    // A key frame at least every four seconds enables seeking.
    let params = format!("{decisions}keyint=120:stitchable=1:open-gop=0");
    args.extend(split_args(&format!("-x264-params {params}")));
    args.extend(split_args(
        "-color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range tv",
    ));
    // Also written into the parameter sets, because some decoders report another location.
    args.extend(split_args("-chroma_sample_location left"));
    args.extend(split_args(&format!("-video_track_timescale {TIMESCALE}")));
    args
}

/// Returns preset, rate factor and further parameters, from the Pareto front in `docs/media.md`.
fn trade(quality: Quality) -> (&'static str, f32, &'static str) {
    // Macroblock-tree rate control and adaptive B-frames gain more than `veryfast` does, at half its
    // cost. Weighted prediction gains nothing on camera footage, and small partitions of inter-coded
    // blocks little.
    const SHARP: &str = "mbtree=1:rc-lookahead=20:weightp=0:b-adapt=1:partitions=i8x8:qcomp=0.7:";
    // Without 8x8 transforms, which the main profile lacks. With a bounded rate the default of
    // `qcomp` is better on wild pictures.
    const MAIN: &str = "mbtree=1:rc-lookahead=20:weightp=0:b-adapt=1:partitions=i4x4,p8x8,b8x8:";
    match quality {
        Quality::Full(Effort::Fast) => ("superfast", 29.0, SHARP),
        Quality::Full(Effort::Balanced) => ("superfast", 27.0, SHARP),
        Quality::Full(Effort::Best) => ("faster", 23.0, ""),
        Quality::Light => ("superfast", 28.0, MAIN),
    }
}

/// Returns the lowest H.264 level for the frame at 30 frames per second (ITU-T H.264, table A-1).
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_follows_the_frame_size() {
        for (width, height, expected) in [(1280, 720, "3.1"), (1920, 1080, "4"), (720, 480, "3")] {
            assert_eq!(level(Resolution { width, height }), expected);
        }
    }
}
