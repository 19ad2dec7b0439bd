//! Access to AWS. Credentials are not settings of this program: they come from the SDK's own chain
//! (environment, profile, instance role).

use clap::Args;

/// AWS settings for SQS and S3.
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(next_help_heading = "AWS")]
pub struct Settings {
    /// Region of the bucket
    #[arg(
        long = "aws-region",
        env = "AWS_REGION",
        default_value = "us-east-1",
        value_name = "REGION"
    )]
    pub region: String,
    /// Endpoint of an emulator for all services; if unset, AWS
    #[arg(long = "aws-endpoint-url", env = "AWS_ENDPOINT_URL", value_name = "URL",
          value_parser = super::http_url)]
    pub endpoint_url: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            endpoint_url: None,
        }
    }
}
