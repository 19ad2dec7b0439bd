//! Deleting takes all that belongs to a video or an attempt, and nothing else.

use anb::{ids::VideoId, storage::StorageKey};
use futures_util::future::join_all;

use super::{cases, keys, place::Place};

/// More objects than one call to S3 lists or deletes.
const MANY: i32 = 1100;

cases! {
    deleting_a_video_takes_all_its_files_and_no_others,
    deleting_what_is_not_there_is_no_error,
    deleting_twice_is_no_error,
    deleting_at_once_is_no_error,
    one_attempt_is_deleted_or_kept_apart_from_the_others,
    deleting_outputs_keeps_the_original,
    half_an_attempt_is_deleted_too,
    names_that_only_begin_alike_are_kept,
    an_attempt_of_many_digits_is_not_the_one_it_begins_with,
    what_was_deleted_can_be_stored_again,
    a_video_of_more_files_than_one_call_takes_is_deleted_whole,
    earlier_outputs_of_more_files_than_one_call_takes_are_deleted,
    attempts_before_one_that_is_not_there_are_deleted,
}

async fn deleting_a_video_takes_all_its_files_and_no_others(place: &Place) {
    let (video, other) = (VideoId::generate(), VideoId::generate());
    store_all(place, keys(video)).await;
    store_all(place, keys(other)).await;
    place.storage.delete_video(video).await.unwrap();
    let mut left = keys(other).map(|key| key.to_string());
    left.sort();
    assert_eq!(place.names(), left);
}

async fn deleting_what_is_not_there_is_no_error(place: &Place) {
    let video = VideoId::generate();
    place.storage.delete_outputs(video, 1).await.unwrap();
    place.storage.delete_outputs_before(video, 1).await.unwrap();
    place.storage.delete_video(video).await.unwrap();
}

async fn deleting_twice_is_no_error(place: &Place) {
    let video = VideoId::generate();
    store_all(place, keys(video)).await;
    for _ in 0..2 {
        place.storage.delete_outputs(video, 1).await.unwrap();
        place.storage.delete_outputs_before(video, 1).await.unwrap();
        place.storage.delete_video(video).await.unwrap();
    }
    assert_eq!(place.names(), [""; 0]);
}

async fn deleting_at_once_is_no_error(place: &Place) {
    let video = VideoId::generate();
    store_all(place, keys(video)).await;
    let deletes = (0..8).map(|_| place.storage.delete_video(video));
    for deleted in join_all(deletes).await {
        deleted.unwrap();
    }
    assert_eq!(place.names(), [""; 0]);
}

async fn one_attempt_is_deleted_or_kept_apart_from_the_others(place: &Place) {
    let video = VideoId::generate();
    store_attempts(place, video, [1, 2, 3, 12]).await;
    place.storage.delete_outputs(video, 1).await.unwrap();
    assert_eq!(place.attempts(video).await, [2, 3, 12]);
    place.storage.delete_outputs_before(video, 3).await.unwrap();
    assert_eq!(place.attempts(video).await, [3, 12]);
}

async fn deleting_outputs_keeps_the_original(place: &Place) {
    let video = VideoId::generate();
    store_all(place, keys(video)).await;
    place.storage.delete_outputs_before(video, 2).await.unwrap();
    store_attempts(place, video, [3]).await;
    place.storage.delete_outputs(video, 3).await.unwrap();
    assert_eq!(place.names(), [StorageKey::Original(video).to_string()]);
}

async fn half_an_attempt_is_deleted_too(place: &Place) {
    let video = VideoId::generate();
    store_all(
        place,
        [StorageKey::Clip(video, 1), StorageKey::Poster(video, 2)],
    )
    .await;
    place.storage.delete_outputs(video, 1).await.unwrap();
    assert_eq!(place.names(), [StorageKey::Poster(video, 2).to_string()]);
    place.storage.delete_outputs_before(video, 3).await.unwrap();
    assert_eq!(place.names(), [""; 0]);
}

async fn names_that_only_begin_alike_are_kept(place: &Place) {
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

async fn an_attempt_of_many_digits_is_not_the_one_it_begins_with(place: &Place) {
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

async fn what_was_deleted_can_be_stored_again(place: &Place) {
    let video = VideoId::generate();
    for _ in 0..2 {
        store_all(place, keys(video)).await;
        place.storage.delete_video(video).await.unwrap();
    }
    store_all(place, keys(video)).await;
    place.holds(StorageKey::Clip(video, 1), b"x").await;
}

async fn a_video_of_more_files_than_one_call_takes_is_deleted_whole(place: &Place) {
    let video = VideoId::generate();
    plant_attempts(place, video);
    place.storage.delete_video(video).await.unwrap();
    assert_eq!(place.names(), [""; 0]);
}

async fn earlier_outputs_of_more_files_than_one_call_takes_are_deleted(place: &Place) {
    let video = VideoId::generate();
    plant_attempts(place, video);
    place
        .storage
        .delete_outputs_before(video, MANY)
        .await
        .unwrap();
    assert_eq!(place.names(), [StorageKey::Clip(video, MANY).to_string()]);
}

async fn attempts_before_one_that_is_not_there_are_deleted(place: &Place) {
    let video = VideoId::generate();
    store_attempts(place, video, [1, 2]).await;
    place.storage.delete_outputs_before(video, 3).await.unwrap();
    assert_eq!(place.names(), [""; 0]);
}

async fn store_all(place: &Place, keys: impl IntoIterator<Item = StorageKey>) {
    for key in keys {
        place.write(key, "x").await;
    }
}

async fn store_attempts(place: &Place, video: VideoId, attempts: impl IntoIterator<Item = i32>) {
    for attempt in attempts {
        let outputs = [
            StorageKey::Clip(video, attempt),
            StorageKey::Poster(video, attempt),
        ];
        store_all(place, outputs).await;
    }
}

fn plant_attempts(place: &Place, video: VideoId) {
    for attempt in 1..=MANY {
        place.plant(&StorageKey::Clip(video, attempt).to_string());
    }
}
