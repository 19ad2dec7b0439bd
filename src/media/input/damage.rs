//! Which pictures of a film show damage, for films about which the decoder complained.

use std::{ffi::OsString, path::Path};

use crate::media::args::{file_url, input_limits, split_args};

/// Half the time between two frames of the clip (s), in which a frame may show the next picture.
const NEAR: f64 = 1.0 / 60.0;

/// The times (s) at which a film shows damage: from a picture that fails to decode until the next key
/// frame, because the pictures between them refer to it.
#[derive(Debug, Default, PartialEq)]
pub struct Damage {
    spans: Vec<(f64, f64)>,
}

impl Damage {
    /// Returns the arguments that make `ffprobe` decode the first `seconds` of a stream, and list
    /// packets and pictures for [`Damage::parse`]. With `explode`, decoders drop a faulty picture in
    /// place of hiding its faults.
    pub fn args(film: &Path, index: u32, seconds: u32) -> Vec<OsString> {
        let mut args = split_args("-v quiet -threads 1 -err_detect explode");
        args.extend(input_limits());
        args.extend(split_args(&format!(
            "-select_streams {index} -read_intervals %+{seconds} -show_packets -show_frames \
             -show_entries packet=pts_time,flags:frame=pts_time -of csv"
        )));
        args.push(file_url(film));
        args
    }

    /// Reads lines such as `packet,0.033333,K_` and `frame,0.033333`.
    pub fn parse(csv: &[u8]) -> Self {
        let (mut packets, mut shown) = (Vec::new(), Vec::new());
        for line in String::from_utf8_lossy(csv).lines() {
            let mut fields = line.split(',');
            let kind = fields.next();
            let Some(Ok(time)) = fields.next().map(str::parse::<f64>) else {
                continue;
            };
            match (kind, fields.next().unwrap_or_default()) {
                (Some("frame"), _) => shown.push(time),
                // `D`: decoded for others, but not shown.
                (Some("packet"), flags) if !flags.contains('D') => {
                    packets.push((time, flags.contains('K')));
                }
                _ => {}
            }
        }
        packets.sort_unstable_by(|(one, _), (other, _)| one.total_cmp(other));
        shown.sort_unstable_by(f64::total_cmp);
        let mut spans = Vec::new();
        let mut since = None;
        for (time, is_key) in packets {
            let is_shown = shown
                .binary_search_by(|shown| shown.total_cmp(&time))
                .is_ok();
            if is_key && let Some(start) = since.take() {
                spans.push((start, time));
            }
            if !is_shown {
                since.get_or_insert(time);
            }
        }
        spans.extend(since.map(|start| (start, f64::INFINITY)));
        Self { spans }
    }

    /// Returns whether the film shows damage at a time, in seconds of its own clock.
    pub fn is_at(&self, time: f64) -> bool {
        let is_in = |(start, end): &(f64, f64)| *start - NEAR < time && time < *end - NEAR;
        self.spans.iter().any(is_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_lasts_until_the_next_key_frame() {
        let csv = b"packet,0.000000,K_\nframe,0.000000,\n\npacket,0.200000,__\npacket,0.100000,__\n\
            frame,0.200000\npacket,0.300000,K_\nframe,0.300000\npacket,0.400000,__\npacket,0.500000,_D\n";
        let damage = Damage::parse(csv);
        assert_eq!(damage.spans, [(0.1, 0.3), (0.4, f64::INFINITY)]);
        for (time, expected) in [
            (0.0, false),
            (0.1, true),
            (0.2, true),
            (0.3, false),
            (0.38, false),
            (9.0, true),
        ] {
            assert_eq!(damage.is_at(time), expected, "{time}");
        }
    }

    #[test]
    fn unreadable_list_shows_no_damage() {
        for csv in [&b""[..], b"\xff,1\n", b"packet,N/A,K_\n", b"frame,1.0\n"] {
            assert_eq!(Damage::parse(csv), Damage::default());
        }
    }
}
