//! Finds the installed servers on `PATH` and in Debian's per-version folders.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, bail};
use tokio::process::Command;

/// Minimum supported major versions.
const MIN_POSTGRES: u32 = 15;
const MIN_REDIS: u32 = 7;

#[derive(Clone, Debug)]
pub struct PostgresBinaries {
    pub folder: PathBuf,
    pub major: u32,
}

/// Lists the usable PostgreSQL installations, newest first.
pub async fn find_postgres() -> anyhow::Result<Vec<PostgresBinaries>> {
    let debian = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let folders = debian
        .map(|version| version.path().join("bin"))
        .chain(search_path());
    let mut found = Vec::new();
    for folder in folders.filter(|folder| folder.join("initdb").is_file()) {
        if let Some(major) = major_version(&folder.join("postgres")).await {
            found.push(PostgresBinaries { folder, major });
        }
    }
    found.retain(|binaries| binaries.major >= MIN_POSTGRES);
    found.sort_by_key(|binaries| std::cmp::Reverse(binaries.major));
    if found.is_empty() {
        bail!(
            "PostgreSQL {MIN_POSTGRES} or newer is not installed: run `make setup` or `{}`",
            apt("postgresql")
        );
    }
    Ok(found)
}

pub async fn find_redis() -> anyhow::Result<PathBuf> {
    let advice = || format!("run `make setup` or `{}`", apt("redis-server"));
    let path = search_path()
        .map(|folder| folder.join("redis-server"))
        .find(|path| path.is_file())
        .with_context(|| format!("redis-server is not installed: {}", advice()))?;
    match major_version(&path).await {
        Some(major) if major >= MIN_REDIS => Ok(path),
        Some(major) => bail!(
            "redis-server {major} is older than {MIN_REDIS}: {}",
            advice()
        ),
        None => bail!("{} reports no version: {}", path.display(), advice()),
    }
}

fn apt(package: &str) -> String {
    format!("sudo apt-get install -y --no-install-recommends {package}")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the program search path is not a setting of this program"
)]
fn search_path() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .collect::<Vec<_>>()
        .into_iter()
}

async fn major_version(program: &Path) -> Option<u32> {
    #[expect(clippy::disallowed_methods, reason = "queries a server's version")]
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .await
        .ok()?;
    parse_major(std::str::from_utf8(&output.stdout).ok()?)
}

/// Parses banners such as `postgres (PostgreSQL) 19beta1` and `Redis server v=7.0.15 sha=…`.
fn parse_major(banner: &str) -> Option<u32> {
    banner.split_whitespace().find_map(|word| {
        let word = word.strip_prefix("v=").unwrap_or(word);
        let digits: String = word.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_version_is_parsed_from_banner() {
        assert_eq!(
            parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"),
            Some(15)
        );
        assert_eq!(parse_major("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(
            parse_major("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"),
            Some(7)
        );
        assert_eq!(parse_major("nonsense"), None);
    }
}
