//! The queue of passwords to hash. Logins precede sign-ups, but one sign-up follows every few
//! logins, so that neither starves.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use super::Purpose;

/// Number of consecutive logins before a waiting sign-up.
const MAX_LOGINS_IN_A_ROW: u32 = 4;

/// Two queues, from which threads take the next password.
pub struct Line<T> {
    waiting: Mutex<Waiting<T>>,
    arrived: Condvar,
}

struct Waiting<T> {
    logins: VecDeque<T>,
    sign_ups: VecDeque<T>,
    /// Logins since the last sign-up.
    in_a_row: u32,
    is_closed: bool,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                logins: VecDeque::new(),
                sign_ups: VecDeque::new(),
                in_a_row: 0,
                is_closed: false,
            }),
            arrived: Condvar::new(),
        }
    }
}

impl<T> Line<T> {
    /// Appends an item to the queue of its kind.
    pub fn add(&self, purpose: Purpose, item: T) {
        let mut waiting = self.lock();
        match purpose {
            Purpose::LogIn => waiting.logins.push_back(item),
            Purpose::SignUp => waiting.sign_ups.push_back(item),
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    pub fn take(&self) -> Option<T> {
        self.lock().next()
    }

    /// Waits for the next item. Returns `None` once the line is closed and empty.
    pub fn wait(&self) -> Option<T> {
        let mut waiting = self.lock();
        loop {
            if let Some(item) = waiting.next() {
                return Some(item);
            }
            if waiting.is_closed {
                return None;
            }
            waiting = self
                .arrived
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Makes [`wait`](Self::wait) return `None` once the line is empty.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.arrived.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Waiting<T> {
    fn next(&mut self) -> Option<T> {
        let is_logins_turn = self.in_a_row < MAX_LOGINS_IN_A_ROW || self.sign_ups.is_empty();
        if is_logins_turn && let Some(item) = self.logins.pop_front() {
            self.in_a_row += 1;
            return Some(item);
        }
        self.in_a_row = 0;
        self.sign_ups.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_precede_sign_ups_without_starving_them() {
        let line = Line::default();
        for number in 0..3 {
            line.add(Purpose::SignUp, format!("sign-up {number}"));
        }
        for number in 0..6 {
            line.add(Purpose::LogIn, format!("login {number}"));
        }
        let order: Vec<String> = std::iter::from_fn(|| line.take()).collect();
        let expected = [
            "login 0",
            "login 1",
            "login 2",
            "login 3",
            "sign-up 0",
            "login 4",
            "login 5",
            "sign-up 1",
            "sign-up 2",
        ];
        assert_eq!(order, expected);
        line.close();
        assert_eq!(line.wait(), None);
    }
}
