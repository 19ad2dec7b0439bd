//! Files come back as they are, to where they are asked for.

use std::fs;

use anb::{
    ids::VideoId,
    storage::{Storage, StorageKey},
};
use futures_util::future::join_all;

use super::{PART_BYTES, cases, content, keys, place::Place};
use crate::support::aws;

cases! {
    fetching_what_is_not_there_is_an_error_and_makes_no_file,
    a_fetched_file_is_independent_of_the_stored_one,
    a_fetched_file_is_independent_of_one_that_replaces_the_stored_one,
    one_file_can_be_fetched_by_many_at_once,
    a_folder_that_is_not_there_is_an_error,
    another_process_finds_what_one_stored,
    a_clone_is_the_same_storage,
}

async fn fetching_what_is_not_there_is_an_error_and_makes_no_file(place: &Place) {
    for key in keys(VideoId::generate()) {
        let to = place.folder.path().join("copy");
        let error = place.storage.fetch(key, &to).await.unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(&key.to_string()), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(!to.exists());
    }
}

async fn a_fetched_file_is_independent_of_the_stored_one(place: &Place) {
    let video = VideoId::generate();
    let key = StorageKey::Original(video);
    place.write(key, "film").await;
    let copy = place.folder.path().join("copy");
    place.storage.fetch(key, &copy).await.unwrap();
    place.storage.delete_video(video).await.unwrap();
    assert_eq!(fs::read(&copy).unwrap(), b"film");
}

async fn a_fetched_file_is_independent_of_one_that_replaces_the_stored_one(place: &Place) {
    let key = StorageKey::Original(VideoId::generate());
    place.write(key, "film").await;
    let copy = place.folder.path().join("copy");
    place.storage.fetch(key, &copy).await.unwrap();
    place.write(key, "another film").await;
    assert_eq!(fs::read(&copy).unwrap(), b"film");
}

async fn one_file_can_be_fetched_by_many_at_once(place: &Place) {
    let key = StorageKey::Original(VideoId::generate());
    let bytes = content(PART_BYTES + 1, 1);
    place.write(key, &bytes).await;
    join_all((0..16).map(|_| place.holds(key, &bytes))).await;
}

async fn a_folder_that_is_not_there_is_an_error(place: &Place) {
    let key = StorageKey::Original(VideoId::generate());
    place.write(key, "film").await;
    let to = place.folder.path().join("nowhere/copy");
    assert!(place.storage.fetch(key, &to).await.is_err());
}

async fn another_process_finds_what_one_stored(place: &Place) {
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

async fn a_clone_is_the_same_storage(place: &Place) {
    let key = StorageKey::Original(VideoId::generate());
    let clone = place.storage.clone();
    let mut upload = clone.create(key).await.unwrap();
    drop(clone);
    upload.write("film".into()).await.unwrap();
    upload.finish().await.unwrap();
    place.holds(key, b"film").await;
}
