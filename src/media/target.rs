//! Properties of the clip to make.

use crate::config::media::{Effort, Resolution, Settings};

/// Frames per second of every clip.
pub const RATE: u32 = 30;

/// Ticks per second of every clip; each frame lasts exactly 512.
pub const TIMESCALE: u32 = 15_360;

/// Number of evenly spaced stills of a clip, one of which becomes the poster.
pub const STILLS: u64 = 8;

/// Properties of the clip to make.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub frame: Resolution,
    pub max_seconds: u32,
    pub effort: Effort,
    /// Threads per run. Concurrent jobs use the processors better than threads within one job.
    pub threads: usize,
}

impl From<&Settings> for Target {
    fn from(settings: &Settings) -> Self {
        Self {
            frame: settings.output_resolution,
            max_seconds: settings.max_video_duration,
            effort: settings.encode_effort,
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

    #[test]
    fn jobs_share_the_processors() {
        let all = [(2, 4), (2, 2), (2, 1), (8, 3), (64, 1)];
        assert_eq!(
            all.map(|(processors, jobs)| threads(processors, jobs)),
            [1, 1, 2, 2, 4]
        );
    }
}
