//! Termination notices from the instance metadata service, version 2.

use anyhow::Context as _;
use aws_config::imds::{self, client::error::ImdsError};
use chrono::{DateTime, Utc};
use serde::Deserialize;

#[derive(Debug)]
pub struct Metadata(imds::Client);

/// Why an instance will be terminated, in order of increasing urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notice {
    /// EC2 recommends leaving this Spot capacity, which it may reclaim.
    AtRisk,
    /// The group terminates the instance and waits in its lifecycle hook.
    Terminated,
    /// EC2 reclaims its Spot capacity at a fixed time.
    Interrupted { at: DateTime<Utc> },
}

/// See "Spot Instance interruption notices" in the EC2 user guide.
#[derive(Deserialize)]
struct InstanceAction {
    time: DateTime<Utc>,
}

impl Metadata {
    pub fn new(client: imds::Client) -> Self {
        Self(client)
    }

    pub async fn instance_id(&self) -> anyhow::Result<String> {
        let id = self.read("instance-id").await?;
        id.context("the metadata has no instance-id")
    }

    /// Returns the most urgent notice, if any.
    pub async fn notice(&self) -> anyhow::Result<Option<Notice>> {
        if let Some(action) = self.read("spot/instance-action").await? {
            let InstanceAction { time: at } =
                serde_json::from_str(&action).context("read spot/instance-action")?;
            return Ok(Some(Notice::Interrupted { at }));
        }
        let state = self.read("autoscaling/target-lifecycle-state").await?;
        // `Terminated`, or `Warmed:Terminated` in a warm pool.
        if state.is_some_and(|state| state.ends_with("Terminated")) {
            return Ok(Some(Notice::Terminated));
        }
        let recommendation = self.read("events/recommendations/rebalance").await?;
        Ok(recommendation.map(|_time| Notice::AtRisk))
    }

    /// Reads one item. Returns `None` if it does not exist.
    async fn read(&self, item: &str) -> anyhow::Result<Option<String>> {
        match self.0.get(format!("/latest/meta-data/{item}")).await {
            Ok(value) => Ok(Some(value.into())),
            Err(ImdsError::ErrorResponse(error)) if error.response().status().as_u16() == 404 => {
                Ok(None)
            }
            Err(error) => Err(error).with_context(|| format!("read {item}")),
        }
    }
}
