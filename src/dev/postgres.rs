//! The private PostgreSQL, with superuser `postgres`, no password and an owner-only socket.

mod cluster;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::process::Signal;
use tokio_postgres::NoTls;

use self::cluster::Cluster;
use super::{
    Durability, Folder, Options,
    binaries::find_postgres,
    leftovers::{self, Trace},
    log::Log,
    server::Server,
    unless_stopped,
};

const DATABASE: &str = "anb";
const PORT: &str = "5432";
const STOP_GRACE: Duration = Duration::from_secs(20);
/// Includes crash recovery, which replays at most `max_wal_size`.
const START_LIMIT: Duration = Duration::from_mins(2);
/// Fast shutdown, which aborts open transactions and flushes all data.
const FAST_SHUTDOWN: Signal = Signal::INT;

#[derive(Debug)]
pub struct Postgres {
    server: Server,
    sockets: PathBuf,
    /// Also part of the socket's name.
    port: String,
}

impl Postgres {
    /// Starts on the data in `folder`, created if missing, and waits until the database is ready.
    pub async fn start(folder: &Folder, options: &Options) -> anyhow::Result<Self> {
        let log = Log::open(folder.path(), "postgres")?;
        let cluster = Cluster::open(folder, options, &find_postgres().await?, &log).await?;
        let trace = Trace {
            name: "postgres",
            folder: &cluster.data,
            pid_file: "postmaster.pid",
        };
        let stopped = leftovers::stop(&trace, FAST_SHUTDOWN, STOP_GRACE);
        unless_stopped(&options.stop, stopped).await?;
        // No server runs here, but after a crash the recorded id may belong to an unrelated
        // process, and PostgreSQL would refuse to start.
        drop(std::fs::remove_file(cluster.data.join("postmaster.pid")));

        let sockets = folder.sockets(cluster.account.owner())?;
        let mut command = cluster.account.command(&cluster.program("postgres"), "INT");
        command.arg("-D").arg(&cluster.data).arg("-k").arg(&sockets);
        for setting in settings(options.durability) {
            command.args(["-c", setting]);
        }
        for setting in &options.postgres_settings {
            command.arg("-c").arg(setting);
        }
        let server = Server::spawn("PostgreSQL", command, log, FAST_SHUTDOWN).await?;
        let port = port(options).to_owned();
        let mut postgres = Self {
            server,
            sockets,
            port,
        };
        let ready = unless_stopped(&options.stop, postgres.wait_until_ready()).await;
        if let Err(err) = ready {
            postgres.stop().await;
            return Err(err);
        }
        Ok(postgres)
    }

    /// Returns the URL of the database `anb`, for tokio-postgres and `psql`.
    pub fn url(&self) -> String {
        self.url_of(DATABASE)
    }

    /// Returns the URL of another database of this server.
    pub fn url_of(&self, database: &str) -> String {
        // The user is a parameter because strict URL parsers reject `user@` before an empty host.
        let sockets = self.sockets.display().to_string();
        format!(
            "postgres:///{database}?host={}&port={}&user=postgres",
            utf8_percent_encode(&sockets, NON_ALPHANUMERIC),
            self.port
        )
    }

    /// Waits until the server exits unexpectedly and returns the reason. Cancel-safe.
    pub async fn failed(&mut self) -> anyhow::Error {
        self.server.failed().await
    }

    /// Stops the server gracefully, aborting open transactions.
    pub async fn stop(self) {
        self.server.stop(STOP_GRACE).await;
    }

    /// Returns the server's process id, or `None` after its exit was observed.
    pub fn id(&self) -> Option<u32> {
        self.server.id()
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let admin = self.url_of("postgres");
        let deadline = Instant::now() + START_LIMIT;
        while let Err(err) = create_database(&admin).await {
            if Instant::now() > deadline {
                let reason = self.server.reason();
                return Err(err).with_context(|| format!("PostgreSQL does not respond: {reason}"));
            }
            self.server.pause().await?;
        }
        Ok(())
    }
}

/// Creates the database `anb` if missing. Fails while the server is starting.
async fn create_database(admin: &str) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(admin, NoTls).await?;
    let create = async {
        let found = client
            .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&DATABASE])
            .await?;
        if found.is_none() {
            client
                .batch_execute(&format!("CREATE DATABASE {DATABASE}"))
                .await?;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        created = create => created,
        ended = connection => match ended {
            Ok(()) => bail!("the connection was closed"),
            Err(err) => Err(err.into()),
        },
    }
}

/// Returns the port set in `options`, or the default.
fn port(options: &Options) -> &str {
    let settings = options.postgres_settings.iter().rev();
    let mut chosen = settings.filter_map(|setting| setting.strip_prefix("port="));
    chosen.next().unwrap_or(PORT)
}

fn settings(durability: Durability) -> impl Iterator<Item = &'static str> {
    let always = [
        "listen_addresses=",
        "port=5432",
        "unix_socket_permissions=0700",
        "logging_collector=off",
        "log_destination=stderr",
        "log_line_prefix=%m [%p] ",
        "shared_buffers=64MB",
        "min_wal_size=32MB",
        "max_wal_size=256MB",
        "timezone=UTC",
    ];
    let by_durability: &[&str] = match durability {
        Durability::Full => &["max_connections=100"],
        Durability::Throwaway => &[
            "max_connections=200",
            "fsync=off",
            "full_page_writes=off",
            "synchronous_commit=off",
        ],
    };
    always.into_iter().chain(by_durability.iter().copied())
}
