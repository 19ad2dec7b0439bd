//! Redis Streams: one stream with one consumer group, and a second stream for dead jobs.
//!
//! A received entry is pending until it is acknowledged, and then deleted, so the stream's length is
//! what waits plus what is in flight. Its idle time is the visibility: whoever reads first claims what
//! has been idle too long. <https://redis.io/docs/latest/develop/data-types/streams/>

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

/// Longest blocking read: what a stopping worker has to wait for.
const MAX_BLOCK: Duration = Duration::from_secs(2);

/// Longest wait for a connection or an answer. Blocking reads add their own time to it.
const TIMEOUT: Duration = Duration::from_secs(2);

const POOL_SIZE: usize = 8;

/// Where a walk through the pending entries begins, and what Redis answers at its end.
const START: &str = "0-0";

/// Idle time of an entry that was given back (ms): a month.
const RELEASED_IDLE_MS: u64 = 30 * 24 * 3_600_000;

/// Id of a stream's entry, as Redis gives it: `milliseconds-sequence`.
pub type EntryId = String;

/// The two streams; clones are the same consumer.
#[derive(Clone)]
pub struct Streams {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    /// The variable that names the server, and where it is, for messages; without the password.
    place: String,
    client: Client,
    /// Blocking reads stall whatever shares their connection, so they have one of their own. The lock
    /// is held while reading: one read at a time.
    reader: Mutex<Option<MultiplexedConnection>>,
    consumer: String,
    visibility_ms: u64,
    /// The user was found to have all commands.
    may_work: OnceCell<()>,
}

impl Streams {
    /// Makes the streams' handle; nothing is opened yet. `root_cert` holds the authorities that a TLS
    /// connection trusts instead of the system's.
    pub fn new(
        address: ConnectionInfo,
        root_cert: Option<&Path>,
        visibility: Duration,
    ) -> anyhow::Result<Self> {
        let place = format!("REDIS_URL ({})", address.addr());
        let client = match root_cert {
            Some(file) => tls::trusting(address, file)
                .with_context(|| format!("REDIS_SSL_ROOT_CERT={}", file.display()))?,
            None => Client::open(address).context("REDIS_URL")?,
        };
        // It carries the authorities, too.
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
            may_work: OnceCell::new(),
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
        // After an error the answer to an old read may still come; such a connection is dropped.
        if received.is_ok() {
            *reader = Some(connection);
        }
        received.context("receive from Redis")
    }

    /// Opens the blocking connection, and the stream and its group if they are not there.
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
        group::forget_stale_consumers(&mut connection)
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
            // The stream was wiped: make it anew and go on.
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
            // Zero would block for ever.
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

    /// Takes over entries whose consumer let them idle, the oldest first. One call looks at ten times
    /// `max` pending entries; the calls go on until some are idle or all were looked at. Deleted ones
    /// are dropped by Redis itself.
    async fn claim_idle(
        &self,
        connection: &mut MultiplexedConnection,
        max: usize,
    ) -> Result<Vec<(EntryId, String)>, RedisError> {
        let mut cursor = START.to_owned();
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
            if !reply.claimed.is_empty() || reply.next_stream_id == START {
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
        // Longer than the visibility of any reader: theirs may differ from ours.
        self.set_idle(id, RELEASED_IDLE_MS)
            .await
            .context("release in Redis")
    }

    /// Sets how long an entry counts as idle, without handing it out again.
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

    /// Returns id, payload and reason of up to `max` dead entries, the oldest first.
    pub async fn dead(&self, max: usize) -> anyhow::Result<Vec<(EntryId, String, Option<String>)>> {
        let mut connection = self.connection().await?;
        let reply: StreamRangeReply = connection
            .xrange_count(DEAD_STREAM, "-", "+", max)
            .await
            .context("list the dead in Redis")?;
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
        // Lending pings an idle connection, or opens one.
        let mut connection = self.connection().await?;
        let check = || async move { permissions::check(&mut connection).await };
        self.inner.may_work.get_or_try_init(check).await.copied()
    }

    /// Removes this process's consumer, unless entries are still pending for it: deleting it would
    /// delete them too.
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
            Err(error) => return Err(error).context("list what is pending in Redis"),
        };
        if is_free {
            group::delete_consumer(&mut connection, consumer)
                .await
                .context("leave the Redis group")?;
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

/// Takes id and payload out of an entry. One without our field has an empty payload, which is no job.
fn entry(entry: StreamId) -> (EntryId, String) {
    let payload = entry.get(PAYLOAD).unwrap_or_default();
    (entry.id, payload)
}
