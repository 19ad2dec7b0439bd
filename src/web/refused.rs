//! Errors of a form, shown on the page of the form itself.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
};

use super::{
    text::{Phrases, phrases},
    view::FieldProblem,
};
use crate::{
    http::{Code, Error, Result, respond::whole_seconds},
    language::Language,
};

/// What a form's page shows after the form was refused, or before it is sent.
pub struct Refused {
    pub status: StatusCode,
    pub errors: Vec<FieldProblem>,
    /// What concerns no single field.
    pub notice: Option<String>,
    pub wait: Wait,
}

/// When the form may be sent again.
pub struct Wait(Option<Duration>);

impl Refused {
    /// Returns what to show about `error`. Returns the error itself if it is not about the form: then
    /// the page of errors is shown.
    pub fn of(error: Option<Error>, language: Language) -> Result<Self> {
        let Some(error) = error else {
            return Ok(Self {
                status: StatusCode::OK,
                errors: Vec::new(),
                notice: None,
                wait: Wait(None),
            });
        };
        let status = error.code.status();
        if status.is_server_error() {
            return Err(error);
        }
        let t = phrases(language);
        let errors: Vec<FieldProblem> = error
            .fields
            .iter()
            .map(|field| FieldProblem {
                field: field_of_page(field.field).to_owned(),
                label: label(t, field.field).to_owned(),
                message: field.message(language),
            })
            .collect();
        let sentence = error.code.message(language);
        let notice = match (error.code, error.retry_after) {
            (Code::WrongCredentials, _) => Some(format!("{sentence} {}", t.forgotten)),
            (_, Some(wait)) => Some((t.wait)(&format!("{} s", whole_seconds(wait)))),
            _ if errors.is_empty() => Some(sentence.to_owned()),
            _ => None,
        };
        Ok(Self {
            status,
            errors,
            notice,
            wait: Wait(error.retry_after),
        })
    }
}

impl Wait {
    pub fn apply(&self, response: &mut HttpResponse) {
        let Self(Some(wait)) = self else { return };
        let seconds = whole_seconds(*wait).to_string();
        if let Ok(value) = HeaderValue::try_from(seconds) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
    }
}

/// Returns the field of the page for a field of the slice: the page has one field for a password.
fn field_of_page(field: &'static str) -> &'static str {
    match field {
        "password1" | "password2" => "password",
        other => other,
    }
}

fn label<'a>(t: &'a Phrases, field: &'static str) -> &'a str {
    match field {
        "first_name" => t.first_name,
        "last_name" => t.last_name,
        "email" => t.email,
        "password1" | "password2" => t.password,
        "current" => t.current_password,
        "city" => t.city,
        "country" => t.country_label,
        "title" => t.title,
        "reason" => t.reason,
        other => other,
    }
}
