//! The times of a film's frames.

use std::iter::repeat_n;

use anyhow::{Context, bail, ensure};
use mp4_atom::Trak;

use crate::media::target::{RATE, TIMESCALE};

/// Ticks per frame.
const FRAME_TICKS: i64 = 512;
const _: () = assert!(RATE * 512 == TIMESCALE);

/// When each frame is decoded and when it is shown, in ticks.
#[derive(Debug)]
pub struct Times {
    decoding: Vec<i64>,
    /// In ascending order.
    presentation: Vec<i64>,
}

impl Times {
    /// Reads the times of a track of `frames` frames.
    pub fn of(track: &Trak, frames: u64) -> anyhow::Result<Self> {
        let table = &track.mdia.minf.stbl;
        let durations = table.stts.entries.iter();
        let durations = durations.map(|run| (run.sample_count, run.sample_delta.into()));
        let mut now = 0;
        let decoding = expand(durations, frames)?.into_iter().map(|duration| {
            let start = now;
            now += duration;
            start
        });
        let decoding: Vec<i64> = decoding.collect();

        let delays = table.ctts.iter().flat_map(|delays| &delays.entries);
        let delays = delays.map(|run| (run.sample_count, run.sample_offset));
        let delays = match table.ctts {
            Some(_) => expand(delays, frames)?,
            None => vec![0; decoding.len()],
        };
        let first = first_shown(track)?;
        let shown = decoding.iter().zip(delays);
        let shown = shown.map(|(decoded, delay)| decoded + delay - first);
        let mut presentation: Vec<i64> = shown.collect();
        presentation.sort_unstable();
        Ok(Self {
            decoding,
            presentation,
        })
    }

    /// Checks that frames follow each other without gaps, in decoding and in presentation order.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.presentation.first() == Some(&0),
            "the first frame is late"
        );
        ensure!(is_steady(&self.decoding), "decoding times have a gap");
        ensure!(
            is_steady(&self.presentation),
            "presentation times have a gap"
        );
        Ok(())
    }
}

/// Returns the tick of the track that is shown first.
fn first_shown(track: &Trak) -> anyhow::Result<i64> {
    let edits = track.edts.iter().filter_map(|edits| edits.elst.as_ref());
    let edits: Vec<_> = edits.flat_map(|edits| &edits.entries).collect();
    match edits.as_slice() {
        [] => Ok(0),
        [edit] => {
            let start = edit.media_time.context("the film starts with a pause")?;
            Ok(i64::try_from(start)?)
        }
        _ => bail!("the film is cut: {edits:?}"),
    }
}

/// Returns one value per frame for runs of equal values.
fn expand(runs: impl Iterator<Item = (u32, i64)>, frames: u64) -> anyhow::Result<Vec<i64>> {
    let runs: Vec<_> = runs.collect();
    let count: u64 = runs.iter().map(|(count, _)| u64::from(*count)).sum();
    ensure!(count == frames, "times of {count} frames for {frames}");
    let values = runs
        .into_iter()
        .flat_map(|(count, value)| repeat_n(value, usize::try_from(count).unwrap_or(0)));
    Ok(values.collect())
}

fn is_steady(times: &[i64]) -> bool {
    times
        .iter()
        .zip(times.iter().skip(1))
        .all(|(before, after)| after - before == FRAME_TICKS)
}
