//! Extractors of pages: the language and the shell of a page, and who may see it.

use std::{future::Future, marker::PhantomData, pin::Pin};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, ResponseError,
    cookie::Cookie,
    dev::Payload,
    http::{StatusCode, header},
    web,
};
use url::Url;

use super::{
    assets::BUILD,
    site::Site,
    view::{Section, Shell, query_value},
};
use crate::{
    audit::By,
    auth::{Caller, permissions::Permit},
    http::{
        Code, Error,
        extract::{self, Authenticated, RequestId},
    },
    ids::UserId,
    language::Language,
};

/// Name of the cookie with the language that a visitor has chosen.
pub const LANGUAGE_COOKIE: &str = "idioma";

/// Returns the language of a page: the one that the visitor has chosen, or the browser's.
pub fn language(request: &HttpRequest) -> Language {
    let chosen = request.cookie(LANGUAGE_COOKIE);
    match chosen.as_ref().map(Cookie::value) {
        Some("es") => Language::Spanish,
        Some("en") => Language::English,
        _ => extract::language(request),
    }
}

/// The language of a visit, and what all pages share.
pub struct Visit {
    pub language: Language,
    pub site: web::Data<Site>,
}

impl FromRequest for Visit {
    type Error = actix_web::Error;
    type Future = std::future::Ready<Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let site = request.app_data::<web::Data<Site>>().cloned();
        std::future::ready(match site {
            Some(site) => Ok(Self {
                language: language(request),
                site,
            }),
            None => Err(Error::from(Code::Internal).into()),
        })
    }
}

impl Visit {
    /// Returns the shell of a page that has a public address. `path` is its normal form, with the
    /// query.
    pub fn public_shell(
        &self,
        here: Section,
        path: impl Into<String>,
        title: impl Into<String>,
    ) -> Shell {
        let path = path.into();
        let canonical = self.site.absolute(&path);
        Shell {
            canonical,
            ..Shell::new(self.language, BUILD, here, path, title)
        }
    }

    /// Returns the shell of a page that search engines leave out.
    pub fn shell(&self, here: Section, path: impl Into<String>, title: impl Into<String>) -> Shell {
        Shell {
            robots_noindex: true,
            ..Shell::new(self.language, BUILD, here, path, title)
        }
    }
}

/// A visitor with a session. Others are sent to the log-in page, which brings them back.
#[derive(Debug, Clone, Copy)]
pub struct Member(pub Caller);

impl Member {
    pub fn user(self) -> UserId {
        self.0.user
    }
}

impl FromRequest for Member {
    // Errors keep their type, by which they get their page.
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let back = if request.method().is_safe() {
            request.uri().path_and_query().map_or("/", |it| it.as_str())
        } else {
            "/mis-videos"
        };
        let log_in = format!("/entrar?volver={}", query_value(back));
        let caller = Authenticated::from_request(request, payload);
        Box::pin(async move {
            match caller.await {
                Ok(Authenticated(caller)) => Ok(Self(caller)),
                Err(error) if error.code == Code::Unauthorized => Err(NoSession { log_in }.into()),
                Err(error) => Err(error.into()),
            }
        })
    }
}

/// A member of staff whose role permits `P`. The page does not exist for other members.
#[derive(Debug)]
pub struct Staff<P> {
    pub caller: Caller,
    pub by: By,
    permit: PhantomData<P>,
}

impl<P: Permit> FromRequest for Staff<P> {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let member = Member::from_request(request, payload);
        let RequestId(id) = RequestId::of(request);
        Box::pin(async move {
            let Member(caller) = member.await?;
            if !caller.role.may(P::PERMISSION) {
                return Err(Error::from(Code::NotFound).into());
            }
            Ok(Self {
                caller,
                by: By::user(caller.user, id),
                permit: PhantomData,
            })
        })
    }
}

/// A visitor without a session asked for a page of members.
#[derive(Debug)]
struct NoSession {
    /// Address of the log-in page.
    log_in: String,
}

impl std::fmt::Display for NoSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not logged in")
    }
}

impl ResponseError for NoSession {
    fn status_code(&self) -> StatusCode {
        StatusCode::SEE_OTHER
    }

    fn error_response(&self) -> HttpResponse {
        see_other(&self.log_in)
    }
}

/// Sends the browser to another page with `GET` (RFC 9110 §15.4.4).
pub fn see_other(address: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, address))
        .finish()
}

/// Returns whether a module sent a form and wants no page.
pub fn wants_json(request: &HttpRequest) -> bool {
    let accepted = request.headers().get(header::ACCEPT);
    accepted.is_some_and(|accepted| accepted == "application/json")
}

/// Returns `path` if it leads to a page of this site, else the front page. Browsers read `\` as `/`,
/// and drop tabs and line breaks, so neither may occur.
pub fn safe_path(path: &str) -> &str {
    const FRONT: &str = "/";
    let has_trick = path.contains(|letter: char| letter == '\\' || letter.is_control());
    if has_trick || !path.starts_with('/') || path.starts_with("//") {
        return FRONT;
    }
    let Ok(own) = Url::parse("https://anb.invalid") else {
        return FRONT;
    };
    match own.join(path) {
        Ok(url) if url.origin() == own.origin() => path,
        _ => FRONT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn return_paths_never_leave_the_site() {
        for path in [
            "/",
            "/videos/1?x=2#y",
            "/clasificacion?ciudad=Bogot%C3%A1",
            "/a//b",
            "/@evil.test",
            "/%2f%2fevil.test",
            "/..//evil.test",
        ] {
            assert_eq!(safe_path(path), path);
        }
        for attack in [
            "",
            "//evil.test",
            "///evil.test",
            "/\\evil.test",
            "\\/evil.test",
            "\\\\evil.test",
            "/\t/evil.test",
            "/\n/evil.test",
            "/\r/evil.test",
            "\t//evil.test",
            " //evil.test",
            "https://evil.test",
            "HTTPS:/evil.test",
            "https:evil.test",
            "javascript:alert(1)",
            "data:text/html,x",
            "evil.test",
            "@evil.test",
            ":80",
            "?x",
            "#x",
            "mailto:a@b",
            "/\u{0}/evil.test",
            "/\u{7f}",
            "/\u{85}/evil.test",
            "//evil.test:80/%2f..",
            "//user@evil.test",
            "//[::1]/",
            "//evil.test\\@anb.test",
            "/\\\\evil.test",
            "\u{feff}//evil.test",
            "ftp://evil.test",
        ] {
            assert_eq!(safe_path(attack), "/", "{attack:?}");
        }
    }
}
