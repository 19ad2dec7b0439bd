//! The settings file: the one of `--env-file`, or `.env` if it is there. The environment wins over it,
//! but an empty variable means unset, and then the file counts.

use std::{
    borrow::Cow,
    ffi::{OsStr, OsString},
    fs,
    path::Path,
};

use anyhow::{Context as _, anyhow};

use super::value_of;

/// Ends the program's own arguments.
const END: &str = "--";

/// Reads the file into the environment.
pub(super) fn load(arguments: &[OsString]) -> anyhow::Result<()> {
    match chosen(arguments) {
        Some(file) => read(Path::new(&file), &format!("--env-file {file}")),
        None if Path::new(".env").exists() => read(Path::new(".env"), ".env"),
        None => Ok(()),
    }
}

/// Returns the file that the arguments name, the last one if they name several.
fn chosen(arguments: &[OsString]) -> Option<String> {
    let mut words = arguments.iter().map(|word| word.to_string_lossy());
    let mut chosen = None;
    while let Some(word) = words.next() {
        match word.strip_prefix("--env-file") {
            Some("") => chosen = words.next().map(Cow::into_owned),
            Some(rest) => chosen = rest.strip_prefix('=').map(str::to_owned).or(chosen),
            None if word == END => break,
            None => {}
        }
    }
    chosen
}

fn read(file: &Path, name: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("read {name}"))?;
    let explain = |error| explain(name, &text, error);
    dotenvy::from_read(text.as_bytes()).map_err(explain)?;
    for setting in dotenvy::from_read_iter(text.as_bytes()) {
        let (variable, value) = setting.map_err(explain)?;
        let is_empty = value_of(OsStr::new(&variable)).is_some_and(|value| value.is_empty());
        if is_empty && !value.is_empty() {
            let line = format!("{variable}={}", quoted(&value));
            dotenvy::from_read_override(line.as_bytes()).map_err(explain)?;
        }
    }
    Ok(())
}

/// Writes a value so that dotenvy reads it as it is.
fn quoted(value: &str) -> String {
    let mut quoted = String::from('"');
    for character in value.chars() {
        if matches!(character, '\\' | '"' | '$') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

/// Names the line that cannot be read. dotenvy would show it, and it may hold a secret.
fn explain(name: &str, text: &str, error: dotenvy::Error) -> anyhow::Error {
    let dotenvy::Error::LineParse(part, _) = error else {
        return anyhow::Error::new(error).context(format!("read {name}"));
    };
    let part = part.lines().next().unwrap_or_default();
    let number = text.lines().position(|line| line.contains(part));
    let number = number.map_or(0, |index| index + 1);
    anyhow!("{name}, line {number}: write NAME=value, with quotes around a value that has blanks")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_survives_its_quotes() {
        for value in ["plain", r#"a "b" $c \d 'e' #f"#, "two\nlines", "ñ "] {
            let line = format!("NAME={}", quoted(value));
            let mut read = dotenvy::from_read_iter(line.as_bytes());
            assert_eq!(read.next().unwrap().unwrap().1, value, "{line}");
        }
    }
}
