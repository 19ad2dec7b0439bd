//! Sessions of browsers: a cookie that holds a token for pages, and the rule that a request with it
//! comes from our own pages.
//!
//! The rule replaces tokens in forms, so that pages are the same for every visitor and can be
//! cached. It follows Go's `net/http.CrossOriginProtection`, and is stricter where a request has
//! neither `Sec-Fetch-Site` nor `Origin`: a client with a cookie is a browser, and browsers send
//! one of them with every unsafe request.

use std::{
    future::{Ready, ready},
    time::Duration,
};

use actix_web::{
    FromRequest, HttpRequest,
    cookie::{Cookie, SameSite},
    dev::Payload,
    http::header::{self, HeaderName},
};
use url::Url;

use super::{Code, Error, public_url::PublicUrl};

/// Name of the session cookie on an https site. Browsers accept the prefix only from the site
/// itself, not from a subdomain (RFC 6265bis §4.1.3.2).
const SECURE_NAME: &str = "__Host-anb";

/// Name of the session cookie on an http site, which cannot use the prefix.
const PLAIN_NAME: &str = "anb";

/// Name of the cookie that tells scripts, which cannot read the session cookie, that there is one.
/// It holds no secret.
const MARKER_NAME: &str = "anb_dentro";

/// Sent by browsers with every request to a trustworthy origin (Fetch Metadata).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Returns the token in the session cookie. Names are compared as sent: with decoded ones,
/// `%5F_Host-anb`, which browsers accept from a subdomain, would count as our cookie.
pub fn token(request: &HttpRequest) -> Option<String> {
    let cookie = request.cookie_raw(name(request))?;
    Some(cookie.value().to_owned())
}

/// Returns the cookies of a session that begins with `token`. Without a lifetime it ends with the
/// browser.
pub fn begin(
    request: &HttpRequest,
    token: String,
    lifetime: Option<Duration>,
) -> [Cookie<'static>; 2] {
    let mut cookies = [
        cookie(request, name(request), token),
        cookie(request, MARKER_NAME, "1".to_owned()),
    ];
    if let Some(seconds) = lifetime.and_then(|lifetime| i64::try_from(lifetime.as_secs()).ok()) {
        for cookie in &mut cookies {
            cookie.set_max_age(actix_web::cookie::time::Duration::seconds(seconds));
        }
    }
    cookies
}

/// Returns the cookies that end a session.
pub fn end(request: &HttpRequest) -> [Cookie<'static>; 2] {
    [name(request), MARKER_NAME].map(|name| {
        let mut cookie = cookie(request, name, String::new());
        cookie.make_removal();
        cookie
    })
}

fn cookie(request: &HttpRequest, name: &'static str, value: String) -> Cookie<'static> {
    Cookie::build(name, value)
        .path("/")
        .secure(is_secure(request))
        .http_only(name != MARKER_NAME)
        // Not `Strict`: voters arrive by a link in WhatsApp, and are to be logged in.
        .same_site(SameSite::Lax)
        .finish()
}

fn name(request: &HttpRequest) -> &'static str {
    if is_secure(request) {
        SECURE_NAME
    } else {
        PLAIN_NAME
    }
}

fn is_secure(request: &HttpRequest) -> bool {
    PublicUrl::of(request).is_some_and(|url| url.starts_with("https://"))
}

/// A request that is safe, or comes from our own pages; otherwise 403. For endpoints that begin a
/// session; [`super::extract::Authenticated`] applies the rule to all others.
#[derive(Debug, Clone, Copy)]
pub struct SameOrigin;

impl FromRequest for SameOrigin {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(require_same_origin(request).map(|()| Self))
    }
}

/// Returns 403 for an unsafe request (RFC 9110 §9.2.1) that does not come from our own pages.
pub fn require_same_origin(request: &HttpRequest) -> Result<(), Error> {
    if request.method().is_safe() || is_same_origin(request) {
        Ok(())
    } else {
        Err(Code::CrossOrigin.into())
    }
}

fn is_same_origin(request: &HttpRequest) -> bool {
    let headers = request.headers();
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        // `none`: the user entered the address, as no page can.
        return ["same-origin", "none"].iter().any(|own| site == own);
    }
    // Browsers without Fetch Metadata, and sites on http.
    let Some(origin) = headers
        .get(header::ORIGIN)
        .and_then(|origin| origin.to_str().ok())
    else {
        return false;
    };
    if let Some(public_url) = PublicUrl::of(request) {
        return origin == public_url;
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let Some(own) = host.and_then(|host| Url::parse(&format!("http://{host}")).ok()) else {
        return false;
    };
    // Behind a proxy, the site's scheme is unknown.
    Url::parse(origin).is_ok_and(|origin| {
        matches!(origin.scheme(), "http" | "https")
            && origin.host() == own.host()
            && origin.port() == own.port()
    })
}

#[cfg(test)]
mod tests {
    use actix_web::{http::Method, test::TestRequest};

    use super::*;

    fn is_allowed(method: &Method, public_url: Option<&str>, headers: &[(&str, &str)]) -> bool {
        let request = TestRequest::default()
            .method(method.clone())
            .app_data(PublicUrl(public_url.map(str::to_owned)));
        let request = headers
            .iter()
            .fold(request, |request, header| request.append_header(*header));
        require_same_origin(&request.to_http_request()).is_ok()
    }

    #[test]
    fn unsafe_requests_must_come_from_our_pages() {
        let site = "sec-fetch-site";
        for (public_url, headers, expected) in [
            (None, &[(site, "same-origin")][..], true),
            (None, &[(site, "none")], true),
            (None, &[(site, "same-site")], false),
            (None, &[(site, "cross-site")], false),
            (None, &[(site, "Same-Origin")], false),
            (None, &[(site, "")], false),
            // The header decides, whatever the origin is.
            (
                None,
                &[
                    (site, "cross-site"),
                    ("origin", "http://anb.test"),
                    ("host", "anb.test"),
                ],
                false,
            ),
            (
                None,
                &[(site, "same-origin"), ("origin", "http://evil.test")],
                true,
            ),
            (
                None,
                &[("origin", "http://anb.test"), ("host", "anb.test")],
                true,
            ),
            (
                None,
                &[("origin", "https://anb.test"), ("host", "anb.test")],
                true,
            ),
            (
                None,
                &[
                    ("origin", "http://192.168.1.7:8080"),
                    ("host", "192.168.1.7:8080"),
                ],
                true,
            ),
            (
                None,
                &[("origin", "http://anb.test:81"), ("host", "anb.test")],
                false,
            ),
            (
                None,
                &[("origin", "http://anb.test.evil"), ("host", "anb.test")],
                false,
            ),
            (None, &[("origin", "null"), ("host", "anb.test")], false),
            (
                None,
                &[("origin", "file://anb.test"), ("host", "anb.test")],
                false,
            ),
            (None, &[("origin", "http://anb.test")], false),
            (None, &[("host", "anb.test")], false),
            (None, &[], false),
            (
                Some("https://anb.test"),
                &[("origin", "https://anb.test")],
                true,
            ),
            (
                Some("https://anb.test"),
                &[("origin", "http://anb.test"), ("host", "anb.test")],
                false,
            ),
            (
                Some("https://anb.test"),
                &[("origin", "https://evil.test"), ("host", "evil.test")],
                false,
            ),
        ] {
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                let allowed = is_allowed(&method, public_url, headers);
                assert_eq!(allowed, expected, "{method} {public_url:?} {headers:?}");
            }
            for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
                assert!(is_allowed(&method, public_url, headers), "{headers:?}");
            }
        }
    }

    #[test]
    fn https_sites_have_secure_cookies() {
        for (public_url, name, secure) in [
            (None, "anb", None),
            (Some("http://192.168.1.7"), "anb", None),
            (Some("https://anb.test"), "__Host-anb", Some(true)),
        ] {
            let request = TestRequest::default()
                .app_data(PublicUrl(public_url.map(str::to_owned)))
                .to_http_request();
            let [session, marker] = begin(&request, "token".to_owned(), None);
            assert_eq!(session.name(), name);
            assert_eq!(session.secure().filter(|secure| *secure), secure);
            assert_eq!(session.http_only(), Some(true));
            assert_ne!(marker.http_only(), Some(true));
            assert_eq!(session.max_age(), None);
        }
    }
}
