//! The services that handlers and jobs use, built once per process: [`App`] for the API,
//! [`WorkerContext`] for the worker. Cheap to clone; clones share state.

pub mod counting;
pub mod installation;

use std::{path::PathBuf, sync::Arc, time::Duration};

use aws_config::SdkConfig;

use self::{counting::Counting, installation::Installation};
use crate::{
    auth::Auth,
    config::{
        self,
        media::RuleSettings,
        storage::{QuotaSettings, UploadSettings},
        worker::DEFAULT_VISIBILITY,
    },
    db::{Db, statement_limit::StatementLimit},
    media::Media,
    queue::Queue,
    shutdown::Shutdown,
    storage::{MediaUrls, Signer, Storage},
};

/// Maximum concurrent searches per process. A search keeps one core of the database busy, and votes
/// and token checks need the connections.
const MAX_SEARCHES: usize = 2;

/// Maximum searches per second and process. Two cores can sustain ten times as many, but profile
/// requests then take four times as long as usual (`docs/performance.md`).
const MAX_SEARCHES_PER_SECOND: u32 = 400;

/// Database, queue and storage of an installation.
#[derive(Clone)]
pub struct Backends {
    pub db: Db,
    pub queue: Queue,
    pub storage: Storage,
    pub installation: Installation,
}

impl Backends {
    /// Connects to all backends. Database and Redis may be down, since they are contacted only when
    /// needed. `visibility` is that of received messages.
    pub async fn connect(
        settings: &config::Backends,
        visibility: Duration,
        aws: &SdkConfig,
    ) -> anyhow::Result<Self> {
        let db = Db::new(&settings.database)?;
        let storage = Storage::connect(&settings.storage, aws).await?;
        Self::with_queue(db, storage, &settings.queue, visibility, aws).await
    }

    /// Connects for a tool, which receives no messages and creates no storage.
    pub async fn inspect(settings: &config::Backends, aws: &SdkConfig) -> anyhow::Result<Self> {
        let db = Db::new(&settings.database)?;
        let storage = Storage::inspect(&settings.storage, aws).await?;
        Self::with_queue(db, storage, &settings.queue, DEFAULT_VISIBILITY, aws).await
    }

    async fn with_queue(
        db: Db,
        storage: Storage,
        queue: &config::queue::Settings,
        visibility: Duration,
        aws: &SdkConfig,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            queue: Queue::connect(queue, visibility, aws).await?,
            installation: Installation::new(&db, &storage),
            storage,
            db,
        })
    }
}

/// The services of the API.
#[derive(Clone)]
pub struct App {
    pub backends: Backends,
    /// Limits the rate and concurrency of searches.
    pub searches: StatementLimit,
    pub media_urls: MediaUrls,
    pub auth: Auth,
    pub upload: UploadSettings,
    pub quota: QuotaSettings,
    pub rules: RuleSettings,
    pub counting: Counting,
}

impl App {
    /// Connects to everything that the API needs. Background tasks end with `shutdown`.
    pub async fn build(
        settings: &config::Serve,
        aws: &SdkConfig,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let backends = Backends::connect(&settings.backends, DEFAULT_VISIBILITY, aws).await?;
        let auth = &settings.auth;
        let signer = Signer::new(&auth.jwt_secret, auth.jwt_secret_other.as_ref());
        let public_url = settings.http.public_url.as_deref();
        Ok(Self {
            media_urls: MediaUrls::new(&backends.storage, signer, public_url),
            auth: Auth::new(auth, backends.db.clone(), shutdown)?,
            upload: settings.upload.clone(),
            quota: settings.quota.clone(),
            rules: settings.rules,
            counting: Counting::default(),
            searches: StatementLimit::new(MAX_SEARCHES, MAX_SEARCHES_PER_SECOND),
            backends,
        })
    }
}

/// The worker context: the services of the worker.
#[derive(Clone)]
pub struct WorkerContext {
    pub backends: Backends,
    pub media: Arc<Media>,
    pub upload: UploadSettings,
    pub settings: config::worker::Settings,
}

impl WorkerContext {
    /// Connects to everything that the worker needs. `launcher` is this program, which confines the
    /// processes that it starts.
    pub async fn build(
        settings: &config::Work,
        launcher: PathBuf,
        aws: &SdkConfig,
    ) -> anyhow::Result<Self> {
        let visibility = settings.worker.job_visibility;
        Ok(Self {
            backends: Backends::connect(&settings.backends, visibility, aws).await?,
            media: Arc::new(
                Media::prepare(&settings.media, launcher)
                    .await?
                    .shared_by(settings.worker.worker_concurrency),
            ),
            upload: settings.upload.clone(),
            settings: settings.worker.clone(),
        })
    }
}
