//! The roles of accounts, and what operators do to accounts.

use chrono::Utc;
use diesel_async::AsyncConnection as _;
use rand::{RngExt as _, distr::Alphanumeric};
use serde_json::json;

pub use super::queries::StaffMember;
use super::{MAX_EMAIL, normal_email, queries};
use crate::{
    audit::{self, Act, Actor, By, Entry, Subject},
    auth::{Passwords, Role, password::Purpose},
    db::Db,
    validate::{Checks, FieldError, Problem},
};

/// Length of a generated password, in characters: 95 bits.
const RANDOM_LENGTH: usize = 16;

/// Result of granting a role.
#[derive(Debug, PartialEq, Eq)]
pub enum GrantOutcome {
    /// The account has the role now, or had it already.
    Granted,
    NoAccount,
    /// Nobody else organises the contest, so nobody could grant roles any more.
    LastOrganiser,
}

/// Checks the fields of a grant. Returns the normalised e-mail address and the role.
pub fn check_grant(email: &str, role: &str) -> Result<(String, Role), Vec<FieldError>> {
    let mut checks = Checks::default();
    let email = normal_email(&checks.line("email", email, 1, MAX_EMAIL));
    let found = Role::from_name(role);
    if role.is_empty() {
        checks.add("role", Problem::Required);
    } else if found.is_none() {
        checks.add("role", Problem::Invalid);
    }
    checks.finish()?;
    Ok((email, found.unwrap_or(Role::Player)))
}

/// Assigns a role to an account; it takes effect within a second. Only a command may take the role of
/// the last organiser, also while others do so.
pub async fn grant(db: &Db, by: &By, email: &str, role: Role) -> anyhow::Result<GrantOutcome> {
    let email = normal_email(email);
    let mut connection = db.connection().await?;
    let outcome = connection
        .transaction(async |connection| {
            let organisers = queries::lock_organisers(connection).await?;
            let Some((user, before)) = queries::lock_role(connection, &email).await? else {
                return Ok(GrantOutcome::NoAccount);
            };
            if before == role.name() {
                return Ok(GrantOutcome::Granted);
            }
            let may_leave_none = matches!(by.actor, Actor::Command(_));
            if organisers == [user] && !may_leave_none {
                return Ok(GrantOutcome::LastOrganiser);
            }
            queries::set_role(connection, user, role).await?;
            let entry = Entry {
                by,
                act: Act::RoleGranted,
                subject: Subject::Account(email.clone()),
                before: Some(json!({ "role": before })),
                after: Some(json!({ "role": role.name() })),
            };
            audit::record(connection, &entry).await?;
            anyhow::Ok(GrantOutcome::Granted)
        })
        .await?;
    if outcome == GrantOutcome::Granted {
        tracing::info!(by = %by.actor, role = role.name(), "role granted");
    }
    Ok(outcome)
}

/// Returns everybody who has a role besides that of a player: organisers first, then by name.
pub async fn list(db: &Db) -> anyhow::Result<Vec<StaffMember>> {
    let mut connection = db.connection().await?;
    queries::staff(&mut connection).await
}

/// Sets a random password for an account, revokes all its tokens and returns the password, or none
/// if the account does not exist. For operators, since the system sends no mail.
pub async fn reset_password(db: &Db, by: &By, email: &str) -> anyhow::Result<Option<String>> {
    let password: String = rand::rng()
        .sample_iter(Alphanumeric)
        .take(RANDOM_LENGTH)
        .map(char::from)
        .collect();
    let hash = Passwords::new()?
        .try_reserve(Purpose::LogIn)?
        .hash(password.clone())
        .await?;
    let mut connection = db.connection().await?;
    let email = normal_email(email);
    let is_reset = connection
        .transaction(async |connection| {
            let is_reset = queries::reset_password(connection, &email, &hash, Utc::now()).await?;
            if is_reset {
                let entry = Entry {
                    by,
                    act: Act::PasswordReset,
                    subject: Subject::Account(email.clone()),
                    before: None,
                    after: None,
                };
                audit::record(connection, &entry).await?;
            }
            anyhow::Ok(is_reset)
        })
        .await?;
    Ok(is_reset.then_some(password))
}
