//! Access to AWS. Credentials are not settings of this program: they come from the SDK's own chain
//! (environment, profile, instance role).

use clap::Args;

use super::http_url;

/// AWS settings for SQS and S3.
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(next_help_heading = "AWS")]
pub struct Settings {
    /// Region of the bucket
    #[arg(long, env, default_value = "us-east-1", value_name = "REGION")]
    pub aws_region: String,
    /// Endpoint of an emulator for all services; if unset, AWS
    #[arg(long, env, value_name = "URL", value_parser = http_url)]
    pub aws_endpoint_url: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            aws_region: "us-east-1".to_owned(),
            aws_endpoint_url: None,
        }
    }
}
