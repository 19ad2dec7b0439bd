//! Shared code of the integration tests: real services, started once per test process, and for each
//! test a [`TestApp`] with its own database, Redis database and folders.

pub mod aws;
mod broker;
mod client;
mod film;
pub mod link;
mod mount;
pub mod processes;
pub mod proxy;
mod raw;
pub mod relay;
mod rows;
mod seed;
mod services;
mod token;
pub mod tus;

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{Arc, Once},
    time::{Duration, Instant},
};

use anb::{
    app::{App, Backends, WorkerContext, installation::Installation},
    cli::{Cli, Command},
    config::{self, Switch},
    db::Db,
    media::Media,
    queue::Queue,
    server::Server,
    shutdown::Shutdown,
    storage::Storage,
    worker::Worker,
};
use aws_config::SdkConfig;
use clap::{CommandFactory as _, FromArgMatches as _};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tracing::Level;

pub use broker::{Broker, RedisBroker, SqsBroker};
pub use client::{PASSWORD, Player, Response};
pub use film::{content, draw, film, found, long_film, mp4, tool};
pub use mount::Mount;
pub use processes::{
    Share, Suspended, command_line, cpu_seconds, descendants, hold, memory, processes_about,
    signal_all,
};
pub use raw::{in_table, is_read, read, tcp_ends};
pub use rows::{Row, outputs_of};
pub use seed::{Seed, operator};
pub use services::{Place, RUNTIME, fresh_redis};
pub use token::{UNSIGNED_HEAD, seconds, sign};

/// Returns the `percent` percentile of sorted times, by nearest rank.
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    times[(times.len() - 1) * percent / 100]
}

/// Size of the clips of most tests, with a sixteenth of the work of [`LARGE`].
pub const SMALL: &str = "320x180";

/// Size at which a clip of [`long_film`] takes about a second, and still ends beside busy programs,
/// which leave `ffmpeg` a thirtieth of a processor.
pub const MEDIUM: &str = "640x360";

/// Size at which a clip of [`long_film`] takes seconds.
pub const LARGE: &str = "1280x720";

/// An API with its own services, as a client sees it, and access to its internals.
pub struct TestApp {
    pub url: String,
    pub db: Db,
    pub queue: Queue,
    pub storage: Storage,
    pub serve: config::Serve,
    pub work: config::Work,
    pub client: reqwest::Client,
    pub folder: TempDir,
    pub place: Place,
    pub shutdown: Shutdown,
    /// The bucket of the files, if they are not below `folder`.
    pub bucket: Option<aws::Bucket>,
}

impl TestApp {
    /// Starts an API with the default settings.
    pub async fn spawn() -> Self {
        Self::spawn_with(&[], &[]).await
    }

    /// Starts an API with flags of `anb serve`; `work` are the flags of `anb work` for its workers.
    pub async fn spawn_with(serve: &[&str], work: &[&str]) -> Self {
        Self::spawn_as(aws::config().await, serve, work).await
    }

    /// Like [`TestApp::spawn_with`], with the API's SDK configuration `aws`.
    pub async fn spawn_as(aws: SdkConfig, serve: &[&str], work: &[&str]) -> Self {
        log_warnings();
        let place = Place::make().await;
        let folder = tempfile::tempdir().unwrap();
        let uploads = folder.path().join("uploads").display().to_string();
        let processed = folder.path().join("processed").display().to_string();
        let scratch = folder.path().join("scratch").display().to_string();
        let shared = [
            "--database-url",
            &place.database_url,
            "--redis-url",
            &place.redis_url,
            "--upload-path",
            &uploads,
            "--processed-path",
            &processed,
            "--metrics-addr",
            "off",
        ];
        let own = ["anb", "serve", "--host", "127.0.0.1", "--port", "0"];
        let serve = match parse(&[&own, &shared[..], serve]) {
            Command::Serve(settings) => settings,
            other => panic!("{other:?}"),
        };
        let own = [
            "anb",
            "work",
            "--scratch-path",
            &scratch,
            "--output-resolution",
            SMALL,
        ];
        let work = match parse(&[&own, &shared[..], work]) {
            Command::Work(settings) => settings,
            other => panic!("{other:?}"),
        };
        let shutdown = Shutdown::new(Duration::from_secs(30));
        // On the runtime that outlives the test, so that a test that ends early interrupts nothing.
        let (settings, stop) = (serve.clone(), shutdown.clone());
        let (url, backends) = RUNTIME
            .spawn(async move {
                let app = App::build(&settings, &aws, &stop).await.unwrap();
                let backends = app.backends.clone();
                let server = Server::bind(app, &settings.http, &stop).await.unwrap();
                let url = format!("http://{}", server.address());
                RUNTIME.spawn(async move { server.run().await.unwrap() });
                (url, backends)
            })
            .await
            .unwrap();
        let client = reqwest::Client::new();
        Self {
            url,
            db: backends.db,
            queue: backends.queue,
            storage: backends.storage,
            serve,
            work,
            client,
            folder,
            place,
            shutdown,
            bucket: None,
        }
    }

    /// Starts an API with its own SQS queue and bucket.
    pub async fn spawn_on_aws() -> Self {
        Self::spawn_on_aws_with(&[], &[]).await
    }

    /// Like [`TestApp::spawn_on_aws`], with the flags of [`TestApp::spawn_with`].
    pub async fn spawn_on_aws_with(serve: &[&str], work: &[&str]) -> Self {
        let (queue, bucket) = (SqsBroker::fresh().await, aws::Bucket::fresh().await);
        let queue = queue.settings().await;
        let queue_flags = [
            "--queue-type=sqs".to_owned(),
            format!("--sqs-queue-url={}", queue.sqs_queue_url.unwrap()),
            format!("--sqs-endpoint-url={}", queue.sqs_endpoint_url.unwrap()),
        ];
        let bucket_flags = bucket.flags();
        let flags = queue_flags.iter().chain(&bucket_flags);
        let flags: Vec<&str> = flags.map(String::as_str).collect();
        let (serve, work) = ([&flags[..], serve].concat(), [&flags[..], work].concat());
        let mut app = Self::spawn_with(&serve, &work).await;
        app.bucket = Some(bucket);
        app
    }

    /// Returns the API's backends.
    pub fn backends(&self) -> Backends {
        Backends {
            db: self.db.clone(),
            queue: self.queue.clone(),
            storage: self.storage.clone(),
            installation: Installation::new(&self.db, &self.storage),
        }
    }

    /// Returns a worker context. `ffmpeg` is checked and the bumpers are encoded once per process.
    pub async fn context(&self) -> WorkerContext {
        let db = Db::new(&self.work.backends.database).unwrap();
        let aws = aws::config().await;
        let visibility = self.work.worker.job_visibility;
        let queue = Queue::connect(&self.work.backends.queue, visibility, &aws).await;
        WorkerContext {
            backends: Backends {
                queue: queue.unwrap(),
                installation: Installation::new(&db, &self.storage),
                storage: self.storage.clone(),
                db,
            },
            media: self.media().await,
            upload: self.work.upload.clone(),
            settings: self.work.worker.clone(),
        }
    }

    /// Returns a worker context with its own scratch folder, `folder/scratch`, so that a test can
    /// distinguish its programs from those of other tests.
    pub async fn worker_context(&self) -> WorkerContext {
        let launcher = PathBuf::from(env!("CARGO_BIN_EXE_anb"));
        let media = Media::prepare(&self.work.media, launcher).await.unwrap();
        WorkerContext {
            media: Arc::new(media),
            ..self.context().await
        }
    }

    /// Returns a worker and the shutdown that stops it.
    pub async fn worker(&self) -> (Worker, Shutdown) {
        let shutdown = Shutdown::new(Duration::from_secs(30));
        (
            Worker::new(self.context().await, shutdown.clone()),
            shutdown,
        )
    }

    async fn media(&self) -> Arc<Media> {
        static MEDIA: OnceCell<Arc<Media>> = OnceCell::const_new();
        let is_default = self.work.media.rules.min_input_duration == 0
            && self.work.media.rules.max_input_duration == 0
            && self.work.media.rules.min_input_height == 0
            && self.work.media.light_rendition == Switch::On
            && SMALL.parse() == Ok(self.work.media.output_resolution);
        let launcher = PathBuf::from(env!("CARGO_BIN_EXE_anb"));
        if !is_default {
            return Arc::new(Media::prepare(&self.work.media, launcher).await.unwrap());
        }
        // The scratch folder belongs to the process, not to the first test.
        let mut settings = self.work.media.clone();
        settings.scratch_path = Some(std::env::temp_dir().join("anb-test-scratch"));
        let prepare = async || Arc::new(Media::prepare(&settings, launcher).await.unwrap());
        Arc::clone(MEDIA.get_or_init(prepare).await)
    }

    /// Runs pending jobs until no message has arrived for a while.
    pub async fn run_pending_jobs(&self) {
        let (worker, _shutdown) = self.worker().await;
        while worker.step(Duration::from_millis(300)).await.unwrap() > 0 {
            worker.idle().await;
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.shutdown.force();
    }
}

/// Waits until `condition` holds. Panics with `what` after `seconds`.
pub async fn eventually(what: &str, seconds: u64, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {seconds} s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Writes warnings of the program to the test's output, which a failed test shows.
fn log_warnings() {
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::WARN)
            .with_ansi(false)
            .with_test_writer();
        subscriber.init();
    });
}

/// Returns the paths of all files below a folder, relative to it and sorted.
pub fn files_below(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            let below = files_below(&entry.path());
            files.extend(below.iter().map(|file| format!("{name}/{file}")));
        } else {
            files.push(name);
        }
    }
    files.sort();
    files
}

/// Returns a free port below the range that the kernel assigns (from 32768, ip(7)), so that a
/// restarted process finds it free.
pub fn free_port() -> u16 {
    let ports = std::iter::repeat_with(|| rand::random_range(10_000..32_000));
    let mut free = ports.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().unwrap()
}

pub fn default_serve() -> config::Serve {
    match parse(&[&["anb", "serve"]]) {
        Command::Serve(settings) => settings,
        other => panic!("{other:?}"),
    }
}

/// Parses a command line. The last of repeated flags takes effect, so that a test can replace any.
fn parse(words: &[&[&str]]) -> Command {
    let command = Cli::command().args_override_self(true);
    let matches = command.try_get_matches_from(words.concat()).unwrap();
    Cli::from_arg_matches(&matches).unwrap().command
}

/// Turns each case, a function of an app, into a test on Redis and disk and a test on SQS and S3.
macro_rules! on_both {
    ($($case:ident),+ $(,)?) => {
        mod local {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(&crate::support::TestApp::spawn().await).await;
                }
            )+
        }
        mod aws {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(&crate::support::TestApp::spawn_on_aws().await).await;
                }
            )+
        }
    };
}
pub(crate) use on_both;
