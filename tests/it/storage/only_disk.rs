//! Cases that only the disk has.

use std::fs;

use anb::{
    config::storage::Settings,
    ids::VideoId,
    storage::{Busy, Full, Storage, StorageKey},
};
use tempfile::TempDir;

use super::{
    content, keys,
    place::TestStorage,
    resuming::{Record, is_lost, write},
};
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

#[tokio::test]
async fn second_writer_waits_for_the_first_and_gives_up() {
    let place = TestStorage::disk().await;
    let bytes = content(1_000_000, 1);
    let mut record = Record::new(bytes.len());
    let (mut first, _) = record.resume(&place).await.unwrap();
    write(&mut first, &bytes[..600_000]).await;
    let second = record.resume(&place).await;
    assert!(second.is_err_and(|error| error.is::<Busy>()));

    let waiting = record.resume(&place);
    let (second, ()) = tokio::join!(waiting, async {
        record_soon(&mut first).await;
        drop(first);
    });
    let (mut second, _) = second.unwrap();
    write(&mut second, &bytes).await;
    second.finish().await.unwrap();
    place.holds(record.key, &bytes).await;
}

/// Writes a last checkpoint, as a writer does that has to end.
async fn record_soon(file: &mut anb::storage::ResumableFile) {
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    file.checkpoint().await.unwrap();
}

#[tokio::test]
async fn lost_bytes_are_reported() {
    let place = TestStorage::disk().await;
    let bytes = content(100_000, 2);
    let mut record = Record::new(bytes.len());
    let (mut file, _) = record.resume(&place).await.unwrap();
    write(&mut file, &bytes[..60_000]).await;
    record.progress = file.checkpoint().await.unwrap();
    drop(file);
    let path = place
        .settings
        .upload_path
        .join(format!("{}.part", record.key.name()));
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(59_999)
        .unwrap();
    assert!(is_lost(&record.resume(&place).await));
    fs::remove_file(path).unwrap();
    assert!(is_lost(&record.resume(&place).await));
}

#[tokio::test]
async fn full_disk_keeps_the_durable_bytes() {
    let disk = TempDir::new().unwrap();
    let Some(_mount) = Mount::tmpfs(disk.path(), "size=4m") else {
        return;
    };
    let settings = Settings::local_below(disk.path());
    let storage = connect(&settings).await.unwrap();
    let bytes = content(8 << 20, 3);
    let mut record = Record::new(bytes.len());
    let length = u64::try_from(bytes.len()).unwrap();
    let (key, writer) = (record.key, record.writer());
    let mut file = storage
        .resume(key, writer, record.progress.clone(), length)
        .await
        .unwrap();
    write(&mut file, &bytes[..2 << 20]).await;
    let progress = file.checkpoint().await.unwrap();
    let mut written = Ok(None);
    for piece in bytes[2 << 20..].chunks(60_000) {
        written = file.write(piece.to_vec().into()).await;
        if written.is_err() {
            break;
        }
    }
    let error = written.unwrap_err();
    assert!(error.is::<Full>(), "{error:#}");
    drop(file);
    record.progress = progress.clone();
    let writer = record.writer();
    let file = storage.resume(key, writer, progress, length).await.unwrap();
    assert_eq!(file.read_start(4096).await.unwrap(), bytes[..4096]);
}
