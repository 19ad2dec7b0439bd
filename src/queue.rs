//! The broker that wakes workers. The row is the truth (see [`crate::videos::sweep`]); so a broker
//! needs only push, receive, acknowledge, extend, release and dead-letter, and may lose everything.

mod redis;

use std::time::Duration;

use crate::{
    config::queue::{QueueType, Settings},
    job::Job,
};

/// A connection to the broker; clones share it.
#[derive(Clone)]
pub enum Queue {
    /// Redis Streams.
    Redis(redis::Streams),
}

/// A message that this process received and must end: by [`Delivery::ack`], [`Delivery::release`] or
/// [`Delivery::dead_letter`]. One that it does not end comes back after the visibility time.
pub struct Delivery {
    /// The message's body, a [`Job`] unless somebody else wrote it.
    pub payload: String,
    receipt: Receipt,
}

enum Receipt {
    Redis(redis::Streams, redis::EntryId),
}

/// How many messages the broker holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Not received by anybody yet.
    pub waiting: u64,
    /// Received and not ended.
    pub in_flight: u64,
    /// In the dead-letter queue.
    pub dead: u64,
}

impl Queue {
    /// Makes a connection that opens when it is first used, so that a broker that is down stops
    /// nobody's start. `visibility` is how long a received message stays hidden without
    /// [`Delivery::extend`].
    pub fn connect(settings: &Settings, visibility: Duration) -> anyhow::Result<Self> {
        match settings.queue_type {
            QueueType::Redis => Ok(Self::Redis(redis::Streams::new(
                settings.redis()?,
                settings.redis_ssl_root_cert.as_deref(),
                visibility,
            )?)),
        }
    }

    /// Adds a job. Returns an error if the broker did not confirm it.
    pub async fn push(&self, job: &Job) -> anyhow::Result<()> {
        let payload = job.to_payload()?;
        match self {
            Self::Redis(streams) => streams.push(&payload).await,
        }
    }

    /// Receives up to `max` messages, waiting at most `wait` for the first. Await it to its end: what
    /// a dropped call received is hidden from everybody until the visibility time is over.
    pub async fn receive(&self, max: usize, wait: Duration) -> anyhow::Result<Vec<Delivery>> {
        match self {
            Self::Redis(streams) => {
                let entries = streams.receive(max, wait).await?;
                let delivery = |(id, payload)| Delivery {
                    payload,
                    receipt: Receipt::Redis(streams.clone(), id),
                };
                Ok(entries.into_iter().map(delivery).collect())
            }
        }
    }

    /// Counts the messages.
    pub async fn stats(&self) -> anyhow::Result<Stats> {
        match self {
            Self::Redis(streams) => streams.stats().await,
        }
    }

    /// Returns an error unless the broker answers.
    pub async fn ready(&self) -> anyhow::Result<()> {
        match self {
            Self::Redis(streams) => streams.ready().await,
        }
    }

    /// Tells the broker that this process receives no more.
    pub async fn leave(&self) -> anyhow::Result<()> {
        match self {
            Self::Redis(streams) => streams.leave().await,
        }
    }
}

impl Delivery {
    /// Ends the message: its work is done, or the row no longer needs it.
    pub async fn ack(self) -> anyhow::Result<()> {
        match self.receipt {
            Receipt::Redis(streams, id) => streams.ack(&id).await,
        }
    }

    /// Hides the message for another visibility time.
    pub async fn extend(&self) -> anyhow::Result<()> {
        match &self.receipt {
            Receipt::Redis(streams, id) => streams.extend(id).await,
        }
    }

    /// Gives the message back: somebody may receive it at once.
    pub async fn release(self) -> anyhow::Result<()> {
        match self.receipt {
            Receipt::Redis(streams, id) => streams.release(&id).await,
        }
    }

    /// Moves the message, untouched, to the dead-letter queue.
    pub async fn dead_letter(self, reason: &str) -> anyhow::Result<()> {
        match self.receipt {
            Receipt::Redis(streams, id) => streams.dead_letter(&id, &self.payload, reason).await,
        }
    }
}
