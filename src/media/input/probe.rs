//! `ffprobe`'s report on a file, typed. Implausible numbers in a hostile file become `None` or a
//! harmless default; `rules` checks the rest.

use std::{ffi::OsString, path::Path, time::Duration};

use anyhow::Context;
use serde::Deserialize;

use crate::media::args::{file_url, input_limits, split_args};

/// A file as the demuxer sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Number of streams of any kind.
    pub streams: usize,
    /// The first video stream; cover art does not count.
    pub video: Option<Video>,
}

/// A video stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Video {
    /// Number of the stream in the file.
    pub index: u32,
    /// `ffmpeg`'s name of the codec, or `unknown`.
    pub codec: String,
    /// Stored size in pixels, before rotation; zero when unknown.
    pub width: u32,
    pub height: u32,
    /// Bits per decoded pixel in memory.
    pub pixel_bits: u32,
    /// Shape of a stored pixel.
    pub sample_aspect: Ratio,
    /// The picture is shown rotated by 90 degrees, which swaps width and height.
    pub rotated: bool,
    /// Average frames per second.
    pub rate: Ratio,
    /// Delay of the picture after the start of the file.
    pub start: Duration,
    /// Length; zero when unknown.
    pub duration: Duration,
    pub colour: Colour,
}

/// A fraction whose denominator is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    pub numerator: u32,
    pub denominator: u32,
}

/// How stored samples map to light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour {
    pub matrix: Matrix,
    pub transfer: Transfer,
    /// Samples use the full range of 0 to 255, as on some phones.
    pub full_range: bool,
}

/// Luma coefficients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrix {
    Bt601,
    Bt709,
    Bt2020,
    Unknown,
}

/// Transfer curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// Standard dynamic range with any curve.
    Sdr,
    /// Hybrid log-gamma (ARIB STD-B67).
    Hlg,
    /// Perceptual quantiser (SMPTE ST 2084).
    Pq,
}

impl Probe {
    /// Returns the arguments that make `ffprobe` describe `source` for [`Probe::parse`].
    pub fn args(source: &Path) -> Vec<OsString> {
        let mut args = split_args("-v error");
        args.extend(input_limits());
        args.extend(
            [
                "-show_entries",
                "format=start_time,duration:stream=index,codec_type,codec_name,width,height,\
                 pix_fmt,sample_aspect_ratio,avg_frame_rate,r_frame_rate,start_time,duration,color_range,\
                 color_space,color_transfer:stream_disposition=attached_pic:\
                 stream_side_data=rotation",
                "-of",
                "json",
            ]
            .map(OsString::from),
        );
        args.push(file_url(source));
        args
    }

    pub fn parse(json: &[u8]) -> anyhow::Result<Self> {
        let report: FfprobeOutput = serde_json::from_slice(json).context("parse ffprobe's JSON")?;
        let video = report
            .streams
            .iter()
            .find(|stream| stream.codec_type == "video" && stream.disposition.attached_pic == 0)
            .map(|stream| stream.video(&report.format));
        Ok(Self {
            streams: report.streams.len(),
            video,
        })
    }
}

impl Video {
    /// Returns the upright picture's size in square pixels, scaled by a common factor.
    pub fn upright_shape(&self) -> (u64, u64) {
        let across = u64::from(self.width) * u64::from(self.sample_aspect.numerator);
        let down = u64::from(self.height) * u64::from(self.sample_aspect.denominator);
        if self.rotated {
            (down, across)
        } else {
            (across, down)
        }
    }

    /// Returns the lines of the shorter side, in square pixels of the stored height.
    pub fn short_side(&self) -> u32 {
        let width = u64::from(self.width) * u64::from(self.sample_aspect.numerator)
            / u64::from(self.sample_aspect.denominator);
        u32::try_from(width).unwrap_or(u32::MAX).min(self.height)
    }
}

impl Ratio {
    pub const SQUARE: Self = Self {
        numerator: 1,
        denominator: 1,
    };

    /// Parses `4:3` or `30000/1001`. Returns `None` for zero, negative or absurd values.
    fn parse(text: &str) -> Option<Self> {
        let (numerator, denominator) = text.split_once([':', '/'])?;
        let ratio = Self {
            numerator: numerator.parse().ok()?,
            denominator: denominator.parse().ok()?,
        };
        (ratio.numerator > 0 && ratio.denominator > 0).then_some(ratio)
    }
}

#[derive(Deserialize)]
struct FfprobeOutput {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    format: Format,
}

#[derive(Default, Deserialize)]
struct Format {
    start_time: Option<String>,
    duration: Option<String>,
}

#[derive(Deserialize)]
struct Stream {
    index: u32,
    #[serde(default)]
    codec_type: String,
    codec_name: Option<String>,
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
    color_range: Option<String>,
    color_space: Option<String>,
    color_transfer: Option<String>,
    #[serde(default)]
    disposition: Disposition,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

#[derive(Default, Deserialize)]
struct Disposition {
    #[serde(default)]
    attached_pic: i64,
}

#[derive(Deserialize)]
struct SideData {
    rotation: Option<i64>,
}

impl Stream {
    fn video(&self, file: &Format) -> Video {
        let rotation = self.side_data_list.iter().find_map(|data| data.rotation);
        Video {
            index: self.index,
            codec: self.codec_name.clone().unwrap_or_else(|| "unknown".into()),
            width: u32::try_from(self.width).unwrap_or_default(),
            height: u32::try_from(self.height).unwrap_or_default(),
            pixel_bits: pixel_bits(self.pix_fmt.as_deref().unwrap_or_default()),
            sample_aspect: self.sample_aspect(),
            // The same tolerance of one degree as FFmpeg's own rotation.
            rotated: matches!(rotation.unwrap_or_default().rem_euclid(180), 89..=91),
            rate: [&self.avg_frame_rate, &self.r_frame_rate]
                .into_iter()
                .find_map(|rate| Ratio::parse(rate.as_deref()?))
                .unwrap_or(Ratio::SQUARE),
            start: delay(file.start_time.as_deref(), self.start_time.as_deref()),
            duration: [&self.duration, &file.duration]
                .into_iter()
                .find_map(|text| seconds(text.as_deref()?))
                .unwrap_or_default(),
            colour: Colour {
                matrix: match self.color_space.as_deref() {
                    Some("bt709") => Matrix::Bt709,
                    Some("smpte170m" | "bt470bg" | "fcc") => Matrix::Bt601,
                    Some("bt2020nc" | "bt2020c") => Matrix::Bt2020,
                    _ => Matrix::Unknown,
                },
                transfer: match self.color_transfer.as_deref() {
                    Some("arib-std-b67") => Transfer::Hlg,
                    Some("smpte2084") => Transfer::Pq,
                    _ => Transfer::Sdr,
                },
                full_range: self.color_range.as_deref() == Some("pc"),
            },
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

    fn video(json: &[u8]) -> Video {
        Probe::parse(json).unwrap().video.unwrap()
    }

    #[test]
    fn portrait_phone_video_is_rotated() {
        let probe = Probe::parse(include_bytes!("../testdata/portrait.json")).unwrap();
        assert_eq!(probe.streams, 2);
        let video = probe.video.unwrap();
        assert_eq!((video.width, video.height), (1920, 1080));
        assert!(video.rotated);
        assert_eq!(video.upright_shape(), (1080, 1920));
        assert_eq!(video.short_side(), 1080);
        assert_eq!(video.duration, Duration::from_secs(6));
    }

    #[test]
    fn wide_pixels_keep_their_shape() {
        let video = video(include_bytes!("../testdata/wide-pixels.json"));
        assert_eq!(
            video.sample_aspect,
            Ratio {
                numerator: 4,
                denominator: 3
            }
        );
        assert_eq!(video.upright_shape(), (1440 * 4, 1080 * 3));
        assert_eq!(video.short_side(), 1080);
    }

    #[test]
    fn hdr_video_reports_its_transfer_curve() {
        let video = video(include_bytes!("../testdata/hlg.json"));
        assert_eq!(video.codec, "hevc");
        assert_eq!(
            video.colour,
            Colour {
                matrix: Matrix::Bt2020,
                transfer: Transfer::Hlg,
                full_range: false
            }
        );
    }

    #[test]
    fn cover_art_is_not_a_video() {
        let probe = Probe::parse(include_bytes!("../testdata/song.json")).unwrap();
        assert_eq!(probe.video, None);
        assert_eq!(probe.streams, 2);
    }

    #[test]
    fn absurd_numbers_become_harmless_defaults() {
        let video = video(
            br#"{"streams":[{"index":0,"codec_type":"video","width":-5,"height":99999999999,
                "sample_aspect_ratio":"0:1","avg_frame_rate":"0/0","duration":"-inf",
                "side_data_list":[{},{"rotation":-90}]}],"format":{"duration":"nan"}}"#,
        );
        assert_eq!((video.width, video.height), (0, 0));
        assert_eq!(video.sample_aspect, Ratio::SQUARE);
        assert_eq!(video.duration, Duration::ZERO);
        assert_eq!(video.codec, "unknown");
        assert!(video.rotated);
    }

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

    #[test]
    fn truncated_report_is_an_error() {
        assert!(Probe::parse(b"{\n").is_err());
        assert_eq!(Probe::parse(b"{}").unwrap().video, None);
    }
}
