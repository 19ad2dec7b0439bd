//! The index of a film, and what it says about the film's data.

use std::io::{Read, Seek, SeekFrom};

use anyhow::{Context, ensure};
use mp4_atom::{Atom, Header, Mdat, Moov, ReadAtom, ReadFrom, StszSamples};

/// Maximum size of an index, which needs 12 bytes per frame.
const MAX_INDEX_BYTES: usize = 8 * 1024 * 1024;

/// Reads the index of a film and the size of its data, and checks that the file does not end early.
pub fn read(film: &mut (impl Read + Seek)) -> anyhow::Result<(Moov, u64)> {
    let (mut index, mut data_bytes) = (None, 0);
    while let Some(header) = Option::<Header>::read_from(film)? {
        let size = header.size.context("the last part has no end")?;
        if header.kind == Moov::KIND {
            ensure!(size <= MAX_INDEX_BYTES, "the index has {size} bytes");
            index = Some(Moov::read_atom(&header, film)?);
            continue;
        }
        if header.kind == Mdat::KIND {
            data_bytes += u64::try_from(size)?;
        }
        film.seek_relative(i64::try_from(size)?)?;
    }
    let end = film.stream_position()?;
    ensure!(end == film.seek(SeekFrom::End(0))?, "the film is truncated");
    Ok((index.context("the film has no index")?, data_bytes))
}

/// Returns the number of frames of a track, and their bytes.
pub fn count(samples: &StszSamples) -> anyhow::Result<(u64, u64)> {
    Ok(match samples {
        StszSamples::Identical { count, size } => {
            let (count, size) = (u64::from(*count), u64::from(*size));
            (count, count * size)
        }
        StszSamples::Different { sizes } => {
            let bytes = sizes.iter().map(|size| u64::from(*size)).sum();
            (u64::try_from(sizes.len())?, bytes)
        }
    })
}
