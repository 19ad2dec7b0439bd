//! PostgreSQL and Redis of the test process, with separate databases for each test.

use std::sync::{
    LazyLock,
    atomic::{AtomicU16, AtomicU32, Ordering},
};

use anb::{
    config::database,
    db::{self, migrations},
    dev::{Options, Services},
};
use diesel::sql_query;
use diesel_async::RunQueryDsl as _;
use tokio::{runtime::Runtime, sync::OnceCell};

const TEMPLATE: &str = "template_anb";

/// Runs the services until the process ends.
pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// A database and a Redis database that no other test uses.
pub struct Place {
    name: String,
    pub database_url: String,
    pub redis_url: String,
}

impl Place {
    /// Creates migrated, empty databases.
    pub async fn make() -> Self {
        static DATABASES: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        Self::copy(&name, TEMPLATE).await
    }

    /// Creates databases without a schema.
    pub async fn make_bare() -> Self {
        static DATABASES: AtomicU32 = AtomicU32::new(0);
        let name = format!("bare_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        Self::copy(&name, "template1").await
    }

    /// Closes all connections to the database and accepts no new one, as in an outage.
    pub async fn close_database(&self) {
        let services = services().await;
        let name = &self.name;
        let close = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false");
        execute(services, &close).await;
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname";
        execute(services, &format!("{cut} = '{name}'")).await;
    }

    /// Accepts connections again.
    pub async fn open_database(&self) {
        let open = format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", self.name);
        execute(services().await, &open).await;
    }

    async fn copy(name: &str, template: &str) -> Self {
        let services = services().await;
        execute(
            services,
            &format!("CREATE DATABASE {name} TEMPLATE {template}"),
        )
        .await;
        Self {
            name: name.to_owned(),
            database_url: services.postgres.url_of(name),
            redis_url: fresh_redis().await,
        }
    }
}

/// Returns the address of a Redis database that no other test uses.
pub async fn fresh_redis() -> String {
    static DATABASES: AtomicU16 = AtomicU16::new(0);
    let number = DATABASES.fetch_add(1, Ordering::Relaxed);
    format!("{}?db={number}", services().await.redis.url())
}

/// Returns the running services. The first call starts them and creates the template.
async fn services() -> &'static Services {
    static SERVICES: OnceCell<Services> = OnceCell::const_new();
    SERVICES
        .get_or_init(async || {
            RUNTIME
                .spawn(async {
                    let services = Services::start(&Options::throwaway().unwrap())
                        .await
                        .unwrap();
                    execute(&services, &format!("CREATE DATABASE {TEMPLATE}")).await;
                    let url = services.postgres.url_of(TEMPLATE);
                    let connection = db::connect(&database::Settings::at(&url)).await.unwrap();
                    migrations::run(connection).await.unwrap();
                    services
                })
                .await
                .unwrap()
        })
        .await
}

/// Runs a statement on the maintenance database, because a template is locked during a copy.
async fn execute(services: &Services, statement: &str) {
    let url = services.postgres.url_of("postgres");
    let mut connection = db::connect(&database::Settings::at(&url)).await.unwrap();
    sql_query(statement).execute(&mut connection).await.unwrap();
}
