//! What SQS and S3 share: the SDK's configuration, made once per process, and errors worth reading.

use std::{error::Error as StdError, time::Duration};

use anyhow::anyhow;
use aws_config::{
    BehaviorVersion, Region, SdkConfig, provider_config::ProviderConfig, retry::RetryConfig,
    timeout::TimeoutConfig,
};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::{
    Builder as HttpClient,
    tls::{Provider, rustls_provider::CryptoMode},
};

use crate::config::{
    aws::Settings,
    queue::{self, QueueType},
    storage::{self, StorageType},
};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Tries of one call, the first included, with growing waits between them.
const MAX_ATTEMPTS: u32 = 4;

/// Reads what the SDK reads itself (profiles, credentials) and adds our settings. Asks nobody: the
/// credentials are looked for when they are first needed.
pub async fn load(settings: &Settings) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT);
    let tls = Provider::Rustls(CryptoMode::Ring);
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(HttpClient::new().tls_provider(tls).build_https())
        .region(Region::new(settings.region.clone()))
        // Slows down by itself while AWS throttles.
        .retry_config(RetryConfig::adaptive().with_max_attempts(MAX_ATTEMPTS))
        .timeout_config(timeouts.build());
    if let Some(url) = &settings.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    loader.load().await
}

/// Returns the configuration of what is no service, such as the instance's metadata: the HTTP client of `aws`.
pub fn provider_config(aws: &SdkConfig) -> ProviderConfig {
    let config = ProviderConfig::without_region();
    match aws.http_client() {
        Some(client) => config.with_http_client(client),
        None => config,
    }
}

/// Loads as [`load`] does if queue or storage is at AWS. A process that asks AWS nothing is spared the 3 MB.
pub async fn load_for(
    settings: &Settings,
    queue: &queue::Settings,
    storage: &storage::Settings,
) -> SdkConfig {
    if queue.queue_type == QueueType::Sqs || storage.storage_type == StorageType::S3 {
        return load(settings).await;
    }
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .build()
}

/// Returns the time limits of `aws`, with `attempt` as the limit of each try of a call.
pub fn timeouts(aws: &SdkConfig, attempt: Duration) -> TimeoutConfig {
    let limits = aws.timeout_config().map(TimeoutConfig::to_builder);
    let limits = limits.unwrap_or_else(TimeoutConfig::builder);
    limits.operation_attempt_timeout(attempt).build()
}

/// AWS could not be asked, or has a trouble of its own: the same may succeed later.
#[derive(Debug, thiserror::Error)]
#[error("AWS does not answer")]
pub struct Away;

/// Turns an SDK error into one that says what AWS said: `AccessDenied: …`, or why it could not be asked;
/// with [`Away`] if that may pass.
pub fn explain<E>(error: SdkError<E>) -> anyhow::Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let is_away = match &error {
        SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) | SdkError::ResponseError(_) => {
            true
        }
        SdkError::ServiceError(refusal) => refusal.raw().status().is_server_error(),
        _ => false,
    };
    let explained = match (error.code(), error.message()) {
        (Some(code), Some(message)) => anyhow!("{code}: {message}"),
        (Some(code), None) => anyhow!("{code}"),
        (None, _) => anyhow::Error::new(error),
    };
    if is_away {
        explained.context(Away)
    } else {
        explained
    }
}
