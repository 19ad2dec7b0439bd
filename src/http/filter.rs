//! What public lists can be narrowed to.

use super::Result;
use crate::{
    city,
    validate::{FieldError, Problem},
};

/// Reads the parameter `city`: the folded name, none if it is absent or blank. Returns 400 for a name
/// of punctuation alone: no city has one, and the whole country is not what was asked for.
pub fn city(parameter: Option<&str>) -> Result<Option<String>> {
    let Some(name) = parameter.filter(|name| !name.trim().is_empty()) else {
        return Ok(None);
    };
    let folded = city::fold(name);
    if folded.is_empty() {
        return Err(vec![FieldError {
            field: "city",
            problem: Problem::Invalid,
        }]
        .into());
    }
    Ok(Some(folded))
}

/// Reads the parameter `q`: its text without surrounding blanks and control characters, which no title
/// has; none if nothing is left.
pub fn text(parameter: Option<&str>) -> Option<String> {
    let text: String = parameter?
        .trim()
        .chars()
        .filter(|letter| !letter.is_control())
        .collect();
    (!text.is_empty()).then_some(text)
}
