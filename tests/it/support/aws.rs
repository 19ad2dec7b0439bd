//! AWS as far as this machine can play it.

use aws_config::{BehaviorVersion, Region, SdkConfig};

/// Returns the SDK's configuration for a test that uses no AWS.
pub fn config() -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .build()
}
