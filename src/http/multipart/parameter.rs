//! Lenient parsing of the parameters of a header's value (RFC 9110 §5.6.6).

/// Decodes a header's value as UTF-8, or as Latin-1, which old clients send.
pub fn text(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.iter().copied().map(char::from).collect(),
    }
}

/// Returns a parameter of `value` by its case-insensitive name. A quoted value may contain
/// separators; an unquoted one ends at the next semicolon.
pub fn parameter(value: &str, wanted: &str) -> Option<String> {
    let (_, mut rest) = value.split_once(';')?;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (content, following) = content(after.trim_start());
        // A parameter without a value may precede it.
        let name = name.rsplit(';').next().unwrap_or(name).trim();
        if name.eq_ignore_ascii_case(wanted) {
            return Some(content);
        }
        rest = following?;
    }
}

/// Parses one parameter's value. Also returns the text after the next semicolon.
fn content(text: &str) -> (String, Option<&str>) {
    let Some(quoted) = text.strip_prefix('"') else {
        return match text.split_once(';') {
            Some((content, rest)) => (content.trim_end().to_owned(), Some(rest)),
            None => (text.trim_end().to_owned(), None),
        };
    };
    let mut content = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => content.extend(characters.next()),
            other => content.push(other),
        }
    }
    let rest = characters.as_str().split_once(';');
    (content, rest.map(|(_, rest)| rest))
}
