//! PostgreSQL: the pool of connections, TLS, and migrations. Queries live with their slices.

pub mod migrations;
pub mod pooler;
mod prepared;
pub mod schema;
pub mod seek;
pub mod tls;
pub mod turns;
pub mod types;

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
    batch::Busy,
    causes,
    config::database::{Endpoint, Settings},
};
pub use prepared::{Prepared, prepared};

/// One connection, as queries take it.
pub type Connection = AsyncPgConnection;

/// Longest wait for a connection: for a free one, for the checks of idle ones, and for a new one.
const POOL_TIMEOUT: Duration = Duration::from_secs(5);

/// Most requests that wait for a connection: more would wait for longer than their clients do.
const MOST_WAITING: usize = 4096;

/// Longest wait for an answer. A server that works on a statement gives it up before, and says so: one
/// that is silent for longer is frozen, or the network is gone.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that was used more recently is lent without a question: what closed it meanwhile has told the
/// client, and a round trip before each statement cost as much as a small statement does.
const TRUSTED: Duration = Duration::from_secs(1);

/// What every session sets: no statement and no forgotten transaction can hold a connection for ever. Compiling
/// a statement took ten times as long as running it.
const SESSION_OPTIONS: &str = "-c statement_timeout=15s -c lock_timeout=10s \
    -c idle_in_transaction_session_timeout=30s -c timezone=UTC -c jit=off";

/// The database of this process; clones share one pool.
#[derive(Clone)]
pub struct Db {
    pool: Pool<Connection>,
    /// As in [`Endpoint`].
    place: Arc<str>,
    /// The server took no writes when it was asked last: after a failover a connection may still lead to the old
    /// one, however busy it is.
    is_read_only: Arc<AtomicBool>,
}

impl Db {
    /// Makes a pool, whose connections live on the runtime that this is called on; none is opened yet. Returns an
    /// error if the settings cannot be used.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let endpoint = session_endpoint(settings)?;
        let place = endpoint.place.as_str().into();
        let tls = tls::connector(&endpoint)?;
        let mut config = ManagerConfig::default();
        config.recycling_method = RecyclingMethod::Fast;
        // A connection ends with the runtime that opened it, and each thread of the server has its own, which
        // ends once that thread has answered all. So the one opens them that lives as long as the pool.
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
        let distrust = Arc::clone(&is_read_only);
        // The address is not used: `custom_setup` knows it.
        let manager = AsyncDieselConnectionManager::new_with_config("", config);
        let pool = Pool::builder(manager)
            .max_size(settings.pool_size.into())
            .post_recycle(Hook::async_fn(move |connection, metrics| {
                let is_trusted = metrics.last_used() < TRUSTED
                    && !AtomicBool::load(&distrust, Ordering::Relaxed);
                Box::pin(async move {
                    if is_trusted {
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

    /// Lends a connection. Returns an error when none is free or the server cannot be reached.
    pub async fn connection(&self) -> anyhow::Result<Object<Connection>> {
        if self.pool.status().waiting >= MOST_WAITING {
            return Err(Busy.into());
        }
        // One limit for all of it: the pool would check one idle connection after the other, and each
        // would take its time. One that is being checked when the time is over is thrown away.
        let lent = timeout(POOL_TIMEOUT, self.pool.get()).await;
        lent.map_err(|_elapsed| Silent)
            .with_context(|| format!("connect to PostgreSQL at {}", self.place))?
            .context("get a database connection")
    }

    /// Opens a connection beside those that are lent: whoever has it waits for nobody.
    pub async fn own_connection(&self) -> anyhow::Result<Connection> {
        Ok(Object::take(self.connection().await?))
    }

    /// Returns how many connections this process may have open, its own ones included.
    pub fn most_connections(&self) -> usize {
        self.pool.status().max_size + 1
    }

    /// Learns from a write whether the server takes any: after a failover connections are asked before they are lent.
    pub fn learn_from<T>(&self, written: &anyhow::Result<T>) {
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

    /// Returns an error unless the database answers, takes writes and has this program's schema.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let mut connection = self.connection().await?;
        let is_read_only = is_read_only(&mut connection).await?;
        self.is_read_only.store(is_read_only, Ordering::Relaxed);
        ensure!(
            !is_read_only,
            "PostgreSQL takes no writes: it is a standby, or default_transaction_read_only is on"
        );
        migrations::check(&mut connection).await
    }
}

/// Returns where sessions with our limits are opened. Of two values of one setting the later one counts: so the
/// `options` of the address do.
fn session_endpoint(settings: &Settings) -> anyhow::Result<Endpoint> {
    let mut endpoint = settings.endpoint()?;
    let theirs = endpoint.postgres.get_options().unwrap_or_default();
    let options = format!("{SESSION_OPTIONS} {theirs}");
    endpoint.postgres.options(options);
    Ok(endpoint)
}

/// Asks whether the server is still there and takes writes: one that does not may have been replaced, and a new
/// connection leads to its successor.
async fn verify(connection: &mut Connection) -> Result<(), HookError> {
    match is_read_only(connection).await {
        Ok(false) => Ok(()),
        Ok(true) => Err(HookError::message("PostgreSQL takes no writes")),
        Err(error) => Err(HookError::Backend(PoolError::QueryError(error))),
    }
}

/// Tells whether a transaction that began now could not write, also because the server is a standby.
async fn is_read_only(connection: &mut Connection) -> diesel::QueryResult<bool> {
    let setting = sql::<Bool>("current_setting('transaction_read_only')::boolean");
    select(setting).get_result(connection).await
}

/// The database is there, but does not answer.
#[derive(Debug, thiserror::Error)]
#[error("PostgreSQL does not answer")]
pub struct Silent;

/// Gives up what waits for the database after [`PATIENCE`], with [`Silent`].
pub async fn in_time<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_elapsed| Err(Silent.into()))
}

/// Returns a span of time for SQL.
pub fn interval(span: Duration) -> PgInterval {
    // Three hundred thousand years would not fit.
    PgInterval::from_microseconds(i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
}

define_sql_function! {
    /// The time at which the transaction began, by the database's clock: the only clock that counts.
    fn now() -> Timestamptz;
}

/// Returns the database's time.
pub async fn time(connection: &mut Connection) -> anyhow::Result<DateTime<Utc>> {
    Ok(select(now()).get_result(connection).await?)
}

define_sql_function! {
    /// The larger of two numbers.
    fn greatest(one: SmallInt, other: SmallInt) -> SmallInt;
}

/// A moment relative to [`now()`], as an SQL expression.
pub type Moment = UncheckedBind<SqlLiteral<Timestamptz>, AsExprOf<PgInterval, Interval>>;

/// The moment `span` after [`now()`].
pub fn from_now(span: Duration) -> Moment {
    sql("now() + ").bind::<Interval, _>(interval(span))
}

/// The moment `span` before [`now()`].
pub fn ago(span: Duration) -> Moment {
    sql("now() - ").bind::<Interval, _>(interval(span))
}

/// Opens one connection outside any pool, without the session limits: for migrations, which may take
/// long.
pub async fn connect(settings: &Settings) -> anyhow::Result<Connection> {
    let endpoint = settings.endpoint()?;
    let tls = tls::connector(&endpoint)?;
    connect_with(&endpoint, tls).await
}

async fn connect_with(
    endpoint: &Endpoint,
    tls: Option<tls::Connector>,
) -> anyhow::Result<Connection> {
    // Each arm has its own stream type, so the two cannot share a variable.
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
