//! Graceful drain. Once shutdown is requested, `/ready` reports it and every response closes its
//! connection. The server keeps listening while requests still arrive, since a load balancer needs
//! time to notice, and a connection that it has just opened would be reset.

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
use crate::{shutdown::Shutdown, videos::handlers::resumable::is_upload};

/// Time without requests after which clients are assumed to use another server.
const QUIET: Duration = Duration::from_secs(1);

/// Maximum time for which the server listens after shutdown is requested, or a third of the grace
/// period if that is shorter. Clients without a load balancer would never stop sending.
const LINGER: Duration = Duration::from_secs(10);

/// Decides when to stop listening. Cheap to clone; clones share state.
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

    /// Waits until the listener may be closed. An idle server does not wait.
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

/// Records the time of each request, and closes connections once shutdown is requested; for
/// [`actix_web::middleware::from_fn`].
pub async fn drain<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let drain = request.app_data::<web::Data<Drain>>().cloned();
    // Probes, and uploads that are told to continue at another server, must not delay the stop.
    let is_ignored = |drain: &&web::Data<Drain>| {
        let path = request.path();
        PROBES.contains(&path) || (is_upload(path) && drain.shutdown.is_requested())
    };
    if let Some(drain) = drain.as_ref().filter(|drain| !is_ignored(drain)) {
        *drain.last() = Instant::now();
    }
    let mut response = next.call(request).await?;
    if drain.is_some_and(|drain| drain.shutdown.is_requested()) {
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}
