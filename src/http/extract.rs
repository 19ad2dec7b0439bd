//! Extractors: the caller, the language, the client's address, ids and JSON bodies.

mod address;

use std::{
    future::{Future, Ready, ready},
    marker::PhantomData,
    pin::Pin,
    time::Duration,
};

use actix_web::{FromRequest, HttpMessage as _, HttpRequest, dev::Payload, http::header, web};
use futures_util::StreamExt as _;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use tokio::time::timeout;
use uuid::Uuid;

pub use self::address::{ClientAddress, TrustedProxies};
use super::{Code, Error, session};
use crate::{
    app::App,
    auth::{Caller, Use, permissions::Permit},
    db,
    ids::{UserId, VideoId},
    language::Language,
};

/// Maximum size of a small body (bytes).
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Maximum time for receiving a small body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The caller, authenticated by a valid `Authorization: Bearer` token (RFC 6750) or, without that
/// header, by the session cookie; otherwise 401. A browser sends the cookie with the requests of any
/// site, so with it an unsafe request must come from our own pages; otherwise 403, before its body
/// is read.
#[derive(Debug, Clone, Copy)]
pub struct Authenticated(pub Caller);

impl Authenticated {
    pub fn user(self) -> UserId {
        self.0.user
    }
}

impl FromRequest for Authenticated {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let token = credentials(request);
        let app = request.app_data::<web::Data<App>>().cloned();
        Box::pin(async move {
            let (Some((token, r#use)), Some(app)) = (token?, app) else {
                return Err(Code::Unauthorized.into());
            };
            let caller = db::with_timeout(app.auth.tokens.verify(&token, r#use)).await?;
            Ok(Self(caller.ok_or(Code::Unauthorized)?))
        })
    }
}

/// Returns the token of a request and its use, or none if there is none.
fn credentials(request: &HttpRequest) -> Result<Option<(String, Use)>, Error> {
    if request.headers().contains_key(header::AUTHORIZATION) {
        return Ok(bearer(request).map(|token| (token.to_owned(), Use::Api)));
    }
    let Some(token) = session::token(request) else {
        return Ok(None);
    };
    session::require_same_origin(request)?;
    Ok(Some((token, Use::Page)))
}

/// A member of staff whose role permits `P`; 404 for other users, to whom the endpoint does not
/// exist.
#[derive(Debug)]
pub struct May<P> {
    pub caller: Caller,
    pub request: RequestId,
    permit: PhantomData<P>,
}

impl<P: Permit> FromRequest for May<P> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Authenticated::from_request(request, payload);
        let request = RequestId::of(request);
        Box::pin(async move {
            let Authenticated(caller) = caller.await?;
            if !caller.role.may(P::PERMISSION) {
                return Err(Code::NotFound.into());
            }
            Ok(Self {
                caller,
                request,
                permit: PhantomData,
            })
        })
    }
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

impl FromRequest for Language {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(language(request)))
    }
}

/// Returns the language requested by `Accept-Language`.
pub fn language(request: &HttpRequest) -> Language {
    let value = request.headers().get(header::ACCEPT_LANGUAGE);
    value
        .and_then(|value| value.to_str().ok())
        .map(Language::from_accept)
        .unwrap_or_default()
}

/// The id of a request, assigned by [`super::respond`].
#[derive(Debug, Clone, Copy)]
pub struct RequestId(pub Uuid);

impl RequestId {
    /// Returns the id of `request`, or the nil id outside the middleware.
    pub fn of(request: &HttpRequest) -> Self {
        request
            .extensions()
            .get()
            .copied()
            .unwrap_or(Self(Uuid::nil()))
    }
}

impl FromRequest for RequestId {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

/// `{video_id}` of the path; 404 if it is not an id.
#[derive(Debug, Clone, Copy)]
pub struct VideoPath(pub VideoId);

impl FromRequest for VideoPath {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request
            .match_info()
            .get("video_id")
            .and_then(VideoId::parse);
        ready(id.map(Self).ok_or(Error::from(Code::NotFound)))
    }
}

/// A JSON object as the body. Unlike Actix's extractor, it never decompresses (1 MiB of gzip can
/// expand to a gigabyte before any limit applies), and the body must arrive within `BODY_TIMEOUT`.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let head = reject_encoded(request).and_then(|()| expect_json(request));
        let body = payload.take();
        Box::pin(async move {
            head?;
            let bytes = read_body(body).await?;
            // Serde would also accept an array of the fields in the order of their declaration.
            let is_object = bytes.trim_ascii_start().starts_with(b"{");
            match serde_json::from_slice(&bytes) {
                Ok(value) if is_object => Ok(Self(value)),
                _ => Err(Code::InvalidJson.into()),
            }
        })
    }
}

/// Deserializes a member that is present, for `deserialize_with`. Rejects null, which Serde would
/// treat as an absent member.
pub fn non_null<'de, D, T>(deserializer: D) -> std::result::Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Rejects a body without a JSON media type, with an error that names the missing header.
fn expect_json(request: &HttpRequest) -> Result<(), Error> {
    let media_type = request.mime_type().ok().flatten();
    let is_json = media_type.is_some_and(|media_type| {
        media_type.subtype() == "json" || media_type.suffix().is_some_and(|it| it == "json")
    });
    if is_json {
        Ok(())
    } else {
        Err(Code::JsonExpected.into())
    }
}

/// Returns the length of the body, or none if it is sent in chunks. A request that declares neither
/// has no body (RFC 9112 §6.3).
pub fn content_length(request: &HttpRequest) -> Option<u64> {
    match request.headers().get(header::CONTENT_LENGTH) {
        Some(declared) => declared.to_str().ok()?.parse().ok(),
        None if request.headers().contains_key(header::TRANSFER_ENCODING) => None,
        None => Some(0),
    }
}

/// Rejects a body with a content coding; request bodies are never decompressed.
pub fn reject_encoded(request: &HttpRequest) -> Result<(), Error> {
    let mut codings = request.headers().get_all(header::CONTENT_ENCODING);
    // A header line may list several codings, or be empty.
    let is_plain = |value: &header::HeaderValue| {
        let mut codings = value.as_bytes().split(|byte| *byte == b',');
        codings.all(|coding| {
            let coding = coding.trim_ascii();
            coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
        })
    };
    if codings.all(is_plain) {
        Ok(())
    } else {
        Err(Code::UnsupportedEncoding.into())
    }
}

/// Reads the body of a small request. Returns 413 if it is too large, 408 if it is too slow.
pub async fn read_body(body: Payload) -> Result<Vec<u8>, Error> {
    timeout(BODY_TIMEOUT, read(body))
        .await
        .unwrap_or_else(|_| Err(Code::BodyTooSlow.into()))
}

async fn read(mut body: Payload) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        let Ok(chunk) = chunk else {
            return Err(Code::InvalidJson.into());
        };
        if bytes.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(Code::BodyTooLarge.into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Returns the configuration of queries, in which an unparsable query yields our error.
pub fn query_config() -> web::QueryConfig {
    web::QueryConfig::default().error_handler(|_, _| Error::from(Code::ValidationFailed).into())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn bearer_scheme_is_case_insensitive() {
        let with = |value: &str| {
            TestRequest::default()
                .insert_header(("authorization", value))
                .to_http_request()
        };
        assert_eq!(bearer(&with("Bearer abc")), Some("abc"));
        assert_eq!(bearer(&with("bearer abc")), Some("abc"));
        assert_eq!(bearer(&with("Basic abc")), None);
        assert_eq!(bearer(&with("abc")), None);
    }
}
