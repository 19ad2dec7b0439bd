//! Monitoring endpoints for operators and load balancers: `/health`, `/ready` and `/metrics`. The
//! API also serves the first two; the internal listener of each role serves only these three.

use std::{
    collections::BTreeSet,
    fs,
    future::Future,
    os::unix::fs::FileTypeExt as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_web::{App as ActixApp, HttpResponse, HttpServer, http::header, web};
use anyhow::{Context as _, anyhow};
use chrono::{DateTime, Utc};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use tokio::time::{interval, sleep, timeout};

use crate::{
    app::{App, Backends, WorkerContext, counting::Counting},
    config::http::Listener,
    media::Media,
    metric,
    shutdown::{Shutdown, Task},
    storage::WrongInstallation,
    telemetry,
    version::VERSION,
};

/// Maximum duration of the probe of one dependency.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Interval for verifying that database and storage match, while one of them is unavailable.
const VERIFY_INTERVAL: Duration = Duration::from_secs(5);

/// Interval of the upkeep of recorded metrics.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// `Retry-After` of an unready process (s).
const RETRY_AFTER_SECS: u32 = 2;

/// The dependencies of a process and its shutdown state. Cheap to clone; clones share state.
#[derive(Clone)]
pub struct Dependencies {
    backends: Backends,
    /// Only in a worker.
    media: Option<Arc<Media>>,
    /// Only in the API.
    counting: Option<Counting>,
    /// Dependencies whose last probe failed.
    failing: Arc<Mutex<BTreeSet<&'static str>>>,
    shutdown: Shutdown,
}

impl Dependencies {
    pub fn of_app(app: &App, shutdown: &Shutdown) -> Self {
        Self {
            backends: app.backends.clone(),
            media: None,
            counting: Some(app.counting.clone()),
            failing: Arc::default(),
            shutdown: shutdown.clone(),
        }
    }

    pub fn of_worker(context: &WorkerContext, shutdown: &Shutdown) -> Self {
        Self {
            backends: context.backends.clone(),
            media: Some(Arc::clone(&context.media)),
            counting: None,
            failing: Arc::default(),
            shutdown: shutdown.clone(),
        }
    }

    /// Probes all dependencies in the background and logs failures, which do not prevent the start.
    /// Writes the storage marker of a new storage once it and the database are available.
    pub fn report(&self) {
        let this = self.clone();
        let check = async move {
            Box::pin(this.failing()).await;
            while Box::pin(this.backends.installation.verify()).await.is_err() {
                sleep(VERIFY_INTERVAL).await;
            }
        };
        let stop = self.shutdown.clone();
        self.shutdown.spawn(Task::DependencyReport, async move {
            stop.unless_requested(check).await;
        });
    }

    /// Probes all dependencies and returns the names of the failing ones. Logs each change once and
    /// records it as a metric.
    pub async fn failing(&self) -> Vec<&'static str> {
        let Backends { db, queue, .. } = &self.backends;
        let (database, queue, storage, (scratch, ffmpeg)) = tokio::join!(
            self.probe("database", db.ready()),
            self.probe("queue", queue.ready()),
            self.probe("storage", self.storage_ready()),
            self.probe_media(),
        );
        [database, queue, storage, scratch, ffmpeg]
            .into_iter()
            .filter_map(Result::err)
            .collect()
    }

    /// Returns the names of missed guarantees, here votes that reach the public lists late.
    fn late(&self) -> Vec<&'static str> {
        let is_late = self.counting.as_ref().is_some_and(Counting::is_late);
        if is_late { vec!["votes"] } else { Vec::new() }
    }

    async fn probe_media(&self) -> (Result<(), &'static str>, Result<(), &'static str>) {
        let Some(media) = &self.media else {
            return (Ok(()), Ok(()));
        };
        tokio::join!(
            self.probe("scratch", media.scratch_ready()),
            self.probe("ffmpeg", media.ffmpeg_ready()),
        )
    }

    async fn probe(
        &self,
        name: &'static str,
        probe: impl Future<Output = anyhow::Result<()>>,
    ) -> Result<(), &'static str> {
        let answer = timeout(PROBE_TIMEOUT, probe).await;
        let answer = answer.unwrap_or_else(|_| Err(anyhow!("no answer within {PROBE_TIMEOUT:?}")));
        let is_up = if answer.is_ok() { 1.0 } else { 0.0 };
        metrics::gauge!(metric::DEPENDENCY_UP, "dependency" => name).set(is_up);
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(()) => {
                if failing.remove(name) {
                    tracing::info!(dependency = name, "ready again");
                }
                Ok(())
            }
            Err(error) => {
                if failing.insert(name) {
                    tracing::warn!(dependency = name, "not ready: {error:#}");
                }
                Err(name)
            }
        }
    }

    /// Returns an error unless files can be stored and the storage belongs to this database. While
    /// the database is unavailable, this cannot be checked, and the database's own probe fails.
    async fn storage_ready(&self) -> anyhow::Result<()> {
        let backends = &self.backends;
        backends.storage.ready().await?;
        match Box::pin(backends.installation.recheck()).await {
            Err(error) if error.is::<WrongInstallation>() || backends.db.ready().await.is_ok() => {
                Err(error)
            }
            _ => Ok(()),
        }
    }
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    timestamp: DateTime<Utc>,
    version: &'static str,
}

/// `GET /health`: liveness. Probes no dependency, because an outage must not cause restarts.
pub async fn health() -> HttpResponse {
    HttpResponse::Ok().json(Health {
        status: "healthy",
        timestamp: Utc::now(),
        version: VERSION.as_str(),
    })
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    late: Vec<&'static str>,
}

#[derive(Serialize)]
struct NotReady {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failing: Vec<&'static str>,
}

/// `GET /ready`: 200 if every dependency responds, or 503 with the names of the failing ones. Also
/// 503 once a stop was requested. `late` names missed guarantees; the status stays 200, since a
/// load balancer would otherwise remove every instance.
pub async fn ready(dependencies: web::Data<Dependencies>) -> HttpResponse {
    if dependencies.shutdown.is_requested() {
        return not_ready("stopping", Vec::new());
    }
    let failing = Box::pin(dependencies.failing()).await;
    if failing.is_empty() {
        HttpResponse::Ok().json(Ready {
            status: "ready",
            late: dependencies.late(),
        })
    } else {
        not_ready("unavailable", failing)
    }
}

fn not_ready(status: &'static str, failing: Vec<&'static str>) -> HttpResponse {
    let mut response = HttpResponse::ServiceUnavailable();
    response.insert_header((header::RETRY_AFTER, RETRY_AFTER_SECS.to_string()));
    response.json(NotReady { status, failing })
}

/// `GET /metrics`: the Prometheus text format.
async fn metrics(dependencies: web::Data<Dependencies>) -> HttpResponse {
    if let Some(counting) = &dependencies.counting {
        metrics::gauge!(metric::VOTES_LAG).set(counting.lag().as_secs_f64());
    }
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4")
        .body(telemetry::metrics().render())
}

/// Starts the internal listener as a background task, unless it is off. Returns an error that names
/// the variable if its address cannot be used.
pub fn listen(listener: &Listener, dependencies: Dependencies) -> anyhow::Result<()> {
    let shutdown = dependencies.shutdown.clone();
    // Called here, so that recording has started when this function returns.
    let upkeep = run_metrics_upkeep(telemetry::metrics(), shutdown.clone());
    shutdown.spawn(Task::MetricsUpkeep, upkeep);
    let dependencies = web::Data::new(dependencies);
    let server = HttpServer::new(move || {
        ActixApp::new()
            .app_data(dependencies.clone())
            .service(web::resource("/health").get(health))
            .service(web::resource("/ready").get(ready))
            .service(web::resource("/metrics").get(metrics))
    })
    .workers(1)
    .disable_signals();
    let server = match listener {
        Listener::Off => return Ok(()),
        Listener::Address(address) => server
            .bind(address)
            .with_context(|| format!("METRICS_ADDR={address}: cannot listen"))?,
        Listener::Socket(path) => {
            remove_stale_socket(path)?;
            let place = || format!("METRICS_ADDR=unix:{}: cannot listen", path.display());
            server.bind_uds(path).with_context(place)?
        }
    };
    let server = server.run();
    let handle = server.handle();
    let stop = shutdown.clone();
    // It serves until the hard stop, so that a drain can be observed.
    shutdown.spawn(Task::InternalListener, async move {
        tokio::select! {
            result = server => if let Err(error) = result {
                tracing::error!("the internal listener stopped: {error}");
            },
            () = stop.forced() => handle.stop(false).await,
        }
    });
    Ok(())
}

/// Aggregates recorded samples periodically, so that memory stays bounded without scrapes.
async fn run_metrics_upkeep(metrics: &PrometheusHandle, shutdown: Shutdown) {
    let mut ticks = interval(UPKEEP_INTERVAL);
    loop {
        tokio::select! {
            _ = ticks.tick() => metrics.run_upkeep(),
            () = shutdown.forced() => return,
        }
    }
}

/// Removes the orphaned socket of a killed process, but no other kind of file.
fn remove_stale_socket(path: &Path) -> anyhow::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            fs::remove_file(path).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
