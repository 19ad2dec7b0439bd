//! Verifies the films that we made, so that no faulty clip is published.
//!
//! Reads only the index of a film (`moov`, ISO/IEC 14496-12), in this process: `ffprobe` takes 0.1 s
//! of CPU for the same, most of it to start.

mod index;
mod times;

use std::{
    fs::File,
    io::{Read, Seek},
    path::Path,
};

use anyhow::{Context, bail, ensure};
use mp4_atom::{Avc1, Avcc, Codec, Colr, Pasp};

use self::times::Times;
use crate::media::target::{Quality, Rendition, TIMESCALE};

/// Maximum number of frames, which bounds the memory for their times.
const MAX_FRAMES: u64 = 1_000_000;

/// `profile_idc` of H.264 (ITU-T H.264, annex A).
const MAIN: u8 = 77;
const HIGH: u8 = 100;

/// BT.709, limited range (ITU-T H.273).
const COLOUR: Colr = Colr::Nclx {
    colour_primaries: 1,
    transfer_characteristics: 1,
    matrix_coefficients: 1,
    full_range_flag: false,
};

const SQUARE: Pasp = Pasp {
    h_spacing: 1,
    v_spacing: 1,
};

/// A film that has one H.264 stream and nothing else.
#[derive(Debug)]
pub struct Film {
    stream: Stream,
    times: Times,
}

/// Required properties of a film.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    pub rendition: Rendition,
    pub frames: u64,
    /// See [`Film::parameter_sets`].
    pub parameter_sets: &'a Avcc,
}

#[derive(Debug, PartialEq)]
struct Stream {
    /// `profile_idc`. Main and High are both 4:2:0 with 8 bits.
    profile: u8,
    width: u32,
    height: u32,
    sample_aspect: Option<Pasp>,
    colour: Option<Colr>,
    /// Ticks per second.
    timescale: u32,
    frames: u64,
    parameter_sets: Avcc,
}

impl Film {
    /// Reads the index of a film.
    pub fn read(film: &Path) -> anyhow::Result<Self> {
        File::open(film)
            .context("open")
            .and_then(|mut file| Self::parse(&mut file))
            .with_context(|| format!("inspect {}", film.display()))
    }

    fn parse(film: &mut (impl Read + Seek)) -> anyhow::Result<Self> {
        let (mut index, data_bytes) = index::read(film)?;
        let Some(track) = index.trak.pop() else {
            bail!("the film has no stream");
        };
        ensure!(index.trak.is_empty(), "the film has a second stream");
        let table = &track.mdia.minf.stbl;
        let [Codec::Avc1(picture)] = table.stsd.codecs.as_slice() else {
            bail!("the stream is not H.264: {:?}", table.stsd.codecs);
        };
        let (frames, bytes) = index::count(&table.stsz.samples)?;
        ensure!(frames <= MAX_FRAMES, "the film has {frames} frames");
        ensure!(
            bytes <= data_bytes,
            "{bytes} bytes of frames in {data_bytes}"
        );
        Ok(Self {
            stream: Stream::of(picture, track.mdia.mdhd.timescale, frames),
            times: Times::of(&track, frames)?,
        })
    }

    /// H.264 parameter sets; films with equal ones can be joined.
    pub fn parameter_sets(&self) -> &Avcc {
        &self.stream.parameter_sets
    }

    /// Checks all properties, and that frames follow each other without gaps.
    pub fn check(&self, expected: Expected<'_>) -> anyhow::Result<()> {
        let Rendition { frame, quality } = expected.rendition;
        let right = Stream {
            profile: match quality {
                Quality::Full(_) => HIGH,
                Quality::Light => MAIN,
            },
            width: frame.width,
            height: frame.height,
            sample_aspect: Some(SQUARE),
            colour: Some(COLOUR),
            timescale: TIMESCALE,
            frames: expected.frames,
            parameter_sets: expected.parameter_sets.clone(),
        };
        ensure!(
            self.stream == right,
            "the film is {:?} instead of {right:?}",
            self.stream
        );
        self.times.check()
    }
}

impl Stream {
    fn of(picture: &Avc1, timescale: u32, frames: u64) -> Self {
        Self {
            profile: picture.avcc.avc_profile_indication,
            width: picture.visual.width.into(),
            height: picture.visual.height.into(),
            sample_aspect: picture.pasp.clone(),
            colour: picture.colr.clone(),
            timescale,
            frames,
            parameter_sets: picture.avcc.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use mp4_atom::{
        Ctts, CttsEntry, Edts, Elst, ElstEntry, Encode, Jpeg, Mdat, Moov, StszSamples, SttsEntry,
        Trak,
    };

    use super::*;
    use crate::config::media::{Effort, Resolution};

    const FULL: Rendition = Rendition {
        frame: Resolution {
            width: 1280,
            height: 720,
        },
        quality: Quality::Full(Effort::Balanced),
    };

    type Change = fn(&mut Trak);

    /// The track of a valid film of four frames, shown in the order 0, 2, 3, 1.
    fn track() -> Trak {
        let mut track = Trak::default();
        track.mdia.mdhd.timescale = TIMESCALE;
        let table = &mut track.mdia.minf.stbl;
        let mut picture = Avc1 {
            avcc: parameter_sets(),
            colr: Some(COLOUR),
            pasp: Some(SQUARE),
            ..Avc1::default()
        };
        (picture.visual.width, picture.visual.height) = (1280, 720);
        table.stsd.codecs = vec![Codec::Avc1(picture)];
        table.stts.entries = vec![SttsEntry {
            sample_count: 4,
            sample_delta: 512,
        }];
        let delay = |sample_offset| CttsEntry {
            sample_count: 1,
            sample_offset,
        };
        let entries = [1024, 2048, 512, 512].map(delay).to_vec();
        table.ctts = Some(Ctts { entries });
        table.stsz.samples = StszSamples::Different { sizes: vec![9; 4] };
        let entries = vec![ElstEntry {
            segment_duration: 2048,
            media_time: Some(1024),
            media_rate: 1.into(),
        }];
        track.edts = Some(Edts {
            elst: Some(Elst { entries }),
        });
        track
    }

    fn parameter_sets() -> Avcc {
        let mut sets = Avcc::new(&[103, HIGH, 0, 31], &[104]).unwrap();
        sets.avc_profile_indication = HIGH;
        sets
    }

    fn picture(track: &mut Trak) -> &mut Avc1 {
        match &mut track.mdia.minf.stbl.stsd.codecs[0] {
            Codec::Avc1(picture) => picture,
            other => panic!("{other:?}"),
        }
    }

    fn durations(track: &mut Trak) -> &mut Vec<SttsEntry> {
        &mut track.mdia.minf.stbl.stts.entries
    }

    fn delays(track: &mut Trak) -> &mut Vec<CttsEntry> {
        &mut track.mdia.minf.stbl.ctts.as_mut().unwrap().entries
    }

    fn edits(track: &mut Trak) -> &mut Vec<ElstEntry> {
        let edits = track.edts.as_mut().unwrap();
        &mut edits.elst.as_mut().unwrap().entries
    }

    /// A film whose index comes first, as in a clip.
    fn film(tracks: Vec<Trak>) -> Cursor<Vec<u8>> {
        let mut bytes = Vec::new();
        let index = Moov {
            trak: tracks,
            ..Moov::default()
        };
        index.encode(&mut bytes).unwrap();
        let data = vec![7; 500];
        Mdat { data }.encode(&mut bytes).unwrap();
        Cursor::new(bytes)
    }

    fn check(tracks: Vec<Trak>) -> anyhow::Result<()> {
        Film::parse(&mut film(tracks))?.check(Expected {
            rendition: FULL,
            frames: 4,
            parameter_sets: &parameter_sets(),
        })
    }

    #[test]
    fn valid_film_passes() {
        check(vec![track()]).unwrap();
    }

    #[test]
    fn every_difference_is_detected() {
        let changes: [(Change, &str); 17] = [
            (|track| picture(track).visual.width = 1282, "instead of"),
            (|track| picture(track).visual.height = 718, "instead of"),
            (
                |track| picture(track).avcc.avc_profile_indication = MAIN,
                "instead of",
            ),
            (
                |track| picture(track).avcc.sequence_parameter_sets[0].push(1),
                "instead of",
            ),
            (|track| picture(track).pasp = None, "instead of"),
            (
                |track| picture(track).pasp.as_mut().unwrap().h_spacing = 4,
                "instead of",
            ),
            (|track| picture(track).colr = None, "instead of"),
            (|track| track.mdia.mdhd.timescale = 30, "instead of"),
            (
                |track| {
                    durations(track)[0].sample_count = 3;
                    delays(track).pop();
                    track.mdia.minf.stbl.stsz.samples =
                        StszSamples::Identical { count: 3, size: 9 };
                },
                "frames: 3",
            ),
            (
                |track| track.mdia.minf.stbl.stsd.codecs = vec![Jpeg::default().into()],
                "not H.264",
            ),
            (|track| durations(track)[0].sample_count = 5, "times of 5"),
            (|track| delays(track).truncate(3), "times of 3"),
            (
                |track| durations(track)[0].sample_delta = 513,
                "decoding times",
            ),
            (|track| delays(track)[3].sample_offset = 0, "presentation"),
            (|track| track.edts = None, "first frame"),
            (|track| edits(track)[0].media_time = None, "pause"),
            (
                |track| {
                    let edits = edits(track);
                    edits.push(edits[0].clone());
                },
                "cut",
            ),
        ];
        for (number, (change, complaint)) in changes.into_iter().enumerate() {
            let mut track = track();
            change(&mut track);
            let error = check(vec![track]).unwrap_err().to_string();
            assert!(error.contains(complaint), "change {number}: {error}");
        }
    }

    #[test]
    fn film_without_exactly_one_stream_is_detected() {
        for (tracks, complaint) in [(vec![], "no stream"), (vec![track(), track()], "second")] {
            let error = check(tracks).unwrap_err().to_string();
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn every_truncated_film_is_an_error() {
        let whole = film(vec![track()]).into_inner();
        for length in 0..whole.len() {
            let part = whole[..length].to_vec();
            assert!(Film::parse(&mut Cursor::new(part)).is_err(), "{length}");
        }
    }

    #[test]
    fn absurd_sizes_need_no_memory() {
        let mut huge = film(vec![track()]).into_inner();
        huge[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        let error = Film::parse(&mut Cursor::new(huge)).unwrap_err();
        assert!(error.to_string().contains("the index has"), "{error}");

        let mut track = track();
        track.mdia.minf.stbl.stsz.samples = StszSamples::Identical {
            count: u32::MAX,
            size: 1,
        };
        durations(&mut track)[0].sample_count = u32::MAX;
        let error = check(vec![track]).unwrap_err().to_string();
        assert!(error.contains("has 4294967295 frames"), "{error}");
    }
}
