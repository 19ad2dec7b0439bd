//! How a stored picture is turned to be upright, from the display matrix of its track.

/// A turn, with a reflection where a front camera stores what a mirror shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Upright,
    Clockwise,
    ClockwiseMirrored,
    Counterclockwise,
    CounterclockwiseMirrored,
    Half,
    /// Left and right are exchanged.
    MirroredAcross,
    /// Top and bottom are exchanged.
    MirroredDown,
    /// An angle that is not a quarter turn. `ffmpeg` rotates the picture within its frame.
    Oblique,
}

impl Turn {
    /// Reads a display matrix as `ffprobe` prints it, and decides as `ffmpeg` does: angles are
    /// rounded to degrees, and only exact quarter turns exchange width and height.
    pub fn of(displaymatrix: Option<&str>) -> Self {
        let Some([a, b, c, d]) = displaymatrix.and_then(upper_left) else {
            return Self::Upright;
        };
        let (across, down) = (a.hypot(c), b.hypot(d));
        // As in `av_display_rotation_get`, which does not rotate by a degenerate matrix either.
        let degrees = (b / down).atan2(a / across).to_degrees().round();
        if !degrees.is_finite() {
            return Self::Upright;
        }
        let is = |angle: f64| (degrees.rem_euclid(360.0) - angle).abs() < 0.5;
        if is(90.0) {
            if c > 0.0 {
                Self::CounterclockwiseMirrored
            } else {
                Self::Clockwise
            }
        } else if is(180.0) {
            match (a < 0.0, d < 0.0) {
                (true, true) => Self::Half,
                (true, false) => Self::MirroredAcross,
                (false, true) => Self::MirroredDown,
                (false, false) => Self::Upright,
            }
        } else if is(270.0) {
            if c < 0.0 {
                Self::ClockwiseMirrored
            } else {
                Self::Counterclockwise
            }
        } else if is(0.0) {
            if d < 0.0 {
                Self::MirroredDown
            } else {
                Self::Upright
            }
        } else {
            Self::Oblique
        }
    }

    /// Returns whether width and height of the stored picture are exchanged.
    pub fn swaps_sides(self) -> bool {
        match self {
            Self::Clockwise
            | Self::ClockwiseMirrored
            | Self::Counterclockwise
            | Self::CounterclockwiseMirrored => true,
            Self::Upright
            | Self::Half
            | Self::MirroredAcross
            | Self::MirroredDown
            | Self::Oblique => false,
        }
    }
}

/// Returns the numbers a, b, c and d of the matrix (a b u; c d v; x y w) from lines such as
/// `00000000:            0       65536           0`.
fn upper_left(text: &str) -> Option<[f64; 4]> {
    let words = text.split_whitespace().filter(|word| !word.ends_with(':'));
    let numbers: Vec<f64> = words
        .map(|word| word.parse::<i32>().map(f64::from))
        .collect::<Result<_, _>>()
        .ok()?;
    let [a, b, _, c, d, ..] = numbers.as_slice() else {
        return None;
    };
    Some([*a, *b, *c, *d])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(a: i32, b: i32, c: i32, d: i32) -> Turn {
        Turn::of(Some(&format!(
            "\n00000000: {a:12}{b:12}{:12}\n00000001: {c:12}{d:12}{:12}\n00000002: 0 0 1073741824\n",
            0, 0
        )))
    }

    #[test]
    fn matrices_of_cameras_are_turned() {
        const ONE: i32 = 65_536;
        for (matrix, expected) in [
            ((ONE, 0, 0, ONE), Turn::Upright),
            ((0, ONE, -ONE, 0), Turn::Clockwise),
            ((-ONE, 0, 0, -ONE), Turn::Half),
            ((0, -ONE, ONE, 0), Turn::Counterclockwise),
            ((-ONE, 0, 0, ONE), Turn::MirroredAcross),
            ((ONE, 0, 0, -ONE), Turn::MirroredDown),
            ((0, ONE, ONE, 0), Turn::CounterclockwiseMirrored),
            ((0, -ONE, -ONE, 0), Turn::ClockwiseMirrored),
            // Some editors scale the picture as well.
            ((0, 2 * ONE, -3 * ONE, 0), Turn::Clockwise),
        ] {
            let (a, b, c, d) = matrix;
            assert_eq!(turn(a, b, c, d), expected, "{matrix:?}");
        }
    }

    #[test]
    fn angles_are_rounded_to_degrees() {
        for (degrees, expected) in [
            (89.6_f64, Turn::Clockwise),
            (90.4, Turn::Clockwise),
            (89.0, Turn::Oblique),
            (91.0, Turn::Oblique),
            (0.4, Turn::Upright),
            (45.0, Turn::Oblique),
            (-90.0, Turn::Counterclockwise),
        ] {
            let (sine, cosine) = degrees.to_radians().sin_cos();
            #[expect(
                clippy::as_conversions,
                clippy::cast_possible_truncation,
                reason = "fixed point"
            )]
            let fixed = |number: f64| (number * 65_536.0).round() as i32;
            let seen = turn(fixed(cosine), fixed(sine), fixed(-sine), fixed(cosine));
            assert_eq!(seen, expected, "{degrees}");
        }
    }

    #[test]
    fn missing_and_degenerate_matrices_turn_nothing() {
        assert_eq!(Turn::of(None), Turn::Upright);
        assert_eq!(Turn::of(Some("\n00000000: 1 x\n")), Turn::Upright);
        assert_eq!(turn(0, 0, 0, 0), Turn::Upright);
    }
}
