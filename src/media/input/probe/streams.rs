//! The JSON of `ffprobe`: streams, and which of them a player shows.

use std::time::Duration;

use serde::Deserialize;

use super::{Ratio, Video};
use crate::media::input::{codec::Codec, colour::Tags, turn::Turn};

/// Profile of Dolby Vision whose colours only its own decoders know; the pictures of the others are
/// HLG, PQ or BT.709 for all decoders.
const DOLBY_ONLY: i64 = 5;

/// A report of `ffprobe`.
#[derive(Deserialize)]
pub struct FfprobeOutput {
    #[serde(default)]
    pub streams: Vec<Stream>,
    #[serde(default)]
    pub frames: Vec<Stream>,
    #[serde(default)]
    pub format: Format,
}

#[derive(Default, Deserialize)]
pub struct Format {
    start_time: Option<String>,
    duration: Option<String>,
}

/// A stream, or the tags of a frame.
#[derive(Deserialize)]
pub struct Stream {
    #[serde(default)]
    index: u32,
    #[serde(default)]
    codec_type: String,
    codec_name: Option<String>,
    codec_tag_string: Option<String>,
    #[serde(default)]
    width: i64,
    #[serde(default)]
    height: i64,
    pix_fmt: Option<String>,
    sample_aspect_ratio: Option<String>,
    avg_frame_rate: Option<String>,
    r_frame_rate: Option<String>,
    start_time: Option<String>,
    duration: Option<String>,
    nb_frames: Option<String>,
    field_order: Option<String>,
    color_range: Option<String>,
    color_space: Option<String>,
    color_primaries: Option<String>,
    color_transfer: Option<String>,
    #[serde(default)]
    disposition: Disposition,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

#[derive(Default, Deserialize)]
struct Disposition {
    /// In MP4, the track is enabled.
    #[serde(default)]
    default: i64,
    #[serde(default)]
    attached_pic: i64,
}

#[derive(Deserialize)]
struct SideData {
    displaymatrix: Option<String>,
    dv_profile: Option<i64>,
}

impl Stream {
    pub fn is_film(&self) -> bool {
        self.codec_type == "video" && self.disposition.attached_pic == 0
    }

    /// Returns what makes a player prefer a stream, the most important first: it can be decoded,
    /// its track is enabled, it is not a single picture as beside the film of a motion photo, and
    /// it is large. `check.js` decides likewise.
    pub fn rank(&self) -> (bool, bool, bool, i64) {
        (
            self.codec().is_supported(),
            self.disposition.default != 0,
            self.frames() != Some(1),
            self.width.saturating_mul(self.height),
        )
    }

    fn codec(&self) -> Codec {
        let is_dolby_only = |data: &SideData| data.dv_profile == Some(DOLBY_ONLY);
        if self.side_data_list.iter().any(is_dolby_only) {
            return Codec::new(None, Some("dvh1"));
        }
        Codec::new(self.codec_name.as_deref(), self.codec_tag_string.as_deref())
    }

    fn frames(&self) -> Option<u64> {
        self.nb_frames.as_deref()?.parse().ok()
    }

    pub fn tags(&self) -> Tags {
        let names = [
            &self.color_space,
            &self.color_primaries,
            &self.color_transfer,
            &self.color_range,
        ];
        Tags::new(self.pix_fmt.as_deref(), names.map(Option::as_deref))
    }

    pub fn video(&self, file: &Format) -> Video {
        let matrix = |data: &SideData| data.displaymatrix.clone();
        let matrix = self.side_data_list.iter().find_map(matrix);
        let rate = |rates: [&Option<String>; 2]| {
            let mut known = rates.into_iter().flatten();
            known
                .find_map(|rate| Ratio::parse(rate))
                .unwrap_or(Ratio::SQUARE)
        };
        Video {
            index: self.index,
            codec: self.codec(),
            width: u32::try_from(self.width).unwrap_or_default(),
            height: u32::try_from(self.height).unwrap_or_default(),
            pixel_bits: pixel_bits(self.pix_fmt.as_deref().unwrap_or_default()),
            sample_aspect: self.sample_aspect(),
            turn: Turn::of(matrix.as_deref()),
            interlaced: matches!(self.field_order.as_deref(), Some("tt" | "bb" | "tb" | "bt")),
            rate: rate([&self.avg_frame_rate, &self.r_frame_rate]),
            base_rate: rate([&self.r_frame_rate, &self.avg_frame_rate]),
            frames: self.frames(),
            start: delay(file.start_time.as_deref(), self.start_time.as_deref()),
            duration: [&self.duration, &file.duration]
                .into_iter()
                .find_map(|text| seconds(text.as_deref()?))
                .unwrap_or_default(),
            stand: Duration::ZERO,
            tags: self.tags(),
        }
    }

    fn sample_aspect(&self) -> Ratio {
        self.sample_aspect_ratio
            .as_deref()
            .and_then(Ratio::parse)
            .filter(|ratio| u16::try_from(ratio.numerator.max(ratio.denominator)).is_ok())
            .unwrap_or(Ratio::SQUARE)
    }
}

/// Returns the bits per pixel of formats such as `yuv420p10le`, or the maximum for unknown formats.
fn pixel_bits(format: &str) -> u32 {
    let Some(format) = format.strip_prefix("yuv") else {
        return 48;
    };
    let samples = if format.contains("420") {
        12
    } else if format.contains("422") {
        16
    } else {
        24
    };
    let is_deep = format.ends_with("le") || format.ends_with("be");
    if is_deep { samples * 2 } else { samples }
}

fn seconds(text: &str) -> Option<Duration> {
    let duration = Duration::try_from_secs_f64(text.parse().ok()?).ok()?;
    (!duration.is_zero()).then_some(duration)
}

/// Returns the time between `from` and `to`; zero if either is unknown or `to` is not later.
fn delay(from: Option<&str>, to: Option<&str>) -> Duration {
    let time = |text: Option<&str>| text?.parse::<f64>().ok();
    match (time(from), time(to)) {
        (Some(from), Some(to)) => Duration::try_from_secs_f64(to - from).unwrap_or_default(),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_picture_reports_its_delay() {
        let late = |stream, file| delay(Some(file), Some(stream));
        assert_eq!(late("3.04", "-0.02"), Duration::from_millis(3060));
        assert_eq!(late("0.000000", "0.000000"), Duration::ZERO);
        assert_eq!(late("-5", "0"), Duration::ZERO);
        assert_eq!(late("inf", "0"), Duration::ZERO);
    }

    #[test]
    fn higher_bit_depth_and_chroma_need_more_memory() {
        for (format, bits) in [
            ("yuv420p", 12),
            ("yuvj420p", 12),
            ("yuv420p10le", 24),
            ("yuv422p10le", 32),
            ("yuv444p", 24),
            ("gbrp16le", 48),
            ("", 48),
        ] {
            assert_eq!(pixel_bits(format), bits, "{format}");
        }
    }
}
