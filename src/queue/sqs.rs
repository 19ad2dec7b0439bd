//! Amazon SQS: a standard queue, and a second one for dead-lettered jobs.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/>
//!
//! Each receive sets its own visibility timeout, so the queue's default is only a fallback. An
//! expired handle is not an error, because the message was settled or belongs to another process.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use aws_config::{Region, SdkConfig, timeout::TimeoutConfig};
use aws_sdk_sqs::{
    Client, Config,
    error::{ProvideErrorMetadata, SdkError},
    types::{Message, MessageAttributeValue, QueueAttributeName},
};
use serde::Deserialize;

use super::Stats;
use crate::{
    aws::{explain, timeouts},
    config::queue::Settings,
};

const REASON: &str = "reason";

/// Maximum messages per receive, and maximum wait for the first (s); limits of AWS.
const MAX_MESSAGES: usize = 10;
const MAX_WAIT_SECS: u64 = 20;

/// Maximum visibility timeout of a message (s); a limit of AWS.
const MAX_VISIBILITY_SECS: u64 = 12 * 3600;

/// Timeout for a reply. Receives add their own wait.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Visibility timeout of dead messages during inspection (s).
const DEAD_VISIBILITY_SECS: i32 = 60;

/// Identifies one receive of a message; the next receive creates a new handle.
pub type Handle = String;

/// The two queues. Cheap to clone; clones share one client.
#[derive(Clone)]
pub struct Queues {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    url: String,
    dead_url: String,
    visibility_secs: i32,
}

/// Where a queue moves messages that were received too often.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedrivePolicy {
    dead_letter_target_arn: String,
}

impl Queues {
    /// Checks both queues. Returns an error that names the setting if one is missing or forbidden.
    pub async fn connect(
        settings: &Settings,
        visibility: Duration,
        aws: &SdkConfig,
    ) -> anyhow::Result<Self> {
        let url = settings.sqs_queue()?;
        let client = client(settings, &url, aws)?;
        let attributes = attributes(&client, &url, &[QueueAttributeName::RedrivePolicy])
            .await
            .with_context(|| format!("SQS_QUEUE_URL={url}"))?;
        let dead_url = match &settings.sqs_dlq_url {
            Some(url) => url.clone(),
            None => dead_letter_queue(&client, &attributes)
                .await
                .context("SQS_DLQ_URL is not set, and no redrive policy names a queue")?,
        };
        depths(&client, &dead_url)
            .await
            .with_context(|| format!("SQS_DLQ_URL={dead_url}"))?;
        let inner = Inner {
            client,
            url,
            dead_url,
            visibility_secs: whole_seconds(visibility, MAX_VISIBILITY_SECS),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    pub async fn push(&self, payload: &str) -> anyhow::Result<()> {
        let message = self.inner.client.send_message();
        let message = message.queue_url(&self.inner.url).message_body(payload);
        let sent = message.send().await;
        sent.map_err(explain).context("push to SQS")?;
        Ok(())
    }

    pub async fn receive(
        &self,
        max: usize,
        wait: Duration,
    ) -> anyhow::Result<Vec<(Handle, String)>> {
        let wait_secs = whole_seconds(wait, MAX_WAIT_SECS);
        let messages = self
            .receive_from(&self.inner.url, max, wait_secs, self.inner.visibility_secs)
            .await
            .context("receive from SQS")?;
        Ok(messages
            .into_iter()
            .map(|message| (handle(&message), message.body.unwrap_or_default()))
            .collect())
    }

    pub async fn ack(&self, handle: &Handle) -> anyhow::Result<()> {
        self.delete(&self.inner.url, handle)
            .await
            .context("acknowledge to SQS")
    }

    pub async fn extend(&self, handle: &Handle) -> anyhow::Result<()> {
        self.hide(&self.inner.url, handle, self.inner.visibility_secs)
            .await
            .context("extend in SQS")
    }

    pub async fn release(&self, handle: &Handle) -> anyhow::Result<()> {
        self.hide(&self.inner.url, handle, 0)
            .await
            .context("release in SQS")
    }

    /// Sends, then deletes, so a crash in between duplicates the message but never loses it.
    pub async fn dead_letter(
        &self,
        handle: &Handle,
        payload: &str,
        reason: &str,
    ) -> anyhow::Result<()> {
        let reason = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(reason)
            .build()
            .context("build the reason attribute")?;
        self.inner
            .client
            .send_message()
            .queue_url(&self.inner.dead_url)
            .message_body(payload)
            .message_attributes(REASON, reason)
            .send()
            .await
            .map_err(explain)
            .context("dead-letter in SQS")?;
        self.ack(handle).await
    }

    /// Returns handle, payload and reason of up to `max` dead messages and hides them for a minute.
    pub async fn receive_dead(
        &self,
        max: usize,
    ) -> anyhow::Result<Vec<(Handle, String, Option<String>)>> {
        let mut taken = Vec::new();
        while taken.len() < max {
            let more = self
                .receive_from(
                    &self.inner.dead_url,
                    max - taken.len(),
                    1,
                    DEAD_VISIBILITY_SECS,
                )
                .await
                .context("receive from the SQS dead-letter queue")?;
            if more.is_empty() {
                break;
            }
            taken.extend(more.into_iter().map(dead_message));
        }
        Ok(taken)
    }

    pub async fn remove_dead(&self, handle: &Handle) -> anyhow::Result<()> {
        self.delete(&self.inner.dead_url, handle)
            .await
            .context("remove from the SQS dead-letter queue")
    }

    pub async fn put_back_dead(&self, handle: &Handle) -> anyhow::Result<()> {
        self.hide(&self.inner.dead_url, handle, 0)
            .await
            .context("put back into the SQS dead-letter queue")
    }

    /// Returns AWS's approximate counts.
    pub async fn stats(&self) -> anyhow::Result<Stats> {
        let (main, dead) = tokio::try_join!(
            depths(&self.inner.client, &self.inner.url),
            depths(&self.inner.client, &self.inner.dead_url),
        )
        .context("count in SQS")?;
        Ok(Stats {
            waiting: main.0,
            in_flight: main.1,
            dead: dead.0 + dead.1,
        })
    }

    pub async fn ready(&self) -> anyhow::Result<()> {
        depths(&self.inner.client, &self.inner.url).await.map(drop)
    }

    async fn receive_from(
        &self,
        url: &str,
        max: usize,
        wait_secs: i32,
        visibility_secs: i32,
    ) -> anyhow::Result<Vec<Message>> {
        let wait = Duration::from_secs(u64::try_from(wait_secs).unwrap_or(0));
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(TIMEOUT + wait);
        let received = self
            .inner
            .client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(i32::try_from(max.min(MAX_MESSAGES))?)
            .wait_time_seconds(wait_secs)
            .visibility_timeout(visibility_secs)
            .message_attribute_names(REASON)
            .customize()
            .config_override(Config::builder().timeout_config(timeouts.build()))
            .send()
            .await
            .map_err(explain)?;
        Ok(received.messages.unwrap_or_default())
    }

    async fn delete(&self, url: &str, handle: &Handle) -> anyhow::Result<()> {
        let delete = self.inner.client.delete_message();
        let deleted = delete.queue_url(url).receipt_handle(handle).send().await;
        ignore_expired(deleted)
    }

    async fn hide(&self, url: &str, handle: &Handle, seconds: i32) -> anyhow::Result<()> {
        let hidden = self
            .inner
            .client
            .change_message_visibility()
            .queue_url(url)
            .receipt_handle(handle)
            .visibility_timeout(seconds)
            .send()
            .await;
        ignore_expired(hidden)
    }
}

/// Creates the client. Without an emulator it contacts the host of the queue's URL.
fn client(settings: &Settings, url: &str, aws: &SdkConfig) -> anyhow::Result<Client> {
    let endpoint = match (&settings.sqs_endpoint_url, aws.endpoint_url()) {
        (Some(endpoint), _) => endpoint.clone(),
        (None, Some(endpoint)) => endpoint.to_owned(),
        (None, None) => {
            let url: url::Url = url.parse().context("SQS_QUEUE_URL")?;
            url.origin().ascii_serialization()
        }
    };
    let config = aws_sdk_sqs::config::Builder::from(aws)
        .region(Region::new(settings.sqs_region.clone()))
        .endpoint_url(endpoint)
        .timeout_config(timeouts(aws, TIMEOUT));
    Ok(Client::from_conf(config.build()))
}

async fn attributes(
    client: &Client,
    url: &str,
    names: &[QueueAttributeName],
) -> anyhow::Result<HashMap<QueueAttributeName, String>> {
    let request = client.get_queue_attributes().queue_url(url);
    let attributes = request.set_attribute_names(Some(names.to_vec())).send();
    let attributes = attributes.await.map_err(explain)?;
    Ok(attributes.attributes.unwrap_or_default())
}

/// Returns how many messages wait (including delayed ones) and how many are in flight.
async fn depths(client: &Client, url: &str) -> anyhow::Result<(u64, u64)> {
    use QueueAttributeName::{
        ApproximateNumberOfMessages as Waiting, ApproximateNumberOfMessagesDelayed as Delayed,
        ApproximateNumberOfMessagesNotVisible as InFlight,
    };
    let attributes = attributes(client, url, &[Waiting, Delayed, InFlight]).await?;
    let number = |name| {
        let number = attributes.get(&name).map(|text| text.parse::<u64>());
        number.transpose().context("parse a message count")
    };
    let waiting = number(Waiting)?.unwrap_or(0) + number(Delayed)?.unwrap_or(0);
    Ok((waiting, number(InFlight)?.unwrap_or(0)))
}

/// Finds the dead-letter queue that the redrive policy names: `arn:aws:sqs:region:account:name`.
async fn dead_letter_queue(
    client: &Client,
    attributes: &HashMap<QueueAttributeName, String>,
) -> anyhow::Result<String> {
    let policy = attributes
        .get(&QueueAttributeName::RedrivePolicy)
        .context("the queue has no redrive policy")?;
    let policy: RedrivePolicy = serde_json::from_str(policy).context("parse the policy")?;
    let mut parts = policy.dead_letter_target_arn.rsplit(':');
    let (Some(name), Some(account)) = (parts.next(), parts.next()) else {
        return Err(anyhow!("not an ARN: {}", policy.dead_letter_target_arn));
    };
    let request = client.get_queue_url().queue_name(name);
    let found = request.queue_owner_aws_account_id(account).send().await;
    let found = found.map_err(explain).with_context(|| name.to_owned())?;
    found.queue_url.context("AWS returned no queue URL")
}

fn handle(message: &Message) -> Handle {
    message.receipt_handle.clone().unwrap_or_default()
}

fn dead_message(message: Message) -> (Handle, String, Option<String>) {
    let reason = message
        .message_attributes
        .as_ref()
        .and_then(|attributes| attributes.get(REASON)?.string_value.clone());
    (handle(&message), message.body.unwrap_or_default(), reason)
}

/// Ignores errors that mean that the handle has expired.
fn ignore_expired<T, E>(result: Result<T, SdkError<E>>) -> anyhow::Result<()>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    /// AWS returns the last code with "The receipt handle has expired". The others, too, mean that
    /// the message was deleted or is waiting again.
    const EXPIRED: [&str; 3] = [
        "MessageNotInflight",
        "ReceiptHandleIsInvalid",
        "InvalidParameterValue",
    ];
    match result {
        Ok(_) => Ok(()),
        // Some replies spell it `AWS.SimpleQueueService.MessageNotInflight`.
        Err(error)
            if error
                .code()
                .is_some_and(|code| EXPIRED.iter().any(|end| code.ends_with(end))) =>
        {
            tracing::debug!(
                message = error.message(),
                "the receipt handle has already expired"
            );
            Ok(())
        }
        Err(error) => Err(explain(error)),
    }
}

/// Rounds up, because SQS takes whole seconds and a shorter time would violate a guarantee.
fn whole_seconds(span: Duration, max: u64) -> i32 {
    let seconds = span.as_millis().div_ceil(1000).min(u128::from(max));
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_round_up_to_whole_seconds_within_the_limits_of_aws() {
        for (millis, max, seconds) in [(0, 20, 0), (1, 20, 1), (1500, 20, 2), (90_000, 20, 20)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis), max), seconds);
        }
    }
}
