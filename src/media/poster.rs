//! The poster: the still that shows most, in the finest quality that is small enough.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{plan::STILLS, transcode::size};

/// Largest poster that is preferred over a coarser one.
const MAX_BYTES: u64 = 60 * 1024;

/// Chooses among the stills of a clip; `patterns` are their names from the finest quality on, with
/// `%d` for the number.
///
/// Of equally fine JPEGs the largest has most detail: it is neither black nor blurred.
pub fn choose(patterns: &[PathBuf]) -> anyhow::Result<PathBuf> {
    let finest = patterns.first().context("no quality of stills")?;
    let detailed = (1..=STILLS)
        .filter_map(|number| Some((size(&numbered(finest, number)).ok()?, number)))
        .max_by_key(|(bytes, number)| (*bytes, std::cmp::Reverse(*number)));
    let (_, number) = detailed.context("no still was made")?;
    let mut coarsest = None;
    for pattern in patterns {
        let still = numbered(pattern, number);
        if size(&still)? <= MAX_BYTES {
            return Ok(still);
        }
        coarsest = Some(still);
    }
    coarsest.context("no still was made")
}

fn numbered(pattern: &Path, number: u64) -> PathBuf {
    let name = pattern.file_name().unwrap_or_default().to_string_lossy();
    pattern.with_file_name(name.replace("%d", &number.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes stills of these sizes (KiB), a row for each quality.
    fn stills(sizes: &[&[usize]]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let patterns: Vec<_> = (0..sizes.len())
            .map(|quality| folder.path().join(format!("q{quality}-%d.jpg")))
            .collect();
        for (pattern, sizes) in patterns.iter().zip(sizes) {
            for (number, size) in (1..).zip(*sizes) {
                std::fs::write(numbered(pattern, number), vec![0; size * 1024]).unwrap();
            }
        }
        (folder, patterns)
    }

    fn chosen(sizes: &[&[usize]]) -> String {
        let (_folder, patterns) = stills(sizes);
        let chosen = choose(&patterns).unwrap();
        chosen.file_name().unwrap().to_string_lossy().into_owned()
    }

    #[test]
    fn the_most_detailed_still_is_taken_in_the_finest_quality_that_is_small_enough() {
        assert_eq!(chosen(&[&[3, 59, 40], &[2, 30, 20]]), "q0-2.jpg");
        assert_eq!(chosen(&[&[3, 90, 40], &[2, 30, 20]]), "q1-2.jpg");
        assert_eq!(chosen(&[&[3, 90, 40], &[2, 61, 20]]), "q1-2.jpg");
        assert_eq!(chosen(&[&[5, 5]]), "q0-1.jpg");
    }

    #[test]
    fn without_any_still_there_is_no_poster() {
        let (_folder, patterns) = stills(&[&[], &[]]);
        assert!(choose(&patterns).is_err());
    }
}
