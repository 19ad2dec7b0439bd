//! An instance behind a load balancer, which sends requests only to those that answer `/ready`.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use reqwest::Client;

/// Time between two checks of an instance.
pub const CHECK_INTERVAL: Duration = Duration::from_millis(300);

/// Time for which the balancer trusts a check. A stopping API listens for a second after the last
/// request, and a busy machine may delay the next check for longer.
const CHECK_TTL: Duration = Duration::from_millis(900);

pub struct Instance {
    url: Mutex<String>,
    /// Time of the last check, if it was successful.
    ready_at: Mutex<Option<Instant>>,
}

impl Instance {
    pub fn ready(url: &str) -> Self {
        Self {
            url: Mutex::new(url.to_owned()),
            ready_at: Mutex::new(Some(Instant::now())),
        }
    }

    /// Replaces the instance by a ready one.
    pub fn register(&self, url: &str) {
        url.clone_into(&mut self.url.lock().unwrap());
        *self.ready_at.lock().unwrap() = Some(Instant::now());
    }

    pub fn url(&self) -> String {
        self.url.lock().unwrap().clone()
    }

    pub fn is_ready(&self) -> bool {
        let ready_at = *self.ready_at.lock().unwrap();
        ready_at.is_some_and(|asked| asked.elapsed() < CHECK_TTL)
    }

    /// Asks the instance once.
    pub async fn check(&self, http: &Client) {
        let url = self.url();
        let asked = Instant::now();
        let answer = http.get(format!("{url}/ready")).send().await;
        let is_ready = answer.is_ok_and(|answer| answer.status() == 200);
        // The instance may have been replaced during the check.
        if self.url() == url {
            *self.ready_at.lock().unwrap() = is_ready.then_some(asked);
        }
    }
}
