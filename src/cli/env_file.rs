//! The settings files: those of `--env-file`, of which the first wins, or `.env` if it exists. The
//! environment overrides them, except with empty variables, which count as unset.

use std::{
    borrow::Cow,
    ffi::{OsStr, OsString},
    fs,
    io::Write as _,
    path::Path,
};

use anyhow::{Context as _, anyhow};
use tempfile::NamedTempFile;

use super::value_of;

/// The argument that ends the program's own arguments.
const END: &str = "--";

pub(super) fn load(arguments: &[OsString]) -> anyhow::Result<()> {
    let chosen = chosen(arguments);
    for file in &chosen {
        read(Path::new(file), &format!("--env-file {file}"))?;
    }
    if chosen.is_empty() && Path::new(".env").exists() {
        read(Path::new(".env"), ".env")?;
    }
    Ok(())
}

/// Returns the files named by the arguments.
fn chosen(arguments: &[OsString]) -> Vec<String> {
    let mut words = arguments.iter().map(|word| word.to_string_lossy());
    let mut chosen = Vec::new();
    while let Some(word) = words.next() {
        match word.strip_prefix("--env-file") {
            Some("") => chosen.extend(words.next().map(Cow::into_owned)),
            Some(rest) => chosen.extend(rest.strip_prefix('=').map(str::to_owned)),
            None if word == END => break,
            None => {}
        }
    }
    chosen
}

fn read(file: &Path, name: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("read {name}"))?;
    // Some editors start a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    check(text).map_err(|(line, problem)| anyhow!("{name}, line {line}: {problem}"))?;
    let explain = |error| explain(name, text, error);
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

/// Returns line and remedy of two errors that dotenvy accepts: a NUL, which no variable can hold,
/// and an undefined variable, which dotenvy replaces with nothing, as in a password with a `$`.
fn check(text: &str) -> Result<(), (usize, &'static str)> {
    let mut line = 1;
    let mut quote = None;
    let mut is_comment = false;
    let mut before = '\n';
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '\0' => return Err((line, "remove the NUL character")),
            '\n' => {
                line += 1;
                is_comment = false;
            }
            _ if is_comment => {}
            // Escapes the next character.
            '\\' if quote != Some('\'') => line += usize::from(rest.next() == Some('\n')),
            '#' if quote.is_none() && before.is_whitespace() => is_comment = true,
            '\'' | '"' if quote.is_none() => quote = Some(letter),
            _ if quote == Some(letter) => quote = None,
            '$' if quote != Some('\'') && !names_variable(rest.as_str(), text) => {
                return Err((
                    line,
                    "a $ starts the name of a variable, but no such variable is set: put the value in \
                     single quotes",
                ));
            }
            _ => {}
        }
        before = letter;
    }
    Ok(())
}

/// Returns whether `rest` starts with the name of a variable of the environment or of this file.
fn names_variable(rest: &str, file: &str) -> bool {
    let rest = rest.strip_prefix('{').unwrap_or(rest);
    let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let (name, _) = rest.split_at(end.unwrap_or(rest.len()));
    let is_set = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line);
        line.split_once('=')
            .is_some_and(|(variable, _)| variable.trim() == name)
    };
    !name.is_empty() && (value_of(OsStr::new(name)).is_some() || file.lines().any(is_set))
}

/// Atomically writes a file with `settings` that only its owner can read.
pub(crate) fn write(file: &Path, settings: &[(&str, &str)]) -> anyhow::Result<()> {
    let place = || format!("write {}", file.display());
    let folder = file.parent().with_context(place)?;
    // A temporary file has mode 0600.
    let mut new = NamedTempFile::new_in(folder).with_context(place)?;
    for (variable, value) in settings {
        writeln!(new, "{variable}={}", quoted(value)).with_context(place)?;
    }
    new.persist(file).with_context(place)?;
    Ok(())
}

/// Quotes a value so that dotenvy reads it unchanged.
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

/// Returns an error with the line's number. dotenvy's own shows the line, which may hold a secret.
fn explain(name: &str, text: &str, error: dotenvy::Error) -> anyhow::Error {
    let dotenvy::Error::LineParse(part, _) = error else {
        return anyhow::Error::new(error).context(format!("read {name}"));
    };
    let part = part.lines().next().unwrap_or_default();
    let number = text.lines().position(|line| line.contains(part));
    let number = number.map_or(0, |index| index + 1);
    anyhow!(
        "{name}, line {number}: write NAME=value, with quotes around a value that contains spaces"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollar_requires_an_existing_variable() {
        for good in [
            "NAME='pa$word'",
            "NAME=\"pa\\$word\"",
            "OTHER=1\nNAME=${OTHER}$OTHER",
            "# costs $5\nNAME=1 # and $more",
            "NAME='two\nlines $x'",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (wrong, line) in [
            ("NAME=\"pa$word\"", 1),
            ("\nNAME=pa$word", 2),
            ("NAME=pa$", 1),
            ("NAME=${NOWHERE}", 1),
            ("A='two\nlines'\nNAME=$x", 3),
            ("A=1\nB=a\0b", 2),
        ] {
            assert_eq!(check(wrong).unwrap_err().0, line, "{wrong}");
        }
    }

    #[test]
    fn quoted_values_are_read_unchanged() {
        for value in ["plain", r#"a "b" $c \d 'e' #f"#, "two\nlines", "ñ "] {
            let line = format!("NAME={}", quoted(value));
            let mut read = dotenvy::from_read_iter(line.as_bytes());
            assert_eq!(read.next().unwrap().unwrap().1, value, "{line}");
        }
    }
}
