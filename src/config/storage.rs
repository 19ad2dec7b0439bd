//! Where originals, clips and posters are kept, and what an upload may be.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

/// Storage settings.
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(next_help_heading = "Storage")]
pub struct Settings {
    /// Where the files are kept
    #[arg(
        long = "storage-type",
        env = "STORAGE_TYPE",
        default_value = "local",
        value_name = "PLACE"
    )]
    pub storage_type: StorageType,
    /// Folder of the originals
    #[arg(
        long = "upload-path",
        env = "UPLOAD_PATH",
        default_value = "./uploads",
        value_name = "FOLDER"
    )]
    pub upload_path: PathBuf,
    /// Folder of the clips and posters
    #[arg(
        long = "processed-path",
        env = "PROCESSED_PATH",
        default_value = "./processed",
        value_name = "FOLDER"
    )]
    pub processed_path: PathBuf,
}

/// Where the files are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StorageType {
    /// Two folders, shared by all processes.
    Local,
}

impl Settings {
    /// Returns the settings for storage below one folder.
    pub fn local_below(folder: &std::path::Path) -> Self {
        Self {
            storage_type: StorageType::Local,
            upload_path: folder.join("uploads"),
            processed_path: folder.join("processed"),
        }
    }
}

/// What an upload may be.
#[derive(Debug, Clone, Args)]
#[group(skip)]
#[command(next_help_heading = "Uploads")]
pub struct UploadSettings {
    /// Largest video file [unit: bytes, inclusive]
    #[arg(long, env = "MAX_FILE_SIZE", default_value_t = 104_857_600, value_name = "BYTES",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub max_file_size: u64,
    /// Longest upload; what a started one left behind after this is swept away [unit: 30m, 1h …]
    #[arg(long, env = "UPLOAD_TIMEOUT", default_value = "30m", value_name = "TIME",
          value_parser = super::duration)]
    pub upload_timeout: Duration,
}
