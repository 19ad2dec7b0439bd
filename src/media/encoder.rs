//! How pictures become H.264: one set of options for bodies and bumpers, so that their parameter sets
//! are the same and the parts can be joined without encoding again.

use std::ffi::OsString;

use super::plan::{TIMESCALE, Target, words};
use crate::config::media::{Effort, Resolution};

/// Encoder and container options.
pub fn encoder(target: Target) -> Vec<OsString> {
    let (preset, crf, decisions) = trade(target.effort);
    let level = level(target.frame);
    let mut args = words("-an -sn -dn -map_metadata -1 -map_chapters -1");
    args.extend(words(&format!("-c:v libx264 -preset {preset} -crf {crf}")));
    args.extend(words(&format!(
        "-profile:v high -level:v {level} -pix_fmt yuv420p -threads {}",
        target.threads
    )));
    // A key frame at least every four seconds, so that a player can seek.
    let params = format!("{decisions}keyint=120:stitchable=1:open-gop=0");
    args.extend(words(&format!("-x264-params {params}")));
    args.extend(words(
        "-color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range tv",
    ));
    // Written into the parameter sets, too: some decoders report another one.
    args.extend(words("-chroma_sample_location left"));
    args.extend(words(&format!("-video_track_timescale {TIMESCALE}")));
    args
}

/// Preset, rate factor and further decisions: points on the Pareto front in `docs/media.md`.
fn trade(effort: Effort) -> (&'static str, f32, &'static str) {
    // Macroblock-tree rate control is worth more than what `veryfast` does, at half its cost; so are
    // B-frames where they fit, and small partitions. Weighting brings nothing on what a camera sees.
    const SHARP: &str = "mbtree=1:rc-lookahead=20:weightp=0:b-adapt=1:\
                         partitions=i4x4,i8x8,p8x8,b8x8:qcomp=0.7:";
    match effort {
        Effort::Fast => ("superfast", 29.0, SHARP),
        Effort::Balanced => ("superfast", 25.0, SHARP),
        Effort::Best => ("faster", 23.0, ""),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_follows_the_frame() {
        for (width, height, expected) in [(1280, 720, "3.1"), (1920, 1080, "4"), (720, 480, "3")] {
            assert_eq!(level(Resolution { width, height }), expected);
        }
    }
}
