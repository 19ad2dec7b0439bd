//! Passwords: argon2id (RFC 9106) with the crate's parameters (19 MiB, 2 passes, one lane: OWASP's
//! recommendation), off the event loop, and only so many at once.

use std::{sync::Arc, thread};

use anyhow::{Context as _, anyhow};
use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use tokio::{sync::Semaphore, task::spawn_blocking};

/// Hashes and checks passwords; clones share the bound.
#[derive(Clone)]
pub struct Passwords {
    /// One hash takes a core and 19 MiB for tens of milliseconds: never more at once than cores.
    permits: Arc<Semaphore>,
    /// Hash of no password: checked where there is no account, so that both take the same time.
    decoy: Arc<str>,
}

impl Passwords {
    /// Makes the hasher of this process.
    pub fn new() -> anyhow::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            permits: Arc::new(Semaphore::new(cores)),
            decoy: hash("no account has this password")?.into(),
        })
    }

    /// Returns the password's hash as a PHC string.
    pub async fn hash(&self, password: String) -> anyhow::Result<String> {
        self.bounded(move || hash(&password)).await
    }

    /// Tells whether the password belongs to `stored`, a PHC string. With `None` the answer is `false`,
    /// after the same time.
    pub async fn verify(&self, password: String, stored: Option<String>) -> anyhow::Result<bool> {
        let decoy = Arc::clone(&self.decoy);
        self.bounded(move || {
            let parsed = PasswordHash::new(stored.as_deref().unwrap_or(&decoy))
                .map_err(|error| anyhow!("read the stored password hash: {error}"))?;
            let is_right = Argon2::default()
                .verify_password(password.as_bytes(), &parsed)
                .is_ok();
            Ok(is_right && stored.is_some())
        })
        .await
    }

    async fn bounded<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .context("hash a password")?;
        // The permit goes along: a caller that went away does not make room for one more.
        spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        })
        .await
        .context("hash a password")?
    }
}

fn hash(password: &str) -> anyhow::Result<String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    Ok(hash
        .map_err(|error| anyhow!("hash a password: {error}"))?
        .to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_an_account_is_accepted() {
        let passwords = Passwords::new().unwrap();
        let long = "ñ".repeat(64);
        let stored = passwords.hash(long.clone()).await.unwrap();
        assert!(stored.starts_with("$argon2id$"), "{stored}");
        assert!(
            passwords
                .verify(long.clone(), Some(stored.clone()))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify("wrong".to_owned(), Some(stored))
                .await
                .unwrap()
        );
        assert!(!passwords.verify(long, None).await.unwrap());
    }
}
