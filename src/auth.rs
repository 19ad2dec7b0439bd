//! Authentication by passwords and access tokens, and what each role may do.

pub mod password;
pub mod permissions;
pub mod queries;
mod role;
pub mod token;

use std::time::Duration;

use crate::{config::auth::Settings, db::Db, shutdown::Shutdown};
pub use password::Passwords;
pub use permissions::{Permission, allows};
pub use role::Role;
pub use token::{Caller, Tokens, Use};

/// Password and token services. Cheap to clone; clones share state.
#[derive(Clone)]
pub struct Auth {
    pub passwords: Passwords,
    pub tokens: Tokens,
    /// Lifetime of a browser's session that is to stay open.
    pub session_lifetime: Duration,
}

impl Auth {
    pub fn new(settings: &Settings, db: Db, shutdown: &Shutdown) -> anyhow::Result<Self> {
        Ok(Self {
            passwords: Passwords::new()?,
            tokens: Tokens::new(settings, db, shutdown),
            session_lifetime: settings.session_expiration,
        })
    }
}
