//! Judges stills by their brightness: which one shows the most of its film.
//!
//! A picture is judged in blocks. Detail makes some blocks rich and leaves others plain, whereas
//! grain makes all blocks alike, so differences between blocks tell them apart. The same holds for
//! motion: grain differs from one frame to the next in all blocks.

/// Side of a block (pixels).
const BLOCK: usize = 40;

/// Side of the cells whose means are compared for motion (pixels). Grain vanishes in them.
const CELL: usize = 8;

/// Mean brightness of a block that is neither too dark nor burnt out, of 255.
const WELL_EXPOSED: std::ops::RangeInclusive<u32> = 40..=215;

/// Detail and motion, in levels of 255, of which a picture needs no more to be a good one.
const ENOUGH: f64 = 5.0;

/// How much a picture without detail counts, so that a bright one is better than a black one.
const PLAIN: f64 = 0.1;

/// How much motion counts beside detail. A moving picture is better than one that stands, but a
/// blurred one is not better than a sharp one.
const MOTION_WEIGHT: f64 = 0.5;

/// The brightness (luma) of a part of a frame, in rows.
#[derive(Debug, Clone, Copy)]
pub struct Luma<'a> {
    /// The rows of the frame, from the first row of the part.
    pub samples: &'a [u8],
    /// Samples in a row of the frame.
    pub stride: usize,
    /// First column of the part.
    pub x: usize,
    pub width: usize,
    pub height: usize,
}

impl<'a> Luma<'a> {
    /// Returns the rows of a square whose top left corner is at these coordinates.
    fn square(self, x: usize, y: usize, side: usize) -> impl Iterator<Item = &'a [u8]> {
        let Self {
            samples,
            stride,
            x: left,
            ..
        } = self;
        (y..y + side).filter_map(move |row| {
            let start = row * stride + left + x;
            samples.get(start..start + side)
        })
    }

    fn mean(self, x: usize, y: usize, side: usize) -> u32 {
        let (mut sum, mut count) = (0_u32, 0);
        for row in self.square(x, y, side) {
            for sample in row {
                sum += u32::from(*sample);
                count += 1;
            }
        }
        sum.checked_div(count).unwrap_or_default()
    }

    /// Returns the corners of all squares of this side.
    fn squares(self, side: usize) -> impl Iterator<Item = (usize, usize)> {
        let (across, down) = (self.width / side, self.height / side);
        (0..down).flat_map(move |row| (0..across).map(move |column| (column * side, row * side)))
    }
}

/// Returns how good a still is, from 0. `before` is the frame before it, if there is one.
pub fn score(still: Luma<'_>, before: Option<Luma<'_>>) -> f64 {
    let motion = before.map_or(0.0, |before| motion(still, before));
    let detail = PLAIN + enough(detail(still));
    exposure(still) * detail * (1.0 + MOTION_WEIGHT * enough(motion))
}

/// Returns a value from 0 to 1 that is .5 for [`ENOUGH`].
fn enough(value: f64) -> f64 {
    value / (value + ENOUGH)
}

/// Returns the share of well exposed blocks.
fn exposure(still: Luma<'_>) -> f64 {
    let (mut good, mut all) = (0_u32, 0_u32);
    for (x, y) in still.squares(BLOCK) {
        all += 1;
        good += u32::from(WELL_EXPOSED.contains(&still.mean(x, y, BLOCK)));
    }
    f64::from(good) / f64::from(all.max(1))
}

/// Returns the detail of the rich blocks that is more than grain.
fn detail(still: Luma<'_>) -> f64 {
    let blocks = still
        .squares(BLOCK)
        .map(|(x, y)| block_detail(still, x, y))
        .collect();
    let (plain, rich) = percentiles_25_and_90(blocks);
    (rich - plain * 1.25).max(0.0)
}

/// Returns the root mean square of the differences of neighbours in a block at half of its size. Blur
/// spreads an edge over many small differences, whose squares are smaller.
fn block_detail(still: Luma<'_>, x: usize, y: usize) -> f64 {
    let rows: Vec<Vec<u32>> = still
        .square(x, y, BLOCK)
        .collect::<Vec<_>>()
        .chunks_exact(2)
        .map(half)
        .collect();
    let (mut sum, mut count) = (0_u32, 0_u32);
    for (row, next) in rows.iter().zip(rows.iter().skip(1)) {
        let right = row.iter().zip(row.iter().skip(1));
        for ((here, right), below) in right.zip(next) {
            sum += here.abs_diff(*right).pow(2) + here.abs_diff(*below).pow(2);
            count += 1;
        }
    }
    // Each value is the sum of four samples.
    (f64::from(sum) / f64::from(count.max(1))).sqrt() / 4.0
}

/// Returns the sums of two by two samples of two rows.
fn half(rows: &[&[u8]]) -> Vec<u32> {
    let mut sums = Vec::new();
    for row in rows {
        sums.resize(row.len() / 2, 0);
        for (sum, pair) in sums.iter_mut().zip(row.chunks_exact(2)) {
            *sum += pair.iter().copied().map(u32::from).sum::<u32>();
        }
    }
    sums
}

/// Returns by how much more the moving blocks change than all others.
fn motion(still: Luma<'_>, before: Luma<'_>) -> f64 {
    let blocks = still.squares(BLOCK).map(|(x, y)| {
        let (mut sum, mut count) = (0, 0_u32);
        for column in (x..x + BLOCK).step_by(CELL) {
            for row in (y..y + BLOCK).step_by(CELL) {
                let now = still.mean(column, row, CELL);
                sum += now.abs_diff(before.mean(column, row, CELL));
                count += 1;
            }
        }
        f64::from(sum) / f64::from(count.max(1))
    });
    let (least, most) = percentiles_25_and_90(blocks.collect());
    most - least
}

/// Returns the 25th and the 90th percentile.
fn percentiles_25_and_90(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_unstable_by(f64::total_cmp);
    let percentile = |percent: usize| {
        let at = values.len().saturating_sub(1) * percent / 100;
        values.get(at).copied().unwrap_or_default()
    };
    (percentile(25), percentile(90))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 400;

    /// Returns a picture of these brightnesses.
    fn picture(brightness: impl Fn(usize, usize) -> u32) -> Vec<u8> {
        let pixel = |at: usize| brightness(at % SIDE, at / SIDE).try_into().unwrap();
        (0..SIDE * SIDE).map(pixel).collect()
    }

    fn luma(samples: &[u8]) -> Luma<'_> {
        Luma {
            samples,
            stride: SIDE,
            x: 0,
            width: SIDE,
            height: SIDE,
        }
    }

    /// Returns a number below 256 that has nothing to do with those of other places and moments.
    fn noise(x: usize, y: usize, moment: usize) -> u32 {
        let mixed = (x * 7919 + y * 104_729 + moment * 1_299_709).wrapping_mul(2_654_435_761);
        u32::try_from(mixed >> 13 & 255).unwrap()
    }

    /// Returns the brightness of stripes in a third of the picture, the rest of which is plain.
    fn stripes(x: usize, width: usize) -> u32 {
        let is_dark = x < SIDE / 3 && (x / width).is_multiple_of(2);
        if is_dark { 60 } else { 140 }
    }

    #[test]
    fn sharp_picture_is_better_than_blurred_grainy_dark_and_burnt_out_ones() {
        let sharp = picture(|x, _| stripes(x, 10));
        let soft = |x: usize| (0..10).map(|step| stripes(x + step, 10)).sum::<u32>() / 10;
        let worse = [
            ("blurred", picture(|x, _| soft(x))),
            ("grain", picture(|x, y| noise(x, y, 0))),
            ("faint grain", picture(|x, y| 100 + noise(x, y, 0) / 8)),
            ("plain", picture(|_, _| 128)),
            ("plain and dark", picture(|_, _| 16)),
            ("dark", picture(|x, _| stripes(x, 10) / 6)),
            ("burnt out", picture(|x, _| (stripes(x, 10) + 150).min(255))),
        ];
        let best = score(luma(&sharp), None);
        for (name, samples) in worse {
            let other = score(luma(&samples), None);
            assert!(other < best * 0.9, "{name}: {other} of {best}");
        }
    }

    #[test]
    fn plain_picture_is_better_than_a_black_one() {
        let [bright, black] = [128, 16].map(|level| picture(move |_, _| level));
        assert!(score(luma(&bright), None) > score(luma(&black), None));
    }

    #[test]
    fn moving_picture_is_better_than_one_that_stands() {
        let still = picture(|x, _| stripes(x, 10));
        let moved = picture(|x, _| stripes(x + 5, 10));
        let score = |before| score(luma(&still), before);
        assert!(score(Some(luma(&moved))) > score(Some(luma(&still))) * 1.1);
        assert!((score(Some(luma(&still))) - score(None)).abs() < 1e-9);
    }

    #[test]
    fn grain_is_no_motion() {
        let [before, still] = [0, 1].map(|moment| picture(|x, y| noise(x, y, moment)));
        let motion = motion(luma(&still), luma(&before));
        assert!(motion < 3.0, "{motion}");
    }

    #[test]
    fn picture_smaller_than_a_block_has_no_score() {
        let tiny = Luma {
            samples: &[128; 16],
            stride: 4,
            x: 0,
            width: 4,
            height: 4,
        };
        assert!(score(tiny, Some(tiny)).abs() < 1e-9);
    }
}
