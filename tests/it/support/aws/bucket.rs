//! An S3 with one bucket, in this process, on a folder: [s3s-fs](https://docs.rs/s3s-fs). It checks
//! signatures; it knows no versions.

use std::fs;

use anb::config::storage::Settings;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::AbortHandle};

use super::{KEY, bucket_flags, bucket_settings};
use crate::support::{RUNTIME, files_below};

/// Name of every bucket.
pub const BUCKET: &str = "anb-media";

/// A bucket, served until it is dropped.
pub struct Bucket {
    pub url: String,
    folder: TempDir,
    serving: AbortHandle,
}

impl Bucket {
    /// Makes one that no other test uses.
    pub async fn fresh() -> Self {
        Self::on(TempDir::new().unwrap()).await
    }

    /// Makes one that keeps everything in `folder`.
    pub async fn on(folder: TempDir) -> Self {
        fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY, KEY));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = RUNTIME.spawn(serve(listener, service.build()));
        Self {
            url,
            folder,
            serving: serving.abort_handle(),
        }
    }

    /// Returns the settings to reach it.
    pub fn settings(&self) -> Settings {
        bucket_settings(BUCKET, &self.url)
    }

    /// Returns the flags of a program that keeps its files in it.
    pub fn flags(&self) -> [String; 3] {
        bucket_flags(BUCKET, &self.url)
    }

    /// Puts a file where an object of that name is.
    pub fn plant(&self, name: &str) {
        let path = self.folder.path().join(BUCKET).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "planted").unwrap();
    }

    /// Removes an object.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.folder.path().join(BUCKET).join(name)).unwrap();
    }

    /// Returns the names of the objects.
    pub fn objects(&self) -> Vec<String> {
        files_below(&self.folder.path().join(BUCKET))
    }

    /// Returns the multipart uploads that were neither completed nor aborted.
    pub fn uploads(&self) -> Vec<String> {
        let all = fs::read_dir(self.folder.path()).unwrap();
        all.map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with(".upload-"))
            .collect()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = service.clone();
        RUNTIME.spawn(async move {
            // A client that goes away in the middle is no affair of ours.
            drop(
                http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
    }
}
