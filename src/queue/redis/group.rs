//! The stream's consumer group and its consumers.

use deadpool_redis::redis::{
    AsyncCommands as _, RedisError, Value, aio::MultiplexedConnection, cmd,
    streams::StreamInfoConsumersReply,
};

use super::{GROUP, STREAM};

/// A consumer that is idle for longer with nothing pending belongs to an ended process (ms).
const STALE_CONSUMER_MS: u64 = 3_600_000;

/// Creates the stream and a group from its first entry on, unless another worker already has.
pub async fn create(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    let created: Result<(), RedisError> =
        connection.xgroup_create_mkstream(STREAM, GROUP, "0").await;
    match created {
        Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
        other => other,
    }
}

/// Removes the consumers of killed processes, which are idle for an hour with nothing pending.
pub async fn remove_stale_consumers(
    connection: &mut MultiplexedConnection,
) -> Result<(), RedisError> {
    let reply: StreamInfoConsumersReply = connection.xinfo_consumers(STREAM, GROUP).await?;
    for consumer in reply.consumers {
        let idle_ms = u64::try_from(consumer.idle).unwrap_or(0);
        if consumer.pending == 0 && idle_ms > STALE_CONSUMER_MS {
            delete_consumer(connection, &consumer.name).await?;
        }
    }
    Ok(())
}

pub async fn delete_consumer(
    connection: &mut MultiplexedConnection,
    name: &str,
) -> Result<(), RedisError> {
    cmd("XGROUP")
        .arg(&["DELCONSUMER", STREAM, GROUP, name])
        .query_async::<Value>(connection)
        .await
        .map(drop)
}

pub fn is_no_group(error: &RedisError) -> bool {
    error.code() == Some("NOGROUP")
}
