//! The length of a film as its packets show it, for headers that say nothing or contradict them.

use std::{ffi::OsString, path::Path, time::Duration};

use super::probe::Video;
use crate::media::args::{file_url, input_limits, split_args};

/// Headers are rounded, and the parts of a film end a frame or two apart.
const TOLERANCE: Duration = Duration::from_millis(100);

/// Number and times of the packets of a video stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeline {
    /// Number of packets, including those that an edit list hides.
    packets: u64,
    /// Time from the first shown picture to the last.
    until_last: Duration,
    /// Duration of the last shown picture, or of the packet that is stored last.
    last: Duration,
}

impl Timeline {
    /// Returns the arguments that make `ffprobe` list the packets of a stream for
    /// [`Timeline::parse`]. Nothing is decoded.
    pub fn args(source: &Path, index: u32) -> Vec<OsString> {
        let mut args = split_args("-v error -nofind_stream_info");
        args.extend(input_limits());
        args.extend(split_args(&format!("-select_streams {index}")));
        args.extend(split_args(
            "-show_entries packet=pts_time,duration_time,flags",
        ));
        args.extend(split_args("-of csv=p=0"));
        args.push(file_url(source));
        args
    }

    /// Reads lines such as `0.033333,0.033333,K_`. Returns none if no packet has a time.
    pub fn parse(csv: &[u8]) -> Option<Self> {
        let (mut packets, mut first, mut last) = (0, f64::INFINITY, (f64::NEG_INFINITY, 0.0));
        let mut stored_last = 0.0;
        for line in String::from_utf8_lossy(csv).lines() {
            packets += 1;
            let mut fields = line.split(',');
            let Some(Ok(time)) = fields.next().map(str::parse::<f64>) else {
                continue;
            };
            let duration: f64 = fields.next().and_then(|it| it.parse().ok()).unwrap_or(0.0);
            // `D`: decoded for others, but not shown.
            if fields.next().is_some_and(|flags| flags.contains('D')) {
                continue;
            }
            first = first.min(time);
            if time > last.0 {
                last = (time, duration);
            }
            stored_last = duration;
        }
        let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).ok();
        Some(Self {
            packets,
            until_last: seconds(last.0 - first)?,
            last: seconds(last.1.max(stored_last))?,
        })
    }
}

impl Video {
    /// Returns whether the headers may be wrong about the length, or may not tell that the last
    /// picture stands: they name no number of pictures or no length, the pictures last longer than
    /// the headers say, or there are too few pictures for this frame rate.
    pub fn is_timing_doubtful(&self) -> bool {
        let Some(frames) = self.frames else {
            return true;
        };
        let media = self.rate.time_of(frames);
        let at_full_rate = self.base_rate.time_of(frames);
        self.duration.is_zero()
            || media > self.duration + TOLERANCE
            || at_full_rate + TOLERANCE < self.duration
    }

    /// Corrects the length by the packets. `is_whole` tells whether the file has all of them.
    pub fn correct_timing(&mut self, timeline: Timeline, is_whole: bool) {
        let frame = self.base_rate.time_of(1).min(timeline.last);
        let shown = timeline.until_last + frame;
        // Headers may be shorter than the media because an edit hides a part of it.
        if self.duration.is_zero() || self.duration + TOLERANCE < shown {
            // The sample tables list all pictures, and the length of the last one.
            let all = self
                .frames
                .filter(|all| *all == timeline.packets || !is_whole);
            self.duration = all.map_or(shown, |all| self.rate.time_of(all).max(shown));
        }
        let rest = self.duration.saturating_sub(shown);
        self.stand = match self.frames {
            Some(_) if is_whole => rest,
            Some(_) => Duration::ZERO,
            // The length of a fragmented film may include fragments that are missing.
            None => rest.min(timeline.last.saturating_sub(frame)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::input::probe::Ratio;

    const RATE: Ratio = Ratio {
        numerator: 30,
        denominator: 1,
    };

    fn film(frames: Option<u64>, rate: Ratio, millis: u64) -> Video {
        Video {
            frames,
            rate,
            base_rate: RATE,
            duration: Duration::from_millis(millis),
            ..Video::portrait()
        }
    }

    /// Lists packets at 30 per second, of which the first `hidden` are not shown.
    fn timeline(packets: u32, hidden: u32) -> Timeline {
        let line = |number: u32| {
            let time = f64::from(number) / 30.0;
            let flags = if number < hidden { "_D" } else { "K_" };
            format!("{time:.6},0.033333,{flags}\n")
        };
        Timeline::parse((0..packets).map(line).collect::<String>().as_bytes()).unwrap()
    }

    #[test]
    fn phone_films_are_not_doubtful() {
        assert!(!film(Some(180), RATE, 6_000).is_timing_doubtful());
        // The sound is longer, and frames were dropped twice.
        assert!(!film(Some(178), RATE, 6_000).is_timing_doubtful());
    }

    #[test]
    fn headers_without_a_length_yield_to_the_packets() {
        for declared in [0, 1_000] {
            let mut film = film(Some(240), RATE, declared);
            assert!(film.is_timing_doubtful());
            film.correct_timing(timeline(240, 0), true);
            assert_eq!(
                (film.duration, film.stand),
                (Duration::from_secs(8), Duration::ZERO)
            );
        }
    }

    #[test]
    fn length_of_an_edit_is_kept() {
        let mut film = film(Some(240), RATE, 1_000);
        film.correct_timing(timeline(240, 210), true);
        assert_eq!(film.duration, Duration::from_secs(1));
    }

    #[test]
    fn last_picture_stands_to_the_end() {
        let rate = Ratio {
            numerator: 20,
            denominator: 1,
        };
        let mut whole = film(Some(240), rate, 12_000);
        assert!(whole.is_timing_doubtful());
        whole.correct_timing(timeline(240, 0), true);
        assert_eq!(whole.duration, Duration::from_secs(12));
        assert_eq!(whole.stand.as_millis(), 4_000);

        // Of a truncated film only the packets before the cut are known.
        let mut cut = film(Some(240), rate, 12_000);
        cut.correct_timing(timeline(100, 0), false);
        assert_eq!(cut.stand, Duration::ZERO);
        let mut fragments = film(None, rate, 12_000);
        fragments.correct_timing(timeline(100, 0), true);
        assert_eq!(fragments.stand, Duration::ZERO);
    }

    #[test]
    fn lists_without_times_say_nothing() {
        for csv in ["", "N/A,N/A,K_\n", "x\n", "inf,1,K_\n0,nan,__\n"] {
            assert_eq!(Timeline::parse(csv.as_bytes()), None, "{csv}");
        }
    }
}
