//! Errors of a form, shown on the page of the form itself.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
};

use askama::Template;

use super::{
    private,
    text::{phrases, run::run, staff::staff, time_left},
    view::{FieldProblem, Notice},
    visit::Visit,
};
use crate::{
    http::{Code, Error, Result, respond::whole_seconds},
    language::Language,
    validate::{FieldError, Problem},
};

/// What a form's page shows after the form was refused, or before it is sent.
pub struct Refused {
    pub errors: Vec<FieldProblem>,
    /// What concerns no single field.
    pub notice: Option<Notice>,
    pub reply: Reply,
}

/// How the form's page is sent.
pub struct Reply {
    status: StatusCode,
    /// When the form may be sent again.
    retry_after: Option<Duration>,
}

impl Refused {
    /// Returns what to show about `error`. Returns the error itself if it is not about the form: then
    /// the page of errors is shown.
    pub fn of(error: Option<Error>, language: Language) -> Result<Self> {
        let Some(error) = error else {
            return Ok(Self {
                errors: Vec::new(),
                notice: None,
                reply: Reply {
                    status: StatusCode::OK,
                    retry_after: None,
                },
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
                label: label(language, field.field).to_owned(),
                message: message(language, field),
            })
            .collect();
        let sentence = error.code.message(language);
        let notice = match (error.code, error.retry_after) {
            (Code::WrongCredentials, _) => Some(format!("{sentence} {}", t.forgotten)),
            (_, Some(wait)) => Some((t.wait)(&time_left(whole_seconds(wait)))),
            _ if errors.is_empty() => Some(sentence.to_owned()),
            _ => None,
        };
        Ok(Self {
            errors,
            notice: notice.map(Notice::bad),
            reply: Reply {
                status,
                retry_after: error.retry_after,
            },
        })
    }
}

impl Reply {
    /// Returns the response with the form's page.
    pub fn send(&self, visit: &Visit, page: &impl Template) -> Result<HttpResponse> {
        let mut response = private(visit, self.status, page)?;
        if let Some(wait) = self.retry_after {
            let seconds = HeaderValue::from(whole_seconds(wait));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        Ok(response)
    }
}

/// Returns the field of the page for a field of the slice: the page has one field for a password.
fn field_of_page(field: &'static str) -> &'static str {
    match field {
        "password1" | "password2" => "password",
        other => other,
    }
}

/// Returns what is wrong with a field, in the words of the page.
fn message(language: Language, error: &FieldError) -> String {
    let t = run(language);
    if let Problem::NotAfter { other } = error.problem
        && let Some(label) = t.field(other)
    {
        return (t.not_after)(label);
    }
    error.message(language)
}

fn label(language: Language, field: &'static str) -> &'static str {
    let t = phrases(language);
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
        "role" => staff(language).role,
        other => run(language).field(other).unwrap_or(other),
    }
}
