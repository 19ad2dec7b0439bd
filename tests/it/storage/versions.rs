//! Buckets with versioning, on the emulator that supports it. A deleted video leaves no version.

use anb::{
    ids::VideoId,
    storage::{Storage, StorageKey},
};
use aws_sdk_s3::Client;
use tempfile::TempDir;

use super::{PART_BYTES, content, keys};
use crate::support::aws::{self, EmulatedBucket};

#[tokio::test]
async fn deleted_video_leaves_no_version_and_no_delete_marker() {
    let bucket = Versioned::fresh().await;
    let (video, other) = (VideoId::generate(), VideoId::generate());
    for _ in 0..3 {
        bucket.write_all(keys(video)).await;
    }
    bucket.write_all(keys(other)).await;
    // A manual deletion only hides the object.
    bucket.hide(StorageKey::Original(video)).await;
    assert_eq!(bucket.versions().await.len(), 15 + 1 + 5);

    bucket.storage.delete_video(video).await.unwrap();
    let mut left = keys(other).map(|key| key.to_string());
    left.sort();
    assert_eq!(bucket.versions().await, left);
}

#[tokio::test]
async fn deleted_outputs_leave_no_version() {
    let bucket = Versioned::fresh().await;
    let video = VideoId::generate();
    for attempt in [1, 1, 2, 12] {
        bucket.write_all([StorageKey::Clip(video, attempt)]).await;
    }
    bucket.storage.delete_outputs(video, 1).await.unwrap();
    let left = [12, 2].map(|attempt| StorageKey::Clip(video, attempt).to_string());
    assert_eq!(bucket.versions().await, left);
    bucket
        .storage
        .delete_outputs_before(video, 12)
        .await
        .unwrap();
    let left = [StorageKey::Clip(video, 12).to_string()];
    assert_eq!(bucket.versions().await, left);
}

#[tokio::test]
async fn orphaned_uploads_are_aborted_with_their_video() {
    let bucket = Versioned::fresh().await;
    let video = VideoId::generate();
    let mut left = Vec::new();
    for key in keys(video) {
        let mut upload = bucket.storage.create(key).await.unwrap();
        upload.write(vec![1; PART_BYTES].into()).await.unwrap();
        left.push(upload);
    }
    assert_eq!(bucket.uploads().await, 5);
    bucket.storage.delete_outputs(video, 1).await.unwrap();
    assert_eq!(bucket.uploads().await, 1);
    bucket.storage.delete_video(video).await.unwrap();
    assert_eq!(bucket.uploads().await, 0);
}

#[tokio::test]
async fn uploads_of_expired_attempts_are_aborted_and_the_last_continues() {
    let bucket = Versioned::fresh().await;
    let video = VideoId::generate();
    let mut running = Vec::new();
    for attempt in [1, 2, 12] {
        let key = StorageKey::Clip(video, attempt);
        let mut upload = bucket.storage.create(key).await.unwrap();
        upload.write(vec![1; PART_BYTES].into()).await.unwrap();
        running.push(upload);
    }
    let removed = bucket.storage.delete_outputs_before(video, 12).await;
    removed.unwrap();
    assert_eq!(bucket.uploads().await, 1);
    running.swap_remove(2).finish().await.unwrap();
}

/// [`crate::support::aws::Bucket`] cannot test this, as it keeps the checksum of the short file.
#[tokio::test]
async fn long_file_replaces_a_short_one() {
    let bucket = Versioned::fresh().await;
    let key = StorageKey::Original(VideoId::generate());
    bucket.write_all([key]).await;
    let long = content(PART_BYTES + 1, 1);
    let mut upload = bucket.storage.create(key).await.unwrap();
    upload.write(long.clone().into()).await.unwrap();
    upload.finish().await.unwrap();
    let folder = TempDir::new().unwrap();
    let copy = folder.path().join("copy");
    bucket.storage.fetch(key, &copy).await.unwrap();
    assert!(std::fs::read(copy).unwrap() == long);
}

/// A bucket with versioning, as storage.
struct Versioned {
    storage: Storage,
    client: Client,
    name: String,
}

impl Versioned {
    async fn fresh() -> Self {
        let bucket = EmulatedBucket::fresh().await;
        let storage = Storage::connect(&bucket.settings(), &aws::config().await).await;
        Self {
            storage: storage.unwrap(),
            client: bucket.client,
            name: bucket.name,
        }
    }

    async fn write_all(&self, keys: impl IntoIterator<Item = StorageKey>) {
        for key in keys {
            let mut upload = self.storage.create(key).await.unwrap();
            upload.write("x".into()).await.unwrap();
            upload.finish().await.unwrap();
        }
    }

    async fn hide(&self, key: StorageKey) {
        let delete = self.client.delete_object().bucket(&self.name);
        delete.key(key.to_string()).send().await.unwrap();
    }

    /// Returns the name of each version and each delete marker, sorted.
    async fn versions(&self) -> Vec<String> {
        let list = self.client.list_object_versions().bucket(&self.name);
        let listed = list.send().await.unwrap();
        let versions = listed.versions().iter().map(|version| version.key());
        let markers = listed.delete_markers().iter().map(|marker| marker.key());
        let all = versions.chain(markers);
        let mut all: Vec<_> = all.map(|name| name.unwrap().to_owned()).collect();
        all.sort();
        all
    }

    async fn uploads(&self) -> usize {
        let list = self.client.list_multipart_uploads().bucket(&self.name);
        list.send().await.unwrap().uploads().len()
    }
}
