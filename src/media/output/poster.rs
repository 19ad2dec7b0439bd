//! Chooses a clip's pictures among its stills: the most detailed one becomes the poster and, small,
//! the thumb, each in the finest quality that fits.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::media::{run::scratch::file_size, target::STILLS};

/// Maximum size of a poster before a coarser quality is preferred.
pub const MAX_POSTER_BYTES: u64 = 60 * 1024;

/// Maximum size of a thumb before a coarser quality is preferred.
pub const MAX_THUMB_BYTES: u64 = 16 * 1024;

/// Returns the number of the still to show. `pattern` is the name of the stills in their finest
/// quality, with `%d` for the number. Among JPEGs of equal quality the largest has the most detail;
/// it is neither black nor blurred.
pub fn most_detailed(folder: &Path, pattern: &str) -> anyhow::Result<u64> {
    let detailed = (1..=STILLS)
        .filter_map(|number| Some((file_size(&numbered(folder, pattern, number)).ok()?, number)))
        .max_by_key(|(bytes, number)| (*bytes, std::cmp::Reverse(*number)));
    let (_, number) = detailed.context("no still was made")?;
    Ok(number)
}

/// Returns a still in the finest quality of at most `max_bytes`, or in the coarsest. `patterns` are
/// the names of its qualities, finest first.
pub fn finest<'a>(
    folder: &Path,
    patterns: impl IntoIterator<Item = &'a str>,
    number: u64,
    max_bytes: u64,
) -> anyhow::Result<PathBuf> {
    let mut coarsest = None;
    for pattern in patterns {
        let still = numbered(folder, pattern, number);
        if file_size(&still)? <= max_bytes {
            return Ok(still);
        }
        coarsest = Some(still);
    }
    coarsest.context("no still was made")
}

/// Returns the average colour of a still as six hexadecimal digits. `colours` has three bytes for
/// each still.
pub fn colour(colours: &Path, number: u64) -> anyhow::Result<String> {
    let mut rgb = [0; 3];
    let mut read = || {
        let mut file = File::open(colours)?;
        file.seek(SeekFrom::Start(number.saturating_sub(1) * 3))?;
        file.read_exact(&mut rgb)
    };
    read().with_context(|| format!("read the colour of still {number}"))?;
    Ok(hex::encode(rgb))
}

fn numbered(folder: &Path, pattern: &str, number: u64) -> PathBuf {
    folder.join(pattern.replace("%d", &number.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATTERNS: [&str; 2] = ["q0-%d.jpg", "q1-%d.jpg"];

    /// Writes stills of these sizes (KiB), one row per quality, in a folder named like a pattern.
    fn stills(sizes: &[&[usize]]) -> (tempfile::TempDir, PathBuf) {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("100%d");
        std::fs::create_dir(&folder).unwrap();
        for (pattern, sizes) in PATTERNS.iter().zip(sizes) {
            for (number, size) in (1..).zip(*sizes) {
                let still = numbered(&folder, pattern, number);
                std::fs::write(still, vec![0; size * 1024]).unwrap();
            }
        }
        (parent, folder)
    }

    fn chosen(sizes: &[&[usize]]) -> String {
        let (_parent, folder) = stills(sizes);
        let number = most_detailed(&folder, PATTERNS[0]).unwrap();
        let patterns = PATTERNS.into_iter().take(sizes.len());
        let chosen = finest(&folder, patterns, number, MAX_POSTER_BYTES).unwrap();
        chosen.file_name().unwrap().to_string_lossy().into_owned()
    }

    #[test]
    fn most_detailed_still_is_chosen_in_the_finest_quality_that_fits() {
        assert_eq!(chosen(&[&[3, 59, 40], &[2, 30, 20]]), "q0-2.jpg");
        assert_eq!(chosen(&[&[3, 90, 40], &[2, 30, 20]]), "q1-2.jpg");
        assert_eq!(chosen(&[&[3, 90, 40], &[2, 61, 20]]), "q1-2.jpg");
        assert_eq!(chosen(&[&[5, 5]]), "q0-1.jpg");
    }

    #[test]
    fn missing_stills_are_an_error() {
        let (_parent, folder) = stills(&[&[], &[]]);
        assert!(most_detailed(&folder, PATTERNS[0]).is_err());
        assert!(finest(&folder, PATTERNS, 1, MAX_POSTER_BYTES).is_err());
    }

    #[test]
    fn colour_is_that_of_the_still() {
        let folder = tempfile::tempdir().unwrap();
        let colours = folder.path().join("colours.rgb");
        std::fs::write(&colours, [0, 1, 2, 0xfe, 0x10, 0xff]).unwrap();
        assert_eq!(colour(&colours, 1).unwrap(), "000102");
        assert_eq!(colour(&colours, 2).unwrap(), "fe10ff");
        assert!(colour(&colours, 3).is_err());
    }
}
