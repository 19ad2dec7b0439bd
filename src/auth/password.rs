//! Passwords: argon2id (RFC 9106) with the crate's parameters (19 MiB, 2 passes, one lane: OWASP's
//! recommendation), on threads of their own, which give way to all others: so that no login slows a read.

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
use crate::batch::Busy;

/// How nice the threads are: they get a tenth of a core that somebody else wants, and all of an idle one.
const NICENESS: i32 = 10;

/// Most that has a turn for each thread: about four seconds of work on an idle core. A hundred people who sign up at
/// once are let in, on two cores too.
const WAITING: usize = 128;

/// Most of these turns that sign-ups may have: the rest is for those who have an account.
const WAITING_SIGN_UPS: usize = WAITING / 2;

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// Whether a login or a sign-up needs the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Somebody with an account.
    LogIn,
    /// Somebody new. Anybody can ask for that, as often as they like: so it waits behind the others.
    SignUp,
}

/// Hashes and checks passwords; clones share the threads.
#[derive(Clone)]
pub struct Passwords {
    line: Arc<Entrance>,
    turns: Arc<Semaphore>,
    sign_ups: Arc<Semaphore>,
    /// Hash of no password: checked where there is no account, so that both take the same time.
    decoy: Arc<str>,
}

impl Passwords {
    /// Starts the threads of this process: one hash takes a core and 19 MiB, so never more at once than cores.
    pub fn new() -> anyhow::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let entrance = Entrance(Arc::new(Line::default()));
        for _ in 0..cores {
            let line = Arc::clone(&entrance.0);
            thread::Builder::new()
                .name("password".to_owned())
                .spawn(move || work(&line))
                .context("start a thread for passwords")?;
        }
        Ok(Self {
            line: Arc::new(entrance),
            turns: Arc::new(Semaphore::new(cores * WAITING)),
            sign_ups: Arc::new(Semaphore::new(cores * WAITING_SIGN_UPS)),
            decoy: Memory::default()
                .hash("no account has this password")?
                .into(),
        })
    }

    /// Returns the right to one hash. Take it before any other work: whoever gets none is refused at once, and has
    /// cost nothing.
    pub fn turn(&self, purpose: Purpose) -> Result<Turn, Busy> {
        let take = |turns: &Arc<Semaphore>| {
            let turns = Arc::clone(turns);
            turns.try_acquire_owned().map_err(|_none_left| Busy)
        };
        let mut permits = Vec::with_capacity(2);
        if purpose == Purpose::SignUp {
            permits.push(take(&self.sign_ups)?);
        }
        permits.push(take(&self.turns)?);
        Ok(Turn {
            passwords: self.clone(),
            purpose,
            permits,
        })
    }
}

/// Returns the one spelling of a password: composed, and with every blank as the one of ASCII (`OpaqueString`,
/// RFC 8265 §4.2.1). A Mac writes `é` in two characters, a phone in one.
pub fn normal(password: &str) -> String {
    let blank = |letter: char| {
        let is_blank = letter.general_category() == GeneralCategory::SpaceSeparator;
        if is_blank { ' ' } else { letter }
    };
    password.chars().map(blank).nfc().collect()
}

/// The right to hash or check one password.
pub struct Turn {
    passwords: Passwords,
    purpose: Purpose,
    permits: Vec<OwnedSemaphorePermit>,
}

impl Turn {
    /// Returns the hash of the password in its one spelling ([`normal`]), as a PHC string.
    pub async fn hash(self, password: String) -> anyhow::Result<String> {
        self.spend(move |memory, _| memory.hash(&normal(&password)))
            .await
    }

    /// Tells whether the password belongs to `stored`, a PHC string. With `None` the answer is `false`,
    /// after the same time.
    pub async fn verify(self, password: String, stored: Option<String>) -> anyhow::Result<bool> {
        self.spend(move |memory, decoy| {
            let hash = stored.as_deref().unwrap_or(decoy);
            let normal = normal(&password);
            // Hashes made before passwords were normalized are of what was typed.
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
        let Passwords { line, decoy, .. } = passwords;
        let (sender, receiver) = oneshot::channel();
        let job = Box::new(move |memory: &mut Memory| {
            // Nobody waits any more for one whose client went away.
            if !sender.is_closed() {
                let result = work(memory, &decoy);
                drop(permits);
                drop(sender.send(result));
            }
        });
        line.0.add(purpose, job);
        receiver.await.context("hash a password")?
    }
}

/// Ends the threads when nobody is left who could hand anything in.
struct Entrance(Arc<Line<Job>>);

impl Drop for Entrance {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Does what is handed in until nobody is left who could.
fn work(line: &Line<Job>) {
    // Refused nowhere: everybody may be nicer.
    if let Err(error) = setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "passwords are hashed with the priority of all else");
    }
    while let Some(job) = line.wait() {
        let mut memory = Memory::default();
        job(&mut memory);
        while let Some(job) = line.take() {
            job(&mut memory);
        }
    }
}

/// What a thread hashes in, kept while one password follows the other: given back, it came again as pages of
/// zeros, which took a quarter of the time.
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

    /// Tells whether the password belongs to `stored`, whatever the parameters of that are.
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
        let turn = || passwords.turn(Purpose::LogIn).unwrap();
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
    async fn a_password_is_the_same_however_its_accents_are_written() {
        let passwords = Passwords::new().unwrap();
        let verify = async |typed: &str, stored: &str| {
            let turn = passwords.turn(Purpose::LogIn).unwrap();
            let verified = turn.verify(typed.to_owned(), Some(stored.to_owned()));
            verified.await.unwrap()
        };
        let (composed, decomposed) = ("canción 2026", "cancio\u{301}n\u{a0}2026");
        for typed in [composed, decomposed] {
            let turn = passwords.turn(Purpose::LogIn).unwrap();
            let stored = turn.hash(typed.to_owned()).await.unwrap();
            assert!(verify(composed, &stored).await);
            assert!(verify(decomposed, &stored).await);
            assert!(!verify("cancion 2026", &stored).await);
        }
        // As it was hashed before passwords were normalized.
        let old = Memory::default().hash(decomposed).unwrap();
        assert!(verify(decomposed, &old).await);
    }

    #[test]
    fn hashes_are_those_of_the_library_whatever_was_in_the_memory() {
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
    async fn turns_end_and_come_back() {
        let passwords = Passwords::new().unwrap();
        let mut turns: Vec<Turn> =
            std::iter::from_fn(|| passwords.turn(Purpose::LogIn).ok()).collect();
        assert!(turns.len() >= WAITING && turns.len().is_multiple_of(WAITING));
        let turn = turns.pop().unwrap();
        turn.hash("used up".to_owned()).await.unwrap();
        assert!(passwords.turn(Purpose::LogIn).is_ok());
        drop(turns);
    }

    #[tokio::test]
    async fn sign_ups_leave_turns_to_logins() {
        let passwords = Passwords::new().unwrap();
        let sign_up = || passwords.turn(Purpose::SignUp).ok();
        let sign_ups: Vec<Turn> = std::iter::from_fn(sign_up).collect();
        assert!(sign_ups.len().is_multiple_of(WAITING_SIGN_UPS));
        let log_in = || passwords.turn(Purpose::LogIn).ok();
        let logins: Vec<Turn> = std::iter::from_fn(log_in).collect();
        assert_eq!(logins.len(), sign_ups.len());
        drop((sign_ups, logins));
    }
}
