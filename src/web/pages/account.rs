//! Registration, log-in and account: `/registro`, `/entrar`, `/cuenta`.

use std::{
    future::{Ready, ready},
    net::IpAddr,
};

use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload, web};
use serde::Deserialize;

use super::{session, watch::outcome_of};
use crate::{
    app::App,
    http::{
        Code, Error, Result, extract::ClientAddress, form::Fields, rate::Limits,
        session::SameOrigin,
    },
    ids::{UserId, VideoId},
    listing, users,
    users::handlers::{change_password_within_limit, log_in_within_limit, sign_up_within_limit},
    votes::{Votes, handlers::cast_within_limit},
    web::{
        clips,
        refused::Refused,
        text::phrases,
        view::{
            Clip, Notice, Section,
            account::{AccountPage, LogInPage, Profile, SignUpForm, SignUpPage},
        },
        visit::{Member, Visit, safe_path, see_other, wants_json},
    },
};

/// Where a visitor goes after the form: back, perhaps with a vote.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Detour {
    volver: String,
    votar: String,
}

impl Detour {
    fn back(&self) -> &str {
        safe_path(&self.volver)
    }

    fn video(&self) -> Option<VideoId> {
        VideoId::parse(&self.votar)
    }

    /// Returns the clip that the visitor was about to vote for.
    async fn clip(&self, app: &App) -> anyhow::Result<Option<Clip>> {
        let Some(video) = self.video() else {
            return Ok(None);
        };
        match listing::find(&app.backends.db, video).await? {
            Some(found) => Ok(Some(clips::clip(&found, &app.media_urls))),
            None => Ok(None),
        }
    }
}

/// The services with which a form logs a visitor in and casts the vote.
pub struct Desk {
    app: web::Data<App>,
    votes: web::Data<Votes>,
    limits: web::Data<Limits>,
    address: IpAddr,
    request: HttpRequest,
}

impl FromRequest for Desk {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let (app, votes, limits) = (
            request.app_data().cloned(),
            request.app_data().cloned(),
            request.app_data().cloned(),
        );
        ready(match (app, votes, limits) {
            (Some(app), Some(votes), Some(limits)) => Ok(Self {
                app,
                votes,
                limits,
                address: ClientAddress::of(request).0,
                request: request.clone(),
            }),
            _ => Err(Code::Internal.into()),
        })
    }
}

impl Desk {
    /// Begins a session, casts the vote that the visitor came for, and sends them on.
    async fn admit(&self, user: UserId, is_kept: bool, detour: &Detour) -> Result<HttpResponse> {
        let mut response = match detour.video() {
            None => see_other(detour.back()),
            Some(video) => {
                let cast =
                    cast_within_limit(&self.app, &self.votes, &self.limits, user, video).await;
                // The log-in has succeeded all the same.
                outcome_of(cast, video).unwrap_or_else(|_| see_other(detour.back()))
            }
        };
        session::begin(&self.app, &self.request, user, is_kept, &mut response)?;
        Ok(response)
    }
}

/// `GET /registro`
pub async fn sign_up_page(
    app: web::Data<App>,
    visit: Visit,
    detour: web::Query<Detour>,
) -> Result<HttpResponse> {
    let form = SignUpForm {
        country: "Colombia".to_owned(),
        ..SignUpForm::default()
    };
    show_sign_up(&app, &visit, form, None, &detour).await
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct SignUpFields {
    first_name: String,
    last_name: String,
    email: String,
    city: String,
    country: String,
    password: String,
    volver: String,
    votar: String,
}

/// `POST /registro`
pub async fn sign_up(
    _: SameOrigin,
    desk: Desk,
    visit: Visit,
    Fields(fields): Fields<SignUpFields>,
) -> Result<HttpResponse> {
    let detour = Detour {
        volver: fields.volver,
        votar: fields.votar,
    };
    let shown = SignUpForm {
        first_name: fields.first_name.clone(),
        last_name: fields.last_name.clone(),
        email: fields.email.clone(),
        city: fields.city.clone(),
        country: fields.country.clone(),
    };
    let form = users::Form {
        first_name: fields.first_name,
        last_name: fields.last_name,
        email: fields.email,
        password1: fields.password.clone(),
        // The page shows the password on request, in place of a second field.
        password2: fields.password,
        city: fields.city,
        country: fields.country,
    };
    match sign_up_within_limit(&desk.app, &desk.limits, desk.address, form).await {
        Ok(user) => desk.admit(user, true, &detour).await,
        Err(error) => show_sign_up(&desk.app, &visit, shown, Some(error), &detour).await,
    }
}

async fn show_sign_up(
    app: &App,
    visit: &Visit,
    form: SignUpForm,
    error: Option<Error>,
    detour: &Detour,
) -> Result<HttpResponse> {
    let refused = Refused::of(error, visit.language)?;
    let t = phrases(visit.language);
    let places = visit.site.places(app).await?;
    let page = SignUpPage {
        shell: visit.shell(Section::Account, "/registro", t.sign_up),
        form,
        places: places.to_vec(),
        errors: refused.errors,
        notice: refused.notice,
        volver: detour.back().to_owned(),
        votar: detour.clip(app).await?,
    };
    refused.reply.send(visit, &page)
}

/// `GET /entrar`
pub async fn log_in_page(
    app: web::Data<App>,
    visit: Visit,
    detour: web::Query<Detour>,
) -> Result<HttpResponse> {
    show_log_in(&app, &visit, String::new(), true, None, &detour).await
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct LogInFields {
    email: String,
    password: String,
    keep: String,
    volver: String,
    votar: String,
}

/// `POST /entrar`
///
/// A module that asks for JSON gets 204 or the error in JSON.
pub async fn log_in(
    _: SameOrigin,
    desk: Desk,
    visit: Visit,
    Fields(fields): Fields<LogInFields>,
) -> Result<HttpResponse> {
    let is_kept = !fields.keep.is_empty();
    let detour = Detour {
        volver: fields.volver,
        votar: fields.votar,
    };
    let (app, request) = (&desk.app, &desk.request);
    let found = log_in_within_limit(
        app,
        &desk.limits,
        desk.address,
        &fields.email,
        fields.password,
    )
    .await;
    if wants_json(request) {
        let mut response = HttpResponse::NoContent().finish();
        session::begin(app, request, found?, is_kept, &mut response)?;
        return Ok(response);
    }
    match found {
        Ok(user) => desk.admit(user, is_kept, &detour).await,
        Err(error) => show_log_in(app, &visit, fields.email, is_kept, Some(error), &detour).await,
    }
}

async fn show_log_in(
    app: &App,
    visit: &Visit,
    email: String,
    keep: bool,
    error: Option<Error>,
    detour: &Detour,
) -> Result<HttpResponse> {
    let refused = Refused::of(error, visit.language)?;
    let t = phrases(visit.language);
    let votar = detour.clip(app).await?;
    let notice = refused
        .notice
        .or_else(|| votar.is_some().then(|| Notice::plain(t.log_in_to_vote)));
    let page = LogInPage {
        shell: visit.shell(Section::Account, "/entrar", t.log_in),
        email,
        keep,
        errors: refused.errors,
        notice,
        volver: detour.back().to_owned(),
        votar,
    };
    refused.reply.send(visit, &page)
}

/// `GET /cuenta`
pub async fn account(app: web::Data<App>, visit: Visit, member: Member) -> Result<HttpResponse> {
    show_account(&app, &visit, member, None).await
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct PasswordFields {
    current: String,
    password: String,
}

/// `POST /cuenta/clave`
///
/// Ends all sessions of the account but this one.
pub async fn change_password(
    app: web::Data<App>,
    limits: web::Data<Limits>,
    visit: Visit,
    member: Member,
    request: HttpRequest,
    Fields(fields): Fields<PasswordFields>,
) -> Result<HttpResponse> {
    let form = users::PasswordForm {
        current: fields.current,
        password1: fields.password.clone(),
        password2: fields.password,
    };
    let changed = change_password_within_limit(&app, &limits, member.user(), form).await;
    if let Err(error) = changed {
        return show_account(&app, &visit, member, Some(error)).await;
    }
    let mut response = see_other("/cuenta");
    let is_kept = session::is_kept(member.0);
    session::begin(&app, &request, member.user(), is_kept, &mut response)?;
    Ok(response)
}

async fn show_account(
    app: &App,
    visit: &Visit,
    member: Member,
    error: Option<Error>,
) -> Result<HttpResponse> {
    let refused = Refused::of(error, visit.language)?;
    let t = phrases(visit.language);
    let profile = users::find_profile(&app.backends.db, member.user()).await?;
    let profile = profile.ok_or(Code::Unauthorized)?;
    let page = AccountPage {
        shell: visit.shell(Section::Account, "/cuenta", t.my_account),
        profile: Profile {
            first_name: profile.first_name,
            last_name: profile.last_name,
            email: profile.email,
            city: profile.city,
            country: profile.country,
            is_staff: member.0.role.is_staff(),
        },
        errors: refused.errors,
        notice: refused.notice,
    };
    refused.reply.send(visit, &page)
}
