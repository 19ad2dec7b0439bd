//! Errors as pages, for browsers.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header::{self, HeaderMap},
    web,
};
use askama::Template as _;

use crate::{
    app::App,
    http::{Code, Error, Result, extract::RequestId, respond::whole_seconds},
    keyset::ListRange,
    listing::{self, Ranking},
    web::{
        clips,
        site::Site,
        text::{phrases, time_left},
        view::{Section, Shell, error::ErrorPage},
        visit::{self, Visit},
    },
};

/// Addresses for programs, whose errors are JSON even in a browser.
const FOR_PROGRAMS: [&str; 7] = [
    "/api/",
    "/errors/",
    "/estatico/",
    "/health",
    "/media/",
    "/openapi.json",
    "/ready",
];

/// Number of clips on the page of a missing clip.
const CLIPS: i64 = 3;

/// Returns the page of an error, if a browser asked for a page. For [`crate::http::respond::ErrorFace`].
pub fn face(
    request: &HttpRequest,
    error: &Error,
    id: RequestId,
    response: &mut HttpResponseBuilder,
) -> Option<String> {
    let path = request.path();
    let is_page = !FOR_PROGRAMS.iter().any(|prefix| path.starts_with(prefix));
    let accepted = request.headers().get(header::ACCEPT)?.to_str().ok()?;
    if !is_page || !accepted.contains("text/html") {
        return None;
    }
    let site = request.app_data::<web::Data<Site>>()?;
    let language = visit::language(request);
    let t = phrases(language);
    let message = error.code.message(language);
    let shell = Shell {
        robots_noindex: true,
        ..Shell::new(
            language,
            crate::web::assets::BUILD,
            Section::None,
            "/",
            message.trim_end_matches('.'),
        )
    };
    let status = error.code.status();
    let wait = error.retry_after.map(whole_seconds);
    let page = ErrorPage {
        status: status.as_u16(),
        message: message.to_owned(),
        advice: wait.map(|seconds| (t.wait)(&time_left(seconds))),
        retry: (wait.is_some() && request.method().is_safe())
            .then(|| request.uri().path_and_query())
            .flatten()
            .map(|address| address.as_str().to_owned()),
        request_id: Some(id.0.to_string()),
        clips: Vec::new(),
        shell,
    };
    let html = page.render().ok()?;
    let mut headers = HeaderMap::new();
    site.protect(&mut headers);
    for header in headers {
        response.insert_header(header);
    }
    response.insert_header((header::CONTENT_LANGUAGE, language.tag()));
    response.append_header((header::VARY, "cookie"));
    Some(html)
}

/// Returns the page of a clip that does not exist or is not public, with others to watch.
pub async fn missing_page(app: &App, visit: &Visit, address: &str) -> anyhow::Result<String> {
    let range = ListRange::first(CLIPS);
    let top = listing::rank(&app.backends.db, Ranking::Videos, None, range).await?;
    let t = phrases(visit.language);
    let message = Code::NotFound.message(visit.language);
    let page = ErrorPage {
        shell: visit.shell(Section::Videos, address, message.trim_end_matches('.')),
        status: 404,
        message: message.to_owned(),
        advice: Some(t.clip_missing.to_owned()),
        retry: None,
        request_id: None,
        clips: clips::clips(&top, &app.media_urls),
    };
    Ok(page.render()?)
}

/// Any address that does not exist.
pub async fn unknown() -> Result<HttpResponse> {
    Err(Code::NotFound.into())
}
