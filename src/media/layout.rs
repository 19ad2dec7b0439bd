//! Places the player's picture and the watermark in the frame.

use crate::config::media::Resolution;

/// Shape of `web/brand/watermark.svg`.
const WATERMARK_SHAPE: (u32, u32) = (532, 212);

/// An area in pixels from the frame's top left corner. All values are even, as 4:2:0 requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rectangle {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

impl Rectangle {
    /// Returns whether nothing of the frame is left.
    pub fn fills(self, frame: Resolution) -> bool {
        (self.width, self.height) == (frame.width, frame.height)
    }
}

/// Returns the largest centred rectangle of this shape in the frame.
pub fn fit((across, down): (u64, u64), frame: Resolution) -> Rectangle {
    let (across, down) = (across.max(1), down.max(1));
    let (frame_width, frame_height) = (u64::from(frame.width), u64::from(frame.height));
    let (width, height) = if across * frame_height >= down * frame_width {
        (frame.width, even(frame_width * down / across))
    } else {
        (even(frame_height * across / down), frame.height)
    };
    Rectangle {
        // Half of the bars, rounded down to even.
        x: (frame.width - width) / 4 * 2,
        y: (frame.height - height) / 4 * 2,
        width,
        height,
    }
}

/// Places the watermark in the top right corner of the picture, never beside it. It has the same size
/// in every frame, legible on a phone without hiding a basket, unless the picture is too small for it.
pub fn watermark(picture: Rectangle, frame: Resolution) -> Rectangle {
    let (shape_width, shape_height) = WATERMARK_SHAPE;
    let by_width = (picture.width * 2 / 5).min(frame.height / 4);
    let by_height = picture.height * 2 / 5 * shape_width / shape_height;
    let width = even(by_width.min(by_height).into());
    let height = even((width * shape_height / shape_width).into());
    let margin = even((picture.width.min(picture.height) / 40).into());
    Rectangle {
        x: picture.x + picture.width.saturating_sub(width + margin),
        y: picture.y + margin.min(picture.height.saturating_sub(height) / 2 * 2),
        width,
        height,
    }
}

/// Rounds up to an even number of at least 2. H.264 levels end long before `u32`.
fn even(pixels: u64) -> u32 {
    u32::try_from(pixels.div_ceil(2).max(1) * 2).unwrap_or(u32::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Resolution = Resolution {
        width: 1280,
        height: 720,
    };

    #[test]
    fn pictures_of_any_shape_fit_without_distortion() {
        for (shape, expected) in [
            ((320, 180), (0, 0, 1280, 720)),
            ((640, 480), (160, 0, 960, 720)),
            ((500, 500), (280, 0, 720, 720)),
            ((2560, 1080), (0, 90, 1280, 540)),
            ((1081, 1921), (436, 0, 406, 720)),
            ((1440 * 4, 1080 * 3), (0, 0, 1280, 720)),
            ((1080 * 3, 1440 * 4), (436, 0, 406, 720)),
            ((100_000, 2), (0, 358, 1280, 2)),
        ] {
            let Rectangle {
                x,
                y,
                width,
                height,
            } = fit(shape, FRAME);
            assert_eq!((x, y, width, height), expected, "{shape:?}");
        }
    }

    #[test]
    fn watermark_is_as_large_on_every_picture_that_has_room() {
        for (shape, width) in [
            ((1920, 1080), 180),
            ((640, 480), 180),
            ((500, 500), 180),
            ((2560, 1080), 180),
            ((1080, 1920), 162),
        ] {
            let mark = watermark(fit(shape, FRAME), FRAME);
            assert_eq!(mark.width, width, "{shape:?}");
        }
    }

    #[test]
    fn watermark_stays_on_the_picture() {
        for shape in [
            (1920, 1080),
            (1080, 1920),
            (500, 500),
            (100_000, 2),
            (2, 5000),
        ] {
            let picture = fit(shape, FRAME);
            let mark = watermark(picture, FRAME);
            assert!(
                mark.x >= picture.x && mark.x + mark.width <= picture.x + picture.width,
                "{shape:?}"
            );
            assert!(
                mark.y >= picture.y && mark.y + mark.height <= picture.y + picture.height,
                "{shape:?}"
            );
        }
    }
}
