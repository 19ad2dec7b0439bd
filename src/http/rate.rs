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

/// One address may serve this many accounts.
const ACCOUNTS_PER_ADDRESS: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// The API's limits.
pub struct Limits {
    /// Failed logins per account, by e-mail address.
    pub login_account: Limiter<String>,
    /// Failed logins per address.
    pub login_address: Limiter<IpAddr>,
    /// Uploads, votes and changes per account.
    pub write: Limiter<UserId>,
    /// Requests per address.
    pub address: Limiter<IpAddr>,
}

impl Limits {
    /// Makes limits that nobody has used yet.
    pub fn new(settings: &Settings) -> Self {
        Self {
            login_account: Limiter::new(settings.login_rate),
            login_address: Limiter::new(settings.login_rate.times(ACCOUNTS_PER_ADDRESS)),
            write: Limiter::new(settings.write_rate),
            address: Limiter::new(settings.address_rate),
        }
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
    fn off_limits_nobody() {
        let limiter = limiter("off");
        assert!((0..10_000).all(|_| limiter.take(&1).is_ok()));
    }
}
