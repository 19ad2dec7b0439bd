//! Where originals, clips and posters are stored, and the limits of uploads.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum, value_parser};

use super::{duration, http_url};

/// Storage settings.
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(next_help_heading = "Storage")]
pub struct Settings {
    /// Where files are stored
    #[arg(long, env, default_value = "local", value_name = "PLACE")]
    pub storage_type: StorageType,
    /// Folder of the originals
    #[arg(long, env, default_value = "./uploads", value_name = "FOLDER")]
    pub upload_path: PathBuf,
    /// Folder of the clips and posters
    #[arg(long, env, default_value = "./processed", value_name = "FOLDER")]
    pub processed_path: PathBuf,
    /// S3: the bucket; required with `STORAGE_TYPE=s3`
    #[arg(long, env, value_name = "BUCKET")]
    pub s3_bucket_name: Option<String>,
    /// S3: prefix of the originals
    #[arg(long, env, default_value = "uploads", value_name = "PREFIX", value_parser = prefix)]
    pub s3_upload_prefix: String,
    /// S3: prefix of the clips and posters
    #[arg(long, env, default_value = "processed", value_name = "PREFIX", value_parser = prefix)]
    pub s3_processed_prefix: String,
    /// S3: URL at which a CDN serves the processed prefix; if unset, the API redirects to the bucket
    #[arg(long, env, value_name = "URL", value_parser = http_url)]
    pub media_base_url: Option<String>,
    /// S3: endpoint of an emulator; if unset, `AWS_ENDPOINT_URL`, else AWS
    #[arg(long, env = "AWS_ENDPOINT_URL_S3", value_name = "URL", value_parser = http_url)]
    pub s3_endpoint_url: Option<String>,
}

/// Where files are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StorageType {
    /// Two folders, shared by all processes.
    Local,
    /// An S3 bucket.
    S3,
}

impl Settings {
    pub fn local_below(folder: &std::path::Path) -> Self {
        Self {
            storage_type: StorageType::Local,
            upload_path: folder.join("uploads"),
            processed_path: folder.join("processed"),
            s3_bucket_name: None,
            s3_upload_prefix: "uploads".to_owned(),
            s3_processed_prefix: "processed".to_owned(),
            media_base_url: None,
            s3_endpoint_url: None,
        }
    }

    /// Refuses settings that contradict the storage type.
    pub fn validate(&self) -> anyhow::Result<()> {
        match self.storage_type {
            StorageType::Local => ensure!(
                self.media_base_url.is_none(),
                "MEDIA_BASE_URL is set, but only STORAGE_TYPE=s3 supports a CDN"
            ),
            StorageType::S3 => {
                self.s3_bucket()?;
                let inside = self
                    .s3_upload_prefix
                    .strip_prefix(&self.s3_processed_prefix);
                ensure!(
                    !inside.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
                    "S3_UPLOAD_PREFIX={} lies in S3_PROCESSED_PREFIX={}: a CDN would serve originals",
                    self.s3_upload_prefix,
                    self.s3_processed_prefix
                );
            }
        }
        Ok(())
    }

    pub fn s3_bucket(&self) -> anyhow::Result<String> {
        self.s3_bucket_name
            .clone()
            .context("S3_BUCKET_NAME is not set, and STORAGE_TYPE=s3 needs it")
    }
}

/// Checks a prefix of object keys, and returns it without leading and trailing slashes.
fn prefix(text: &str) -> Result<String, String> {
    let prefix = text.trim_matches('/');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if prefix.is_empty() || !prefix.chars().all(is_plain) || prefix.contains("..") {
        return Err("write letters, digits, '-', '_', '.' and '/'".to_owned());
    }
    Ok(prefix.to_owned())
}

/// Limits of one upload.
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(next_help_heading = "Uploads")]
pub struct UploadSettings {
    /// Maximum size of a video file [unit: bytes, inclusive]
    #[arg(long, env, default_value_t = 104_857_600, value_name = "BYTES",
          value_parser = value_parser!(u64).range(1..))]
    pub max_file_size: u64,
    /// Maximum duration of an upload, after which its remains are removed [unit: 30m, 1h …]
    #[arg(long, env, default_value = "30m", value_name = "TIME", value_parser = duration)]
    pub upload_timeout: Duration,
    /// Time after which an unfinished resumable upload is removed [unit: 30m, 24h …]
    #[arg(long, env, default_value = "24h", value_name = "TIME", value_parser = duration)]
    pub upload_expiry: Duration,
}

/// Allowance for the rest of an upload form: boundaries, headers, the other fields (bytes).
const FORM_OVERHEAD_BYTES: u64 = 64 * 1024;

impl UploadSettings {
    /// Returns the maximum size of an upload's body, in bytes.
    pub fn max_bytes(&self) -> u64 {
        self.max_file_size.saturating_add(FORM_OVERHEAD_BYTES)
    }
}

/// Quotas of one account, which exceed the needs of any player.
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(next_help_heading = "Uploads")]
pub struct QuotaSettings {
    /// Maximum concurrent uploads of one account
    #[arg(long, env, default_value_t = 10, value_name = "COUNT",
          value_parser = value_parser!(u16).range(1..))]
    pub max_open_uploads: u16,
    /// Maximum unfinished resumable uploads of one account
    #[arg(long, env, default_value_t = 3, value_name = "COUNT",
          value_parser = value_parser!(u16).range(1..))]
    pub max_resumable_uploads: u16,
    /// Maximum videos of one account that wait for their clips
    #[arg(long, env, default_value_t = 100, value_name = "COUNT",
          value_parser = value_parser!(u16).range(1..))]
    pub max_waiting_videos: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_plain_path() {
        assert_eq!(prefix("/media/uploads/"), Ok("media/uploads".to_owned()));
        for wrong in ["", "/", "a b", "../up", "ñ"] {
            assert!(prefix(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn contradictory_settings_are_refused() {
        let local = Settings::local_below("folder".as_ref());
        local.validate().unwrap();
        let s3 = Settings {
            storage_type: StorageType::S3,
            s3_bucket_name: Some("anb".to_owned()),
            ..local.clone()
        };
        s3.validate().unwrap();
        for (settings, variable) in [
            (
                Settings {
                    media_base_url: Some("https://cdn.example".to_owned()),
                    ..local
                },
                "MEDIA_BASE_URL ",
            ),
            (
                Settings {
                    s3_bucket_name: None,
                    ..s3.clone()
                },
                "S3_BUCKET_NAME ",
            ),
            (
                Settings {
                    s3_upload_prefix: "processed".to_owned(),
                    ..s3
                },
                "S3_UPLOAD_PREFIX=processed lies in",
            ),
        ] {
            let error = settings.validate().unwrap_err().to_string();
            assert!(error.starts_with(variable), "{error}");
        }
    }
}
