//! Settlement of messages: how the message of a job ends.

use std::time::Duration;

use super::within;
use crate::{job::Job, queue::Delivery, videos::Claim};

/// How a message is settled.
#[derive(Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The message is done.
    Ack,
    /// The message returns to the queue, for another worker.
    Release,
    /// The message is dead-lettered because its kind is unknown.
    Unknown,
    /// The job has permanently failed and is dead-lettered.
    Dead(Job),
}

impl Settlement {
    /// Returns the dead letter of a failed video, for the operator.
    pub fn dead_letter(claim: Claim) -> Self {
        let trace = format!("attempt {}", claim.attempt);
        Self::Dead(Job::process_video(claim.video, trace))
    }

    /// Settles a message within `limit`. If that fails, the broker redelivers the message, as another
    /// ticket.
    pub async fn settle(&self, delivery: Delivery, limit: Duration) {
        let settled = match self {
            Self::Ack => within(limit, delivery.ack()).await,
            Self::Release => within(limit, delivery.release()).await,
            Self::Unknown => within(limit, delivery.dead_letter("unknown_job")).await,
            Self::Dead(job) => {
                within(limit, delivery.dead_letter_job(job, "processing_failed")).await
            }
        };
        if let Err(error) = settled {
            tracing::warn!(
                settlement = ?self,
                "failed to settle the message, it will be redelivered: {error:#}"
            );
        }
    }
}
