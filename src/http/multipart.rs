//! `multipart/form-data` (RFC 7578) as a stream of fields, with a limit on how long a client may be
//! silent. Small fields are read whole; the file's chunks go where the handler sends them.

use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::{error::PayloadError, web::Bytes};
use futures_util::{Stream, StreamExt as _};
use tokio::time::timeout;

use super::{Code, Error, Result};

/// Longest silence between two pieces of a body.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A form that is being received.
pub struct Form {
    multipart: Multipart,
}

impl Form {
    /// Starts to read the body of a request.
    pub fn new(multipart: Multipart) -> Self {
        Self { multipart }
    }

    /// Returns the next field, none after the last one. The field before must have been read.
    pub async fn next_field(&mut self) -> Result<Option<Field>> {
        next(&mut self.multipart).await
    }
}

/// Returns the next piece of a field, none at its end.
pub async fn chunk(field: &mut Field) -> Result<Option<Bytes>> {
    next(field).await
}

/// Reads a small field whole. Returns 400 if it has more than `max_bytes` or is not UTF-8.
pub async fn text(field: &mut Field, max_bytes: usize) -> Result<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = chunk(field).await? {
        if bytes.len() + chunk.len() > max_bytes {
            return Err(Code::InvalidForm.into());
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|error| Error {
        cause: Some(error.into()),
        ..Error::from(Code::InvalidForm)
    })
}

async fn next<T>(
    stream: &mut (impl Stream<Item = std::result::Result<T, MultipartError>> + Unpin),
) -> Result<Option<T>> {
    match timeout(IDLE_TIMEOUT, stream.next()).await {
        Ok(item) => item.transpose().map_err(|error| refuse(&error)),
        Err(_) => Err(Code::BodyTooSlow.into()),
    }
}

fn refuse(error: &MultipartError) -> Error {
    let code = match error {
        MultipartError::Payload(PayloadError::Overflow) => Code::BodyTooLarge,
        _ => Code::InvalidForm,
    };
    Error {
        cause: Some(anyhow::Error::msg(error.to_string())),
        ..Error::from(code)
    }
}
