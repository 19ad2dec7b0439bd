//! Filters of the public lists.

use super::{Error, Result};
use crate::{city, validate::Problem};

/// Maximum length of a city's name and of a search text, in characters.
const MAX_LENGTH: usize = 100;

/// Parses the parameter `city` into the folded name, or none if it is absent or blank. Returns 400
/// for a name that is too long or consists of punctuation alone: no city has such a name, and the
/// whole country is not what the client requested.
pub fn city(parameter: Option<&str>) -> Result<Option<String>> {
    let Some(name) = bounded("city", parameter)? else {
        return Ok(None);
    };
    let folded = city::fold(name);
    if folded.is_empty() {
        return Err(Error::field("city", Problem::Invalid));
    }
    Ok(Some(folded))
}

/// Parses the parameter `q`, without surrounding blanks and control characters, which no title
/// contains; none if nothing is left. Returns 400 if it is too long.
pub fn text(parameter: Option<&str>) -> Result<Option<String>> {
    let text = bounded("q", parameter)?.unwrap_or_default();
    let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
    Ok((!text.is_empty()).then_some(text))
}

/// Returns a parameter without surrounding blanks; none if it is absent or blank. Returns 400 if it
/// is too long or not UTF-8.
fn bounded<'a>(field: &'static str, parameter: Option<&'a str>) -> Result<Option<&'a str>> {
    let text = parameter.unwrap_or_default().trim();
    // Decoding replaces bytes that are not UTF-8, such as `%FF`.
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(Error::field(field, Problem::Invalid));
    }
    if text.chars().nth(MAX_LENGTH).is_some() {
        return Err(Error::field(field, Problem::TooLong { max: MAX_LENGTH }));
    }
    Ok((!text.is_empty()).then_some(text))
}
