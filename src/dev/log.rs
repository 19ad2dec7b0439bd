//! A server's log file, and what to quote from it when the server fails.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::Context as _;
use tokio::process::Command;

/// A longer file becomes `NAME.log.old` at the next start.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// An append-only log file.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    /// Where this run's lines begin.
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

    /// Sends everything that `command` prints here.
    pub fn attach(&self, command: &mut Command) -> io::Result<()> {
        command
            .stdout(Stdio::from(self.file.try_clone()?))
            .stderr(Stdio::from(self.file.try_clone()?));
        Ok(())
    }

    /// Quotes the line of this run that says best why it failed, and names the file.
    pub fn reason(&self) -> String {
        let read = || -> io::Result<String> {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(self.start))?;
            let mut bytes = Vec::new();
            file.take(1024 * 1024).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let text = read().unwrap_or_default();
        let line = telling_line(&text).unwrap_or("it printed nothing");
        format!("{line} (log: {})", self.path.display())
    }
}

/// The last line that reports an error, else the last line.
fn telling_line(text: &str) -> Option<&str> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_error = |line: &&str| {
        ["FATAL:", "PANIC:", "error:"]
            .iter()
            .any(|mark| line.contains(mark))
    };
    lines.clone().rfind(is_error).or_else(|| lines.next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_quoted_rather_than_what_follows_it() {
        let text = "LOG:  starting\nFATAL:  no space left\nLOG:  database system is shut down\n";
        assert_eq!(telling_line(text), Some("FATAL:  no space left"));
    }

    #[test]
    fn without_an_error_the_last_line_is_quoted() {
        assert_eq!(telling_line("one\ntwo\n\n"), Some("two"));
        assert_eq!(telling_line("\n"), None);
    }
}
