//! Account endpoints.

pub mod staff;

use std::net::IpAddr;

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Form, PasswordForm, PasswordOutcome, SignUp, SignUpOutcome};
use crate::{
    app::App,
    http::{
        Code, Error, Result,
        extract::{Authenticated, ClientAddress, Json},
        rate::Limits,
        respond::Message,
    },
    ids::UserId,
    language::Language,
    validate::Problem,
};

/// `POST /api/auth/signup`
pub async fn sign_up(
    app: web::Data<App>,
    limits: web::Data<Limits>,
    ClientAddress(address): ClientAddress,
    language: Language,
    Json(form): Json<Form>,
) -> Result<HttpResponse> {
    sign_up_within_limit(&app, &limits, address, form).await?;
    Ok(HttpResponse::Created().json(Message::new(
        language,
        "Usuario creado exitosamente.",
        "User created.",
    )))
}

/// Creates an account, unless there were too many sign-ups.
pub async fn sign_up_within_limit(
    app: &App,
    limits: &Limits,
    address: IpAddr,
    form: Form,
) -> Result<UserId> {
    let sign_up = SignUp::check(form)?;
    limits.sign_up.take(&address)?;
    match super::sign_up(app, sign_up).await? {
        SignUpOutcome::Created(user) => Ok(user),
        SignUpOutcome::EmailTaken => Err(Error {
            code: Code::EmailTaken,
            ..Error::field("email", Problem::Taken)
        }),
    }
}

#[derive(Deserialize)]
pub struct Credentials {
    email: String,
    password: String,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "RFC 6749 §5.1 names them")]
struct Token {
    access_token: String,
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
}

/// `POST /api/auth/login`
pub async fn log_in(
    app: web::Data<App>,
    limits: web::Data<Limits>,
    ClientAddress(address): ClientAddress,
    Json(Credentials { email, password }): Json<Credentials>,
) -> Result<HttpResponse> {
    let user = log_in_within_limit(&app, &limits, address, &email, password).await?;
    Ok(HttpResponse::Ok().json(Token {
        access_token: app.auth.tokens.issue(user)?,
        token_type: "Bearer",
        expires_in: app.auth.tokens.lifetime().as_secs(),
    }))
}

/// Returns the user with these credentials, unless too many logins have failed.
pub async fn log_in_within_limit(
    app: &App,
    limits: &Limits,
    address: IpAddr,
    email: &str,
    password: String,
) -> Result<UserId> {
    let email = super::normal_email(email);
    if email.chars().count() > super::MAX_EMAIL {
        // No account has such an address, and it is too long for a key of the rate limit.
        return Err(Code::WrongCredentials.into());
    }
    limits.login.take(&email, address)?;
    let found = super::log_in(app, &email, password).await;
    if !matches!(found, Ok(None)) {
        // The login succeeded, or the system failed.
        limits.login.give_back(&email, address);
    }
    Ok(found?.ok_or(Code::WrongCredentials)?)
}

/// `POST /api/auth/logout`
pub async fn log_out(
    app: web::Data<App>,
    language: Language,
    Authenticated(caller): Authenticated,
) -> Result<HttpResponse> {
    app.auth.tokens.revoke(caller).await?;
    let message = Message::new(language, "Sesión cerrada exitosamente.", "Logged out.");
    Ok(HttpResponse::Ok().json(message))
}

/// `POST /api/auth/password`
pub async fn change_password(
    app: web::Data<App>,
    limits: web::Data<Limits>,
    language: Language,
    caller: Authenticated,
    Json(form): Json<PasswordForm>,
) -> Result<HttpResponse> {
    change_password_within_limit(&app, &limits, caller.user(), form).await?;
    let message = Message::new(
        language,
        "Contraseña cambiada exitosamente. Inicia sesión de nuevo.",
        "Password changed. Log in again.",
    );
    Ok(HttpResponse::Ok().json(message))
}

/// Changes a password, unless too many attempts had a wrong current one.
pub async fn change_password_within_limit(
    app: &App,
    limits: &Limits,
    user: UserId,
    form: PasswordForm,
) -> Result<()> {
    form.check()?;
    // A stolen token must not allow guessing the password, so attempts are limited as at login.
    limits.password.take(&user)?;
    let outcome = super::change_password(app, user, form).await;
    if !matches!(outcome, Ok(PasswordOutcome::WrongCurrent)) {
        limits.password.give_back(&user);
    }
    match outcome? {
        PasswordOutcome::Changed => Ok(()),
        PasswordOutcome::WrongCurrent => Err(Code::WrongCredentials.into()),
    }
}

#[derive(Serialize)]
struct ProfileBody {
    id: UserId,
    first_name: String,
    last_name: String,
    email: String,
    city: String,
    country: String,
    created_at: DateTime<Utc>,
}

/// `GET /api/auth/profile`
pub async fn profile(app: web::Data<App>, caller: Authenticated) -> Result<HttpResponse> {
    let user = super::find_profile(&app.backends.db, caller.user()).await?;
    let user = user.ok_or(Code::Unauthorized)?;
    Ok(HttpResponse::Ok().json(ProfileBody {
        id: user.id,
        first_name: user.first_name,
        last_name: user.last_name,
        email: user.email,
        city: user.city,
        country: user.country,
        created_at: user.created_at,
    }))
}
