//! Verifies the films that we made, so that no faulty clip is published.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use crate::media::{
    args::{file_url, split_args},
    run::{command::ResourceUsage, tools::Tools},
    target::{Quality, RATE, Rendition, TIMESCALE},
};

/// Ticks per frame.
const FRAME_TICKS: i64 = 512;
const _: () = assert!(RATE * 512 == TIMESCALE);

/// A film that has one H.264 stream and nothing else.
#[derive(Debug)]
pub struct Film {
    stream: Stream,
    packets: Vec<Packet>,
}

/// Required properties of a film.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    pub rendition: Rendition,
    pub frames: u64,
    /// See [`Film::parameter_sets`].
    pub parameter_sets: &'a str,
}

#[derive(Debug, Deserialize)]
struct FfprobeOutput {
    #[serde(default)]
    packets: Vec<Packet>,
    streams: Vec<Stream>,
}

#[derive(Debug, Deserialize)]
struct Packet {
    pts: i64,
    dts: i64,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Stream {
    codec_name: String,
    profile: String,
    width: u32,
    height: u32,
    sample_aspect_ratio: String,
    pix_fmt: String,
    r_frame_rate: String,
    time_base: String,
    color_range: String,
    color_space: String,
    color_transfer: String,
    color_primaries: String,
    nb_frames: String,
    extradata_hash: String,
}

/// Reads the headers of a film.
pub async fn headers(tools: &Tools, film: &Path) -> anyhow::Result<Film> {
    read(tools, film, "").await
}

/// Reads headers and packet times of a film.
pub async fn packets(tools: &Tools, film: &Path) -> anyhow::Result<Film> {
    read(tools, film, ":packet=pts,dts").await
}

async fn read(tools: &Tools, film: &Path, more: &str) -> anyhow::Result<Film> {
    let entries = "stream=codec_name,profile,width,height,sample_aspect_ratio,pix_fmt,\
        r_frame_rate,time_base,color_range,color_space,color_transfer,color_primaries,nb_frames,\
        extradata_hash";
    let mut args = split_args("-v error -f mov -show_data_hash SHA256");
    args.extend(["-show_entries".into(), format!("{entries}{more}").into()]);
    args.extend(["-of".into(), "json".into(), file_url(film)]);
    let (report, _) = tools
        .ffprobe(film, &args, &mut ResourceUsage::default())
        .await
        .context("inspect an encoded film")?;
    Film::parse(&report)
}

impl Film {
    fn parse(json: &[u8]) -> anyhow::Result<Self> {
        let mut report: FfprobeOutput =
            serde_json::from_slice(json).context("parse ffprobe's JSON")?;
        let Some(stream) = report.streams.pop() else {
            bail!("the film has no stream");
        };
        ensure!(report.streams.is_empty(), "the film has a second stream");
        Ok(Self {
            stream,
            packets: report.packets,
        })
    }

    /// Hash of the H.264 parameter sets; films with equal hashes can be joined.
    pub fn parameter_sets(&self) -> &str {
        &self.stream.extradata_hash
    }

    /// Number of frames that the index lists.
    pub fn frames(&self) -> anyhow::Result<u64> {
        self.stream.nb_frames.parse().context("count the frames")
    }

    /// Checks all headers.
    pub fn check(&self, expected: Expected<'_>) -> anyhow::Result<()> {
        let Rendition { frame, quality } = expected.rendition;
        let profile = match quality {
            Quality::Full(_) => "High",
            Quality::Light => "Main",
        };
        let right = Stream {
            codec_name: "h264".into(),
            profile: profile.into(),
            width: frame.width,
            height: frame.height,
            sample_aspect_ratio: "1:1".into(),
            pix_fmt: "yuv420p".into(),
            r_frame_rate: format!("{RATE}/1"),
            time_base: format!("1/{TIMESCALE}"),
            color_range: "tv".into(),
            color_space: "bt709".into(),
            color_transfer: "bt709".into(),
            color_primaries: "bt709".into(),
            nb_frames: expected.frames.to_string(),
            extradata_hash: expected.parameter_sets.into(),
        };
        ensure!(
            self.stream == right,
            "the film is {:?} instead of {right:?}",
            self.stream
        );
        Ok(())
    }

    /// Checks that frames follow each other without gaps, in decoding and in presentation order.
    pub fn check_times(&self) -> anyhow::Result<()> {
        let count = u64::try_from(self.packets.len()).unwrap_or(u64::MAX);
        ensure!(
            count == self.frames()?,
            "{count} packets for {:?}",
            self.stream
        );
        let decoding: Vec<i64> = self.packets.iter().map(|packet| packet.dts).collect();
        let mut presentation: Vec<i64> = self.packets.iter().map(|packet| packet.pts).collect();
        presentation.sort_unstable();
        ensure!(presentation.first() == Some(&0), "the first frame is late");
        ensure!(is_steady(&decoding), "decoding times have a gap");
        ensure!(is_steady(&presentation), "presentation times have a gap");
        Ok(())
    }
}

fn is_steady(times: &[i64]) -> bool {
    times
        .iter()
        .zip(times.iter().skip(1))
        .all(|(before, after)| after - before == FRAME_TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::media::{Effort, Resolution};

    const FULL: Rendition = Rendition {
        frame: Resolution {
            width: 1280,
            height: 720,
        },
        quality: Quality::Full(Effort::Balanced),
    };

    fn film(change: (&str, &str)) -> anyhow::Result<Film> {
        let json = include_str!("../testdata/film.json").replace(change.0, change.1);
        Film::parse(json.as_bytes())
    }

    fn checked(change: (&str, &str)) -> anyhow::Result<()> {
        let film = film(change)?;
        film.check(Expected {
            rendition: FULL,
            frames: 4,
            parameter_sets: "SHA256:86a2",
        })?;
        film.check_times()
    }

    #[test]
    fn valid_film_passes() {
        checked(("", "")).unwrap();
    }

    #[test]
    fn every_difference_is_detected() {
        for (from, to, complaint) in [
            ("\"nb_frames\": \"4\"", "\"nb_frames\": \"5\"", "instead of"),
            ("86a2", "86a3", "instead of"),
            ("\"1:1\"", "\"4:3\"", "instead of"),
            ("\"High\"", "\"Main\"", "instead of"),
            ("\"dts\": 512", "\"dts\": 513", "decoding times"),
            ("\"pts\": 1536", "\"pts\": 2048", "presentation times"),
            ("\"pts\": 0", "\"pts\": 512", "first frame"),
        ] {
            let error = checked((from, to)).unwrap_err().to_string();
            assert!(error.contains(complaint), "{from} -> {to}: {error}");
        }
    }

    #[test]
    fn second_stream_is_detected() {
        let json =
            include_str!("../testdata/film.json").replace("\"streams\": [", "\"streams\": [@");
        let stream = json.split_once('@').unwrap().1.rsplit_once(']').unwrap().0;
        let twice = json.replace('@', &format!("{stream},"));
        assert!(
            Film::parse(twice.as_bytes())
                .unwrap_err()
                .to_string()
                .contains("second")
        );
    }
}
