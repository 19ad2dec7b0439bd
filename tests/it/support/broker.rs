//! A broker of one test's own: what every kind can do for its operator, and to its users.

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
    /// Makes a Redis database that no other test uses.
    pub async fn redis() -> Self {
        Self::behind_relay(Kind::Redis(RedisBroker::fresh().await)).await
    }

    /// Makes an SQS queue with a dead-letter queue that no other test uses.
    pub async fn sqs() -> Self {
        Self::behind_relay(Kind::Sqs(SqsBroker::fresh().await)).await
    }

    /// Returns the one of an app.
    pub async fn of(app: &TestApp) -> Self {
        let settings = &app.serve.queue;
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

    /// Makes a queue, which is a consumer of its own.
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

    /// Adds messages, ten at most, which may be no jobs of ours.
    pub async fn push_raw(&self, payloads: &[&str]) {
        match &self.kind {
            Kind::Redis(redis) => redis.push_raw(payloads).await,
            Kind::Sqs(sqs) => sqs.push_raw(payloads).await,
        }
    }

    /// Returns payload and reason of the dead messages, and hides them for a while.
    pub async fn dead(&self) -> Vec<(String, String)> {
        match &self.kind {
            Kind::Redis(redis) => redis.dead().await,
            Kind::Sqs(sqs) => sqs.dead().await,
        }
    }

    /// Adds a dead message.
    pub async fn bury(&self, payload: &str, reason: &str) {
        match &self.kind {
            Kind::Redis(redis) => redis.bury(payload, reason).await,
            Kind::Sqs(sqs) => sqs.bury(payload, reason).await,
        }
    }

    /// Loses everything.
    pub async fn wipe(&self) {
        match &self.kind {
            Kind::Redis(redis) => redis.wipe().await,
            Kind::Sqs(sqs) => sqs.wipe().await,
        }
    }
}
