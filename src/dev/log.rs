//! A server's log file, and the line to quote from it when the server fails.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::Context as _;
use tokio::process::Command;

/// Maximum size; a larger file is renamed to `NAME.log.old` at the next start.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// An append-only log file.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    /// Offset of this run's first line.
    start: u64,
}

impl Log {
    /// Opens `logs/NAME.log` in the data folder.
    pub fn open(data_dir: &Path, name: &str) -> anyhow::Result<Self> {
        let folder = data_dir.join("logs");
        let path = folder.join(format!("{name}.log"));
        let open = || -> io::Result<(File, u64)> {
            fs::create_dir_all(&folder)?;
            if fs::metadata(&path).is_ok_and(|found| found.len() > MAX_BYTES) {
                fs::rename(&path, path.with_extension("log.old"))?;
            }
            let file = File::options().create(true).append(true).open(&path)?;
            let start = file.metadata()?.len();
            Ok((file, start))
        };
        let (file, start) = open().with_context(|| format!("open {}", path.display()))?;
        Ok(Self { path, file, start })
    }

    /// Redirects the output of `command` to this file.
    pub fn attach(&self, command: &mut Command) -> io::Result<()> {
        command
            .stdout(Stdio::from(self.file.try_clone()?))
            .stderr(Stdio::from(self.file.try_clone()?));
        Ok(())
    }

    /// Returns the line of this run that best explains its failure, and the file's path.
    pub fn reason(&self) -> String {
        let read = || -> io::Result<String> {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(self.start))?;
            let mut bytes = Vec::new();
            file.take(1024 * 1024).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let text = read().unwrap_or_default();
        let line = best_line(&text).unwrap_or("no output");
        format!("{line} (log: {})", self.path.display())
    }
}

/// Returns the last line that reports an error, or else the last line.
fn best_line(text: &str) -> Option<&str> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_error = |line: &&str| {
        ["FATAL:", "PANIC:", "error:"]
            .iter()
            .any(|label| line.contains(label))
    };
    lines.clone().rfind(is_error).or_else(|| lines.next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_line_is_preferred_over_later_lines() {
        let text = "LOG:  starting\nFATAL:  no space left\nLOG:  database system is shut down\n";
        assert_eq!(best_line(text), Some("FATAL:  no space left"));
    }

    #[test]
    fn last_line_is_quoted_without_error() {
        assert_eq!(best_line("one\ntwo\n\n"), Some("two"));
        assert_eq!(best_line("\n"), None);
    }
}
