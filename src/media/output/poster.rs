//! Chooses a clip's poster and thumb: the still that shows the most, each in the finest quality that
//! fits.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};

use super::still::{Luma, score};
use crate::{
    config::media::Resolution,
    media::{layout::Rectangle, run::scratch::file_size, stills::Stills},
};

/// Maximum size of a poster before a coarser quality is preferred.
pub const MAX_POSTER_BYTES: u64 = 40 * 1024;

/// Maximum size of a thumb before a coarser quality is preferred.
pub const MAX_THUMB_BYTES: u64 = 16 * 1024;

/// The stills of a clip in a file.
#[derive(Debug)]
pub struct Sheet<'a> {
    pub file: &'a Path,
    pub stills: Stills,
    pub frame: Resolution,
    /// The player's picture in the frame.
    pub picture: Rectangle,
}

/// A frame in planar YUV 4:2:0.
#[derive(Debug, PartialEq, Eq)]
pub struct Still(pub Vec<u8>);

/// Returns the still to show. One for which `is_damaged` returns true is shown only if all are, in
/// which numbers begin at 0.
pub fn choose(sheet: &Sheet<'_>, is_damaged: impl Fn(u64) -> bool) -> anyhow::Result<Still> {
    let place = || format!("read {}", sheet.file.display());
    let file = File::open(sheet.file).with_context(place)?;
    let mut file = BufReader::new(file);
    let mut best: Option<((bool, f64), Vec<u8>)> = None;
    for number in 0.. {
        let Some(mut still) = sheet.read_frame(&mut file).with_context(place)? else {
            break;
        };
        let mut before = None;
        if sheet.stills.are_pairs() {
            // The film may have ended between the two.
            if let Some(next) = sheet.read_frame(&mut file).with_context(place)? {
                before = Some(std::mem::replace(&mut still, next));
            }
        }
        let before = before.as_deref().map(|before| sheet.luma(before));
        let rank = (!is_damaged(number), score(sheet.luma(&still), before));
        let is_better = |(is_whole, score): &(bool, f64)| {
            (rank.0, *is_whole) == (true, false) || (rank.0 == *is_whole && rank.1 > *score)
        };
        if best.as_ref().is_none_or(|(rank, _)| is_better(rank)) {
            best = Some((rank, still));
        }
    }
    let (_, still) = best.context("no still was made")?;
    Ok(Still(still))
}

impl Sheet<'_> {
    fn pixels(&self) -> usize {
        let pixels = u64::from(self.frame.width) * u64::from(self.frame.height);
        usize::try_from(pixels).unwrap_or(usize::MAX)
    }

    /// Reads the next frame, none at the end.
    fn read_frame(&self, file: &mut impl Read) -> anyhow::Result<Option<Vec<u8>>> {
        let bytes = self.pixels() / 2 * 3;
        let mut frame = Vec::with_capacity(bytes);
        file.take(u64::try_from(bytes)?).read_to_end(&mut frame)?;
        ensure!(
            frame.is_empty() || frame.len() == bytes,
            "a frame is cut off"
        );
        Ok((!frame.is_empty()).then_some(frame))
    }

    /// Returns the brightness of the player's picture.
    fn luma<'a>(&self, frame: &'a [u8]) -> Luma<'a> {
        let size = |pixels: u32| usize::try_from(pixels).unwrap_or(usize::MAX);
        let stride = size(self.frame.width);
        Luma {
            samples: frame
                .get(size(self.picture.y) * stride..)
                .unwrap_or_default(),
            stride,
            x: size(self.picture.x),
            width: size(self.picture.width),
            height: size(self.picture.height),
        }
    }
}

impl Still {
    /// Returns the average colour as six hexadecimal digits (ITU-R BT.709, limited range).
    pub fn colour(&self) -> String {
        let Self(frame) = self;
        let (luma, chroma) = frame.split_at(frame.len() / 3 * 2);
        let (blue, red) = chroma.split_at(chroma.len() / 2);
        let [luma, blue, red] = [luma, blue, red].map(mean);
        // In thousandths.
        let (light, blue, red) = (1164 * (luma - 16), blue - 128, red - 128);
        let rgb = [
            light + 1793 * red,
            light - 213 * blue - 533 * red,
            light + 2112 * blue,
        ];
        hex::encode(rgb.map(|value| u8::try_from((value / 1000).clamp(0, 255)).unwrap_or(u8::MAX)))
    }
}

fn mean(samples: &[u8]) -> i64 {
    let sum: i64 = samples.iter().copied().map(i64::from).sum();
    let count = i64::try_from(samples.len()).unwrap_or(i64::MAX);
    sum.checked_div(count).unwrap_or_default()
}

/// Returns the first of the files, finest first, that has at most `max_bytes`, or the last.
pub fn finest(files: impl IntoIterator<Item = PathBuf>, max_bytes: u64) -> anyhow::Result<PathBuf> {
    let mut coarsest = None;
    for file in files {
        if file_size(&file)? <= max_bytes {
            return Ok(file);
        }
        coarsest = Some(file);
    }
    coarsest.context("no picture was made")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Resolution = Resolution {
        width: 160,
        height: 80,
    };

    /// Returns a frame with this many columns of stripes on grey.
    fn frame(striped: usize) -> Vec<u8> {
        let mut frame = vec![128; 160 * 80 * 3 / 2];
        for (at, sample) in frame.iter_mut().take(160 * 80).enumerate() {
            if at % 160 < striped && (at / 8) % 2 == 0 {
                *sample = 60;
            }
        }
        frame
    }

    /// Returns the chosen one of these frames, which are stills of a body of `frames` frames.
    fn chosen(stills: &[Vec<u8>], frames: u64, damaged: &[u64]) -> anyhow::Result<Still> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stills.yuv");
        std::fs::write(&file, stills.concat()).unwrap();
        let sheet = Sheet {
            file: &file,
            stills: Stills::of(frames),
            frame: FRAME,
            picture: Rectangle {
                x: 0,
                y: 0,
                width: 160,
                height: 80,
            },
        };
        choose(&sheet, |number| damaged.contains(&number))
    }

    #[test]
    fn best_undamaged_still_is_chosen() {
        let stills = [0, 80, 40, 0].map(frame);
        for (damaged, expected) in [(&[][..], 1), (&[1], 2), (&[0, 1, 2, 3], 1)] {
            let still = chosen(&stills, 8, damaged).unwrap();
            assert!(still.0 == stills[expected], "{damaged:?}");
        }
    }

    #[test]
    fn second_frame_of_a_pair_is_the_still() {
        let stills = [80, 0, 0, 40].map(frame);
        assert!(chosen(&stills, 240, &[]).unwrap().0 == stills[3]);
        // A film that ended between the two frames.
        assert!(chosen(&stills[..1], 240, &[]).unwrap().0 == stills[0]);
    }

    #[test]
    fn missing_and_cut_stills_are_errors() {
        assert!(chosen(&[], 240, &[]).is_err());
        assert!(chosen(&[frame(0), vec![0; 7]], 240, &[]).is_err());
    }

    #[test]
    fn colour_is_the_average() {
        let still = |luma, blue, red| {
            let planes = [vec![luma; 64], vec![blue; 16], vec![red; 16]];
            Still(planes.concat()).colour()
        };
        assert_eq!(still(16, 128, 128), "000000");
        assert_eq!(still(235, 128, 128), "fefefe");
        // Red and blue of BT.709.
        assert_eq!(still(63, 102, 240), "ff0000");
        assert_eq!(still(32, 240, 118), "0000ff");
    }

    #[test]
    fn finest_picture_that_fits_is_chosen() {
        let folder = tempfile::tempdir().unwrap();
        let files = [59, 30, 20].map(|size| {
            let file = folder.path().join(format!("{size}.jpg"));
            std::fs::write(&file, vec![0; size]).unwrap();
            file
        });
        for (max_bytes, expected) in [(59, 0), (58, 1), (19, 2)] {
            assert_eq!(finest(files.clone(), max_bytes).unwrap(), files[expected]);
        }
        assert!(finest([], 1).is_err());
    }
}
