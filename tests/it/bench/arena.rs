//! Environment of the benchmark: a private, seeded PostgreSQL with fsync, and the API as a process.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anb::{
    auth::Tokens,
    config::database,
    db::{self, Db, migrations},
    dev::{Options, Services},
    ids::UserId,
    shutdown::Shutdown,
};
use diesel::{QueryableByName, sql_query, sql_types::Text};
use diesel_async::{RunQueryDsl as _, SimpleAsyncConnection as _};
use tempfile::TempDir;

use super::{pages::Watcher, seed};
use crate::{
    processes::process::{Process, Role, SystemUnderTest},
    support::{Share, cpu_seconds, default_serve, descendants},
};

/// PostgreSQL settings for a database of several gigabytes; the others are those of `anb dev`.
const POSTGRES: [&str; 3] = [
    "shared_buffers=1GB",
    "max_wal_size=4GB",
    "maintenance_work_mem=256MB",
];

/// Settings of the measured API: no limit is reached, and errors capture no backtrace.
pub const UNLIMITED: [(&str, &str); 6] = [
    ("WRITE_RATE", "off"),
    ("LOGIN_RATE", "off"),
    ("SIGNUP_RATE", "off"),
    ("MAX_OPEN_UPLOADS", "1000"),
    ("MAX_WAITING_VIDEOS", "60000"),
    ("RUST_BACKTRACE", "0"),
];

pub struct Arena {
    pub serve: Process,
    pub system: SystemUnderTest,
    pub db: Db,
    tokens: Tokens,
    /// Number of fans returned by [`Self::other_fans`] so far.
    voters: AtomicUsize,
    services: Services,
    // Dropped last because it holds the servers' files.
    _folder: TempDir,
}

/// Starts durable servers in `folder`, and fills the database by `statements`.
pub async fn filled_services(folder: &Path, statements: &str) -> Services {
    let mut options = Options::durable(folder);
    options.postgres_settings = POSTGRES.map(str::to_owned).to_vec();
    let services = Services::start(&options).await.unwrap();
    let settings = database::Settings::at(&services.postgres.url());
    migrations::run(db::connect(&settings).await.unwrap())
        .await
        .unwrap();
    let mut connection = db::connect(&settings).await.unwrap();
    connection.batch_execute(statements).await.unwrap();
    // One batch each, because they cannot run in a transaction.
    for tidy in ["VACUUM ANALYZE", "CHECKPOINT"] {
        connection.batch_execute(tidy).await.unwrap();
    }
    services
}

/// Returns the CPU time (s) that all PostgreSQL processes have used so far.
pub fn database_cpu_seconds(services: &Services) -> f64 {
    let postmaster = services.postgres.id().unwrap();
    let ended = cpu_seconds(postmaster, Share::WithChildren).unwrap();
    let children = descendants(postmaster).into_iter();
    ended
        + children
            .filter_map(|id| cpu_seconds(id, Share::Own))
            .sum::<f64>()
}

impl Arena {
    /// Starts everything, with `videos` videos and ten times as many votes in the database.
    pub async fn open(videos: u32) -> Self {
        Self::open_with(&seed::all(videos)).await
    }

    /// Starts everything, and fills the database by `statements`.
    pub async fn open_with(statements: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let services = Box::pin(filled_services(folder.path(), statements)).await;
        let settings = database::Settings::at(&services.postgres.url());
        let system = SystemUnderTest::at(&services.postgres.url(), &services.redis.url());
        let serve = system.start_with(Role::Serve, &UNLIMITED);
        let db = Db::new(&settings).unwrap();
        let shutdown = Shutdown::new(Duration::ZERO);
        let mut arena = Self {
            tokens: Tokens::new(&default_serve().auth, db.clone(), &shutdown),
            voters: AtomicUsize::new(0),
            db,
            serve,
            system,
            services,
            _folder: folder,
        };
        arena.serve.until_ready().await;
        arena
    }

    /// Restarts the API, which gives it new database sessions.
    pub async fn restart(&mut self) {
        self.serve = self.start(Role::Serve);
        self.serve.until_ready().await;
    }

    pub fn start(&self, role: Role) -> Process {
        self.system.start_with(role, &UNLIMITED)
    }

    pub async fn close(self) {
        let Self {
            serve,
            services,
            db,
            tokens,
            ..
        } = self;
        drop((serve, db, tokens));
        services.stop().await;
    }

    /// Returns the CPU time (s) that all PostgreSQL processes have used so far.
    pub fn database_cpu_seconds(&self) -> f64 {
        database_cpu_seconds(&self.services)
    }

    /// Returns the CPU time (s) that Redis has used so far.
    pub fn redis_cpu_seconds(&self) -> f64 {
        cpu_seconds(self.services.redis.id().unwrap(), Share::Own).unwrap()
    }

    pub fn database_url(&self) -> String {
        self.services.postgres.url()
    }

    pub fn redis_url(&self) -> String {
        self.services.redis.url()
    }

    /// Returns the path of the Redis socket.
    pub fn redis_socket(&self) -> PathBuf {
        let url = self.services.redis.url();
        PathBuf::from(url.split_once("://").unwrap().1)
    }

    /// Returns the tokens of the first `count` fans.
    pub async fn fans(&self, count: usize) -> Vec<String> {
        self.fans_after(0, count).await
    }

    /// Returns the tokens of `count` fans after the first `skipped`.
    pub async fn fans_after(&self, skipped: usize, count: usize) -> Vec<String> {
        let ids = format!(
            "SELECT id::text AS text FROM users WHERE city_key = '{}'
             ORDER BY id LIMIT {count} OFFSET {skipped}",
            seed::FANS
        );
        let ids = self.column(&ids).await;
        assert_eq!(ids.len(), count);
        let token = |id: String| self.tokens.issue(UserId(id.parse().unwrap())).unwrap();
        ids.into_iter().map(token).collect()
    }

    /// Returns the tokens of `count` fans that this method has not returned before.
    pub async fn other_fans(&self, count: usize) -> Vec<String> {
        let used = self.voters.fetch_add(count, Ordering::Relaxed);
        self.fans_after(used, count).await
    }

    /// Returns `count` players with a page session and one of their videos.
    pub async fn players(&self, count: usize) -> Vec<Watcher> {
        let rows = self
            .column(&format!(
                "SELECT format('%s %s', user_id, min(id::text)) AS text
                 FROM videos WHERE is_public GROUP BY user_id ORDER BY user_id LIMIT {count}"
            ))
            .await;
        assert_eq!(rows.len(), count);
        let player = |row: String| {
            let (user, video) = row.split_once(' ').unwrap();
            let id = UserId(user.parse().unwrap());
            let lifetime = Duration::from_hours(1);
            Watcher {
                token: self.tokens.issue_for_page(id, lifetime).unwrap(),
                user: user.to_owned(),
                video: video.to_owned(),
            }
        };
        rows.into_iter().map(player).collect()
    }

    /// Returns the number of transactions in the database so far.
    pub async fn transactions(&self) -> f64 {
        let committed = "SELECT xact_commit::text AS text FROM pg_stat_database
             WHERE datname = current_database()";
        self.column(committed).await[0].parse().unwrap()
    }

    pub async fn execute(&self, statement: &str) {
        let mut connection = self.db.connection().await.unwrap();
        connection.batch_execute(statement).await.unwrap();
    }

    /// Runs a query and returns its `text` column.
    pub async fn column(&self, query: &str) -> Vec<String> {
        let mut connection = self.db.connection().await.unwrap();
        column(&mut connection, query).await
    }
}

/// Runs a query and returns its `text` column.
pub async fn column(connection: &mut db::Connection, query: &str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        text: String,
    }
    let rows: Vec<Row> = sql_query(query).load(connection).await.unwrap();
    rows.into_iter().map(|row| row.text).collect()
}
