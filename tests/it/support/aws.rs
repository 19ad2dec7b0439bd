//! Emulated AWS: one SQS (and S3 with versioning) per test process, and one S3 per test.

mod bucket;
mod emulated;
mod emulator;
mod script;

use std::path::Path;

use anb::config::{
    aws::Settings,
    storage::{self, StorageType},
};
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

/// Returns the settings to reach a bucket.
fn bucket_settings(name: &str, url: &str) -> storage::Settings {
    storage::Settings {
        storage_type: StorageType::S3,
        s3_bucket_name: Some(name.to_owned()),
        s3_endpoint_url: Some(url.to_owned()),
        ..storage::Settings::local_below(Path::new("unused"))
    }
}

/// Returns the flags of a program that keeps its files in a bucket.
fn bucket_flags(name: &str, url: &str) -> [String; 3] {
    [
        "--storage-type=s3".to_owned(),
        format!("--s3-bucket-name={name}"),
        format!("--s3-endpoint-url={url}"),
    ]
}
