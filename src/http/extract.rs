//! What handlers take out of requests: the caller, the language, the address, ids and JSON bodies.

use std::{
    future::{Future, Ready, ready},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    time::Duration,
};

use actix_web::{FromRequest, HttpMessage as _, HttpRequest, dev::Payload, http::header, web};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Code, Error};
use crate::{
    app::App,
    auth::Caller,
    db,
    ids::{UserId, VideoId},
    language::Language,
};

/// Largest JSON body (bytes).
const MAX_JSON_BYTES: usize = 64 * 1024;

/// How long a client may take to send a JSON body.
const JSON_TIMEOUT: Duration = Duration::from_secs(10);

/// The caller, known by a good `Authorization: Bearer` token (RFC 6750); 401 without one.
#[derive(Debug, Clone, Copy)]
pub struct Authenticated(pub Caller);

impl Authenticated {
    /// Returns who is calling.
    pub fn user(self) -> UserId {
        self.0.user
    }
}

impl FromRequest for Authenticated {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let token = bearer(request).map(str::to_owned);
        let app = request.app_data::<web::Data<App>>().cloned();
        Box::pin(async move {
            let (Some(token), Some(app)) = (token, app) else {
                return Err(Code::Unauthorized.into());
            };
            let caller = db::in_time(app.auth.tokens.verify(&token)).await?;
            Ok(Self(caller.ok_or(Code::Unauthorized)?))
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

/// Returns the language that a request asks for.
pub fn language(request: &HttpRequest) -> Language {
    let value = request.headers().get(header::ACCEPT_LANGUAGE);
    value
        .and_then(|value| value.to_str().ok())
        .map(Language::from_accept)
        .unwrap_or_default()
}

/// The id of a request, made by [`super::respond`].
#[derive(Debug, Clone, Copy)]
pub struct RequestId(pub Uuid);

impl RequestId {
    /// Returns the id of `request`; the nil id outside of the middleware.
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

/// How many proxies in front are ours.
#[derive(Debug, Clone, Copy)]
pub struct TrustedProxies(pub u8);

/// The client's address, for limits: the peer's, or what the outermost of our proxies saw; of an IPv6
/// address the network, since one customer has 2⁶⁴ of them.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Returns the address of who sent `request`.
    pub fn of(request: &HttpRequest) -> Self {
        let peer = request
            .peer_addr()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        let trusted = request
            .app_data::<TrustedProxies>()
            .map_or(0, |proxies| proxies.0);
        Self(network(forwarded(request, trusted).unwrap_or(peer)))
    }
}

/// Returns an IPv4 address as it is, and the /64 network of an IPv6 one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// Returns the hop before our `trusted` proxies. What stands further left was written by the client, whatever
/// bytes it is made of; a hop of ours that is no address counts as none, and the limits see the proxy itself.
fn forwarded(request: &HttpRequest, trusted: u8) -> Option<IpAddr> {
    let back = usize::from(trusted).checked_sub(1)?;
    let headers = request.headers().get_all("x-forwarded-for");
    let hops: Vec<&[u8]> = headers
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .collect();
    hop_address(hops.iter().rev().nth(back)?)
}

/// Reads the address of a hop, with or without a port: an ALB that preserves the client's port, and Azure's
/// gateways write `6.6.6.6:4000` and `[2001:db8::1]:443`.
fn hop_address(hop: &[u8]) -> Option<IpAddr> {
    let hop = str::from_utf8(hop).ok()?.trim().trim_matches('"');
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']'));
    let address = bare.unwrap_or(hop).parse().ok();
    address.or_else(|| hop.parse().ok().map(|hop: SocketAddr| hop.ip()))
}

impl FromRequest for ClientAddress {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

/// `{video_id}` of the path; 404 if it is none.
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

/// A JSON object as body. Unlike actix's own it is never decompressed (a MiB of gzip can become a
/// gigabyte before any limit is asked), and it must arrive within `JSON_TIMEOUT`.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let head = refuse_encoded(request).and_then(|()| expect_json(request));
        let body = payload.take();
        Box::pin(async move {
            head?;
            let bytes = timeout(JSON_TIMEOUT, read(body))
                .await
                .unwrap_or_else(|_| Err(Code::BodyTooSlow.into()))?;
            // A list would do for serde: the fields in the order of their declaration.
            let is_object = bytes.trim_ascii_start().starts_with(b"{");
            match serde_json::from_slice(&bytes) {
                Ok(value) if is_object => Ok(Self(value)),
                _ => Err(Code::InvalidJson.into()),
            }
        })
    }
}

/// Refuses a body that is not JSON by its type: a client that forgot the header learns its name.
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

/// Refuses a body with a content coding: nothing is unpacked here.
pub fn refuse_encoded(request: &HttpRequest) -> Result<(), Error> {
    let mut codings = request.headers().get_all(header::CONTENT_ENCODING);
    // Also of several in one line, and of none in an empty one.
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

async fn read(mut body: Payload) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        let Ok(chunk) = chunk else {
            return Err(Code::InvalidJson.into());
        };
        if bytes.len() + chunk.len() > MAX_JSON_BYTES {
            return Err(Code::BodyTooLarge.into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Returns the rules for queries: our error for those that cannot be read.
pub fn query_config() -> web::QueryConfig {
    web::QueryConfig::default().error_handler(|_, _| Error::from(Code::ValidationFailed).into())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_hops_of_ours_are_believed() {
        let request = TestRequest::default()
            .insert_header(("x-forwarded-for", "6.6.6.6, 1.2.3.4"))
            .append_header(("x-forwarded-for", "10.0.0.1"))
            .to_http_request();
        assert_eq!(forwarded(&request, 0), None);
        assert_eq!(forwarded(&request, 1), Some([10, 0, 0, 1].into()));
        assert_eq!(forwarded(&request, 2), Some([1, 2, 3, 4].into()));
        assert_eq!(forwarded(&request, 4), None);
    }

    #[test]
    fn a_hop_may_have_a_port_and_strangers_may_write_anything_before_it() {
        for (hop, address) in [
            ("6.6.6.6", Some("6.6.6.6")),
            ("6.6.6.6:4000", Some("6.6.6.6")),
            ("\"6.6.6.6:4000\"", Some("6.6.6.6")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("unknown", None),
            ("", None),
        ] {
            let value = [b"\xff\xfe, ", hop.as_bytes()].concat();
            let request = TestRequest::default()
                .insert_header(("x-forwarded-for", value.as_slice()))
                .to_http_request();
            let address = address.map(|address| address.parse::<IpAddr>().unwrap());
            assert_eq!(forwarded(&request, 1), address, "{hop}");
        }
    }

    #[test]
    fn one_customer_has_one_address() {
        for (address, limited) in [
            ("1.2.3.4", "1.2.3.4"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            let address = network(address.parse().unwrap());
            assert_eq!(address, limited.parse::<IpAddr>().unwrap());
        }
    }

    #[test]
    fn a_bearer_token_is_found_in_any_case_of_its_scheme() {
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
