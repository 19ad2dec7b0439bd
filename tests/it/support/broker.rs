//! A broker for one test, with the operations and faults that all kinds support.

mod redis;
mod sqs;

use std::time::Duration;

use anb::{
    config::queue::{QueueType, Settings},
    queue::Queue,
};
use secrecy::ExposeSecret as _;

pub use redis::RedisBroker;
pub use sqs::SqsBroker;

use super::{TestApp, aws, relay::Relay};

/// A broker behind a relay.
pub struct Broker {
    pub relay: Relay,
    kind: Kind,
}

enum Kind {
    Redis(RedisBroker),
    Sqs(SqsBroker),
}

impl Broker {
    /// Creates a Redis database that no other test uses.
    pub async fn redis() -> Self {
        Self::behind_relay(Kind::Redis(RedisBroker::fresh().await)).await
    }

    /// Creates an SQS queue and a dead-letter queue that no other test uses.
    pub async fn sqs() -> Self {
        Self::behind_relay(Kind::Sqs(SqsBroker::fresh().await)).await
    }

    /// Returns the broker of an app.
    pub async fn of(app: &TestApp) -> Self {
        let settings = &app.serve.backends.queue;
        let kind = match settings.queue_type {
            QueueType::Redis => {
                Kind::Redis(RedisBroker::at(settings.redis_url.expose_secret()).await)
            }
            QueueType::Sqs => Kind::Sqs(SqsBroker::at(settings).await),
        };
        Self::behind_relay(kind).await
    }

    async fn behind_relay(kind: Kind) -> Self {
        let relay = match &kind {
            Kind::Redis(redis) => redis.relay().await,
            Kind::Sqs(_) => SqsBroker::relay().await,
        };
        Self { relay, kind }
    }

    /// Creates a queue, which is a separate consumer.
    pub async fn queue(&self, visibility: Duration) -> Queue {
        Queue::connect(&self.settings(), visibility, &aws::config().await)
            .await
            .unwrap()
    }

    fn settings(&self) -> Settings {
        let address = self.relay.address;
        match &self.kind {
            Kind::Redis(redis) => redis.settings_at(address),
            Kind::Sqs(sqs) => sqs.settings_at(address),
        }
    }

    /// Adds up to ten messages with any payload.
    pub async fn push_raw(&self, payloads: &[&str]) {
        match &self.kind {
            Kind::Redis(redis) => redis.push_raw(payloads).await,
            Kind::Sqs(sqs) => sqs.push_raw(payloads).await,
        }
    }

    /// Returns payload and reason of the dead letters, and hides them temporarily.
    pub async fn dead(&self) -> Vec<(String, String)> {
        match &self.kind {
            Kind::Redis(redis) => redis.dead().await,
            Kind::Sqs(sqs) => sqs.dead().await,
        }
    }

    /// Adds a dead letter.
    pub async fn dead_letter(&self, payload: &str, reason: &str) {
        match &self.kind {
            Kind::Redis(redis) => redis.dead_letter(payload, reason).await,
            Kind::Sqs(sqs) => sqs.dead_letter(payload, reason).await,
        }
    }

    pub async fn wipe(&self) {
        match &self.kind {
            Kind::Redis(redis) => redis.wipe().await,
            Kind::Sqs(sqs) => sqs.wipe().await,
        }
    }
}
