//! Logging of an outage once.

/// Logs only the first of consecutive failures.
pub struct OutageLog {
    what: &'static str,
    is_on: bool,
}

impl OutageLog {
    /// Creates one with no outage. `what` is the log message.
    pub fn of(what: &'static str) -> Self {
        let is_on = false;
        Self { what, is_on }
    }

    pub fn note<T>(&mut self, done: &anyhow::Result<T>) {
        if let Err(error) = done
            && !self.is_on
        {
            tracing::warn!("{}: {error:#}", self.what);
        }
        self.is_on = done.is_err();
    }
}
