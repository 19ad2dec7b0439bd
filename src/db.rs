//! PostgreSQL: the connection pool, TLS and migrations. Queries live in their slices.

pub mod login;
pub mod migrations;
pub mod pooler;
mod prepared;
pub mod schema;
pub mod statement_limit;
pub mod tls;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use diesel::{
    ConnectionError, define_sql_function,
    dsl::{AsExprOf, sql},
    expression::{SqlLiteral, UncheckedBind},
    pg::data_types::PgInterval,
    result::{DatabaseErrorKind, Error as DieselError},
    select,
    sql_types::{Bool, Interval, SmallInt, Timestamptz},
};
use diesel_async::{
    AsyncPgConnection, RunQueryDsl as _,
    pooled_connection::{
        AsyncDieselConnectionManager, ManagerConfig, PoolError, RecyclingMethod,
        deadpool::{Hook, HookError, Object, Pool},
    },
};

use tokio::{runtime::Handle, time::timeout};

use crate::{
    batch::Overloaded,
    causes,
    config::database::{Endpoint, Settings},
};
pub use prepared::{Prepared, prepared};

/// The connection type that queries take.
pub type Connection = AsyncPgConnection;

/// Maximum wait for a connection, including checks of idle ones and the opening of a new one.
const POOL_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum requests waiting for a connection; with more, clients would give up first.
const MAX_WAITERS: usize = 4096;

/// Maximum wait for a response. A working server cancels the statement earlier and reports that, so
/// a longer silence means that the server hangs or the network is down.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection that was used more recently is reused without a check. The client already knows
/// if it was closed, and the extra round trip costs as much as a small statement.
const CHECK_AFTER: Duration = Duration::from_secs(1);

/// Session settings that keep statements and idle transactions from holding a connection forever.
/// JIT is off because compiling a statement took ten times as long as running it.
const SESSION_OPTIONS: &str = "-c statement_timeout=15s -c lock_timeout=10s \
    -c idle_in_transaction_session_timeout=30s -c timezone=UTC -c jit=off";

/// The database of this process. Cheap to clone; clones share one pool.
#[derive(Clone)]
pub struct Db {
    pool: Pool<Connection>,
    /// As in [`Endpoint`].
    place: Arc<str>,
    /// Whether the server was read-only at the last check. After a failover, even a busy connection
    /// may still lead to the old primary.
    is_read_only: Arc<AtomicBool>,
}

impl Db {
    /// Creates a pool whose connections live on the current runtime; none is opened yet. Returns an
    /// error if the settings are invalid.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let endpoint = session_endpoint(settings)?;
        let place = endpoint.place.as_str().into();
        let tls = tls::connector(&endpoint)?;
        let mut config = ManagerConfig::default();
        config.recycling_method = RecyclingMethod::Fast;
        // A connection ends with the runtime that opened it. Each server thread has its own runtime
        // and ends with it, so all connections are opened on the pool's runtime.
        let runtime = Handle::current();
        config.custom_setup = Box::new(move |_| {
            let (endpoint, tls) = (endpoint.clone(), tls.clone());
            let opening = runtime.spawn(async move { connect_with(&endpoint, tls).await });
            Box::pin(async move {
                opening
                    .await
                    .map_err(anyhow::Error::from)
                    .flatten()
                    .map_err(|error| ConnectionError::BadConnection(causes::line(&error)))
            })
        });
        let is_read_only = Arc::new(AtomicBool::new(false));
        let check_always = Arc::clone(&is_read_only);
        // The address is unused; `custom_setup` connects.
        let manager = AsyncDieselConnectionManager::new_with_config("", config);
        let pool = Pool::builder(manager)
            .max_size(settings.db_pool_size.into())
            .post_recycle(Hook::async_fn(move |connection, metrics| {
                let skip_check = metrics.last_used() < CHECK_AFTER
                    && !AtomicBool::load(&check_always, Ordering::Relaxed);
                Box::pin(async move {
                    if skip_check {
                        return Ok(());
                    }
                    verify(connection).await
                })
            }))
            .build()
            .context("build the database pool")?;
        Ok(Self {
            pool,
            place,
            is_read_only,
        })
    }

    /// Takes a connection from the pool. Returns an error if this fails or times out.
    pub async fn connection(&self) -> anyhow::Result<Object<Connection>> {
        if self.pool.status().waiting >= MAX_WAITERS {
            return Err(Overloaded.into());
        }
        // One overall timeout, because the pool checks idle connections one after another. A
        // connection that is being checked at the timeout is dropped.
        let connection = timeout(POOL_TIMEOUT, self.pool.get()).await;
        connection
            .map_err(|_elapsed| DatabaseTimeout)
            .with_context(|| format!("connect to PostgreSQL at {}", self.place))?
            .context("get a database connection")
    }

    /// Returns a dedicated connection, detached from the pool.
    pub async fn dedicated_connection(&self) -> anyhow::Result<Connection> {
        Ok(Object::take(self.connection().await?))
    }

    /// Returns the maximum number of open connections of this process, including the dedicated one.
    pub fn max_connections(&self) -> usize {
        self.pool.status().max_size + 1
    }

    /// Updates the read-only state from the result of a write. While the server is read-only, as
    /// after a failover, each connection is checked before reuse.
    pub fn note_write_result<T>(&self, written: &anyhow::Result<T>) {
        let error = written
            .as_ref()
            .err()
            .and_then(|error| error.downcast_ref());
        let is_read_only = matches!(
            error,
            Some(DieselError::DatabaseError(
                DatabaseErrorKind::ReadOnlyTransaction,
                _
            ))
        );
        if is_read_only || written.is_ok() {
            self.is_read_only.store(is_read_only, Ordering::Relaxed);
        }
    }

    /// Returns an error unless the database responds, is writable and has this program's schema.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let mut connection = self.connection().await?;
        let is_read_only = is_read_only(&mut connection).await?;
        self.is_read_only.store(is_read_only, Ordering::Relaxed);
        ensure!(
            !is_read_only,
            "PostgreSQL is read-only: it is a standby, or default_transaction_read_only is on"
        );
        migrations::check(&mut connection).await
    }
}

/// Returns the endpoint for sessions with [`SESSION_OPTIONS`]. The `options` of the configured
/// address come last, so they take precedence.
fn session_endpoint(settings: &Settings) -> anyhow::Result<Endpoint> {
    let mut endpoint = settings.endpoint()?;
    let theirs = endpoint.postgres.get_options().unwrap_or_default();
    let options = format!("{SESSION_OPTIONS} {theirs}");
    endpoint.postgres.options(options);
    Ok(endpoint)
}

/// Checks that the server responds and is writable. If it is not, it may have been replaced, and a
/// new connection reaches its successor.
async fn verify(connection: &mut Connection) -> Result<(), HookError> {
    match is_read_only(connection).await {
        Ok(false) => Ok(()),
        Ok(true) => Err(HookError::message("PostgreSQL is read-only")),
        Err(error) => Err(HookError::Backend(PoolError::QueryError(error))),
    }
}

/// Returns whether a new transaction would be read-only, for example on a standby.
async fn is_read_only(connection: &mut Connection) -> diesel::QueryResult<bool> {
    let setting = sql::<Bool>("current_setting('transaction_read_only')::boolean");
    select(setting).get_result(connection).await
}

/// The database did not respond in time.
#[derive(Debug, thiserror::Error)]
#[error("PostgreSQL did not respond in time")]
pub struct DatabaseTimeout;

/// Runs `work` with a timeout of [`QUERY_TIMEOUT`]. Returns [`DatabaseTimeout`] if it elapses.
pub async fn with_timeout<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    timeout(QUERY_TIMEOUT, work)
        .await
        .unwrap_or_else(|_elapsed| Err(DatabaseTimeout.into()))
}

pub fn interval(span: Duration) -> PgInterval {
    // Overflows only after about 300,000 years.
    PgInterval::from_microseconds(i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
}

define_sql_function! {
    /// The start of the transaction by the database's clock, the only authoritative one.
    fn now() -> Timestamptz;
}

/// Returns the current time of the database.
pub async fn time(connection: &mut Connection) -> anyhow::Result<DateTime<Utc>> {
    Ok(select(now()).get_result(connection).await?)
}

define_sql_function! {
    fn greatest(one: SmallInt, other: SmallInt) -> SmallInt;
}

/// A point in time relative to [`now()`], as an SQL expression.
pub type Moment = UncheckedBind<SqlLiteral<Timestamptz>, AsExprOf<PgInterval, Interval>>;

/// Returns the time `span` after [`now()`].
pub fn from_now(span: Duration) -> Moment {
    sql("now() + ").bind::<Interval, _>(interval(span))
}

/// Returns the time `span` before [`now()`].
pub fn ago(span: Duration) -> Moment {
    sql("now() - ").bind::<Interval, _>(interval(span))
}

/// Opens one connection outside the pool and without session limits, for long-running migrations.
pub async fn connect(settings: &Settings) -> anyhow::Result<Connection> {
    let endpoint = settings.endpoint()?;
    let tls = tls::connector(&endpoint)?;
    connect_with(&endpoint, tls).await
}

async fn connect_with(
    endpoint: &Endpoint,
    tls: Option<tls::Connector>,
) -> anyhow::Result<Connection> {
    // The stream types differ, so the arms cannot share a variable.
    let connection = match tls {
        None => {
            let (client, connection) = endpoint
                .postgres
                .connect(tokio_postgres::NoTls)
                .await
                .with_context(|| format!("connect to PostgreSQL at {}", endpoint.place))?;
            AsyncPgConnection::try_from_client_and_connection(client, connection).await
        }
        Some(tls) => {
            let (client, connection) =
                endpoint.postgres.connect(tls).await.with_context(|| {
                    format!("connect to PostgreSQL with TLS at {}", endpoint.place)
                })?;
            AsyncPgConnection::try_from_client_and_connection(client, connection).await
        }
    };
    connection.context("set up the PostgreSQL session")
}
