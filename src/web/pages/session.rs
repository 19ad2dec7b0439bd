//! The visitor's session: what public pages do not know, logging out, and the language.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite, time},
    http::header::HeaderName,
    web,
};
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    auth::Caller,
    http::{
        Code, Result,
        extract::Authenticated,
        form::Fields,
        session::{self, SameOrigin},
    },
    ids::{UserId, VideoId},
    users,
    videos::board,
    votes,
    web::visit::{LANGUAGE_COOKIE, Member, safe_path, see_other},
};

/// Lifetime of a session that ends with the browser: some browsers restore it when they start.
const SHORT: Duration = Duration::from_hours(12);

/// How long a browser keeps the chosen language.
const LANGUAGE_DAYS: i64 = 365;

/// Maximum number of videos that a page asks about.
const MAX_VIDEOS: usize = 100;

/// Tells the browser to forget what our pages have stored (W3C Clear Site Data).
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// Adds the cookies of a new session to a response.
pub fn begin(
    app: &App,
    request: &HttpRequest,
    user: UserId,
    is_kept: bool,
    response: &mut HttpResponse,
) -> Result<()> {
    let lifetime = if is_kept {
        app.auth.session_lifetime
    } else {
        SHORT
    };
    let token = app.auth.tokens.issue_for_page(user, lifetime)?;
    let cookies = session::begin(request, token, is_kept.then_some(lifetime));
    add(response, cookies)
}

fn add(
    response: &mut HttpResponse,
    cookies: impl IntoIterator<Item = Cookie<'static>>,
) -> Result<()> {
    for cookie in cookies {
        response.add_cookie(&cookie).map_err(anyhow::Error::from)?;
    }
    Ok(())
}

/// Returns whether a session outlives its browser, as far as its token tells.
pub fn is_kept(caller: Caller) -> bool {
    let now = chrono::Utc::now().timestamp();
    let left = i64::try_from(caller.expires).unwrap_or(i64::MAX) - now;
    u64::try_from(left).is_ok_and(|left| left > SHORT.as_secs())
}

/// `POST /salir`
pub async fn log_out(
    app: web::Data<App>,
    request: HttpRequest,
    Member(caller): Member,
) -> Result<HttpResponse> {
    app.auth.tokens.revoke(caller).await?;
    let mut response = HttpResponse::SeeOther()
        .insert_header(("location", "/"))
        .insert_header((CLEAR_SITE_DATA, "\"storage\""))
        .finish();
    add(&mut response, session::end(&request))?;
    Ok(response)
}

#[derive(Deserialize)]
pub struct Shown {
    /// The ids of the videos on the page, separated by commas.
    videos: Option<String>,
}

/// What a public page does not know about its visitor.
#[derive(Serialize)]
struct Session {
    first_name: String,
    /// The videos on the page that the visitor has voted for.
    voted: Vec<VideoId>,
    /// The videos on the page that are the visitor's own.
    own: Vec<VideoId>,
}

/// `GET /sesion`
pub async fn session(
    app: web::Data<App>,
    Authenticated(caller): Authenticated,
    shown: web::Query<Shown>,
) -> Result<HttpResponse> {
    let db = &app.backends.db;
    let ids = shown.videos.as_deref().unwrap_or_default().split(',');
    let ids: Vec<VideoId> = ids.filter_map(VideoId::parse).take(MAX_VIDEOS).collect();
    let profile = users::find_profile(db, caller.user).await?;
    let profile = profile.ok_or(Code::Unauthorized)?;
    let (voted, own) = if ids.is_empty() {
        (Vec::new(), Vec::new())
    } else {
        (
            votes::cast_among(db, caller.user, &ids).await?,
            board::own_among(db, caller.user, &ids).await?,
        )
    };
    Ok(HttpResponse::Ok().json(Session {
        first_name: profile.first_name,
        voted,
        own,
    }))
}

#[derive(Deserialize)]
pub struct LanguageForm {
    idioma: String,
    volver: Option<String>,
}

/// `POST /idioma`
pub async fn choose_language(
    _: SameOrigin,
    Fields(form): Fields<LanguageForm>,
) -> Result<HttpResponse> {
    let tag = match form.idioma.as_str() {
        "es" | "es-CO" => "es",
        "en" => "en",
        _ => return Err(Code::InvalidForm.into()),
    };
    let cookie = Cookie::build(LANGUAGE_COOKIE, tag)
        .path("/")
        .same_site(SameSite::Lax)
        .max_age(time::Duration::days(LANGUAGE_DAYS))
        .finish();
    let mut response = see_other(safe_path(form.volver.as_deref().unwrap_or("/")));
    add(&mut response, [cookie])?;
    Ok(response)
}
