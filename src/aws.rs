//! The SDK configuration of SQS and S3, created once per process, and readable AWS errors.

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

use crate::config::{Backends, aws::Settings, queue::QueueType, storage::StorageType};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum attempts of one call including the first, with increasing delays between them.
const MAX_ATTEMPTS: u32 = 4;

/// Reads the SDK's own sources (profiles, credentials) and adds our settings. Sends no request: the
/// credentials are resolved when they are first needed.
pub async fn load(settings: &Settings) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT);
    let tls = Provider::Rustls(CryptoMode::Ring);
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(HttpClient::new().tls_provider(tls).build_https())
        .region(Region::new(settings.aws_region.clone()))
        // Slows down while AWS throttles.
        .retry_config(RetryConfig::adaptive().with_max_attempts(MAX_ATTEMPTS))
        .timeout_config(timeouts.build());
    if let Some(url) = &settings.aws_endpoint_url {
        loader = loader.endpoint_url(url);
    }
    loader.load().await
}

/// Returns a configuration with the HTTP client of `aws` for endpoints that are not AWS services,
/// such as the instance metadata.
pub fn provider_config(aws: &SdkConfig) -> ProviderConfig {
    let config = ProviderConfig::without_region();
    match aws.http_client() {
        Some(client) => config.with_http_client(client),
        None => config,
    }
}

/// Calls [`load`] if queue or storage is at AWS. A process that uses neither saves 3 MB.
pub async fn load_for(settings: &Backends) -> SdkConfig {
    let Backends { queue, storage, .. } = settings;
    if queue.queue_type == QueueType::Sqs || storage.storage_type == StorageType::S3 {
        return load(&settings.aws).await;
    }
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .build()
}

/// Returns the timeouts of `aws`, with `attempt` as the limit of each attempt of a call.
pub fn timeouts(aws: &SdkConfig, attempt: Duration) -> TimeoutConfig {
    let limits = aws.timeout_config().map(TimeoutConfig::to_builder);
    let limits = limits.unwrap_or_else(TimeoutConfig::builder);
    limits.operation_attempt_timeout(attempt).build()
}

/// AWS could not be reached or reported a server error. A retry may succeed.
#[derive(Debug, thiserror::Error)]
#[error("AWS is unavailable")]
pub struct Unavailable;

/// Converts an SDK error into AWS's own message (`AccessDenied: …`) or the reason why AWS could not
/// be reached, with [`Unavailable`] if the failure may be temporary.
pub fn explain<E>(error: SdkError<E>) -> anyhow::Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let is_temporary = match &error {
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
    if is_temporary {
        explained.context(Unavailable)
    } else {
        explained
    }
}
