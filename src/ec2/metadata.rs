//! What the instance's metadata (its version 2) says about its future.

use anyhow::Context as _;
use aws_config::imds::{self, client::error::ImdsError};
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// The metadata service.
#[derive(Debug)]
pub struct Metadata(imds::Client);

/// Why an instance goes; the later in this list, the more urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notice {
    /// EC2 recommends to leave this Spot capacity, before it may be taken back.
    AtRisk,
    /// The group takes the instance away, and waits in its hook.
    Terminated,
    /// EC2 takes its Spot capacity back, and waits for nobody.
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

    /// Returns the instance's id.
    pub async fn instance_id(&self) -> anyhow::Result<String> {
        let id = self.read("instance-id").await?;
        id.context("there is none")
    }

    /// Returns the most urgent notice, if there is any.
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

    /// Reads one item; what does not exist is `None`.
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
