//! Where the bench runs: a private PostgreSQL that syncs to disk, seeded, and the API as a process.

use std::{
    path::PathBuf,
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

use super::seed;
use crate::{
    processes::process::{House, Process, Role},
    support::{Share, cpu_seconds, default_serve, descendants},
};

/// A server for a database of gigabytes; the rest is as `anb dev` sets it.
const POSTGRES: [&str; 3] = [
    "shared_buffers=1GB",
    "max_wal_size=4GB",
    "maintenance_work_mem=256MB",
];

/// Settings of the API that is measured: nobody is refused for asking often, and no error costs a backtrace.
const UNLIMITED: [(&str, &str); 6] = [
    ("WRITE_RATE", "off"),
    ("LOGIN_RATE", "off"),
    ("SIGNUP_RATE", "off"),
    ("MAX_OPEN_UPLOADS", "1000"),
    ("MAX_WAITING_VIDEOS", "60000"),
    ("RUST_BACKTRACE", "0"),
];

/// The services and the process.
pub struct Arena {
    pub serve: Process,
    pub house: House,
    pub db: Db,
    tokens: Tokens,
    /// Fans who voted for witnesses.
    voters: AtomicUsize,
    services: Services,
    // Last: the servers' files are in it.
    _folder: TempDir,
}

impl Arena {
    /// Starts everything, with `videos` videos and ten times as many votes in the database.
    pub async fn open(videos: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::durable(folder.path());
        options.postgres_settings = POSTGRES.map(str::to_owned).to_vec();
        let services = Services::start(&options).await.unwrap();
        let settings = database::Settings::at(&services.postgres.url());
        migrations::run(db::connect(&settings).await.unwrap())
            .await
            .unwrap();
        let mut connection = db::connect(&settings).await.unwrap();
        connection.batch_execute(&seed::all(videos)).await.unwrap();
        // Each alone: they run in no transaction.
        for tidy in ["VACUUM ANALYZE", "CHECKPOINT"] {
            connection.batch_execute(tidy).await.unwrap();
        }

        let house = House::at(&services.postgres.url(), &services.redis.url());
        let serve = house.start_with(Role::Serve, &UNLIMITED);
        let db = Db::new(&settings).unwrap();
        let shutdown = Shutdown::new(Duration::ZERO);
        let mut arena = Self {
            tokens: Tokens::new(&default_serve().auth, db.clone(), &shutdown),
            voters: AtomicUsize::new(0),
            db,
            serve,
            house,
            services,
            _folder: folder,
        };
        arena.serve.until_ready().await;
        arena
    }

    /// Starts the API anew: with new sessions of the database.
    pub async fn restart(&mut self) {
        self.serve = self.start(Role::Serve);
        self.serve.until_ready().await;
    }

    /// Starts one more process.
    pub fn start(&self, role: Role) -> Process {
        self.house.start_with(role, &UNLIMITED)
    }

    /// Stops everything.
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

    /// Returns the processor time that PostgreSQL took so far, all its processes together.
    pub fn database_cpu_seconds(&self) -> f64 {
        let postmaster = self.services.postgres.id().unwrap();
        let ended = cpu_seconds(postmaster, Share::WithChildren).unwrap();
        let children = descendants(postmaster).into_iter();
        ended
            + children
                .filter_map(|id| cpu_seconds(id, Share::Own))
                .sum::<f64>()
    }

    /// Returns the processor time that Redis took so far.
    pub fn redis_cpu_seconds(&self) -> f64 {
        cpu_seconds(self.services.redis.id().unwrap(), Share::Own).unwrap()
    }

    /// Returns where Redis listens.
    pub fn redis_socket(&self) -> PathBuf {
        let url = self.services.redis.url();
        PathBuf::from(url.split_once("://").unwrap().1)
    }

    /// Returns tokens of `count` people who have no video.
    pub async fn fans(&self, count: usize) -> Vec<String> {
        self.fans_after(0, count).await
    }

    /// Returns tokens of `count` people who have no video, without the first `skipped`.
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

    /// Returns tokens of `count` fans, others each time.
    pub async fn other_fans(&self, count: usize) -> Vec<String> {
        let used = self.voters.fetch_add(count, Ordering::Relaxed);
        self.fans_after(used, count).await
    }

    /// Returns one column of text.
    pub async fn column(&self, query: &str) -> Vec<String> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            text: String,
        }
        let mut connection = self.db.connection().await.unwrap();
        let rows: Vec<Row> = sql_query(query).load(&mut connection).await.unwrap();
        rows.into_iter().map(|row| row.text).collect()
    }
}
