//! Authentication by passwords and access tokens.

pub mod password;
pub mod queries;
pub mod token;

use crate::{config::auth::Settings, db::Db, shutdown::Shutdown};
pub use password::Passwords;
pub use token::{Caller, Tokens};

/// Password and token services. Cheap to clone; clones share state.
#[derive(Clone)]
pub struct Auth {
    pub passwords: Passwords,
    pub tokens: Tokens,
}

impl Auth {
    pub fn new(settings: &Settings, db: Db, shutdown: &Shutdown) -> anyhow::Result<Self> {
        Ok(Self {
            passwords: Passwords::new()?,
            tokens: Tokens::new(settings, db, shutdown),
        })
    }
}
