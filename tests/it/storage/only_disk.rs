//! Cases that only the disk has.

use std::fs;

use anb::{
    config::storage::Settings,
    ids::VideoId,
    storage::{Full, Storage, StorageKey},
};
use tempfile::TempDir;

use super::{keys, place::TestStorage};
use crate::support::{Mount, aws, files_below};

#[tokio::test]
async fn unusable_folder_is_reported_with_its_variable() {
    for (variable, folder) in [("UPLOAD_PATH", "uploads"), ("PROCESSED_PATH", "processed")] {
        let base = tempfile::tempdir().unwrap();
        fs::write(base.path().join(folder), "a file").unwrap();
        let Err(error) = connect(&Settings::local_below(base.path())).await else {
            panic!("{variable} is a file");
        };
        let error = format!("{error:#}");
        assert!(error.starts_with(&format!("{variable}=")), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}

#[tokio::test]
async fn read_only_folder_is_not_ready() {
    let disk = TempDir::new().unwrap();
    let Some(mount) = Mount::tmpfs(disk.path(), "size=1m") else {
        return;
    };
    let settings = Settings::local_below(disk.path());
    let storage = connect(&settings).await.unwrap();
    storage.ready().await.unwrap();
    mount.remount("ro");
    let error = format!("{:#}", storage.ready().await.unwrap_err());
    assert!(error.starts_with("UPLOAD_PATH="), "{error}");
}

#[tokio::test]
async fn full_disk_is_reported_and_keeps_no_partial_file() {
    let disk = TempDir::new().unwrap();
    let Some(_mount) = Mount::tmpfs(disk.path(), "size=1m") else {
        return;
    };
    let settings = Settings::local_below(disk.path());
    let storage = connect(&settings).await.unwrap();
    let video = VideoId::generate();
    let source = tempfile::NamedTempFile::new().unwrap();
    fs::write(source.path(), vec![1; 3 << 20]).unwrap();

    for key in keys(video) {
        let error = storage.store(key, source.path()).await.unwrap_err();
        assert!(error.downcast_ref::<Full>().is_some(), "{key}: {error:#}");
        let error = write_three_megabytes(&storage, key).await.unwrap_err();
        assert!(error.downcast_ref::<Full>().is_some(), "{key}: {error:#}");
    }
    assert_eq!(files_below(disk.path()), [""; 0]);
    // New files can be created again.
    storage.create(keys(video)[0]).await.unwrap();
}

#[tokio::test]
async fn disk_without_free_inodes_counts_as_full() {
    let disk = TempDir::new().unwrap();
    // Inodes for the root, two folders and one file.
    let Some(_mount) = Mount::tmpfs(disk.path(), "nr_inodes=4") else {
        return;
    };
    let settings = Settings::local_below(disk.path());
    let storage = connect(&settings).await.unwrap();
    let first = storage.create(StorageKey::Original(VideoId::generate()));
    let _first = first.await.unwrap();
    for key in keys(VideoId::generate()) {
        let Err(error) = storage.create(key).await else {
            panic!("{key}");
        };
        assert!(error.downcast_ref::<Full>().is_some(), "{key}: {error:#}");
    }
}

#[tokio::test]
async fn original_on_another_disk_is_copied() {
    let disk = TempDir::new().unwrap();
    let Some(_mount) = Mount::tmpfs(disk.path(), "size=1m") else {
        return;
    };
    let place = TestStorage::disk().await;
    let key = StorageKey::Original(VideoId::generate());
    place.write(key, "film").await;
    let copy = disk.path().join("copy");
    place.storage.fetch(key, &copy).await.unwrap();
    assert_eq!(fs::read(copy).unwrap(), b"film");
}

async fn connect(settings: &Settings) -> anyhow::Result<Storage> {
    Storage::connect(settings, &aws::config().await).await
}

async fn write_three_megabytes(storage: &Storage, key: StorageKey) -> anyhow::Result<()> {
    let mut upload = storage.create(key).await?;
    for _ in 0..3 {
        upload.write(vec![2; 1 << 20].into()).await?;
    }
    upload.finish().await
}
