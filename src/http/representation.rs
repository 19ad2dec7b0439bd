//! Choosing the representation of a response: its encoding, and whether the client has it already.

use std::io::{Read as _, Write as _};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header::{
        self, AcceptEncoding, Encoding, EntityTag, Header as _, HeaderValue, IfNoneMatch,
    },
    web::Bytes,
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use ring::digest;

/// How long clients may cache what depends on no data, as a [`StaticFile`], without asking again.
pub const STATIC_CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// Media type of pages for people.
pub const HTML: &str = "text/html; charset=utf-8";

/// Marks a response, in its extensions, whose status is an error and whose body is complete.
pub struct Complete;

/// Returns whether the client prefers gzip to no encoding (RFC 9110 §12.5.3).
pub fn accepts_gzip(request: &HttpRequest) -> bool {
    request.headers().contains_key(header::ACCEPT_ENCODING)
        && AcceptEncoding::parse(request).is_ok_and(|accepted| {
            let ours = [Encoding::gzip(), Encoding::identity()];
            accepted.negotiate(ours.iter()) == Some(Encoding::gzip())
        })
}

/// Returns whether `If-None-Match` names `tag` (RFC 9110 §13.1.2).
fn has_current(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(tag)),
        Err(_) => false,
    }
}

/// Begins the response to a request for the representation with `tag`: 200, or 304 if the client has
/// it. Returns whether it is 304, which has no body.
pub fn begin_response(
    request: &HttpRequest,
    tag: &EntityTag,
    cache_control: HeaderValue,
) -> (HttpResponseBuilder, bool) {
    let is_current = has_current(request, tag);
    let mut response = if is_current {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header((header::ETAG, tag.to_string()))
        .insert_header((header::CACHE_CONTROL, cache_control))
        .insert_header((header::VARY, "accept-encoding"));
    (response, is_current)
}

/// Returns the tag of a body. It is weak: the compressed and the plain body differ in bytes, not in
/// meaning (RFC 9110 §8.8.3.3).
pub fn tag_of(body: &[u8]) -> EntityTag {
    EntityTag::new_weak(hex::encode(digest::digest(&digest::SHA256, body)))
}

pub fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory cannot fail.
    match encoder.write_all(body).and_then(|()| encoder.finish()) {
        Ok(gzipped) => gzipped.into(),
        Err(_) => Bytes::new(),
    }
}

/// A response that stays the same while the process runs, stored compressed.
pub struct StaticFile {
    content_type: &'static str,
    gzipped: Bytes,
    tag: EntityTag,
}

impl StaticFile {
    pub fn new(content_type: &'static str, body: &[u8]) -> Self {
        Self::from_gzip(content_type, gzip(body))
    }

    /// Creates the file from its body in gzip.
    pub fn from_gzip(content_type: &'static str, gzipped: Bytes) -> Self {
        Self {
            content_type,
            tag: tag_of(&gzipped),
            gzipped,
        }
    }

    pub fn respond(&self, request: &HttpRequest) -> std::io::Result<HttpResponse> {
        let (mut response, is_current) = begin_response(request, &self.tag, STATIC_CACHE_CONTROL);
        if is_current {
            return Ok(response.finish());
        }
        response.content_type(self.content_type);
        if accepts_gzip(request) {
            response.insert_header((header::CONTENT_ENCODING, "gzip"));
            return Ok(response.body(self.gzipped.clone()));
        }
        let mut body = Vec::new();
        GzDecoder::new(self.gzipped.as_ref()).read_to_end(&mut body)?;
        Ok(response.body(body))
    }
}
