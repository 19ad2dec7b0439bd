//! Gives operator tools access to the private services: a settings file and its command line.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::{cli::env_file, config, dev::Services};

/// The settings file in the data folder.
const FILE: &str = "dev.env";

/// Writes the settings file for the running services, and returns a command line that uses it, for
/// the working directory. Returns `None` if a path is not UTF-8, which a settings file cannot hold.
pub fn prepare(
    services: &Services,
    storage: &config::storage::Settings,
    data_dir: &Path,
) -> anyhow::Result<Option<String>> {
    let file = data_dir.join(FILE);
    let program = std::env::current_exe().context("find this program")?;
    let folder = std::env::current_dir().unwrap_or_default();
    let (program, shown) = (as_typed(&program, &folder), as_typed(&file, &folder));
    let (Some(uploads), Some(processed), Some(program), Some(shown)) = (
        storage.upload_path.to_str(),
        storage.processed_path.to_str(),
        program.to_str(),
        shown.to_str(),
    ) else {
        return Ok(None);
    };
    let (database_url, redis_url) = (services.postgres.url(), services.redis.url());
    let settings = [
        ("DATABASE_URL", database_url.as_str()),
        ("DB_SSL_MODE", "disable"),
        ("QUEUE_TYPE", "redis"),
        ("REDIS_URL", &redis_url),
        ("STORAGE_TYPE", "local"),
        ("UPLOAD_PATH", uploads),
        ("PROCESSED_PATH", processed),
    ];
    env_file::write(&file, &settings)?;
    let (program, shown) = (quoted(program), quoted(shown));
    Ok(Some(format!("{program} queue stats --env-file {shown}")))
}

/// Quotes a word so that a shell reads it unchanged.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    if word.chars().all(is_plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''")).into()
}

/// Returns `path` relative to `folder` if it is inside. It always has a slash, since a shell
/// searches `PATH` for a program without one.
fn as_typed(path: &Path, folder: &Path) -> PathBuf {
    match path.strip_prefix(folder) {
        Ok(below) if below.components().count() > 1 => below.to_owned(),
        Ok(below) => Path::new(".").join(below),
        Err(_) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_inside_the_working_directory_are_short_and_runnable() {
        for (path, expected) in [
            ("/srv/anb/target/release/anb", "target/release/anb"),
            ("/srv/anb/anb", "./anb"),
            ("/usr/bin/anb", "/usr/bin/anb"),
        ] {
            let typed = as_typed(path.as_ref(), "/srv/anb".as_ref());
            assert_eq!(typed, Path::new(expected));
        }
    }
}
