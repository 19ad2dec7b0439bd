//! Properties of the clip to make, of its light rendition and of its pictures.

use crate::config::{
    Switch,
    media::{Effort, Resolution, Settings},
};

/// Frames per second of every clip.
pub const RATE: u32 = 30;

/// Ticks per second of every clip; each frame lasts exactly 512.
pub const TIMESCALE: u32 = 15_360;

/// Number of evenly spaced stills of a clip, one of which becomes the poster.
pub const STILLS: u64 = 8;

/// Length of the longer side of a thumb (pixels).
const THUMB_SIDE: u32 = 480;

/// Properties of the clip to make.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub frame: Resolution,
    pub max_seconds: u32,
    pub effort: Effort,
    /// Whether a light rendition is made as well.
    pub light: Switch,
    /// Threads per run. Concurrent jobs use the processors better than threads within one job.
    pub threads: usize,
}

/// A version of the clip. All have the same frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rendition {
    pub frame: Resolution,
    pub quality: Quality,
}

/// How a rendition is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// The clip itself: any number of bytes, as the picture needs.
    Full(Effort),
    /// The light rendition: a bounded number of bytes per second, for any picture.
    Light,
}

impl Target {
    /// The target of the default settings, for tests.
    #[cfg(test)]
    pub const DEFAULT: Self = Self {
        frame: Resolution {
            width: 1280,
            height: 720,
        },
        max_seconds: 30,
        effort: Effort::Balanced,
        light: Switch::On,
        threads: 1,
    };

    /// Returns the clip itself.
    pub fn full(self) -> Rendition {
        Rendition {
            frame: self.frame,
            quality: Quality::Full(self.effort),
        }
    }

    /// Returns the light rendition, if one is made: half the size of the clip, rounded down to even.
    pub fn light(self) -> Option<Rendition> {
        let Resolution { width, height } = self.frame;
        let light = Rendition {
            frame: Resolution {
                width: width / 4 * 2,
                height: height / 4 * 2,
            },
            quality: Quality::Light,
        };
        (self.light == Switch::On).then_some(light)
    }

    /// Returns all renditions, the clip itself first.
    pub fn renditions(self) -> impl Iterator<Item = Rendition> {
        [Some(self.full()), self.light()].into_iter().flatten()
    }

    /// Returns the size of a thumb: the shape of the clip, 480 pixels on the longer side.
    pub fn thumb(self) -> Resolution {
        let Resolution { width, height } = self.frame;
        let longer = width.max(height).max(1);
        let scaled = |side: u32| (side * THUMB_SIDE / longer).div_ceil(2).max(1) * 2;
        Resolution {
            width: scaled(width),
            height: scaled(height),
        }
    }
}

impl From<&Settings> for Target {
    fn from(settings: &Settings) -> Self {
        Self {
            frame: settings.output_resolution,
            max_seconds: settings.max_video_duration,
            effort: settings.encode_effort,
            light: settings.light_rendition,
            threads: 1,
        }
    }
}

/// Returns the threads per run for `jobs` concurrent jobs. More than four gain little at this size.
pub fn threads(processors: usize, jobs: usize) -> usize {
    (processors / jobs.max(1)).clamp(1, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(width: u32, height: u32, light: Switch) -> Target {
        Target {
            frame: Resolution { width, height },
            max_seconds: 30,
            effort: Effort::Balanced,
            light,
            threads: 1,
        }
    }

    #[test]
    fn light_rendition_has_half_the_size_of_the_clip() {
        for (frame, half) in [
            ((1280, 720), (640, 360)),
            ((854, 480), (426, 240)),
            ((128, 130), (64, 64)),
        ] {
            let target = target(frame.0, frame.1, Switch::On);
            let light = target.light().unwrap();
            assert_eq!((light.frame.width, light.frame.height), half);
            assert_eq!(target.renditions().count(), 2);
        }
        let target = target(1280, 720, Switch::Off);
        assert_eq!(target.renditions().collect::<Vec<_>>(), [target.full()]);
    }

    #[test]
    fn thumb_has_480_pixels_on_its_longer_side() {
        for (frame, expected) in [
            ((1280, 720), (480, 270)),
            ((854, 480), (480, 270)),
            ((720, 1280), (270, 480)),
            ((128, 128), (480, 480)),
            ((4096, 128), (480, 16)),
        ] {
            let thumb = target(frame.0, frame.1, Switch::On).thumb();
            assert_eq!((thumb.width, thumb.height), expected);
        }
    }

    #[test]
    fn jobs_share_the_processors() {
        let all = [(2, 4), (2, 2), (2, 1), (8, 3), (64, 1)];
        assert_eq!(
            all.map(|(processors, jobs)| threads(processors, jobs)),
            [1, 1, 2, 2, 4]
        );
    }
}
