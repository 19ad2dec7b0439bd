//! Rate limits per process: the generic cell rate algorithm (ITU-T I.371), with one timestamp per
//! key. Implemented here because no crate can undo an event, such as a successful login.

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

/// Maximum number of keys. Beyond it, the least used ones are evicted and start afresh.
const MAX_KEYS: u64 = 100_000;

/// Limit of an account, in multiples of the limit for one account from one address. The owner may
/// use several addresses (home, phone) while others guess; only attackers with many exceed this.
const ADDRESSES_PER_ACCOUNT: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// Limit of an address, in the same unit: carriers put thousands of customers behind one address,
/// and this many may mistype their passwords.
const ACCOUNTS_PER_ADDRESS: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// The API's limits.
pub struct Limits {
    /// Failed logins.
    pub login: LoginLimits,
    /// Wrong current passwords per authenticated account. Failed logins do not count.
    pub password: Limiter<UserId>,
    /// Sign-ups per address.
    pub sign_up: Limiter<IpAddr>,
    /// Uploads, votes and changes per account.
    pub write: Limiter<UserId>,
    /// Requests per address.
    pub address: Limiter<IpAddr>,
}

impl Limits {
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

/// Limits failed logins. The limit for one account from one address is low, so that guesses from
/// elsewhere cannot lock the owner out; an account or an address as a whole has a higher limit.
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

    /// Counts a login as failed before its password is checked, so that concurrent attempts cannot
    /// bypass the limit. Returns 429 if the limit is reached.
    pub fn take(&self, email: &str, address: IpAddr) -> Result<()> {
        let (account, pair) = (email.to_owned(), (email.to_owned(), address));
        self.pair.take(&pair)?;
        // A rejected attempt counts toward no limit, or other clients would use up the owner's.
        self.account
            .take(&account)
            .inspect_err(|_| self.pair.give_back(&pair))?;
        self.address.take(&address).inspect_err(|_| {
            self.pair.give_back(&pair);
            self.account.give_back(&account);
        })
    }

    /// Undoes [`Self::take`] for a login that did not fail.
    pub fn give_back(&self, email: &str, address: IpAddr) {
        self.pair.give_back(&(email.to_owned(), address));
        self.account.give_back(&email.to_owned());
        self.address.give_back(&address);
    }
}

/// Limits the rate of events per key.
pub struct Limiter<K> {
    rate: Option<Cells<K>>,
}

struct Cells<K> {
    /// Time between two events at a steady rate.
    interval: Duration,
    /// Burst tolerance: all events of a period may occur at once.
    tolerance: Duration,
    /// Theoretical arrival time of each key's next event.
    due: Cache<K, Arc<Mutex<Instant>>>,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Limiter<K> {
    pub fn new(rate: Rate) -> Self {
        let rate = match rate {
            Rate::Off => None,
            Rate::Limit { count, period } => {
                let interval = period / count.get();
                Some(Cells {
                    interval,
                    tolerance: period.saturating_sub(interval),
                    // After a period without events, a key equals a new one.
                    due: Cache::builder()
                        .max_capacity(MAX_KEYS)
                        .time_to_idle(period)
                        .build(),
                })
            }
        };
        Self { rate }
    }

    /// Counts one event of `key`. Returns 429 if the limit is reached.
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

    /// Undoes one event of `key`.
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
    fn burst_passes_then_steady_rate_applies() {
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
    fn undone_event_is_available_again() {
        let limiter = limiter("1/h");
        let now = Instant::now();
        assert_eq!(limiter.take_at(&1, now), Ok(()));
        assert!(limiter.take_at(&1, now).is_err());
        limiter.give_back(&1);
        assert_eq!(limiter.take_at(&1, now), Ok(()));
    }

    #[test]
    fn guesses_from_elsewhere_do_not_lock_the_owner_out() {
        let limits = LoginLimits::new("2/h".parse().unwrap());
        let [home, elsewhere] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        for _ in 0..2 {
            limits.take("ana@example.com", elsewhere).unwrap();
        }
        assert!(limits.take("ana@example.com", elsewhere).is_err());
        limits.take("ana@example.com", home).unwrap();
        limits.take("luis@example.com", elsewhere).unwrap();
        // The limit of the account stops guesses from many addresses.
        let taken = (0..100).filter(|last| {
            let address = IpAddr::from([10, 0, 1, *last]);
            limits.take("ana@example.com", address).is_ok()
        });
        assert_eq!(taken.count(), 20 - 3);
    }

    #[test]
    fn off_disables_limiting() {
        let limiter = limiter("off");
        assert!((0..10_000).all(|_| limiter.take(&1).is_ok()));
    }
}
