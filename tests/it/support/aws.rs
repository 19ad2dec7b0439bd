//! Emulated AWS: one SQS (and S3 with versioning) per test process, and one S3 per test.

mod bucket;
mod emulated;
mod emulator;
mod script;

use anb::config::aws::Settings;
use aws_config::SdkConfig;
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};

pub use bucket::{BUCKET, Bucket};
pub use emulated::EmulatedBucket;
pub use emulator::emulator;
pub use script::{Asked, Script, ScriptedResponse};

/// Access key and secret key of all emulators.
pub const KEY: &str = "test";

/// Returns the program's SDK configuration, with the credentials of the emulators.
pub async fn config() -> SdkConfig {
    config_with(KEY).await
}

/// Like [`config`], with the secret key `secret`.
pub async fn config_with(secret: &str) -> SdkConfig {
    let credentials = Credentials::new(KEY, secret, None, None, "test");
    // Boxed because this large future is part of every test that starts an API.
    let config = Box::pin(anb::aws::load(&Settings::default())).await;
    let provider = SharedCredentialsProvider::new(credentials);
    let config = config.into_builder();
    config.credentials_provider(provider).build()
}
