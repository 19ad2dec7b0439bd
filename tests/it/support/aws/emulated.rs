//! A bucket with versions and tags, on the emulator that supports them.

use std::sync::atomic::{AtomicU32, Ordering};

use anb::config::storage::Settings;
use aws_sdk_s3::{
    Client,
    config::Builder,
    types::{BucketVersioningStatus, VersioningConfiguration},
};

use super::{bucket_flags, bucket_settings, config, emulator};

/// A bucket that no other test uses.
pub struct EmulatedBucket {
    pub client: Client,
    pub name: String,
    pub url: String,
}

impl EmulatedBucket {
    pub async fn fresh() -> Self {
        static BUCKETS: AtomicU32 = AtomicU32::new(0);
        let name = format!("anb-{}", BUCKETS.fetch_add(1, Ordering::Relaxed));
        let url = format!("http://{}", emulator().await);
        let config = Builder::from(&config().await).endpoint_url(&url);
        let client = Client::from_conf(config.force_path_style(true).build());
        client.create_bucket().bucket(&name).send().await.unwrap();
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled);
        let versioning = client.put_bucket_versioning().bucket(&name);
        let versioning = versioning.versioning_configuration(enabled.build());
        versioning.send().await.unwrap();
        Self { client, name, url }
    }

    /// Returns the settings to reach it.
    pub fn settings(&self) -> Settings {
        bucket_settings(&self.name, &self.url)
    }

    /// Returns the flags of a program that keeps its files in it.
    pub fn flags(&self) -> [String; 3] {
        bucket_flags(&self.name, &self.url)
    }
}
