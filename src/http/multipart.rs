//! Reads `multipart/form-data` (RFC 7578) as a stream of fields that keeps a minimum rate. Small
//! fields are read whole, files in chunks. Of a part's headers, only the field's name is used.

mod parameter;

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use actix_web::{HttpRequest, http::header, web};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use multer::Multipart;
use send_wrapper::SendWrapper;
use tokio::time::timeout;

use self::parameter::{parameter, text};
use super::{
    Code, Result,
    pace::{Pace, WINDOW},
};

/// Maximum bytes that the parser may buffer: text before the first boundary, or a part's headers.
const MAX_UNREAD_BYTES: usize = 256 * 1024;

/// Maximum bytes passed to the parser at a time, and maximum size of a field's chunk.
const PIECE_BYTES: usize = 64 * 1024;

/// Maximum length of a boundary; RFC 2046 allows 70.
const MAX_BOUNDARY_BYTES: usize = 200;

/// A form that is being received.
pub struct Form {
    multipart: Multipart<'static>,
    unread: Rc<Cell<usize>>,
    pace: Pace,
}

pub struct Field {
    name: String,
    content: multer::Field<'static>,
    /// Received bytes that were not returned yet.
    rest: Bytes,
}

impl Field {
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Form {
    /// Starts to read the body of a request. Returns 400 if it is not a form.
    pub fn new(request: &HttpRequest, payload: web::Payload) -> Result<Self> {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let boundary = content_type.and_then(|value| boundary(value.as_bytes()));
        let unread = Rc::new(Cell::new(0));
        let body = Body {
            payload,
            rest: Bytes::new(),
            unread: Rc::clone(&unread),
            given: 0,
        };
        // The parser requires a `Send` stream, although a request never leaves its thread.
        let body = SendWrapper::new(body);
        Ok(Self {
            multipart: Multipart::new(body, boundary.ok_or(Code::InvalidForm)?),
            unread,
            pace: Pace::new(Instant::now()),
        })
    }

    /// Returns the next field; none after the last one. The previous one must be read and dropped.
    pub async fn next_field(&mut self) -> Result<Option<Field>> {
        let Some(content) = with_timeout(self.multipart.next_field()).await? else {
            return Ok(None);
        };
        self.unread.set(0);
        let disposition = content.headers().get("content-disposition");
        let name = disposition.and_then(|value| field_name(value.as_bytes()));
        Ok(Some(Field {
            name: name.ok_or(Code::InvalidForm)?,
            content,
            rest: Bytes::new(),
        }))
    }

    /// Returns a field's next chunk, or none at its end. Returns 408 if the client is too slow.
    pub async fn chunk(&mut self, field: &mut Field) -> Result<Option<Bytes>> {
        if field.rest.is_empty() {
            let Some(chunk) = with_timeout(field.content.chunk()).await? else {
                return Ok(None);
            };
            self.unread.set(0);
            if !self.pace.keeps_up(chunk.len(), Instant::now()) {
                return Err(Code::BodyTooSlow.into());
            }
            field.rest = chunk;
        }
        let length = field.rest.len().min(PIECE_BYTES);
        Ok(Some(field.rest.split_to(length)))
    }

    /// Reads a small field whole. Returns 400 if it exceeds `max_bytes` or is not UTF-8.
    pub async fn text(&mut self, field: &mut Field, max_bytes: usize) -> Result<String> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk(field).await? {
            if bytes.len() + chunk.len() > max_bytes {
                return Err(Code::InvalidForm.into());
            }
            bytes.extend_from_slice(&chunk);
        }
        String::from_utf8(bytes).or(Err(Code::InvalidForm.into()))
    }
}

/// A request's body, passed to the parser within its limits.
struct Body {
    payload: web::Payload,
    /// Received bytes that were not passed to the parser yet.
    rest: Bytes,
    /// Bytes passed since the parser last yielded an item.
    unread: Rc<Cell<usize>>,
    /// Bytes passed since the parser was last made to parse.
    given: usize,
}

/// Why reading a body failed.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("the body ended early")]
    Broken,
    #[error("the body exceeds the buffer of the parser")]
    TooLarge,
}

impl Stream for Body {
    type Item = std::result::Result<Bytes, Unreadable>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.given >= PIECE_BYTES {
            // Otherwise the parser would buffer all available bytes before it parses any.
            self.given = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        while self.rest.is_empty() {
            match ready!(self.payload.poll_next_unpin(context)) {
                Some(Ok(chunk)) => self.rest = chunk,
                Some(Err(_)) => return Poll::Ready(Some(Err(Unreadable::Broken))),
                None => return Poll::Ready(None),
            }
        }
        let length = self.rest.len().min(PIECE_BYTES - self.given);
        let piece = self.rest.split_to(length);
        self.given += length;
        self.unread.set(self.unread.get().saturating_add(length));
        if self.unread.get() > MAX_UNREAD_BYTES {
            return Poll::Ready(Some(Err(Unreadable::TooLarge)));
        }
        Poll::Ready(Some(Ok(piece)))
    }
}

async fn with_timeout<T>(
    next: impl Future<Output = multer::Result<Option<T>>>,
) -> Result<Option<T>> {
    match timeout(WINDOW, next).await {
        Ok(Ok(item)) => Ok(item),
        Ok(Err(multer::Error::StreamReadFailed(cause)))
            if matches!(cause.downcast_ref(), Some(Unreadable::TooLarge)) =>
        {
            Err(Code::BodyTooLarge.into())
        }
        Ok(Err(_)) => Err(Code::InvalidForm.into()),
        Err(_) => Err(Code::BodyTooSlow.into()),
    }
}

/// Returns the boundary of a `Content-Type`.
fn boundary(content_type: &[u8]) -> Option<String> {
    let value = text(content_type);
    let media_type = value.split(';').next()?.trim();
    let boundary = parameter(&value, "boundary")?;
    let is_form = media_type.eq_ignore_ascii_case("multipart/form-data");
    let is_usable = (1..=MAX_BOUNDARY_BYTES).contains(&boundary.len());
    (is_form && is_usable).then_some(boundary)
}

/// Returns the field's name from a part's `Content-Disposition`.
fn field_name(disposition: &[u8]) -> Option<String> {
    let value = text(disposition);
    let kind = value.split(';').next()?.trim();
    let name = parameter(&value, "name")?;
    kind.eq_ignore_ascii_case("form-data").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundary_may_be_quoted() {
        for (content_type, expected) in [
            (
                "multipart/form-data; boundary=----WebKitFormBoundaryA1",
                "----WebKitFormBoundaryA1",
            ),
            ("multipart/form-data;boundary=\"a b\"", "a b"),
            (
                "Multipart/Form-Data; charset=utf-8; Boundary=\"gc0p:J/q=?\"",
                "gc0p:J/q=?",
            ),
            (
                "multipart/form-data; boundary=gc0p:J/q=?(x) ; charset=x",
                "gc0p:J/q=?(x)",
            ),
            (
                "multipart/form-data; boundary=a'b+c_d,e-f.g",
                "a'b+c_d,e-f.g",
            ),
        ] {
            assert_eq!(
                boundary(content_type.as_bytes()).as_deref(),
                Some(expected),
                "{content_type}"
            );
        }
        for wrong in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"\"",
            "multipart/mixed; boundary=x",
            "application/json; boundary=x",
        ] {
            assert_eq!(boundary(wrong.as_bytes()), None, "{wrong}");
        }
        let long = format!("multipart/form-data; boundary={}", "x".repeat(300));
        assert_eq!(boundary(long.as_bytes()), None);
    }

    #[test]
    fn field_name_is_found_next_to_any_file_name() {
        for disposition in [
            &b"form-data; name=\"title\""[..],
            b"Form-Data; NAME=title",
            b"form-data; filename=\"a; name=x.mp4\"; name=\"title\"",
            b"form-data; filename=\"a \\\"b\\\"; name=x\"; name=\"title\"",
            b"form-data; name=\"title\"; filename=\"canci\xf3n \xe9\xff.mp4\"",
            b"form-data; name=\"title\"; filename*=UTF-8\'\'jugada%20%C3%B1.mp4",
            b"form-data; filename*=iso-8859-1\'es\'%F1; name=\"title\"",
        ] {
            assert_eq!(
                field_name(disposition).as_deref(),
                Some("title"),
                "{disposition:?}"
            );
        }
        for wrong in [
            &b"form-data"[..],
            b"attachment; name=x",
            b"form-data; filename=\"name=x\"",
            b"",
        ] {
            assert_eq!(field_name(wrong), None, "{wrong:?}");
        }
    }
}
