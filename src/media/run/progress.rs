//! Progress of an encoding run, from the blocks that `ffmpeg -progress` writes twice a second.

use std::time::{Duration, Instant};

/// Encoding's share of the work (%); the rest is joining, checking and storing.
const ENCODED: u64 = 95;

/// Progress of a clip.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Never decreases.
    pub percent: u8,
    /// ETA of the clip, estimated from the pace so far; none before the first frames.
    pub remaining: Option<Duration>,
}

impl Progress {
    /// The clip is made and only has to be stored.
    pub const MADE: Self = Self {
        percent: 98,
        remaining: Some(Duration::ZERO),
    };

    fn of(frames: u64, expected: u64, elapsed: Duration) -> Self {
        let frames = frames.min(expected);
        let percent = frames * ENCODED / expected.max(1);
        let remaining = |frames| {
            let whole = elapsed.mul_f64(ratio(expected, frames) / ratio(ENCODED, 100));
            whole.saturating_sub(elapsed)
        };
        Self {
            percent: u8::try_from(percent).unwrap_or(u8::MAX),
            remaining: (frames > 0).then(|| remaining(frames)),
        }
    }
}

/// Counts the frames that an encoding run has made.
#[derive(Debug)]
pub struct Meter {
    expected: u64,
    started: Instant,
    frames: u64,
    line: Vec<u8>,
}

impl Meter {
    /// Starts counting a run that is expected to make `expected` frames.
    pub fn start(expected: u64) -> Self {
        Self {
            expected,
            started: Instant::now(),
            frames: 0,
            line: Vec::new(),
        }
    }

    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Reads a chunk of the report, split at any byte. Returns the progress if frames were added.
    pub fn read(&mut self, bytes: &[u8]) -> Option<Progress> {
        let before = self.frames;
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = String::from_utf8_lossy(&self.line);
            if let Some(number) = line.strip_prefix("frame=")
                && let Ok(frames) = number.trim().parse::<u64>()
            {
                self.frames = self.frames.max(frames);
            }
            self.line.clear();
        }
        (self.frames > before)
            .then(|| Progress::of(self.frames, self.expected, self.started.elapsed()))
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    let float = |number| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    float(part) / float(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_across_chunks() {
        let mut meter = Meter::start(90);
        assert_eq!(meter.read(b"frame=0\nfps=0.0\nfra"), None);
        let progress = meter.read(b"me=  45\nout_time_us=1500000\nprogress=continue\n");
        assert_eq!(progress.unwrap().percent, 47);
        assert_eq!(meter.read(b"frame=45\nprogress=end\n"), None);
        assert_eq!(meter.frames(), 45);
    }

    #[test]
    fn encoding_ends_at_95_percent() {
        let percent = |frames| Progress::of(frames, 900, Duration::from_secs(10)).percent;
        assert_eq!([0, 450, 901].map(percent), [0, 47, 95]);
    }

    #[test]
    fn remaining_time_follows_the_pace_so_far() {
        let remaining = |frames| Progress::of(frames, 900, Duration::from_secs(19)).remaining;
        assert_eq!(remaining(0), None);
        for (frames, seconds) in [(450, 21), (900, 1)] {
            let off = remaining(frames)
                .unwrap()
                .abs_diff(Duration::from_secs(seconds));
            assert!(off < Duration::from_millis(1), "{frames}: {off:?}");
        }
    }
}
