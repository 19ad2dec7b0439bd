//! Minimum rate of request bodies. Slower clients would occupy connections for nothing.

use std::time::{Duration, Instant};

/// Window over which the rate is measured, and maximum silence: long enough for a tunnel.
pub const WINDOW: Duration = Duration::from_secs(20);

/// Minimum bytes per [`WINDOW`]: 4 KiB/s. A phone on the slowest network sends twice as much.
const MIN_BYTES: usize = 80 * 1024;

/// Measures how fast a body arrives.
pub struct Pace {
    since: Instant,
    bytes: usize,
}

impl Pace {
    pub fn new(now: Instant) -> Self {
        Self {
            since: now,
            bytes: 0,
        }
    }

    /// Records `bytes` received, and returns whether the last full window reached the minimum.
    pub fn keeps_up(&mut self, bytes: usize, now: Instant) -> bool {
        self.bytes += bytes;
        if now.duration_since(self.since) < WINDOW {
            return true;
        }
        let is_enough = self.bytes >= MIN_BYTES;
        *self = Self::new(now);
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_below_the_minimum_rate_is_too_slow() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut slow = Pace::new(start);
        let mut steady = Pace::new(start);
        for step in 1..=20 {
            let now = start + step * second;
            assert!(steady.keeps_up(4200, now), "{step} s");
            assert_eq!(slow.keeps_up(1000, now), step < 20, "{step} s");
        }
    }
}
