//! Redis Streams: one stream with one consumer group, and a second stream for dead-lettered jobs.
//!
//! A received entry is pending until it is acknowledged, and then deleted, so the stream's length
//! counts waiting and in-flight entries. The next reader claims entries that idle for longer than
//! the visibility timeout. <https://redis.io/docs/latest/develop/data-types/streams/>

mod group;
mod permissions;
mod tls;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use deadpool_redis::{
    Connection, Manager, Pool, Runtime,
    redis::{
        AsyncCommands as _, AsyncConnectionConfig, Client, ConnectionInfo, RedisError, Value,
        aio::MultiplexedConnection,
        cmd, pipe,
        streams::{StreamAutoClaimReply, StreamId, StreamRangeReply, StreamReadReply},
    },
};
use tokio::sync::{Mutex, OnceCell};
use uuid::Uuid;

use super::Stats;
use group::is_no_group;

const STREAM: &str = "anb:jobs";
const DEAD_STREAM: &str = "anb:jobs:dead";
const GROUP: &str = "workers";
const PAYLOAD: &str = "job";
const REASON: &str = "reason";

/// Maximum duration of a blocking read, for which a stopping worker has to wait.
const MAX_BLOCK: Duration = Duration::from_secs(2);

/// Timeout for a connection or a reply. Blocking reads add their own duration.
const TIMEOUT: Duration = Duration::from_secs(2);

const POOL_SIZE: usize = 8;

/// Cursor at the start of a scan of the pending entries; Redis also returns it at the end.
const START_CURSOR: &str = "0-0";

/// Idle time of a released entry (ms): a month.
const RELEASED_IDLE_MS: u64 = 30 * 24 * 3_600_000;

/// Id of a stream entry as assigned by Redis: `milliseconds-sequence`.
pub type EntryId = String;

/// The two streams. Cheap to clone; clones share one consumer.
#[derive(Clone)]
pub struct Streams {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    /// The setting and the server's address for messages, without the password.
    place: String,
    client: Client,
    /// Blocking reads stall all other users of a connection, so they have a dedicated one. The lock
    /// is held while reading, which allows one read at a time.
    reader: Mutex<Option<MultiplexedConnection>>,
    consumer: String,
    visibility_ms: u64,
    /// Set once the user is known to have all permissions.
    permitted: OnceCell<()>,
}

impl Streams {
    /// Creates the handle without connecting. `root_cert` holds the authorities that a TLS
    /// connection trusts instead of the system's.
    pub fn new(
        address: ConnectionInfo,
        root_cert: Option<&Path>,
        visibility: Duration,
    ) -> anyhow::Result<Self> {
        let place = format!("REDIS_URL ({})", address.addr());
        let client = match root_cert {
            Some(file) => tls::client_with_root_cert(address, file)
                .with_context(|| format!("REDIS_SSL_ROOT_CERT={}", file.display()))?,
            None => Client::open(address).context("REDIS_URL")?,
        };
        // This address carries the authorities, too.
        let address = client.get_connection_info().clone();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT));
        let manager = Manager::new_with_config(address, config).context("REDIS_URL")?;
        let pool = Pool::builder(manager)
            .max_size(POOL_SIZE)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(TIMEOUT))
            .create_timeout(Some(TIMEOUT))
            .recycle_timeout(Some(TIMEOUT))
            .build()
            .context("build the Redis pool")?;
        let visibility_ms = u64::try_from(visibility.as_millis()).context("JOB_VISIBILITY")?;
        let inner = Inner {
            pool,
            place,
            client,
            reader: Mutex::new(None),
            consumer: Uuid::now_v7().to_string(),
            visibility_ms,
            permitted: OnceCell::new(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    pub async fn push(&self, payload: &str) -> anyhow::Result<()> {
        let mut connection = self.connection().await?;
        let _: String = connection
            .xadd(STREAM, "*", &[(PAYLOAD, payload)])
            .await
            .context("push to Redis")?;
        Ok(())
    }

    pub async fn receive(
        &self,
        max: usize,
        wait: Duration,
    ) -> anyhow::Result<Vec<(EntryId, String)>> {
        let mut reader = self.inner.reader.lock().await;
        let mut connection = match reader.take() {
            Some(connection) => connection,
            None => self.open_reader().await?,
        };
        let received = self.read(&mut connection, max, wait).await;
        // After an error a late reply may still arrive, so the connection is dropped.
        if received.is_ok() {
            *reader = Some(connection);
        }
        received.context("receive from Redis")
    }

    /// Opens the blocking connection, and creates the stream and its group if they do not exist.
    async fn open_reader(&self) -> anyhow::Result<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(MAX_BLOCK + TIMEOUT));
        let mut connection = self
            .inner
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .with_context(|| format!("connect to Redis at {}", self.inner.place))?;
        group::create(&mut connection)
            .await
            .context("create the Redis consumer group")?;
        group::remove_stale_consumers(&mut connection)
            .await
            .context("list the Redis consumers")?;
        Ok(connection)
    }

    async fn read(
        &self,
        connection: &mut MultiplexedConnection,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<(EntryId, String)>, RedisError> {
        let idle = self.claim_idle(connection, max).await;
        let idle = match idle {
            // The stream was wiped. Recreate it and continue.
            Err(error) if is_no_group(&error) => {
                group::create(connection).await?;
                Vec::new()
            }
            other => other?,
        };
        if !idle.is_empty() {
            return Ok(idle);
        }
        let block = wait.min(MAX_BLOCK).as_millis();
        let reply: Option<StreamReadReply> = cmd("XREADGROUP")
            .arg("GROUP")
            .arg(GROUP)
            .arg(&self.inner.consumer)
            .arg("COUNT")
            .arg(max)
            .arg("BLOCK")
            // Zero would block indefinitely.
            .arg(u64::try_from(block).unwrap_or(u64::MAX).max(1))
            .arg("STREAMS")
            .arg(STREAM)
            .arg(">")
            .query_async(connection)
            .await
            .or_else(|error| {
                if is_no_group(&error) {
                    Ok(None)
                } else {
                    Err(error)
                }
            })?;
        let streams = reply.map(|reply| reply.keys).unwrap_or_default();
        Ok(streams
            .into_iter()
            .flat_map(|stream| stream.ids)
            .map(entry)
            .collect())
    }

    /// Claims entries that have idled past the visibility timeout, oldest first. One call scans ten
    /// times `max` pending entries; calls repeat until one finds idle entries or the scan ends.
    /// Redis itself drops deleted entries.
    async fn claim_idle(
        &self,
        connection: &mut MultiplexedConnection,
        max: usize,
    ) -> Result<Vec<(EntryId, String)>, RedisError> {
        let mut cursor = START_CURSOR.to_owned();
        loop {
            let reply: StreamAutoClaimReply = cmd("XAUTOCLAIM")
                .arg(STREAM)
                .arg(GROUP)
                .arg(&self.inner.consumer)
                .arg(self.inner.visibility_ms)
                .arg(&cursor)
                .arg("COUNT")
                .arg(max)
                .query_async(connection)
                .await?;
            if !reply.claimed.is_empty() || reply.next_stream_id == START_CURSOR {
                return Ok(reply.claimed.into_iter().map(entry).collect());
            }
            cursor = reply.next_stream_id;
        }
    }

    pub async fn ack(&self, id: &EntryId) -> anyhow::Result<()> {
        let mut connection = self.connection().await?;
        let _: Value = pipe()
            .atomic()
            .xack(STREAM, GROUP, &[id])
            .xdel(STREAM, &[id])
            .query_async(&mut connection)
            .await
            .context("acknowledge to Redis")?;
        Ok(())
    }

    pub async fn extend(&self, id: &EntryId) -> anyhow::Result<()> {
        self.set_idle(id, 0).await.context("extend in Redis")
    }

    pub async fn release(&self, id: &EntryId) -> anyhow::Result<()> {
        // Longer than any reader's visibility timeout, which may differ from ours.
        self.set_idle(id, RELEASED_IDLE_MS)
            .await
            .context("release in Redis")
    }

    /// Sets an entry's idle time without delivering it again.
    async fn set_idle(&self, id: &EntryId, idle_ms: u64) -> anyhow::Result<()> {
        let mut connection = self.connection().await?;
        let _: Value = cmd("XCLAIM")
            .arg(STREAM)
            .arg(GROUP)
            .arg(&self.inner.consumer)
            .arg(0)
            .arg(id)
            .arg("IDLE")
            .arg(idle_ms)
            .arg("JUSTID")
            .query_async(&mut connection)
            .await?;
        Ok(())
    }

    pub async fn dead_letter(
        &self,
        id: &EntryId,
        payload: &str,
        reason: &str,
    ) -> anyhow::Result<()> {
        let mut connection = self.connection().await?;
        let _: Value = pipe()
            .atomic()
            .xadd(DEAD_STREAM, "*", &[(PAYLOAD, payload), (REASON, reason)])
            .xack(STREAM, GROUP, &[id])
            .xdel(STREAM, &[id])
            .query_async(&mut connection)
            .await
            .context("dead-letter in Redis")?;
        Ok(())
    }

    /// Returns id, payload and reason of up to `max` dead entries, oldest first.
    pub async fn dead(&self, max: usize) -> anyhow::Result<Vec<(EntryId, String, Option<String>)>> {
        let mut connection = self.connection().await?;
        let reply: StreamRangeReply = connection
            .xrange_count(DEAD_STREAM, "-", "+", max)
            .await
            .context("list dead entries in Redis")?;
        let dead = |dead: StreamId| {
            let reason = dead.get(REASON);
            let (id, payload) = entry(dead);
            (id, payload, reason)
        };
        Ok(reply.ids.into_iter().map(dead).collect())
    }

    pub async fn remove_dead(&self, id: &EntryId) -> anyhow::Result<()> {
        let mut connection = self.connection().await?;
        let _: Value = connection
            .xdel(DEAD_STREAM, &[id])
            .await
            .context("remove a dead entry from Redis")?;
        Ok(())
    }

    pub async fn stats(&self) -> anyhow::Result<Stats> {
        let mut connection = self.connection().await?;
        let (held, dead): (u64, u64) = pipe()
            .xlen(STREAM)
            .xlen(DEAD_STREAM)
            .query_async(&mut connection)
            .await
            .context("count in Redis")?;
        let pending: Result<(u64, Value, Value, Value), RedisError> = cmd("XPENDING")
            .arg(STREAM)
            .arg(GROUP)
            .query_async(&mut connection)
            .await;
        let in_flight = match pending {
            Ok((count, ..)) => count,
            Err(error) if is_no_group(&error) => 0,
            Err(error) => return Err(error).context("count in Redis"),
        };
        Ok(Stats {
            waiting: held.saturating_sub(in_flight),
            in_flight,
            dead,
        })
    }

    pub async fn ready(&self) -> anyhow::Result<()> {
        // The pool pings an idle connection or opens a new one.
        let mut connection = self.connection().await?;
        let check = || async move { permissions::check(&mut connection).await };
        self.inner.permitted.get_or_try_init(check).await.copied()
    }

    /// Removes this process's consumer, unless that would remove its pending entries, too.
    pub async fn leave(&self) -> anyhow::Result<()> {
        let mut connection = self.connection().await?;
        let consumer = &self.inner.consumer;
        let pending: Result<Vec<Value>, RedisError> = cmd("XPENDING")
            .arg(STREAM)
            .arg(GROUP)
            .arg(&["-", "+", "1", consumer])
            .query_async(&mut connection)
            .await;
        let is_free = match pending {
            Ok(pending) => pending.is_empty(),
            Err(error) if is_no_group(&error) => false,
            Err(error) => return Err(error).context("list pending entries in Redis"),
        };
        if is_free {
            group::delete_consumer(&mut connection, consumer)
                .await
                .context("delete the Redis consumer")?;
        }
        Ok(())
    }

    async fn connection(&self) -> anyhow::Result<Connection> {
        self.inner
            .pool
            .get()
            .await
            .with_context(|| format!("connect to Redis at {}", self.inner.place))
    }
}

/// Returns id and payload of an entry. Without our field the payload is empty, which is not a job.
fn entry(entry: StreamId) -> (EntryId, String) {
    let payload = entry.get(PAYLOAD).unwrap_or_default();
    (entry.id, payload)
}
