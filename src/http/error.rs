//! The error type of all handlers. [`super::respond`] renders errors as JSON in the client's
//! language.

mod cause;
mod code;

use std::{fmt, time::Duration};

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use chrono::{DateTime, Utc};
use serde::Serialize;

use self::cause::classify;
pub use self::code::Code;
use crate::{
    batch::SharedError,
    validate::{FieldError, Problem},
};

pub type Result<T> = std::result::Result<T, Error>;

/// `Retry-After` while a dependency is unavailable.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// `Retry-After` for an account at a quota of concurrent work: some of it should end by then.
const RETRY_AFTER_QUOTA: Duration = Duration::from_secs(30);

/// `Retry-After` for an upload that can continue as soon as its last request has ended.
const RETRY_AFTER_UPLOAD: Duration = Duration::from_secs(1);

/// An error response.
#[derive(Debug)]
pub struct Error {
    pub code: Code,
    /// Invalid fields of the request.
    pub fields: Vec<FieldError>,
    /// Delay after which the client may retry, for 423, 429 and 503.
    pub retry_after: Option<Duration>,
    /// Where a resumable upload is, for `offset_mismatch` (bytes).
    pub upload_offset: Option<u64>,
    /// When the contest allows what it refuses now.
    pub moments: Moments,
    /// For the log only; never sent to the client.
    pub cause: Option<anyhow::Error>,
}

/// When the contest allows something. Members of the body, absent where they say nothing.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Moments {
    /// The beginning of a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<DateTime<Utc>>,
    /// The end of a window, which does not belong to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_at: Option<DateTime<Utc>>,
}

impl Error {
    /// Returns the error for a request outside a window of the contest.
    pub fn closed(code: Code, opens_at: DateTime<Utc>, closes_at: DateTime<Utc>) -> Self {
        Self {
            moments: Moments {
                opens_at: Some(opens_at),
                closes_at: Some(closes_at),
                allowed_at: None,
            },
            ..Self::from(code)
        }
    }

    /// Returns the error for a request that the contest's rules allow later, or never.
    pub fn early(code: Code, allowed_at: Option<DateTime<Utc>>) -> Self {
        Self {
            moments: Moments {
                allowed_at,
                ..Moments::default()
            },
            ..Self::from(code)
        }
    }

    /// Returns the error for one invalid field of the request.
    pub fn field(field: &'static str, problem: Problem) -> Self {
        vec![FieldError { field, problem }].into()
    }

    /// Returns the error for bytes that do not begin where the upload is.
    pub fn offset_mismatch(upload_offset: u64) -> Self {
        Self {
            upload_offset: Some(upload_offset),
            ..Self::from(Code::OffsetMismatch)
        }
    }

    /// Returns the error for too many requests; the client may retry after `wait`.
    pub fn too_many(wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..Self::from(Code::TooManyRequests)
        }
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        let retry_after = match (code, code.status()) {
            (Code::UploadBusy | Code::UploadInterrupted, _) => Some(RETRY_AFTER_UPLOAD),
            (_, StatusCode::SERVICE_UNAVAILABLE) => Some(RETRY_AFTER),
            (_, StatusCode::TOO_MANY_REQUESTS) => Some(RETRY_AFTER_QUOTA),
            _ => None,
        };
        Self {
            code,
            fields: Vec::new(),
            retry_after,
            upload_offset: None,
            moments: Moments::default(),
            cause: None,
        }
    }
}

/// Converts the invalid fields of a request.
impl From<Vec<FieldError>> for Error {
    fn from(fields: Vec<FieldError>) -> Self {
        Self {
            fields,
            ..Self::from(Code::ValidationFailed)
        }
    }
}

/// Converts an unexpected error: 503 if a dependency is unavailable, 500 otherwise.
impl From<anyhow::Error> for Error {
    fn from(cause: anyhow::Error) -> Self {
        let code = classify(&cause);
        Self {
            cause: Some(cause),
            ..Self::from(code)
        }
    }
}

/// Converts an error of work shared by several requests, each of which logs it.
impl From<SharedError> for Error {
    fn from(shared: SharedError) -> Self {
        anyhow::Error::from(shared).into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.name())
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    /// Returns an empty response; [`super::respond`] adds the body in the request's language.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}
