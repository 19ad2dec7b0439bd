//! Accounts: sign-up, login, profile.

pub mod handlers;
mod queries;
pub mod staff;

use chrono::Utc;
use email_address::{EmailAddress, Options};
use serde::Deserialize;

use crate::{
    app::App,
    auth::password::{self, Purpose},
    city,
    db::Db,
    ids::UserId,
    validate::{Checks, FieldError, Problem, text},
};
pub use queries::Profile;

/// Maximum length of a name, city or country, in characters.
const MAX_NAME: usize = 100;

/// Maximum length of an e-mail address, in characters (RFC 5321 §4.5.3.1.3).
pub const MAX_EMAIL: usize = 254;

/// Minimum and maximum characters of a password; no composition rules (NIST SP 800-63B §3.1.1).
const PASSWORD_LENGTH: (usize, usize) = (8, 128);

/// The sign-up form. Absent fields are empty, so that the checks report all of them at once.
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

/// The form for changing a password.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct PasswordForm {
    pub current: String,
    pub password1: String,
    pub password2: String,
}

/// Result of changing a password.
#[derive(Debug, PartialEq, Eq)]
pub enum PasswordOutcome {
    Changed,
    /// The given current password is wrong.
    WrongCurrent,
}

#[derive(Debug, PartialEq, Eq)]
pub enum SignUpOutcome {
    Created(UserId),
    EmailTaken,
}

impl SignUp {
    /// Checks every field. Returns all problems at once.
    pub fn check(form: Form) -> Result<Self, Vec<FieldError>> {
        let mut checks = Checks::default();
        let first_name = checks.line("first_name", &form.first_name, 1, MAX_NAME);
        let last_name = checks.line("last_name", &form.last_name, 1, MAX_NAME);
        let email = checks.line("email", &form.email, 1, MAX_EMAIL);
        if !email.is_empty() && !is_address(&email) {
            checks.add("email", Problem::Invalid);
        }
        check_passwords(&mut checks, &form.password1, &form.password2);
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

/// Returns whether `text` is an e-mail address (RFC 5322) and nothing else. `Ana <ana@example.com>`
/// would be a second account of the same person.
fn is_address(text: &str) -> bool {
    let rules = Options::default()
        .without_display_text()
        .without_domain_literal();
    EmailAddress::parse_with_options(text, rules).is_ok()
}

impl PasswordForm {
    /// Checks every field. Returns all problems at once.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut checks = Checks::default();
        if self.current.is_empty() {
            checks.add("current", Problem::Required);
        }
        check_passwords(&mut checks, &self.password1, &self.password2);
        checks.finish()
    }
}

/// Checks a new password and its repetition.
fn check_passwords(checks: &mut Checks, password1: &str, password2: &str) {
    let (min, max) = PASSWORD_LENGTH;
    let [password1, password2] = [password1, password2].map(password::normal);
    let length = password1.chars().count();
    if length == 0 {
        checks.add("password1", Problem::Required);
    } else if length < min {
        checks.add("password1", Problem::TooShort { min });
    } else if length > max {
        checks.add("password1", Problem::TooLong { max });
    }
    if password1 != password2 {
        checks.add("password2", Problem::Mismatch);
    }
}

/// Returns the normalised e-mail address of an account. Addresses are equal if they differ only in
/// case, in surrounding blanks and invisible characters, or in the encoding of accents.
pub fn normal_email(email: &str) -> String {
    text::normal(&email.to_lowercase())
}

/// Creates an account. Of concurrent sign-ups with one address, exactly one succeeds.
pub async fn sign_up(app: &App, sign_up: SignUp) -> anyhow::Result<SignUpOutcome> {
    // Hashing takes long, so it precedes taking a connection.
    let turn = app.auth.passwords.try_reserve(Purpose::SignUp)?;
    let password_hash = turn.hash(sign_up.password).await?;
    let user = queries::NewUser {
        first_name: &sign_up.first_name,
        last_name: &sign_up.last_name,
        email: &sign_up.email,
        password_hash: &password_hash,
        city: &sign_up.city,
        city_key: &city::fold(&sign_up.city),
        country: &sign_up.country,
    };
    let mut connection = app.backends.db.connection().await?;
    Ok(match queries::insert(&mut connection, &user).await? {
        Some(id) => {
            tracing::info!(user = %id, "user signed up");
            SignUpOutcome::Created(id)
        }
        None => SignUpOutcome::EmailTaken,
    })
}

/// Returns the user with these credentials. An unknown address takes as long as a wrong password.
pub async fn log_in(app: &App, email: &str, password: String) -> anyhow::Result<Option<UserId>> {
    let turn = app.auth.passwords.try_reserve(Purpose::LogIn)?;
    // PostgreSQL cannot even compare NUL. The connection is returned before hashing starts.
    let found = if email.contains('\0') {
        None
    } else {
        let mut connection = app.backends.db.connection().await?;
        queries::find_credentials(&mut connection, email).await?
    };
    let (user, stored) = found.unzip();
    let is_right = turn.verify(password, stored).await?;
    Ok(user.filter(|_| is_right))
}

/// Changes a password and revokes all older tokens: within 1 s in every process, as a logout does.
/// Of concurrent changes, exactly one succeeds.
pub async fn change_password(
    app: &App,
    user: UserId,
    form: PasswordForm,
) -> anyhow::Result<PasswordOutcome> {
    let stored = {
        let mut connection = app.backends.db.connection().await?;
        queries::find_password_hash(&mut connection, user).await?
    };
    let passwords = &app.auth.passwords;
    let Some(stored) = stored else {
        return Ok(PasswordOutcome::WrongCurrent);
    };
    let turn = passwords.try_reserve(Purpose::LogIn)?;
    if !turn.verify(form.current, Some(stored.clone())).await? {
        return Ok(PasswordOutcome::WrongCurrent);
    }
    let hash = passwords
        .try_reserve(Purpose::LogIn)?
        .hash(form.password1)
        .await?;
    let mut connection = app.backends.db.connection().await?;
    // Uses the clock that issues tokens, so that a token issued right afterwards is newer.
    let is_changed =
        queries::replace_password(&mut connection, user, &stored, &hash, Utc::now()).await?;
    if !is_changed {
        return Ok(PasswordOutcome::WrongCurrent);
    }
    tracing::info!(%user, "password changed");
    Ok(PasswordOutcome::Changed)
}

/// Returns the profile of a user, or none if the account was deleted.
pub async fn find_profile(db: &Db, user: UserId) -> anyhow::Result<Option<Profile>> {
    let mut connection = db.connection().await?;
    queries::find_profile(&mut connection, user).await
}
