//! Rate limits, per process: the generic cell rate algorithm (ITU-T I.371), which keeps one moment per
//! key. Written here because what may be given back (a login that succeeded) no crate offers.

use std::{
    hash::Hash,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use moka::sync::Cache;

use super::{Error, Result};
use crate::{
    config::http::{Rate, Settings},
    ids::UserId,
};

/// Most keys that are remembered: beyond it the least used start afresh.
const REMEMBERED: u64 = 100_000;

/// An account may be tried from several addresses: its owner's home and phone, and strangers who guess. More
/// than this many times the rate of one address has to be somebody with many addresses.
const ADDRESSES_PER_ACCOUNT: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// One address may serve this many people who mistype their passwords: carriers put thousands behind one.
const ACCOUNTS_PER_ADDRESS: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// The API's limits.
pub struct Limits {
    /// Failed logins.
    pub login: LoginLimits,
    /// Wrong current passwords per account, with a token: failed logins of strangers do not count.
    pub password: Limiter<UserId>,
    /// Sign-ups per address.
    pub sign_up: Limiter<IpAddr>,
    /// Uploads, votes and changes per account.
    pub write: Limiter<UserId>,
    /// Requests per address.
    pub address: Limiter<IpAddr>,
}

impl Limits {
    /// Makes limits that nobody has used yet.
    pub fn new(settings: &Settings) -> Self {
        Self {
            login: LoginLimits::new(settings.login_rate),
            password: Limiter::new(settings.login_rate),
            sign_up: Limiter::new(settings.signup_rate),
            write: Limiter::new(settings.write_rate),
            address: Limiter::new(settings.address_rate),
        }
    }
}

/// Limits failed logins: low for one account from one address, so that nobody can lock the owner out from
/// elsewhere, and much higher for all of an account and all of an address.
pub struct LoginLimits {
    pair: Limiter<(String, IpAddr)>,
    account: Limiter<String>,
    address: Limiter<IpAddr>,
}

impl LoginLimits {
    fn new(rate: Rate) -> Self {
        Self {
            pair: Limiter::new(rate),
            account: Limiter::new(rate.times(ADDRESSES_PER_ACCOUNT)),
            address: Limiter::new(rate.times(ACCOUNTS_PER_ADDRESS)),
        }
    }

    /// Counts a login as failed before it is checked, so that many at once cannot slip through, or refuses it
    /// with 429.
    pub fn take(&self, email: &str, address: IpAddr) -> Result<()> {
        let (account, pair) = (email.to_owned(), (email.to_owned(), address));
        self.pair.take(&pair)?;
        // One that is refused here counts nowhere, or strangers' tries would be the owner's.
        self.account
            .take(&account)
            .inspect_err(|_| self.pair.give_back(&pair))?;
        self.address.take(&address).inspect_err(|_| {
            self.pair.give_back(&pair);
            self.account.give_back(&account);
        })
    }

    /// Takes back what [`Self::take`] counted: the login did not fail.
    pub fn give_back(&self, email: &str, address: IpAddr) {
        self.pair.give_back(&(email.to_owned(), address));
        self.account.give_back(&email.to_owned());
        self.address.give_back(&address);
    }
}

/// Limits how often each key may do something.
pub struct Limiter<K> {
    rate: Option<Cells<K>>,
}

struct Cells<K> {
    /// Time between two events at a steady rate.
    interval: Duration,
    /// How far ahead of the steady rate a key may run: all events of a period at once.
    tolerance: Duration,
    /// When each key's next event would be due at the steady rate.
    due: Cache<K, Arc<Mutex<Instant>>>,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Limiter<K> {
    /// Makes a limiter that nobody has used yet.
    pub fn new(rate: Rate) -> Self {
        let rate = match rate {
            Rate::Off => None,
            Rate::Limit { count, period } => {
                let interval = period / count.get();
                Some(Cells {
                    interval,
                    tolerance: period.saturating_sub(interval),
                    // A key that was idle for a period is as good as new.
                    due: Cache::builder()
                        .max_capacity(REMEMBERED)
                        .time_to_idle(period)
                        .build(),
                })
            }
        };
        Self { rate }
    }

    /// Counts one event of `key`, or refuses it with 429 if that would be too many.
    pub fn take(&self, key: &K) -> Result<()> {
        self.take_at(key, Instant::now()).map_err(Error::too_many)
    }

    fn take_at(&self, key: &K, now: Instant) -> std::result::Result<(), Duration> {
        let Some(cells) = &self.rate else {
            return Ok(());
        };
        let cell = cells.due.get_with_by_ref(key, || Arc::new(Mutex::new(now)));
        let mut due = cell.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = due.saturating_duration_since(now);
        match ahead.checked_sub(cells.tolerance) {
            Some(excess) if !excess.is_zero() => Err(excess),
            _ => {
                *due = (*due).max(now) + cells.interval;
                Ok(())
            }
        }
    }

    /// Takes back one counted event of `key`.
    pub fn give_back(&self, key: &K) {
        if let Some(cells) = &self.rate
            && let Some(cell) = cells.due.get(key)
        {
            let mut due = cell.lock().unwrap_or_else(PoisonError::into_inner);
            *due = due.checked_sub(cells.interval).unwrap_or(*due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(rate: &str) -> Limiter<u8> {
        Limiter::new(rate.parse().unwrap())
    }

    #[test]
    fn a_burst_passes_and_then_the_steady_rate() {
        let limiter = limiter("3/s");
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(limiter.take_at(&1, start), Ok(()));
        }
        let wait = limiter.take_at(&1, start).unwrap_err();
        assert!(wait <= Duration::from_millis(334), "{wait:?}");
        assert_eq!(limiter.take_at(&2, start), Ok(()), "another key");
        assert_eq!(limiter.take_at(&1, start + wait), Ok(()));
        assert!(limiter.take_at(&1, start + wait).is_err());
    }

    #[test]
    fn what_is_given_back_can_be_used_again() {
        let limiter = limiter("1/h");
        let now = Instant::now();
        assert_eq!(limiter.take_at(&1, now), Ok(()));
        assert!(limiter.take_at(&1, now).is_err());
        limiter.give_back(&1);
        assert_eq!(limiter.take_at(&1, now), Ok(()));
    }

    #[test]
    fn strangers_who_guess_lock_no_owner_out() {
        let limits = LoginLimits::new("2/h".parse().unwrap());
        let [home, stranger] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        for _ in 0..2 {
            limits.take("ana@example.com", stranger).unwrap();
        }
        assert!(limits.take("ana@example.com", stranger).is_err());
        limits.take("ana@example.com", home).unwrap();
        limits.take("luis@example.com", stranger).unwrap();
        // Guesses from many addresses are refused in the end.
        let taken = (0..100).filter(|last| {
            let address = IpAddr::from([10, 0, 1, *last]);
            limits.take("ana@example.com", address).is_ok()
        });
        assert_eq!(taken.count(), 20 - 3);
    }

    #[test]
    fn off_limits_nobody() {
        let limiter = limiter("off");
        assert!((0..10_000).all(|_| limiter.take(&1).is_ok()));
    }
}
