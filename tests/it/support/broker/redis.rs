//! One Redis database, as an operator with `redis-cli` sees it.

use std::{net::SocketAddr, time::Duration};

use anb::{config::queue::Settings, queue::Queue};
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, FromRedisValue,
    aio::MultiplexedConnection,
    cmd, pipe,
    streams::{StreamId, StreamRangeReply},
};

use crate::support::{
    aws, eventually, fresh_redis,
    relay::{Relay, Target},
};

const STREAM: &str = "anb:jobs";

const DEAD: &str = "anb:jobs:dead";

const PATIENCE: Duration = Duration::from_secs(20);

pub struct RedisBroker {
    url: String,
    connection: MultiplexedConnection,
}

impl RedisBroker {
    /// Makes one that no other test uses.
    pub async fn fresh() -> Self {
        Self::at(&fresh_redis().await).await
    }

    /// Makes a queue on a server that is not there.
    pub async fn absent() -> Queue {
        let settings = Settings::redis_at("redis+unix:///nowhere.sock");
        Queue::connect(&settings, Duration::from_mins(1), &aws::config().await)
            .await
            .unwrap()
    }

    pub async fn at(url: &str) -> Self {
        let client = Client::open(url).unwrap();
        // By default half a second: a busy machine stands still for longer.
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        let connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .unwrap();
        Self {
            url: url.to_owned(),
            connection,
        }
    }

    /// Makes a queue, which is a consumer of its own, without a relay in between.
    pub async fn queue(&self, visibility: Duration) -> Queue {
        let settings = Settings::redis_at(&self.url);
        Queue::connect(&settings, visibility, &aws::config().await)
            .await
            .unwrap()
    }

    /// Starts a relay in front of the server.
    pub async fn relay(&self) -> Relay {
        let path = self.url.strip_prefix("redis+unix://").unwrap();
        let (path, _) = path.split_once('?').unwrap();
        Relay::start(Target::Unix(path.into()), "XREADGROUP").await
    }

    /// Returns the settings to reach the database through a relay at `address`.
    pub fn settings_at(&self, address: SocketAddr) -> Settings {
        Settings::redis_at(&format!("redis://{address}/{}", self.database()))
    }

    pub async fn run<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = cmd(words[0]);
        command.arg(&words[1..]);
        let mut connection = self.connection.clone();
        command.query_async(&mut connection).await.unwrap()
    }

    /// Adds messages, which may be no jobs of ours.
    pub async fn push_raw(&self, payloads: &[&str]) {
        let mut pipe = pipe();
        for payload in payloads {
            pipe.xadd(STREAM, "*", &[("job", payload)]);
        }
        let mut connection = self.connection.clone();
        let _: Vec<String> = pipe.query_async(&mut connection).await.unwrap();
    }

    /// Adds a dead message.
    pub async fn dead_letter(&self, payload: &str, reason: &str) {
        let words = ["XADD", DEAD, "*", "job", payload, "reason", reason];
        let _: String = self.run(&words).await;
    }

    /// Returns the payloads of the messages that are not settled.
    pub async fn waiting(&self) -> Vec<String> {
        let reply: StreamRangeReply = self.run(&["XRANGE", STREAM, "-", "+"]).await;
        let payload = |entry: &StreamId| entry.get("job").unwrap();
        reply.ids.iter().map(payload).collect()
    }

    /// Returns payload and reason of the dead messages.
    pub async fn dead(&self) -> Vec<(String, String)> {
        let reply: StreamRangeReply = self.run(&["XRANGE", DEAD, "-", "+"]).await;
        let field = |entry: &StreamId, name: &str| entry.get::<String>(name).unwrap();
        let entries = reply.ids.iter();
        entries
            .map(|entry| (field(entry, "job"), field(entry, "reason")))
            .collect()
    }

    /// Returns how many consumers the group has.
    pub async fn consumers(&self) -> usize {
        let consumers: Vec<deadpool_redis::redis::Value> =
            self.run(&["XINFO", "CONSUMERS", STREAM, "workers"]).await;
        consumers.len()
    }

    /// Loses everything.
    pub async fn wipe(&self) {
        let _: String = self.run(&["FLUSHDB"]).await;
    }

    /// Waits until a reader blocks.
    pub async fn until_read(&self) {
        eventually("a reader blocks", 60, async || {
            !self.clients("cmd=xreadgroup ").await.is_empty()
        })
        .await;
    }

    /// Breaks every connection to this database but our own.
    pub async fn cut_all(&self) {
        let own: u64 = self.run(&["CLIENT", "ID"]).await;
        for id in self.clients("").await {
            if id != own.to_string() {
                let _: u32 = self.run(&["CLIENT", "KILL", "ID", &id]).await;
            }
        }
    }

    /// Returns the number of the database.
    fn database(&self) -> &str {
        self.url.split_once("db=").map_or("0", |(_, number)| number)
    }

    /// Returns the ids of this database's clients on whose line `text` stands.
    async fn clients(&self, text: &str) -> Vec<String> {
        let database = format!(" db={} ", self.database());
        let list: String = self.run(&["CLIENT", "LIST"]).await;
        let lines = list.lines();
        lines
            .filter(|line| line.contains(&database) && line.contains(text))
            .filter_map(|line| line.strip_prefix("id=")?.split(' ').next())
            .map(str::to_owned)
            .collect()
    }
}
