//! Fetching copies files unchanged to the requested path.

use std::fs;

use anb::{
    ids::VideoId,
    storage::{Storage, StorageKey},
};
use futures_util::future::join_all;

use super::{PART_BYTES, cases, content, keys, place::TestStorage};
use crate::support::aws;

cases! {
    fetching_a_missing_file_fails_and_creates_nothing,
    fetched_file_survives_deletion_of_the_stored_file,
    fetched_file_survives_replacement_of_the_stored_file,
    file_can_be_fetched_concurrently,
    fetching_to_a_missing_folder_fails,
    stored_file_is_visible_to_another_process,
    clones_share_the_storage,
}

async fn fetching_a_missing_file_fails_and_creates_nothing(place: &TestStorage) {
    for key in keys(VideoId::generate()) {
        let to = place.folder.path().join("copy");
        let error = place.storage.fetch(key, &to).await.unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(&key.to_string()), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(!to.exists());
    }
}

async fn fetched_file_survives_deletion_of_the_stored_file(place: &TestStorage) {
    let video = VideoId::generate();
    let key = StorageKey::Original(video);
    place.write(key, "film").await;
    let copy = place.folder.path().join("copy");
    place.storage.fetch(key, &copy).await.unwrap();
    place.storage.delete_video(video).await.unwrap();
    assert_eq!(fs::read(&copy).unwrap(), b"film");
}

async fn fetched_file_survives_replacement_of_the_stored_file(place: &TestStorage) {
    let key = StorageKey::Original(VideoId::generate());
    place.write(key, "film").await;
    let copy = place.folder.path().join("copy");
    place.storage.fetch(key, &copy).await.unwrap();
    place.write(key, "another film").await;
    assert_eq!(fs::read(&copy).unwrap(), b"film");
}

async fn file_can_be_fetched_concurrently(place: &TestStorage) {
    let key = StorageKey::Original(VideoId::generate());
    let bytes = content(PART_BYTES + 1, 1);
    place.write(key, &bytes).await;
    join_all((0..16).map(|_| place.holds(key, &bytes))).await;
}

async fn fetching_to_a_missing_folder_fails(place: &TestStorage) {
    let key = StorageKey::Original(VideoId::generate());
    place.write(key, "film").await;
    let to = place.folder.path().join("nowhere/copy");
    assert!(place.storage.fetch(key, &to).await.is_err());
}

async fn stored_file_is_visible_to_another_process(place: &TestStorage) {
    let key = StorageKey::Clip(VideoId::generate(), 1);
    place.write(key, "clip").await;
    let other = Storage::connect(&place.settings, &aws::config().await)
        .await
        .unwrap();
    let copy = place.folder.path().join("copy");
    other.fetch(key, &copy).await.unwrap();
    assert_eq!(fs::read(&copy).unwrap(), b"clip");
    other.delete_outputs(key.video(), 1).await.unwrap();
    assert!(place.fetch(key).await.is_none());
}

async fn clones_share_the_storage(place: &TestStorage) {
    let key = StorageKey::Original(VideoId::generate());
    let clone = place.storage.clone();
    let mut upload = clone.create(key).await.unwrap();
    drop(clone);
    upload.write("film".into()).await.unwrap();
    upload.finish().await.unwrap();
    place.holds(key, b"film").await;
}
