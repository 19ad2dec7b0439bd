//! Deletion removes all files of a video or an attempt, and no others.

use anb::{ids::VideoId, storage::StorageKey};
use futures_util::future::join_all;

use super::{cases, keys, place::TestStorage};

/// More objects than one call to S3 lists or deletes.
const MANY: i32 = 1100;

cases! {
    deleting_a_video_removes_exactly_its_files,
    deleting_missing_files_succeeds,
    deleting_is_idempotent,
    concurrent_deletions_succeed,
    attempts_are_deleted_separately,
    deleting_outputs_keeps_the_original,
    partial_attempt_is_deleted,
    files_that_only_share_a_prefix_are_kept,
    attempt_numbers_are_compared_in_full,
    deleted_files_can_be_stored_again,
    video_with_over_1000_files_is_deleted_completely,
    over_1000_earlier_outputs_are_deleted,
    attempts_before_a_missing_one_are_deleted,
}

async fn deleting_a_video_removes_exactly_its_files(place: &TestStorage) {
    let (video, other) = (VideoId::generate(), VideoId::generate());
    store_all(place, keys(video)).await;
    store_all(place, keys(other)).await;
    place.storage.delete_video(video).await.unwrap();
    let mut left = keys(other).map(|key| key.to_string());
    left.sort();
    assert_eq!(place.names(), left);
}

async fn deleting_missing_files_succeeds(place: &TestStorage) {
    let video = VideoId::generate();
    place.storage.delete_outputs(video, 1).await.unwrap();
    place.storage.delete_outputs_before(video, 1).await.unwrap();
    place.storage.delete_video(video).await.unwrap();
}

async fn deleting_is_idempotent(place: &TestStorage) {
    let video = VideoId::generate();
    store_all(place, keys(video)).await;
    for _ in 0..2 {
        place.storage.delete_outputs(video, 1).await.unwrap();
        place.storage.delete_outputs_before(video, 1).await.unwrap();
        place.storage.delete_video(video).await.unwrap();
    }
    assert_eq!(place.names(), [""; 0]);
}

async fn concurrent_deletions_succeed(place: &TestStorage) {
    let video = VideoId::generate();
    store_all(place, keys(video)).await;
    let deletes = (0..8).map(|_| place.storage.delete_video(video));
    for deleted in join_all(deletes).await {
        deleted.unwrap();
    }
    assert_eq!(place.names(), [""; 0]);
}

async fn attempts_are_deleted_separately(place: &TestStorage) {
    let video = VideoId::generate();
    store_attempts(place, video, [1, 2, 3, 12]).await;
    place.storage.delete_outputs(video, 1).await.unwrap();
    assert_eq!(place.attempts(video).await, [2, 3, 12]);
    place.storage.delete_outputs_before(video, 3).await.unwrap();
    assert_eq!(place.attempts(video).await, [3, 12]);
}

async fn deleting_outputs_keeps_the_original(place: &TestStorage) {
    let video = VideoId::generate();
    store_all(place, keys(video)).await;
    place.storage.delete_outputs_before(video, 2).await.unwrap();
    store_attempts(place, video, [3]).await;
    place.storage.delete_outputs(video, 3).await.unwrap();
    assert_eq!(place.names(), [StorageKey::Original(video).to_string()]);
}

async fn partial_attempt_is_deleted(place: &TestStorage) {
    let video = VideoId::generate();
    store_all(
        place,
        [
            StorageKey::Light(video, 1),
            StorageKey::Clip(video, 1),
            StorageKey::Poster(video, 2),
        ],
    )
    .await;
    place.storage.delete_outputs(video, 1).await.unwrap();
    assert_eq!(place.names(), [StorageKey::Poster(video, 2).to_string()]);
    place.storage.delete_outputs_before(video, 3).await.unwrap();
    assert_eq!(place.names(), [""; 0]);
}

async fn files_that_only_share_a_prefix_are_kept(place: &TestStorage) {
    let video = VideoId::generate();
    store_all(place, keys(video)).await;
    let mut others = [
        format!("processed/{video}0/1.mp4"),
        format!("processed/{video}-old/1.jpg"),
        format!("processed/x/{video}/1.mp4"),
        format!("uploads/{video}.mp4x/1.mp4"),
    ];
    for name in &others {
        place.plant(name);
    }
    place.storage.delete_outputs(video, 1).await.unwrap();
    place.storage.delete_outputs_before(video, 1).await.unwrap();
    place.storage.delete_video(video).await.unwrap();
    others.sort();
    assert_eq!(place.names(), others);
}

async fn attempt_numbers_are_compared_in_full(place: &TestStorage) {
    let video = VideoId::generate();
    store_attempts(place, video, [1, 10, 11, 19]).await;
    place.storage.delete_outputs(video, 1).await.unwrap();
    assert_eq!(place.attempts(video).await, [10, 11, 19]);
    store_attempts(place, video, [2]).await;
    place
        .storage
        .delete_outputs_before(video, 10)
        .await
        .unwrap();
    assert_eq!(place.attempts(video).await, [10, 11, 19]);
}

async fn deleted_files_can_be_stored_again(place: &TestStorage) {
    let video = VideoId::generate();
    for _ in 0..2 {
        store_all(place, keys(video)).await;
        place.storage.delete_video(video).await.unwrap();
    }
    store_all(place, keys(video)).await;
    place.holds(StorageKey::Clip(video, 1), b"x").await;
}

async fn video_with_over_1000_files_is_deleted_completely(place: &TestStorage) {
    let video = VideoId::generate();
    plant_attempts(place, video);
    place.storage.delete_video(video).await.unwrap();
    assert_eq!(place.names(), [""; 0]);
}

async fn over_1000_earlier_outputs_are_deleted(place: &TestStorage) {
    let video = VideoId::generate();
    plant_attempts(place, video);
    place
        .storage
        .delete_outputs_before(video, MANY)
        .await
        .unwrap();
    assert_eq!(place.names(), [StorageKey::Clip(video, MANY).to_string()]);
}

async fn attempts_before_a_missing_one_are_deleted(place: &TestStorage) {
    let video = VideoId::generate();
    store_attempts(place, video, [1, 2]).await;
    place.storage.delete_outputs_before(video, 3).await.unwrap();
    assert_eq!(place.names(), [""; 0]);
}

async fn store_all(place: &TestStorage, keys: impl IntoIterator<Item = StorageKey>) {
    for key in keys {
        place.write(key, "x").await;
    }
}

async fn store_attempts(
    place: &TestStorage,
    video: VideoId,
    attempts: impl IntoIterator<Item = i32>,
) {
    for attempt in attempts {
        store_all(place, StorageKey::outputs(video, attempt)).await;
    }
}

fn plant_attempts(place: &TestStorage, video: VideoId) {
    for attempt in 1..=MANY {
        place.plant(&StorageKey::Clip(video, attempt).to_string());
    }
}
