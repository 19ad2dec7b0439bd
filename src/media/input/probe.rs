//! `ffprobe`'s report on a file, typed. Implausible numbers in a hostile file become `None` or a
//! harmless default; `rules` checks the rest.

mod streams;

use std::{ffi::OsString, path::Path, time::Duration};

use anyhow::Context;

use self::streams::{FfprobeOutput, Stream};
use super::{codec::Codec, colour::Tags, turn::Turn};
use crate::media::args::{file_url, input_limits, split_args};

/// A file as the demuxer sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Number of video streams.
    pub films: usize,
    /// Number of streams of any kind.
    pub streams: usize,
    /// The video stream that a player would show; cover art does not count.
    pub video: Option<Video>,
}

/// A video stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Video {
    /// Number of the stream in the file.
    pub index: u32,
    pub codec: Codec,
    /// Stored size in pixels, before rotation; zero when unknown.
    pub width: u32,
    pub height: u32,
    /// Bits per decoded pixel in memory.
    pub pixel_bits: u32,
    /// Shape of a stored pixel.
    pub sample_aspect: Ratio,
    pub turn: Turn,
    /// Some pictures may consist of two fields.
    pub interlaced: bool,
    /// Average frames per second.
    pub rate: Ratio,
    /// Frames per second where they follow each other without a gap.
    pub base_rate: Ratio,
    /// Number of pictures in the sample tables; none in fragmented files.
    pub frames: Option<u64>,
    /// Delay of the picture after the start of the file.
    pub start: Duration,
    /// Length; zero when unknown.
    pub duration: Duration,
    /// Time for which the last picture stands after its own duration, as far as it is known.
    pub stand: Duration,
    pub tags: Tags,
}

/// A fraction whose denominator is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    pub numerator: u32,
    pub denominator: u32,
}

impl Probe {
    /// Returns the arguments that make `ffprobe` describe `source` for [`Probe::parse`].
    pub fn args(source: &Path) -> Vec<OsString> {
        let mut args = split_args("-v error");
        args.extend(input_limits());
        args.extend(
            [
                "-show_entries",
                "format=start_time,duration:stream=index,codec_type,codec_name,codec_tag_string,\
                 width,height,pix_fmt,sample_aspect_ratio,avg_frame_rate,r_frame_rate,start_time,\
                 duration,nb_frames,field_order,color_range,color_space,color_primaries,\
                 color_transfer:stream_disposition=default,attached_pic:\
                 stream_side_data=displaymatrix,dv_profile",
                "-of",
                "json",
            ]
            .map(OsString::from),
        );
        args.push(file_url(source));
        args
    }

    /// Returns the arguments that make `ffprobe` report the colour tags of a stream's container and
    /// of its first picture for [`Probe::parse_tags`].
    pub fn tag_args(source: &Path, index: u32) -> Vec<OsString> {
        const TAGS: &str = "pix_fmt,color_range,color_space,color_primaries,color_transfer";
        // Without decoding, or the decoder's tags would replace those of the container.
        let mut args = split_args("-v error -nofind_stream_info");
        args.extend(input_limits());
        args.extend(split_args(&format!("-select_streams {index}")));
        args.extend(split_args(&format!(
            "-read_intervals %+#1 -show_entries stream={TAGS}:frame={TAGS} -of json"
        )));
        args.push(file_url(source));
        args
    }

    pub fn parse(json: &[u8]) -> anyhow::Result<Self> {
        let report: FfprobeOutput = serde_json::from_slice(json).context("parse ffprobe's JSON")?;
        let films = || report.streams.iter().filter(|stream| stream.is_film());
        // Of equals the first one, which `max_by_key` would not return.
        let shown = films().rev().max_by_key(|stream| stream.rank());
        Ok(Self {
            films: films().count(),
            streams: report.streams.len(),
            video: shown.map(|stream| stream.video(&report.format)),
        })
    }

    /// Reads the tags of [`Probe::tag_args`]; those of the first picture come last.
    pub fn parse_tags(json: &[u8]) -> anyhow::Result<Vec<Tags>> {
        let report: FfprobeOutput = serde_json::from_slice(json).context("parse ffprobe's JSON")?;
        let all = report.streams.iter().chain(&report.frames);
        Ok(all.map(Stream::tags).collect())
    }
}

impl Video {
    /// Returns the upright picture's size in square pixels, scaled by a common factor.
    pub fn upright_shape(&self) -> (u64, u64) {
        let across = u64::from(self.width) * u64::from(self.sample_aspect.numerator);
        let down = u64::from(self.height) * u64::from(self.sample_aspect.denominator);
        if self.turn.swaps_sides() {
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

    /// Returns the duration of a number of frames at this rate.
    pub fn time_of(self, frames: u64) -> Duration {
        let seconds = |part: u64| part / u64::from(self.numerator);
        let ticks = frames.saturating_mul(self.denominator.into());
        let rest = ticks % u64::from(self.numerator);
        Duration::from_secs(seconds(ticks))
            + Duration::from_micros(seconds(rest.saturating_mul(1_000_000)))
    }

    /// Parses `4:3` or `30000/1001`. Returns `None` for zero, negative or absurd values.
    pub fn parse(text: &str) -> Option<Self> {
        let (numerator, denominator) = text.split_once([':', '/'])?;
        let ratio = Self {
            numerator: numerator.parse().ok()?,
            denominator: denominator.parse().ok()?,
        };
        (ratio.numerator > 0 && ratio.denominator > 0).then_some(ratio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::input::colour::{Colour, Matrix, Primaries, Transfer};

    impl Probe {
        /// Returns the probe of a film that was recorded upright by a phone.
        pub fn portrait() -> Self {
            Self::parse(include_bytes!("../testdata/portrait.json")).unwrap()
        }
    }

    impl Video {
        /// Returns the video stream of [`Probe::portrait`].
        pub fn portrait() -> Self {
            Probe::portrait().video.unwrap()
        }
    }

    fn video(json: &[u8]) -> Video {
        Probe::parse(json).unwrap().video.unwrap()
    }

    #[test]
    fn portrait_phone_video_is_rotated() {
        let probe = Probe::portrait();
        assert_eq!(probe.streams, 2);
        let video = probe.video.unwrap();
        assert_eq!((video.width, video.height), (1920, 1080));
        assert_eq!(video.turn, Turn::Clockwise);
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
        assert!(video.codec.is_supported());
        assert_eq!(
            video.tags.colour(),
            Colour {
                matrix: Matrix::Bt2020,
                primaries: Primaries::Bt2020,
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
                "side_data_list":[{},{"displaymatrix":"\n00000000: 0 1 0\n00000001: -1 0 0\n"}]}],"format":{"duration":"nan"}}"#,
        );
        assert_eq!((video.width, video.height), (0, 0));
        assert_eq!(video.sample_aspect, Ratio::SQUARE);
        assert_eq!(video.duration, Duration::ZERO);
        assert_eq!(video.codec, Codec::new(None, None));
        assert_eq!(video.turn, Turn::Clockwise);
    }

    #[test]
    fn truncated_report_is_an_error() {
        assert!(Probe::parse(b"{\n").is_err());
        assert_eq!(Probe::parse(b"{}").unwrap().video, None);
    }
}
