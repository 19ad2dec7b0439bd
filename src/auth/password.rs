//! Passwords: argon2id (RFC 9106) with the crate's parameters (19 MiB, 2 passes, one lane: OWASP's
//! recommendation), on threads of their own, which give way to all others: so that no login slows a read.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use anyhow::{Context as _, anyhow};
use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use rustix::process::setpriority_process;
use tokio::sync::oneshot;

use crate::batch::Busy;

/// How nice the threads are: they get a tenth of a core that somebody else wants, and all of an idle one.
const NICENESS: i32 = 10;

/// Most that waits for each thread: about four seconds of work on an idle core. A hundred people who sign up at
/// once are let in, on two cores too.
const WAITING: usize = 128;

type Job = Box<dyn FnOnce() + Send>;

/// Hashes and checks passwords; clones share the threads.
#[derive(Clone)]
pub struct Passwords {
    jobs: SyncSender<Job>,
    /// Hash of no password: checked where there is no account, so that both take the same time.
    decoy: Arc<str>,
}

impl Passwords {
    /// Starts the threads of this process: one hash takes a core and 19 MiB, so never more at once than cores.
    pub fn new() -> anyhow::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let (jobs, receiver) = sync_channel(cores * WAITING);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..cores {
            let receiver = Arc::clone(&receiver);
            thread::Builder::new()
                .name("password".to_owned())
                .spawn(move || work(&receiver))
                .context("start a thread for passwords")?;
        }
        Ok(Self {
            jobs,
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
        let (sender, receiver) = oneshot::channel();
        let job = Box::new(move || {
            // Nobody waits any more for one whose client went away.
            if !sender.is_closed() {
                drop(sender.send(work()));
            }
        });
        self.jobs.try_send(job).map_err(|_full| Busy)?;
        receiver.await.context("hash a password")?
    }
}

/// Does what is handed in until nobody is left who could.
fn work(jobs: &Mutex<Receiver<Job>>) {
    // Refused nowhere: everybody may be nicer.
    if let Err(error) = setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "passwords are hashed with the priority of all else");
    }
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        job();
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
