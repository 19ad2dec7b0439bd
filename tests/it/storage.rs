//! What every storage must do, written against [`Storage`] alone; then what only a disk can suffer.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anb::{
    config::storage::Settings,
    ids::VideoId,
    storage::{Full, Storage, StorageKey},
};
use tempfile::TempDir;

use crate::support::Mount;

#[tokio::test]
async fn what_is_written_in_pieces_comes_back_whole() {
    let place = Place::open().await;
    let key = StorageKey::Original(VideoId::generate());
    let bytes: Vec<u8> = (0..3_000_001_u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut upload = place.storage.create(key).await.unwrap();
    for size in [0, 1, 7, 262_144, 262_145] {
        upload.write(&bytes[..size]).await.unwrap();
    }
    let rest = 1 + 7 + 262_144 + 262_145;
    for piece in bytes[rest..].chunks(65_536) {
        upload.write(piece).await.unwrap();
    }
    upload.finish().await.unwrap();
    let fetched = place.fetch(key).await.unwrap();
    let start = [0, 1, 7, 262_144, 262_145].map(|size| &bytes[..size]);
    let expected = [&start.concat()[..], &bytes[rest..]].concat();
    assert!(
        fetched == expected,
        "{} of {}",
        fetched.len(),
        expected.len()
    );
}

#[tokio::test]
async fn nothing_is_there_before_the_end_and_nothing_stays_of_what_was_dropped() {
    let place = Place::open().await;
    for key in keys(VideoId::generate()) {
        let mut upload = place.storage.create(key).await.unwrap();
        upload.write(&vec![1; 600_000]).await.unwrap();
        assert!(place.fetch(key).await.is_none(), "{key}");
        drop(upload);
        assert!(place.fetch(key).await.is_none(), "{key}");
    }
    assert_eq!(place.files(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_second_file_replaces_the_first() {
    let place = Place::open().await;
    let video = VideoId::generate();
    for key in keys(video) {
        for content in ["first and longer", "second"] {
            place.write(key, content).await;
            assert_eq!(place.fetch(key).await.unwrap(), content.as_bytes(), "{key}");
        }
    }
    assert_eq!(place.files().len(), 3);
}

#[tokio::test]
async fn a_file_of_this_machine_is_stored_and_counted() {
    let place = Place::open().await;
    let key = StorageKey::Clip(VideoId::generate(), 1);
    let source = place.folder.path().join("clip");
    fs::write(&source, vec![7; 700_001]).unwrap();
    for _ in 0..2 {
        assert_eq!(place.storage.store(key, &source).await.unwrap(), 700_001);
        assert_eq!(place.fetch(key).await.unwrap(), vec![7; 700_001]);
    }
    assert!(
        source.exists(),
        "the source stays: the next attempt may need it"
    );
}

#[tokio::test]
async fn a_fetched_original_is_independent_of_the_stored_one() {
    let place = Place::open().await;
    let video = VideoId::generate();
    let key = StorageKey::Original(video);
    place.write(key, "film").await;
    let copy = place.folder.path().join("copy");
    place.storage.fetch(key, &copy).await.unwrap();
    place.storage.delete_video(video).await.unwrap();
    assert_eq!(fs::read(&copy).unwrap(), b"film");
}

#[tokio::test]
async fn deleting_twice_is_no_error() {
    let place = Place::open().await;
    let video = VideoId::generate();
    let other = VideoId::generate();
    for key in keys(video).into_iter().chain(keys(other)) {
        place.write(key, "x").await;
    }
    for _ in 0..2 {
        place.storage.delete_outputs(video, 1).await.unwrap();
        place.storage.delete_video(video).await.unwrap();
        place.storage.delete_other_outputs(video, 1).await.unwrap();
    }
    for key in keys(video) {
        assert!(place.fetch(key).await.is_none(), "{key}");
    }
    for key in keys(other) {
        assert!(place.fetch(key).await.is_some(), "{key}");
    }
}

#[tokio::test]
async fn one_attempt_is_deleted_or_kept_apart_from_the_others() {
    let place = Place::open().await;
    let video = VideoId::generate();
    for attempt in [1, 2, 3, 12] {
        place.write(StorageKey::Clip(video, attempt), "clip").await;
        place
            .write(StorageKey::Poster(video, attempt), "poster")
            .await;
    }
    place.storage.delete_outputs(video, 1).await.unwrap();
    assert_eq!(place.attempts(video).await, [2, 3, 12]);
    place.storage.delete_other_outputs(video, 2).await.unwrap();
    assert_eq!(place.attempts(video).await, [2]);
}

#[tokio::test]
async fn fetching_what_is_not_there_is_an_error() {
    let place = Place::open().await;
    let key = StorageKey::Original(VideoId::generate());
    let to = place.folder.path().join("copy");
    let error = place.storage.fetch(key, &to).await.unwrap_err();
    assert!(format!("{error:#}").contains(&key.to_string()), "{error:#}");
    assert!(!to.exists());
}

// Disks alone from here on.

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_named_by_its_variable() {
    for (variable, folder) in [("UPLOAD_PATH", "uploads"), ("PROCESSED_PATH", "processed")] {
        let base = tempfile::tempdir().unwrap();
        fs::write(base.path().join(folder), "a file").unwrap();
        let Err(error) = Storage::connect(&Settings::local_below(base.path())).await else {
            panic!("{variable} is a file");
        };
        let error = format!("{error:#}");
        assert!(error.starts_with(&format!("{variable}=")), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}

#[tokio::test]
async fn a_read_only_folder_is_not_ready() {
    let disk = TempDir::new().unwrap();
    let Some(mount) = Mount::tmpfs(disk.path(), "size=1m") else {
        return;
    };
    let settings = Settings::local_below(disk.path());
    let storage = Storage::connect(&settings).await.unwrap();
    storage.ready().await.unwrap();
    mount.remount("ro");
    let error = format!("{:#}", storage.ready().await.unwrap_err());
    assert!(error.starts_with("UPLOAD_PATH="), "{error}");
}

#[tokio::test]
async fn a_full_disk_is_told_apart_and_keeps_no_half_file() {
    let disk = TempDir::new().unwrap();
    let Some(_mount) = Mount::tmpfs(disk.path(), "size=1m") else {
        return;
    };
    let settings = Settings::local_below(disk.path());
    let storage = Storage::connect(&settings).await.unwrap();
    let video = VideoId::generate();
    let source = tempfile::NamedTempFile::new().unwrap();
    fs::write(source.path(), vec![1; 3 << 20]).unwrap();

    for key in keys(video) {
        let error = storage.store(key, source.path()).await.unwrap_err();
        assert!(error.downcast_ref::<Full>().is_some(), "{key}: {error:#}");
        let error = write_three_megabytes(&storage, key).await.unwrap_err();
        assert!(error.downcast_ref::<Full>().is_some(), "{key}: {error:#}");
    }
    assert_eq!(files_below(disk.path()), Vec::<PathBuf>::new());
    // There is room again.
    storage.create(keys(video)[0]).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_of_few_files_is_full_too() {
    let disk = TempDir::new().unwrap();
    // The root, the two folders, and one file.
    let Some(_mount) = Mount::tmpfs(disk.path(), "nr_inodes=4") else {
        return;
    };
    let settings = Settings::local_below(disk.path());
    let storage = Storage::connect(&settings).await.unwrap();
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
async fn an_original_on_another_disk_is_copied() {
    let disk = TempDir::new().unwrap();
    let Some(_mount) = Mount::tmpfs(disk.path(), "size=1m") else {
        return;
    };
    let place = Place::open().await;
    let key = StorageKey::Original(VideoId::generate());
    place.write(key, "film").await;
    let copy = disk.path().join("copy");
    place.storage.fetch(key, &copy).await.unwrap();
    assert_eq!(fs::read(copy).unwrap(), b"film");
}

async fn write_three_megabytes(storage: &Storage, key: StorageKey) -> anyhow::Result<()> {
    let mut upload = storage.create(key).await?;
    for _ in 0..3 {
        upload.write(&vec![2; 1 << 20]).await?;
    }
    upload.finish().await
}

/// A storage of its own.
struct Place {
    storage: Storage,
    folder: TempDir,
}

impl Place {
    async fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let settings = Settings::local_below(folder.path());
        Self {
            storage: Storage::connect(&settings).await.unwrap(),
            folder,
        }
    }

    async fn write(&self, key: StorageKey, content: &str) {
        let mut upload = self.storage.create(key).await.unwrap();
        upload.write(content.as_bytes()).await.unwrap();
        upload.finish().await.unwrap();
    }

    /// Returns the file under `key`, if it is there.
    async fn fetch(&self, key: StorageKey) -> Option<Vec<u8>> {
        let to = TempDir::new_in(&self.folder).unwrap();
        let to = to.path().join("file");
        let fetched = self.storage.fetch(key, &to).await;
        fetched.is_ok().then(|| fs::read(to).unwrap())
    }

    /// Returns the attempts of which both outputs are there.
    async fn attempts(&self, video: VideoId) -> Vec<i32> {
        let mut attempts = Vec::new();
        for attempt in 1..20 {
            let clip = self.fetch(StorageKey::Clip(video, attempt)).await;
            let poster = self.fetch(StorageKey::Poster(video, attempt)).await;
            assert_eq!(clip.is_some(), poster.is_some(), "{attempt}");
            if clip.is_some() {
                attempts.push(attempt);
            }
        }
        attempts
    }

    fn files(&self) -> Vec<PathBuf> {
        files_below(self.folder.path())
    }
}

fn keys(video: VideoId) -> [StorageKey; 3] {
    [
        StorageKey::Original(video),
        StorageKey::Clip(video, 1),
        StorageKey::Poster(video, 1),
    ]
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .flat_map(|entry| {
            if entry.file_type().unwrap().is_dir() {
                files_below(&entry.path())
            } else {
                vec![entry.path()]
            }
        })
        .collect()
}
