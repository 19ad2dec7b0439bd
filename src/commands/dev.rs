//! `anb dev`: runs private PostgreSQL and Redis, the migrations, the API and a worker on this
//! machine without configuration. One Ctrl-C stops them in an order that loses no data.

mod tools;

use std::{
    io::{self, Write as _},
    path::Path,
};

use anyhow::Context as _;

use crate::{
    app::{App, WorkerContext},
    aws,
    config::{self, Switch, database, http::Listener, queue, storage, worker},
    db::{self, migrations},
    dev::{Options, Services, Stopped},
    monitoring::{self, Dependencies},
    open_files,
    server::Server,
    shutdown::Shutdown,
    worker::Worker,
};

pub async fn run(settings: config::Dev) -> anyhow::Result<()> {
    settings.auth.validate()?;
    open_files::raise();
    let data_dir = std::path::absolute(&settings.data_dir).context("ANB_DATA_DIR")?;
    let shutdown = Shutdown::new(settings.stop.shutdown_grace);
    shutdown.listen()?;

    let options = Options {
        stop: shutdown.clone(),
        ..Options::durable(&data_dir)
    };
    let mut services = match Services::start(&options).await {
        Err(error) if error.is::<Stopped>() => {
            shutdown.drain().await;
            return Ok(());
        }
        started => started?,
    };
    let (serve, work) = roles(&services, &settings, &data_dir);
    let tools = tools::prepare(&services, &serve.backends.storage, &data_dir);
    let greet = |port| welcome(port, &data_dir, tools?.as_deref());
    let result = tokio::select! {
        result = run_roles(serve, work, greet, &shutdown) => result,
        // Without the services nothing works, and nothing can be drained.
        error = services.failed() => Err(error),
    };
    shutdown.drain().await;
    services.stop().await;
    result
}

/// Runs API and worker, each with its own connections, as in two separate processes.
async fn run_roles(
    serve: config::Serve,
    work: config::Work,
    greet: impl FnOnce(u16) -> anyhow::Result<()>,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    serve.validate()?;
    work.validate()?;
    migrations::run(db::connect(&serve.backends.database).await?).await?;

    let aws = aws::load_for(&serve.backends).await;
    let app = App::build(&serve, &aws, shutdown).await?;
    let launcher = std::env::current_exe().context("find this program")?;
    let context = WorkerContext::build(&work, launcher, &aws).await?;
    monitoring::listen(&serve.metrics_addr, Dependencies::of_app(&app, shutdown))?;
    let server = Server::bind(app, &serve.http, shutdown).await?;
    let worker = Worker::new(context, shutdown.clone());
    monitoring::listen(&work.metrics_addr, worker.dependencies().clone())?;
    greet(server.address().port())?;

    let work = async {
        worker.run().await;
        anyhow::Ok(())
    };
    tokio::try_join!(server.run(), work).map(drop)
}

/// Returns the settings of API and worker: the user's settings, and the services just started.
fn roles(
    services: &Services,
    settings: &config::Dev,
    data_dir: &Path,
) -> (config::Serve, config::Work) {
    let backends = config::Backends {
        database: database::Settings::at(&services.postgres.url()),
        queue: queue::Settings::redis_at(&services.redis.url()),
        storage: storage::Settings::local_below(data_dir),
        aws: config::aws::Settings::default(),
    };
    let mut media = settings.media.clone();
    media
        .scratch_path
        .get_or_insert_with(|| data_dir.join("scratch"));
    let serve = config::Serve {
        metrics_addr: socket(data_dir, "serve.sock"),
        http: settings.http.clone(),
        auth: settings.auth.clone(),
        upload: settings.upload.clone(),
        quota: settings.quota.clone(),
        rules: settings.media.rules,
        backends: backends.clone(),
        stop: settings.stop.clone(),
    };
    let work = config::Work {
        metrics_addr: socket(data_dir, "work.sock"),
        worker: settings.worker.clone(),
        machine: worker::MachineSettings {
            ec2_lifecycle: Switch::Off,
        },
        media,
        upload: settings.upload.clone(),
        backends,
        stop: settings.stop.clone(),
    };
    (serve, work)
}

/// Returns a socket for health and metrics in the data folder, or none if its path is too long for
/// a socket address (108 bytes with the terminating NUL, unix(7)).
fn socket(data_dir: &Path, name: &str) -> Listener {
    let path = data_dir.join(name);
    if path.as_os_str().len() < 108 {
        Listener::Socket(path)
    } else {
        Listener::Off
    }
}

/// Prints the addresses and the next step.
fn welcome(port: u16, data_dir: &Path, tools: Option<&str>) -> anyhow::Result<()> {
    let url = format!("http://localhost:{port}");
    let text = format!(
        "\n  ANB Rising Stars is up. Open {url} in a browser.\n\n  \
           ranking   {url}/api/public/rankings\n  \
           videos    {url}/api/public/videos\n  \
           API       {url}/swagger/\n  \
           health    {url}/ready\n  \
           data      {data}\n\n  \
         {tools}\
         Next: the first upload in README.md. Ctrl-C stops everything.\n\n",
        data = data_dir.display(),
        tools = tools.map_or_else(String::new, |line| format!(
            "Operator tools, from this folder in another terminal:\n  {line}\n\n  "
        )),
    );
    io::stdout()
        .lock()
        .write_all(text.as_bytes())
        .context("print the welcome text")
}
