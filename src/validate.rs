//! Validation of single fields. Errors are collected, so that a client receives them all at once.

pub mod text;

use serde::Serialize;

use crate::language::Language;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    pub field: &'static str,
    pub problem: Problem,
}

/// The kind of a field's error. Lengths are in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The change moves a date of a contest to before now.
    InThePast,
    Invalid,
    Mismatch,
    /// A date must be later than that of the other field.
    NotAfter {
        other: &'static str,
    },
    OutOfRange {
        min: u32,
        max: u32,
    },
    Required,
    Taken,
    TooLong {
        max: usize,
    },
    TooShort {
        min: usize,
    },
    Unknown,
    /// The rule changes while voting is open.
    WhileVoting,
}

/// A field's error as sent to clients.
#[derive(Debug, Serialize)]
pub struct FieldBody {
    field: &'static str,
    code: &'static str,
    message: String,
}

impl FieldError {
    /// Returns the sentence for users.
    pub fn message(&self, language: Language) -> String {
        self.body(language).message
    }

    /// Returns the error as sent to a client, in `language`.
    pub fn body(&self, language: Language) -> FieldBody {
        let (code, spanish, english) = match self.problem {
            Problem::InThePast => (
                "in_the_past",
                "Queda en el pasado.".to_owned(),
                "Lies in the past.".to_owned(),
            ),
            Problem::Invalid => (
                "invalid",
                "No es válido.".to_owned(),
                "Not valid.".to_owned(),
            ),
            Problem::Mismatch => (
                "mismatch",
                "Las contraseñas no coinciden.".to_owned(),
                "The passwords differ.".to_owned(),
            ),
            Problem::NotAfter { other } => (
                "not_after",
                format!("Debe ser posterior a {other}."),
                format!("Must be later than {other}."),
            ),
            Problem::OutOfRange { min, max } => (
                "out_of_range",
                format!("Debe ser un número entre {min} y {max}."),
                format!("Must be a number from {min} to {max}."),
            ),
            Problem::Required => (
                "required",
                "Es obligatorio.".to_owned(),
                "Required.".to_owned(),
            ),
            Problem::Taken => (
                "taken",
                "Ya está registrado.".to_owned(),
                "Registered already.".to_owned(),
            ),
            Problem::TooLong { max } => (
                "too_long",
                format!("Debe tener como máximo {max} caracteres."),
                format!("Must have at most {max} characters."),
            ),
            Problem::TooShort { min } => (
                "too_short",
                format!("Debe tener al menos {min} caracteres."),
                format!("Must have at least {min} characters."),
            ),
            Problem::Unknown => (
                "unknown",
                "No hay ninguna cuenta con este dato.".to_owned(),
                "There is no such account.".to_owned(),
            ),
            Problem::WhileVoting => (
                "while_voting",
                "Cambia mientras la votación está abierta.".to_owned(),
                "Changes while voting is open.".to_owned(),
            ),
        };
        FieldBody {
            field: self.field,
            code,
            message: language.select(spanish, english),
        }
    }
}

/// Collects the errors of a form.
#[derive(Debug, Default)]
pub struct Checks {
    errors: Vec<FieldError>,
}

impl Checks {
    /// Records a problem of `field`, unless it already has one, since the first explains the rest.
    pub fn add(&mut self, field: &'static str, problem: Problem) {
        if self.errors.iter().all(|error| error.field != field) {
            self.errors.push(FieldError { field, problem });
        }
    }

    /// Returns `text` in its stored form ([`text::normal`]). Records a problem unless it has `min`
    /// to `max` characters, all of them visible ([`text::is_readable`]).
    pub fn line(&mut self, field: &'static str, text: &str, min: usize, max: usize) -> String {
        let text = text::normal(text);
        let length = text.chars().count();
        if length == 0 {
            self.add(field, Problem::Required);
        } else if !text::is_readable(&text) {
            self.add(field, Problem::Invalid);
        } else if length < min {
            self.add(field, Problem::TooShort { min });
        } else if length > max {
            self.add(field, Problem::TooLong { max });
        }
        text
    }

    /// Returns all recorded errors, or `Ok` if there are none.
    pub fn finish(self) -> Result<(), Vec<FieldError>> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(self.errors)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_counts_characters_after_trimming() {
        let mut checks = Checks::default();
        assert_eq!(
            checks.line("title", "  n\u{303}andu\u{301} ", 5, 5),
            "ñandú"
        );
        assert!(checks.errors.is_empty());
        for (text, problem) in [
            ("   ", Problem::Required),
            ("four", Problem::TooShort { min: 5 }),
            ("sixsix", Problem::TooLong { max: 5 }),
            ("a\0bcd", Problem::Invalid),
            ("ab\u{202e}cd", Problem::Invalid),
            ("\u{200b} \u{feff}", Problem::Required),
        ] {
            let mut checks = Checks::default();
            checks.line("title", text, 5, 5);
            assert_eq!(
                checks.errors,
                [FieldError {
                    field: "title",
                    problem
                }],
                "{text:?}"
            );
        }
    }
}
