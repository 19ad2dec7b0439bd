//! Stopping without failing anybody. From the request to stop on `/ready` says so, and every answer closes
//! its connection; but the server listens on as long as requests still come, since a load balancer needs a
//! while to hear of it, and a connection that it has just opened would be reset.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_web::{
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::ConnectionType,
    middleware::Next,
    web,
};
use tokio::time::{Instant, sleep_until};

use super::PROBES;
use crate::shutdown::Shutdown;

/// Whoever sends nothing for this long sends elsewhere.
const QUIET: Duration = Duration::from_secs(1);

/// Longest time that the server listens after it was asked to stop; or a third of the grace, if that is
/// shorter. Clients that come without a load balancer would come for ever.
const LINGER: Duration = Duration::from_secs(10);

/// Knows when to stop listening; clones know the same.
#[derive(Clone)]
pub struct Drain {
    shutdown: Shutdown,
    last_request: Arc<Mutex<Instant>>,
}

impl Drain {
    pub fn new(shutdown: &Shutdown) -> Self {
        Self {
            shutdown: shutdown.clone(),
            last_request: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Completes when the listener may be closed. A server that nobody asks anything does not wait.
    pub async fn until_quiet(self) {
        self.shutdown.requested().await;
        let end = Instant::now() + LINGER.min(self.shutdown.grace() / 3);
        loop {
            let quiet = *self.last() + QUIET;
            if quiet.min(end) <= Instant::now() {
                return;
            }
            sleep_until(quiet.min(end)).await;
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.last_request
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes each request, and closes connections once the stop is requested; for
/// [`actix_web::middleware::from_fn`].
pub async fn drain<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let drain = request.app_data::<web::Data<Drain>>().cloned();
    if let Some(drain) = drain.as_ref().filter(|_| !PROBES.contains(&request.path())) {
        *drain.last() = Instant::now();
    }
    let mut response = next.call(request).await?;
    if drain.is_some_and(|drain| drain.shutdown.is_requested()) {
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}
