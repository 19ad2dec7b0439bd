//! Accounts: sign-up, login, profile.

pub mod handlers;
mod queries;

use email_address::{EmailAddress, Options};
use serde::Deserialize;

use crate::{
    app::App,
    city,
    ids::UserId,
    validate::{Checks, FieldError, Problem},
};

/// Longest name, city and country, in characters.
const MAX_NAME: usize = 100;

/// Longest e-mail address, in characters (RFC 5321 §4.5.3.1.3).
pub const MAX_EMAIL: usize = 254;

/// Bounds of a password, in characters; no rules about what it consists of (NIST SP 800-63B §3.1.1).
const PASSWORD_LENGTH: (usize, usize) = (8, 128);

/// What somebody who signs up fills in. Absent fields are empty: the checks name them all at once.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Form {
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub password1: String,
    pub password2: String,
    pub city: String,
    pub country: String,
}

/// A checked [`Form`].
pub struct SignUp {
    first_name: String,
    last_name: String,
    email: String,
    password: String,
    city: String,
    country: String,
}

/// How a sign-up ended.
#[derive(Debug, PartialEq, Eq)]
pub enum SignUpOutcome {
    Created,
    EmailTaken,
}

impl SignUp {
    /// Checks every field. Returns all that is wrong at once.
    pub fn check(form: Form) -> Result<Self, Vec<FieldError>> {
        let mut checks = Checks::default();
        let first_name = checks.line("first_name", &form.first_name, 1, MAX_NAME);
        let last_name = checks.line("last_name", &form.last_name, 1, MAX_NAME);
        let email = checks.line("email", &form.email, 1, MAX_EMAIL);
        if !email.is_empty() && !is_address(&email) {
            checks.add("email", Problem::Invalid);
        }
        check_password(&mut checks, "password1", &form.password1);
        if form.password1 != form.password2 {
            checks.add("password2", Problem::Mismatch);
        }
        let city = checks.line("city", &form.city, 1, MAX_NAME);
        if !city.is_empty() && city::fold(&city).is_empty() {
            checks.add("city", Problem::Invalid);
        }
        let country = checks.line("country", &form.country, 1, MAX_NAME);
        checks.finish()?;
        Ok(Self {
            first_name,
            last_name,
            email: normal_email(&email),
            password: form.password1,
            city,
            country,
        })
    }
}

/// Tells whether `text` is an e-mail address (RFC 5322) and nothing else: `Ana <ana@example.com>` would
/// be a second account of the same person.
fn is_address(text: &str) -> bool {
    let rules = Options::default()
        .without_display_text()
        .without_domain_literal();
    EmailAddress::parse_with_options(text, rules).is_ok()
}

fn check_password(checks: &mut Checks, field: &'static str, password: &str) {
    let (min, max) = PASSWORD_LENGTH;
    let length = password.chars().count();
    if length == 0 {
        checks.add(field, Problem::Required);
    } else if length < min {
        checks.add(field, Problem::TooShort { min });
    } else if length > max {
        checks.add(field, Problem::TooLong { max });
    }
}

/// Returns the spelling under which an account is kept: addresses that differ in case are one.
pub fn normal_email(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Creates an account. Of several equal sign-ups at once, one creates it.
pub async fn sign_up(app: &App, sign_up: SignUp) -> anyhow::Result<SignUpOutcome> {
    // Before a connection is taken: hashing takes long.
    let password_hash = app.auth.passwords.hash(sign_up.password).await?;
    let user = queries::NewUser {
        first_name: &sign_up.first_name,
        last_name: &sign_up.last_name,
        email: &sign_up.email,
        password_hash: &password_hash,
        city: &sign_up.city,
        city_key: &city::fold(&sign_up.city),
        country: &sign_up.country,
    };
    let mut connection = app.db.connection().await?;
    Ok(match queries::insert(&mut connection, &user).await? {
        Some(id) => {
            tracing::info!(user = %id, "user signed up");
            SignUpOutcome::Created
        }
        None => SignUpOutcome::EmailTaken,
    })
}

/// Returns whose e-mail address and password these are. An unknown address takes as long as a wrong
/// password.
pub async fn log_in(app: &App, email: &str, password: String) -> anyhow::Result<Option<UserId>> {
    // PostgreSQL cannot even compare NUL. The connection goes back before hashing starts.
    let found = if email.contains('\0') {
        None
    } else {
        let mut connection = app.db.connection().await?;
        queries::find_credentials(&mut connection, email).await?
    };
    let (user, stored) = found.unzip();
    let is_right = app.auth.passwords.verify(password, stored).await?;
    Ok(user.filter(|_| is_right))
}
