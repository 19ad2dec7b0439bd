//! A storage for one test, with access to its content.

use std::fs;

use anb::{
    config::storage::Settings,
    ids::VideoId,
    storage::{Storage, StorageKey},
};
use tempfile::TempDir;

use crate::support::{aws, eventually, files_below};

pub struct TestStorage {
    pub storage: Storage,
    /// For the test's own files.
    pub folder: TempDir,
    pub settings: Settings,
    kind: Kind,
}

enum Kind {
    Disk(TempDir),
    S3(aws::Bucket),
}

impl TestStorage {
    pub async fn disk() -> Self {
        let folder = TempDir::new().unwrap();
        let settings = Settings::local_below(folder.path());
        Self::open(settings, Kind::Disk(folder)).await
    }

    pub async fn s3() -> Self {
        let bucket = aws::Bucket::fresh().await;
        Self::open(bucket.settings(), Kind::S3(bucket)).await
    }

    async fn open(settings: Settings, kind: Kind) -> Self {
        Self {
            storage: Storage::connect(&settings, &aws::config().await)
                .await
                .unwrap(),
            folder: TempDir::new().unwrap(),
            settings,
            kind,
        }
    }

    pub async fn write(&self, key: StorageKey, content: impl AsRef<[u8]>) {
        let mut upload = self.storage.create(key).await.unwrap();
        upload
            .write(content.as_ref().to_vec().into())
            .await
            .unwrap();
        upload.finish().await.unwrap();
    }

    /// Returns the file `key`, if it exists.
    pub async fn fetch(&self, key: StorageKey) -> Option<Vec<u8>> {
        let to = TempDir::new_in(&self.folder).unwrap();
        let to = to.path().join("file");
        let fetched = self.storage.fetch(key, &to).await;
        fetched.is_ok().then(|| fs::read(to).unwrap())
    }

    /// Asserts that the file `key` has `content`, without printing it.
    pub async fn holds(&self, key: StorageKey, content: &[u8]) {
        let stored = self.fetch(key).await.unwrap();
        assert_eq!(stored.len(), content.len(), "{key}");
        assert!(stored == content, "{key} has other content");
    }

    /// Returns the attempts whose outputs exist, which must be all of them or none.
    pub async fn attempts(&self, video: VideoId) -> Vec<i32> {
        let mut attempts = Vec::new();
        for attempt in 1..20 {
            let mut found = 0;
            for key in StorageKey::outputs(video, attempt) {
                found += usize::from(self.fetch(key).await.is_some());
            }
            assert!([0, 4].contains(&found), "{attempt}: {found}");
            if found > 0 {
                attempts.push(attempt);
            }
        }
        attempts
    }

    /// Stores a file of any name, bypassing the program.
    pub fn plant(&self, name: &str) {
        match &self.kind {
            Kind::Disk(folder) => {
                let path = folder.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "planted").unwrap();
            }
            Kind::S3(bucket) => bucket.plant(name),
        }
    }

    /// Returns the names of all stored files, sorted.
    pub fn names(&self) -> Vec<String> {
        match &self.kind {
            Kind::Disk(folder) => files_below(folder.path()),
            Kind::S3(bucket) => bucket.objects(),
        }
    }

    /// Waits until no unfinished upload is left. A dropped S3 upload is aborted in the background.
    pub async fn until_tidy(&self) {
        let unfinished = || match &self.kind {
            Kind::Disk(_) => Vec::new(),
            Kind::S3(bucket) => bucket.uploads(),
        };
        eventually("no unfinished upload is left", 60, async || {
            unfinished().is_empty()
        })
        .await;
    }
}
