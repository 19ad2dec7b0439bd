//! How fast a body must arrive: whoever sends less holds a connection for nothing.

use std::time::{Duration, Instant};

/// Span over which the floor rate is judged, and longest silence: a tunnel is forgiven.
pub const WINDOW: Duration = Duration::from_secs(20);

/// Fewest bytes of a body in a [`WINDOW`]: 4 KiB/s. A phone on the slowest network sends twice that.
const FLOOR_BYTES: usize = 80 * 1024;

/// How fast a body arrives.
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

    /// Counts `bytes` that arrived, and tells whether the last full window had enough of them.
    pub fn keeps_up(&mut self, bytes: usize, now: Instant) -> bool {
        self.bytes += bytes;
        if now.duration_since(self.since) < WINDOW {
            return true;
        }
        let is_enough = self.bytes >= FLOOR_BYTES;
        *self = Self::new(now);
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_below_the_floor_rate_is_too_slow() {
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
