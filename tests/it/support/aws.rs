//! AWS as far as this machine can play it: an SQS (and an S3 with versions) started once per test process,
//! and one S3 per test.

mod bucket;
mod emulator;
mod script;

use anb::config::aws::Settings;
use aws_config::SdkConfig;
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};

pub use bucket::{BUCKET, Bucket};
pub use emulator::emulator;
pub use script::{Answer, Asked, Script};

/// Access key and secret key of all emulators.
pub const KEY: &str = "test";

/// Returns the SDK's configuration as the program makes it, with the credentials of the emulators.
pub async fn config() -> SdkConfig {
    config_with(KEY).await
}

/// Returns one whose secret key is `secret`.
pub async fn config_with(secret: &str) -> SdkConfig {
    let credentials = Credentials::new(KEY, secret, None, None, "test");
    // Boxed: it is large, and part of every test that starts an API.
    let config = Box::pin(anb::aws::load(&Settings::default())).await;
    let provider = SharedCredentialsProvider::new(credentials);
    let config = config.into_builder();
    config.credentials_provider(provider).build()
}
