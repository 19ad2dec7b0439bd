//! The stills of a clip, among which the poster is chosen: raw frames, so that only the chosen one is
//! compressed.

use std::ffi::OsString;

use crate::media::{
    args::{file_url, split_args},
    target::STILLS,
};

/// File of the stills in the job's folder: frames in planar YUV 4:2:0, 12 bits per pixel.
pub const FILE: &str = "out/stills.yuv";

/// Which frames of a body are kept: the middles of equal parts, each after the frame before it, which
/// shows what moves. The first part decodes in every accepted source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stills {
    /// Frames of a part.
    part: u64,
}

impl Stills {
    /// Returns the stills of a body of `frames` frames.
    pub fn of(frames: u64) -> Self {
        Self {
            part: frames.div_ceil(STILLS).max(1),
        }
    }

    /// Returns whether each still has the frame before it in the file. In a film of a few frames,
    /// every frame is a still.
    pub fn are_pairs(self) -> bool {
        self.part > 1
    }

    /// Returns the frame of the body that a still shows. Stills are numbered from 0.
    pub fn frame(self, number: u64) -> u64 {
        number * self.part + self.part / 2
    }

    /// Returns the filter that selects the frames to keep.
    pub fn filter(self) -> String {
        let Self { part } = self;
        let middle = part / 2;
        let first = middle.saturating_sub(1);
        format!("select=between(mod(n\\,{part})\\,{first}\\,{middle})")
    }

    /// Returns the output arguments for the frames under this label of the filter graph.
    pub fn output(self, label: &str) -> Vec<OsString> {
        let frames = STILLS * if self.are_pairs() { 2 } else { 1 };
        let mut args = split_args(&format!(
            "-map [{label}] -frames:v {frames} -fps_mode vfr -map_metadata -1 -c:v rawvideo \
             -pix_fmt yuv420p -threads 1 -f rawvideo"
        ));
        args.push(file_url(FILE));
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stills_are_the_middles_of_equal_parts() {
        let stills = Stills::of(900);
        assert_eq!([0, 7].map(|number| stills.frame(number)), [56, 847]);
        assert_eq!(stills.filter(), r"select=between(mod(n\,113)\,55\,56)");
        assert!(stills.are_pairs());
    }

    #[test]
    fn every_frame_of_a_short_film_is_a_still() {
        for frames in [1, 8] {
            let stills = Stills::of(frames);
            assert_eq!(stills.filter(), r"select=between(mod(n\,1)\,0\,0)");
            assert!(!stills.are_pairs());
            assert_eq!(stills.frame(7), 7);
        }
        assert_eq!(Stills::of(9).filter(), r"select=between(mod(n\,2)\,0\,1)");
    }
}
