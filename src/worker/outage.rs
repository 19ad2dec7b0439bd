//! Telling of an outage once.

/// Logs the first failure of several in a row.
pub struct Outage {
    what: &'static str,
    is_on: bool,
}

impl Outage {
    /// Makes one that is over; `what` is said of its first failure.
    pub fn of(what: &'static str) -> Self {
        let is_on = false;
        Self { what, is_on }
    }

    /// Notes how it went.
    pub fn note<T>(&mut self, done: &anyhow::Result<T>) {
        if let Err(error) = done
            && !self.is_on
        {
            tracing::warn!("{}: {error:#}", self.what);
        }
        self.is_on = done.is_err();
    }
}
