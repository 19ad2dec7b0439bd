//! Chooses the poster: the most detailed still, in the finest quality that is small enough.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::media::{run::scratch::file_size, target::STILLS};

/// Maximum size of a poster before a coarser quality is preferred.
const MAX_BYTES: u64 = 60 * 1024;

/// Chooses among the stills in `folder`. `patterns` are their names, finest quality first, with
/// `%d` for the number. Among JPEGs of equal quality the largest has the most detail; it is neither
/// black nor blurred.
pub fn choose(folder: &Path, patterns: &[&str]) -> anyhow::Result<PathBuf> {
    let finest = patterns.first().context("no still quality")?;
    let detailed = (1..=STILLS)
        .filter_map(|number| Some((file_size(&numbered(folder, finest, number)).ok()?, number)))
        .max_by_key(|(bytes, number)| (*bytes, std::cmp::Reverse(*number)));
    let (_, number) = detailed.context("no still was made")?;
    let mut coarsest = None;
    for pattern in patterns {
        let still = numbered(folder, pattern, number);
        if file_size(&still)? <= MAX_BYTES {
            return Ok(still);
        }
        coarsest = Some(still);
    }
    coarsest.context("no still was made")
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
        let chosen = choose(&folder, &PATTERNS[..sizes.len()]).unwrap();
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
        assert!(choose(&folder, &PATTERNS).is_err());
    }
}
