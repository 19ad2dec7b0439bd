//! The broker that wakes workers. The row is the truth (see [`crate::videos::sweep`]); so a broker
//! needs only push, receive, acknowledge, extend, release and dead-letter, and may lose everything.

mod redis;
mod sqs;

use std::time::Duration;

use aws_config::SdkConfig;
use serde::Serialize;

use crate::{
    config::queue::{QueueType, Settings},
    job::Job,
};

/// A connection to the broker; clones share it.
#[derive(Clone)]
pub enum Queue {
    /// Redis Streams.
    Redis(redis::Streams),
    /// Amazon SQS.
    Sqs(sqs::Queues),
}

/// A message that this process received and must end: by [`Delivery::ack`], [`Delivery::release`] or
/// [`Delivery::dead_letter`]. One that it does not end comes back after the visibility time.
pub struct Delivery {
    /// The message's body, a [`Job`] unless somebody else wrote it.
    pub payload: String,
    receipt: Receipt,
}

/// A message in the dead-letter queue. Nothing happens to it unless it is told to: by
/// [`DeadMessage::remove`] or [`DeadMessage::send_again`]. [`DeadMessage::put_back`] shows it to others at
/// once.
pub struct DeadMessage {
    /// The message's body, untouched.
    pub payload: String,
    /// Why it is here; none if the broker itself moved it.
    pub reason: Option<String>,
    receipt: Receipt,
}

enum Receipt {
    Redis(redis::Streams, redis::EntryId),
    Sqs(sqs::Queues, sqs::Handle),
}

/// How many messages the broker holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Not received by anybody yet.
    pub waiting: u64,
    /// Received and not ended.
    pub in_flight: u64,
    /// In the dead-letter queue.
    pub dead: u64,
}

impl Queue {
    /// Makes a connection. Redis is asked when it is first used, so that one that is down stops nobody's
    /// start; SQS is asked now, so that a wrong address or a missing permission does. `visibility` is how
    /// long a received message stays hidden without [`Delivery::extend`].
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

    /// Receives up to `max` messages, waiting at most `wait` for the first. What a dropped call received is hidden from
    /// everybody until the visibility time is over.
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

    /// Takes up to `max` messages out of the dead-letter queue, to look at them. Others may not see them
    /// for a minute.
    pub async fn take_dead(&self, max: usize) -> anyhow::Result<Vec<DeadMessage>> {
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
                let messages = queues.take_dead(max).await?;
                let dead = |(handle, payload, reason)| DeadMessage {
                    payload,
                    reason,
                    receipt: Receipt::Sqs(queues.clone(), handle),
                };
                Ok(messages.into_iter().map(dead).collect())
            }
        }
    }

    /// Counts the messages.
    pub async fn stats(&self) -> anyhow::Result<Stats> {
        match self {
            Self::Redis(streams) => streams.stats().await,
            Self::Sqs(queues) => queues.stats().await,
        }
    }

    /// Tells whether [`Queue::stats`] counts every message at once. Those of SQS lag by up to a minute:
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>
    pub fn counts_at_once(&self) -> bool {
        match self {
            Self::Redis(_) => true,
            Self::Sqs(_) => false,
        }
    }

    /// Returns an error unless the broker answers.
    pub async fn ready(&self) -> anyhow::Result<()> {
        match self {
            Self::Redis(streams) => streams.ready().await,
            Self::Sqs(queues) => queues.ready().await,
        }
    }

    /// Tells the broker that this process receives no more.
    pub async fn leave(&self) -> anyhow::Result<()> {
        match self {
            Self::Redis(streams) => streams.leave().await,
            Self::Sqs(_) => Ok(()),
        }
    }
}

impl Delivery {
    /// Ends the message: its work is done, or the row no longer needs it.
    pub async fn ack(self) -> anyhow::Result<()> {
        match self.receipt {
            Receipt::Redis(streams, id) => streams.ack(&id).await,
            Receipt::Sqs(queues, handle) => queues.ack(&handle).await,
        }
    }

    /// Hides the message for another visibility time.
    pub async fn extend(&self) -> anyhow::Result<()> {
        match &self.receipt {
            Receipt::Redis(streams, id) => streams.extend(id).await,
            Receipt::Sqs(queues, handle) => queues.extend(handle).await,
        }
    }

    /// Gives the message back: somebody may receive it at once.
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

    /// Ends the message, and sends `job` to the dead-letter queue.
    pub async fn dead_letter_job(mut self, job: &Job, reason: &str) -> anyhow::Result<()> {
        self.payload = job.to_payload()?;
        self.dead_letter(reason).await
    }
}

impl DeadMessage {
    /// Removes the message for good.
    pub async fn remove(self) -> anyhow::Result<()> {
        match self.receipt {
            Receipt::Redis(streams, id) => streams.remove_dead(&id).await,
            Receipt::Sqs(queues, handle) => queues.remove_dead(&handle).await,
        }
    }

    /// Moves the message, untouched, to the main queue. A crash in between leaves a second copy there,
    /// never none.
    pub async fn send_again(self, queue: &Queue) -> anyhow::Result<()> {
        queue.push_payload(&self.payload).await?;
        self.remove().await
    }

    /// Leaves the message where it is.
    pub async fn put_back(self) -> anyhow::Result<()> {
        match self.receipt {
            // It was never hidden.
            Receipt::Redis(..) => Ok(()),
            Receipt::Sqs(queues, handle) => queues.put_back_dead(&handle).await,
        }
    }
}
