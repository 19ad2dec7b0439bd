//! What handlers and jobs work with, built once per process: [`App`] for the API, [`Workshop`] for the
//! worker. Clones share everything.

pub mod counting;
pub mod installation;

use std::{path::PathBuf, sync::Arc};

use aws_config::SdkConfig;

use self::{counting::Counting, installation::Installation};
use crate::{
    auth::Auth,
    config::{
        self,
        storage::{QuotaSettings, UploadSettings},
    },
    db::{Db, turns::Turns},
    media::Media,
    queue::Queue,
    shutdown::Shutdown,
    storage::{Addresses, Signer, Storage},
};

/// Most searches at once in one process: one keeps a processor of the database busy, and the connections are needed for
/// votes and tokens.
const SEARCHES: usize = 2;

/// Most searches a second in one process. Two processors alone answer ten times as many, and then profiles take four times
/// as long as usual (`docs/performance.md`).
const SEARCHES_PER_SECOND: u32 = 400;

/// The API's kits.
#[derive(Clone)]
pub struct App {
    pub db: Db,
    /// For those who search.
    pub searches: Turns,
    pub queue: Queue,
    pub storage: Storage,
    pub installation: Installation,
    pub addresses: Addresses,
    pub auth: Auth,
    pub upload: UploadSettings,
    pub quota: QuotaSettings,
    pub counting: Counting,
}

impl App {
    /// Connects to everything that the API needs. Database and Redis may be down: they are asked when
    /// they are needed. What runs in the background ends with `shutdown`.
    pub async fn build(
        settings: &config::Serve,
        aws: &SdkConfig,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let db = Db::new(&settings.database)?;
        let storage = Storage::connect(&settings.storage, aws).await?;
        let auth = &settings.auth;
        let signer = Signer::new(&auth.jwt_secret, auth.jwt_secret_other.as_ref());
        let public_url = settings.http.public_url.as_deref();
        let visibility = config::worker::DEFAULT_VISIBILITY;
        Ok(Self {
            queue: Queue::connect(&settings.queue, visibility, aws).await?,
            installation: Installation::new(&db, &storage),
            addresses: Addresses::new(&storage, signer, public_url),
            storage,
            auth: Auth::new(&settings.auth, db.clone(), shutdown)?,
            upload: settings.upload.clone(),
            quota: settings.quota.clone(),
            counting: Counting::default(),
            searches: Turns::new(SEARCHES, SEARCHES_PER_SECOND),
            db,
        })
    }
}

/// The worker's kits.
#[derive(Clone)]
pub struct Workshop {
    pub db: Db,
    pub queue: Queue,
    pub storage: Storage,
    pub installation: Installation,
    pub media: Arc<Media>,
    pub upload: UploadSettings,
    pub settings: config::worker::Settings,
}

impl Workshop {
    /// Connects to everything that the worker needs. `launcher` is this program, which confines what
    /// it starts.
    pub async fn build(
        settings: &config::Work,
        launcher: PathBuf,
        aws: &SdkConfig,
    ) -> anyhow::Result<Self> {
        let db = Db::new(&settings.database)?;
        let storage = Storage::connect(&settings.storage, aws).await?;
        Ok(Self {
            queue: Queue::connect(&settings.queue, settings.worker.visibility, aws).await?,
            installation: Installation::new(&db, &storage),
            storage,
            db,
            media: Arc::new(
                Media::prepare(&settings.media, launcher)
                    .await?
                    .shared_by(settings.worker.concurrency),
            ),
            upload: settings.upload.clone(),
            settings: settings.worker.clone(),
        })
    }
}
