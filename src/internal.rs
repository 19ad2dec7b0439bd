//! What operators and load balancers ask: `/health`, `/ready` and `/metrics`. The API serves the first
//! two beside its own routes; the internal listener of each role serves all three and nothing else.

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
    app::{App, Workshop, counting::Counting, installation::Installation},
    config::http::Listener,
    db::Db,
    media::Media,
    queue::Queue,
    shutdown::Shutdown,
    storage::{Storage, WrongInstallation},
    telemetry,
    version::VERSION,
};

/// Longest wait for the answer of one dependency.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// When to look again whether database and storage belong together, while one of them is away.
const VERIFY_AGAIN: Duration = Duration::from_secs(5);

/// How often measurements are put together.
const TIDY: Duration = Duration::from_secs(5);

/// When to ask again whether a process is ready (s).
const RETRY_AFTER_SECS: u32 = 2;

/// What a process needs to work: others, and that nobody stops it. Clones share what is known of them.
#[derive(Clone)]
pub struct Dependencies {
    db: Db,
    queue: Queue,
    storage: Storage,
    installation: Installation,
    /// A worker's.
    media: Option<Arc<Media>>,
    /// The API's.
    counting: Option<Counting>,
    /// Those that did not answer when they were asked last.
    failing: Arc<Mutex<BTreeSet<&'static str>>>,
    shutdown: Shutdown,
}

impl Dependencies {
    /// Returns what the API needs.
    pub fn of_app(app: &App, shutdown: &Shutdown) -> Self {
        Self {
            db: app.db.clone(),
            queue: app.queue.clone(),
            storage: app.storage.clone(),
            installation: app.installation.clone(),
            media: None,
            counting: Some(app.counting.clone()),
            failing: Arc::default(),
            shutdown: shutdown.clone(),
        }
    }

    /// Returns what the worker needs.
    pub fn of_workshop(workshop: &Workshop, shutdown: &Shutdown) -> Self {
        Self {
            db: workshop.db.clone(),
            queue: workshop.queue.clone(),
            storage: workshop.storage.clone(),
            installation: workshop.installation.clone(),
            media: Some(Arc::clone(&workshop.media)),
            counting: None,
            failing: Arc::default(),
            shutdown: shutdown.clone(),
        }
    }

    /// Looks at all of them in the background and logs those that do not answer: nothing that is away stops a start.
    /// A new storage is marked as soon as it and the database answer.
    pub fn report(&self) {
        let this = self.clone();
        let look = async move {
            Box::pin(this.failing()).await;
            while Box::pin(this.installation.verify()).await.is_err() {
                sleep(VERIFY_AGAIN).await;
            }
        };
        let stop = self.shutdown.clone();
        self.shutdown.spawn(async move {
            stop.unless_requested(look).await;
        });
    }

    /// Asks all, and returns the names of those that cannot be used. A change is logged once, and is a metric.
    pub async fn failing(&self) -> Vec<&'static str> {
        let (database, queue, storage, (scratch, ffmpeg)) = tokio::join!(
            self.ask("database", self.db.ready()),
            self.ask("queue", self.queue.ready()),
            self.ask("storage", self.storage_ready()),
            self.ask_media(),
        );
        [database, queue, storage, scratch, ffmpeg]
            .into_iter()
            .filter_map(Result::err)
            .collect()
    }

    /// Names promises that are not kept: votes that reach the public lists late.
    fn late(&self) -> Vec<&'static str> {
        let is_late = self.counting.as_ref().is_some_and(Counting::is_late);
        if is_late { vec!["votes"] } else { Vec::new() }
    }

    async fn ask_media(&self) -> (Result<(), &'static str>, Result<(), &'static str>) {
        let Some(media) = &self.media else {
            return (Ok(()), Ok(()));
        };
        tokio::join!(
            self.ask("scratch", media.scratch_ready()),
            self.ask("ffmpeg", media.ffmpeg_ready()),
        )
    }

    async fn ask(
        &self,
        name: &'static str,
        probe: impl Future<Output = anyhow::Result<()>>,
    ) -> Result<(), &'static str> {
        let answer = timeout(PROBE_TIMEOUT, probe).await;
        let answer = answer.unwrap_or_else(|_| Err(anyhow!("no answer within {PROBE_TIMEOUT:?}")));
        let is_up = if answer.is_ok() { 1.0 } else { 0.0 };
        metrics::gauge!("anb_dependency_up", "dependency" => name).set(is_up);
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

    /// Returns an error unless files can be stored, and the storage is the one of this database. While the database
    /// is away nobody can tell, and it is named itself.
    async fn storage_ready(&self) -> anyhow::Result<()> {
        self.storage.ready().await?;
        match Box::pin(self.installation.check()).await {
            Err(error) if error.is::<WrongInstallation>() || self.db.ready().await.is_ok() => {
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

/// `GET /health`: this process is alive. Asks no dependency, so that one that is away restarts nobody.
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

/// `GET /ready`: 200 if every dependency answers, else 503 with the names of those that do not; 503 also
/// once the process was asked to stop. `late` names promises that are not kept; the status
/// stays 200, since a load balancer would otherwise remove every instance.
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
        metrics::gauge!("anb_votes_lag_seconds").set(counting.lag().as_secs_f64());
    }
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4")
        .body(telemetry::metrics().render())
}

/// Starts the internal listener as a background task, unless it is off. Returns an error naming the
/// variable if its address cannot be used.
pub fn listen(listener: &Listener, dependencies: Dependencies) -> anyhow::Result<()> {
    let shutdown = dependencies.shutdown.clone();
    // Named here, so that the recording has started when this returns.
    shutdown.spawn(tidy_metrics(telemetry::metrics(), shutdown.clone()));
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
            .with_context(|| format!("METRICS_ADDR={address}: listen there"))?,
        Listener::Socket(path) => {
            remove_stale_socket(path)?;
            let place = || format!("METRICS_ADDR=unix:{}: listen there", path.display());
            server.bind_uds(path).with_context(place)?
        }
    };
    let server = server.run();
    let handle = server.handle();
    let stop = shutdown.clone();
    // It answers until the very end: a drain can be watched.
    shutdown.spawn(async move {
        tokio::select! {
            result = server => if let Err(error) = result {
                tracing::error!("the internal listener stopped: {error}");
            },
            () = stop.insisted() => handle.stop(false).await,
        }
    });
    Ok(())
}

/// Puts measurements together until the end: each takes room until then, and perhaps nobody ever asks.
async fn tidy_metrics(metrics: &PrometheusHandle, shutdown: Shutdown) {
    let mut ticks = interval(TIDY);
    loop {
        tokio::select! {
            _ = ticks.tick() => metrics.run_upkeep(),
            () = shutdown.insisted() => return,
        }
    }
}

/// Removes a socket that a killed process left behind; anything else stays.
fn remove_stale_socket(path: &Path) -> anyhow::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            fs::remove_file(path).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
