//! One Redis database, as an operator with `redis-cli` sees it.

use anb::{config::queue::Settings, queue::Queue};
use deadpool_redis::redis::{
    Client, FromRedisValue, aio::MultiplexedConnection, cmd, streams::StreamRangeReply,
};
use std::time::Duration;

use super::{aws, eventually, fresh_redis};

const STREAM: &str = "anb:jobs";

pub struct Broker {
    url: String,
    connection: MultiplexedConnection,
}

impl Broker {
    /// Makes one that no other test uses.
    pub async fn fresh() -> Self {
        Self::at(&fresh_redis().await).await
    }

    pub async fn at(url: &str) -> Self {
        let client = Client::open(url).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        Self {
            url: url.to_owned(),
            connection,
        }
    }

    /// Makes a queue, which is a consumer of its own.
    pub async fn queue(&self, visibility: Duration) -> Queue {
        Queue::connect(&Settings::redis_at(&self.url), visibility, &aws::config())
            .await
            .unwrap()
    }

    pub async fn run<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = cmd(words[0]);
        command.arg(&words[1..]);
        let mut connection = self.connection.clone();
        command.query_async(&mut connection).await.unwrap()
    }

    /// Adds a message that is no job of ours.
    pub async fn push_raw(&self, payload: &str) {
        let _: String = self.run(&["XADD", STREAM, "*", "job", payload]).await;
    }

    /// Returns payload and reason of the dead messages.
    pub async fn dead(&self) -> Vec<(String, String)> {
        let reply: StreamRangeReply = self.run(&["XRANGE", "anb:jobs:dead", "-", "+"]).await;
        let field = |entry: &deadpool_redis::redis::streams::StreamId, name: &str| {
            entry.get::<String>(name).unwrap()
        };
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
        eventually("a reader blocks", 10, async || {
            !self.readers().await.is_empty()
        })
        .await;
    }

    /// Breaks the connections of the readers that block.
    pub async fn cut_readers(&self) {
        for id in self.readers().await {
            let _: u32 = self.run(&["CLIENT", "KILL", "ID", &id]).await;
        }
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

    async fn readers(&self) -> Vec<String> {
        self.clients("cmd=xreadgroup ").await
    }

    /// Returns the ids of this database's clients on whose line `text` stands.
    async fn clients(&self, text: &str) -> Vec<String> {
        let (_, number) = self.url.split_once("db=").unwrap_or(("", "0"));
        let database = format!(" db={number} ");
        let list: String = self.run(&["CLIENT", "LIST"]).await;
        let lines = list.lines();
        lines
            .filter(|line| line.contains(&database) && line.contains(text))
            .filter_map(|line| line.strip_prefix("id=")?.split(' ').next())
            .map(str::to_owned)
            .collect()
    }
}
