//! Password hashing with argon2id (RFC 9106) and the crate's parameters, which OWASP recommends
//! (19 MiB, 2 passes, one lane). It runs on low-priority threads, so that logins do not slow reads.

mod line;

use std::{fmt::Display, sync::Arc, thread};

use anyhow::{Context as _, anyhow};
use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use rustix::process::setpriority_process;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

use self::line::Line;
use crate::batch::Overloaded;

/// Niceness of the threads: they get a tenth of a contended core, and all of an idle one.
const NICENESS: i32 = 10;

/// Maximum hash permits per thread, about four seconds of work on an idle core. A hundred
/// simultaneous sign-ups are admitted, even on two cores.
const MAX_PERMITS: usize = 128;

/// Maximum permits for sign-ups. The rest is reserved for users with an account.
const MAX_SIGN_UP_PERMITS: usize = MAX_PERMITS / 2;

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// Whether a login or a sign-up needs the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A user with an account.
    LogIn,
    /// A new user. Any client can sign up any number of times, so sign-ups wait behind logins.
    SignUp,
}

/// Hashes and checks passwords. Cheap to clone; clones share the threads.
#[derive(Clone)]
pub struct Passwords {
    line: Arc<Jobs>,
    turns: Arc<Semaphore>,
    sign_ups: Arc<Semaphore>,
    /// Verified for an unknown account, so that the response takes as long as for a known one.
    dummy_hash: Arc<str>,
}

impl Passwords {
    /// Starts one thread per core, since a hash keeps a core busy and takes 19 MiB.
    pub fn new() -> anyhow::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let jobs = Jobs(Arc::new(Line::default()));
        for _ in 0..cores {
            let line = Arc::clone(&jobs.0);
            thread::Builder::new()
                .name("password".to_owned())
                .spawn(move || work(&line))
                .context("start a thread for passwords")?;
        }
        Ok(Self {
            line: Arc::new(jobs),
            turns: Arc::new(Semaphore::new(cores * MAX_PERMITS)),
            sign_ups: Arc::new(Semaphore::new(cores * MAX_SIGN_UP_PERMITS)),
            dummy_hash: Memory::default()
                .hash("no account has this password")?
                .into(),
        })
    }

    /// Returns the permit for one hash, or an error at once if none is left. Take it before any
    /// other work, so that a refused request costs nothing.
    pub fn try_reserve(&self, purpose: Purpose) -> Result<HashPermit, Overloaded> {
        let take = |turns: &Arc<Semaphore>| {
            let turns = Arc::clone(turns);
            turns.try_acquire_owned().map_err(|_none_left| Overloaded)
        };
        let mut permits = Vec::with_capacity(2);
        if purpose == Purpose::SignUp {
            permits.push(take(&self.sign_ups)?);
        }
        permits.push(take(&self.turns)?);
        Ok(HashPermit {
            passwords: self.clone(),
            purpose,
            permits,
        })
    }
}

/// Normalizes a password: composed characters, and the ASCII space for every kind of space
/// (`OpaqueString`, RFC 8265 §4.2.1). A Mac writes `é` as two characters, a phone as one.
pub fn normal(password: &str) -> String {
    let blank = |letter: char| {
        let is_blank = letter.general_category() == GeneralCategory::SpaceSeparator;
        if is_blank { ' ' } else { letter }
    };
    password.chars().map(blank).nfc().collect()
}

/// The permit to hash or check one password.
pub struct HashPermit {
    passwords: Passwords,
    purpose: Purpose,
    permits: Vec<OwnedSemaphorePermit>,
}

impl HashPermit {
    /// Returns the hash of the normalized password ([`normal`]) as a PHC string.
    pub async fn hash(self, password: String) -> anyhow::Result<String> {
        self.spend(move |memory, _| memory.hash(&normal(&password)))
            .await
    }

    /// Returns whether the password matches `stored`, a PHC string. For `None` it returns `false`
    /// after the same time.
    pub async fn verify(self, password: String, stored: Option<String>) -> anyhow::Result<bool> {
        self.spend(move |memory, dummy_hash| {
            let hash = stored.as_deref().unwrap_or(dummy_hash);
            let normal = normal(&password);
            // Hashes from before passwords were normalized are of the password as typed.
            let is_right = memory.verify(&normal, hash)?
                || (normal != password && memory.verify(&password, hash)?);
            Ok(is_right && stored.is_some())
        })
        .await
    }

    async fn spend<T: Send + 'static>(
        self,
        work: impl FnOnce(&mut Memory, &str) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let Self {
            passwords,
            purpose,
            permits,
        } = self;
        let Passwords {
            line, dummy_hash, ..
        } = passwords;
        let (sender, receiver) = oneshot::channel();
        let job = Box::new(move |memory: &mut Memory| {
            // Skips the work if the client has disconnected.
            if !sender.is_closed() {
                let result = work(memory, &dummy_hash);
                drop(permits);
                drop(sender.send(result));
            }
        });
        line.0.add(purpose, job);
        receiver.await.context("hash a password")?
    }
}

/// The producers' side of the queue. Dropping it ends the threads.
struct Jobs(Arc<Line<Job>>);

impl Drop for Jobs {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Runs jobs until all producers are dropped.
fn work(line: &Line<Job>) {
    // Raising the niceness needs no privilege.
    if let Err(error) = setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "cannot lower the priority of a password thread");
    }
    while let Some(job) = line.wait() {
        let mut memory = Memory::default();
        job(&mut memory);
        while let Some(job) = line.take() {
            job(&mut memory);
        }
    }
}

/// Work memory of a thread, reused while passwords follow each other. Allocating zeroed pages for
/// each password took a quarter of the time.
#[derive(Default)]
struct Memory(Vec<Block>);

impl Memory {
    fn hash(&mut self, password: &str) -> anyhow::Result<String> {
        let params = Params::default();
        let argon2 = Argon2::from(&params);
        let salt = Salt::generate();
        let hash = PasswordHash {
            algorithm: Algorithm::default().ident(),
            version: Some(Version::default().into()),
            params: ParamsString::try_from(&params).map_err(unhashed)?,
            hash: Some(self.output(&argon2, password, &salt)?),
            salt: Some(salt),
        };
        Ok(hash.to_string())
    }

    /// Returns whether the password matches `stored`, with that hash's own parameters.
    fn verify(&mut self, password: &str, stored: &str) -> anyhow::Result<bool> {
        let stored = PasswordHash::new(stored).map_err(unreadable)?;
        let algorithm = Algorithm::try_from(stored.algorithm.as_str()).map_err(unreadable)?;
        let version = stored.version.map(Version::try_from).transpose();
        let version = version.map_err(unreadable)?.unwrap_or_default();
        let params = Params::try_from(&stored).map_err(unreadable)?;
        let argon2 = Argon2::new(algorithm, version, params);
        let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else {
            return Ok(false);
        };
        // Outputs compare in constant time.
        Ok(self.output(&argon2, password, salt)? == *expected)
    }

    fn output(
        &mut self,
        argon2: &Argon2<'_>,
        password: &str,
        salt: &[u8],
    ) -> anyhow::Result<Output> {
        let params = argon2.params();
        let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let mut output = vec![0; length];
        let Self(blocks) = self;
        blocks.resize(params.block_count(), Block::new());
        argon2
            .hash_password_into_with_memory(password.as_bytes(), salt, &mut output, blocks)
            .map_err(unhashed)?;
        Output::new(&output).map_err(unhashed)
    }
}

fn unreadable(error: impl Display) -> anyhow::Error {
    anyhow!("read the stored password hash: {error}")
}

fn unhashed(error: impl Display) -> anyhow::Error {
    anyhow!("hash a password: {error}")
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};

    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_an_account_is_accepted() {
        let passwords = Passwords::new().unwrap();
        let long = "ñ".repeat(64);
        let turn = || passwords.try_reserve(Purpose::LogIn).unwrap();
        let stored = turn().hash(long.clone()).await.unwrap();
        assert!(stored.starts_with("$argon2id$"), "{stored}");
        assert!(
            turn()
                .verify(long.clone(), Some(stored.clone()))
                .await
                .unwrap()
        );
        assert!(
            !turn()
                .verify("wrong".to_owned(), Some(stored))
                .await
                .unwrap()
        );
        assert!(!turn().verify(long, None).await.unwrap());
    }

    #[tokio::test]
    async fn unicode_spellings_of_a_password_are_equivalent() {
        let passwords = Passwords::new().unwrap();
        let verify = async |typed: &str, stored: &str| {
            let turn = passwords.try_reserve(Purpose::LogIn).unwrap();
            let verified = turn.verify(typed.to_owned(), Some(stored.to_owned()));
            verified.await.unwrap()
        };
        let (composed, decomposed) = ("canción 2026", "cancio\u{301}n\u{a0}2026");
        for typed in [composed, decomposed] {
            let turn = passwords.try_reserve(Purpose::LogIn).unwrap();
            let stored = turn.hash(typed.to_owned()).await.unwrap();
            assert!(verify(composed, &stored).await);
            assert!(verify(decomposed, &stored).await);
            assert!(!verify("cancion 2026", &stored).await);
        }
        // A hash from before passwords were normalized.
        let old = Memory::default().hash(decomposed).unwrap();
        assert!(verify(decomposed, &old).await);
    }

    #[test]
    fn hashes_match_the_library_with_reused_memory() {
        let mut memory = Memory::default();
        let cheap = Argon2::from(Params::new(64, 3, 2, Some(20)).unwrap());
        for password in ["one", "another", "one"] {
            let ours = memory.hash(password).unwrap();
            let library = Argon2::default();
            assert_eq!(library.verify_password(password.as_bytes(), &*ours), Ok(()));
            for library in [&library, &cheap] {
                let theirs = library.hash_password(password.as_bytes()).unwrap();
                let theirs = theirs.to_string();
                assert!(memory.verify(password, &theirs).unwrap(), "{theirs}");
                assert!(!memory.verify("other", &theirs).unwrap(), "{theirs}");
            }
        }
        assert!(memory.verify("one", "$2b$12$abc").is_err());
    }

    #[tokio::test]
    async fn permits_are_limited_and_reusable() {
        let passwords = Passwords::new().unwrap();
        let mut turns: Vec<HashPermit> =
            std::iter::from_fn(|| passwords.try_reserve(Purpose::LogIn).ok()).collect();
        assert!(turns.len() >= MAX_PERMITS && turns.len().is_multiple_of(MAX_PERMITS));
        let turn = turns.pop().unwrap();
        turn.hash("used up".to_owned()).await.unwrap();
        assert!(passwords.try_reserve(Purpose::LogIn).is_ok());
        drop(turns);
    }

    #[tokio::test]
    async fn sign_ups_leave_permits_for_logins() {
        let passwords = Passwords::new().unwrap();
        let sign_up = || passwords.try_reserve(Purpose::SignUp).ok();
        let sign_ups: Vec<HashPermit> = std::iter::from_fn(sign_up).collect();
        assert!(sign_ups.len().is_multiple_of(MAX_SIGN_UP_PERMITS));
        let log_in = || passwords.try_reserve(Purpose::LogIn).ok();
        let logins: Vec<HashPermit> = std::iter::from_fn(log_in).collect();
        assert_eq!(logins.len(), sign_ups.len());
        drop((sign_ups, logins));
    }
}
