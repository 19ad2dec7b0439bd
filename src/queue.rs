//! The broker that wakes workers. Rows are authoritative (see [`crate::videos::sweep`]), so a
//! broker needs only push, receive, acknowledge, extend, release and dead-letter, and may lose any
//! message.

mod redis;
mod sqs;

use std::time::Duration;

use aws_config::SdkConfig;
use serde::Serialize;

use crate::{
    config::queue::{QueueType, Settings},
    job::Job,
};

/// A connection to the broker. Cheap to clone; clones share it.
#[derive(Clone)]
pub enum Queue {
    /// Redis Streams.
    Redis(redis::Streams),
    /// Amazon SQS.
    Sqs(sqs::Queues),
}

/// A received message that this process must settle by [`Delivery::ack`], [`Delivery::release`] or
/// [`Delivery::dead_letter`]. An unsettled message reappears after the visibility timeout.
pub struct Delivery {
    /// The message's body, a [`Job`] unless another program wrote it.
    pub payload: String,
    receipt: Receipt,
}

/// A message in the dead-letter queue. It stays there until [`DeadMessage::remove`] or
/// [`DeadMessage::send_again`]. [`DeadMessage::put_back`] makes it visible again at once.
pub struct DeadMessage {
    /// The message's body, untouched.
    pub payload: String,
    /// Why it was dead-lettered; none if the broker itself moved it.
    pub reason: Option<String>,
    receipt: Receipt,
}

enum Receipt {
    Redis(redis::Streams, redis::EntryId),
    Sqs(sqs::Queues, sqs::Handle),
}

/// Message counts of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Not received yet.
    pub waiting: u64,
    /// Received and not settled.
    pub in_flight: u64,
    /// In the dead-letter queue.
    pub dead: u64,
}

impl Queue {
    /// Creates a connection. Redis is contacted on first use, so that an unavailable Redis does not
    /// prevent a start. SQS is contacted now, so that a wrong address or a missing permission does.
    /// `visibility` is how long a received message stays hidden without [`Delivery::extend`].
    pub async fn connect(
        settings: &Settings,
        visibility: Duration,
        aws: &SdkConfig,
    ) -> anyhow::Result<Self> {
        match settings.queue_type {
            QueueType::Redis => Ok(Self::Redis(redis::Streams::new(
                settings.redis()?,
                settings.redis_ssl_root_cert.as_deref(),
                visibility,
            )?)),
            QueueType::Sqs => {
                let queues = sqs::Queues::connect(settings, visibility, aws).await?;
                Ok(Self::Sqs(queues))
            }
        }
    }

    /// Adds a job. Returns an error if the broker did not confirm it.
    pub async fn push(&self, job: &Job) -> anyhow::Result<()> {
        self.push_payload(&job.to_payload()?).await
    }

    async fn push_payload(&self, payload: &str) -> anyhow::Result<()> {
        match self {
            Self::Redis(streams) => streams.push(payload).await,
            Self::Sqs(queues) => queues.push(payload).await,
        }
    }

    /// Receives up to `max` messages, waiting at most `wait` for the first. Messages received by a
    /// cancelled call stay hidden until the visibility timeout.
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
            Self::Sqs(queues) => {
                let messages = queues.receive(max, wait).await?;
                let delivery = |(handle, payload)| Delivery {
                    payload,
                    receipt: Receipt::Sqs(queues.clone(), handle),
                };
                Ok(messages.into_iter().map(delivery).collect())
            }
        }
    }

    /// Takes up to `max` messages out of the dead-letter queue for inspection. They may be hidden
    /// from other processes for a minute.
    pub async fn receive_dead(&self, max: usize) -> anyhow::Result<Vec<DeadMessage>> {
        match self {
            Self::Redis(streams) => {
                let entries = streams.dead(max).await?;
                let dead = |(id, payload, reason)| DeadMessage {
                    payload,
                    reason,
                    receipt: Receipt::Redis(streams.clone(), id),
                };
                Ok(entries.into_iter().map(dead).collect())
            }
            Self::Sqs(queues) => {
                let messages = queues.receive_dead(max).await?;
                let dead = |(handle, payload, reason)| DeadMessage {
                    payload,
                    reason,
                    receipt: Receipt::Sqs(queues.clone(), handle),
                };
                Ok(messages.into_iter().map(dead).collect())
            }
        }
    }

    pub async fn stats(&self) -> anyhow::Result<Stats> {
        match self {
            Self::Redis(streams) => streams.stats().await,
            Self::Sqs(queues) => queues.stats().await,
        }
    }

    /// Returns whether [`Queue::stats`] counts every message at once. SQS lags by up to a minute:
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>
    pub fn has_exact_stats(&self) -> bool {
        match self {
            Self::Redis(_) => true,
            Self::Sqs(_) => false,
        }
    }

    /// Returns an error unless the broker responds.
    pub async fn ready(&self) -> anyhow::Result<()> {
        match self {
            Self::Redis(streams) => streams.ready().await,
            Self::Sqs(queues) => queues.ready().await,
        }
    }

    /// Deregisters this process as a consumer.
    pub async fn leave(&self) -> anyhow::Result<()> {
        match self {
            Self::Redis(streams) => streams.leave().await,
            Self::Sqs(_) => Ok(()),
        }
    }
}

impl Delivery {
    /// Acknowledges the message, because its work is done or the row no longer needs it.
    pub async fn ack(self) -> anyhow::Result<()> {
        match self.receipt {
            Receipt::Redis(streams, id) => streams.ack(&id).await,
            Receipt::Sqs(queues, handle) => queues.ack(&handle).await,
        }
    }

    /// Hides the message for another visibility timeout.
    pub async fn extend(&self) -> anyhow::Result<()> {
        match &self.receipt {
            Receipt::Redis(streams, id) => streams.extend(id).await,
            Receipt::Sqs(queues, handle) => queues.extend(handle).await,
        }
    }

    /// Returns the message to the queue, where it can be received at once.
    pub async fn release(self) -> anyhow::Result<()> {
        match self.receipt {
            Receipt::Redis(streams, id) => streams.release(&id).await,
            Receipt::Sqs(queues, handle) => queues.release(&handle).await,
        }
    }

    /// Moves the message, untouched, to the dead-letter queue.
    pub async fn dead_letter(self, reason: &str) -> anyhow::Result<()> {
        match self.receipt {
            Receipt::Redis(streams, id) => streams.dead_letter(&id, &self.payload, reason).await,
            Receipt::Sqs(queues, handle) => {
                queues.dead_letter(&handle, &self.payload, reason).await
            }
        }
    }

    /// Settles the message by sending `job` to the dead-letter queue instead.
    pub async fn dead_letter_job(mut self, job: &Job, reason: &str) -> anyhow::Result<()> {
        self.payload = job.to_payload()?;
        self.dead_letter(reason).await
    }
}

impl DeadMessage {
    /// Removes the message permanently.
    pub async fn remove(self) -> anyhow::Result<()> {
        match self.receipt {
            Receipt::Redis(streams, id) => streams.remove_dead(&id).await,
            Receipt::Sqs(queues, handle) => queues.remove_dead(&handle).await,
        }
    }

    /// Moves the message, untouched, to the main queue. A crash in between duplicates the message
    /// but never loses it.
    pub async fn send_again(self, queue: &Queue) -> anyhow::Result<()> {
        queue.push_payload(&self.payload).await?;
        self.remove().await
    }

    /// Leaves the message in the dead-letter queue.
    pub async fn put_back(self) -> anyhow::Result<()> {
        match self.receipt {
            // It was never hidden.
            Receipt::Redis(..) => Ok(()),
            Receipt::Sqs(queues, handle) => queues.put_back_dead(&handle).await,
        }
    }
}
