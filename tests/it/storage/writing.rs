//! Files of all sizes, however they are written, are stored completely or not at all.

use std::fs;

use anb::{
    ids::VideoId,
    storage::{Storage, StorageKey},
};
use futures_util::future::join_all;

use super::{PART_BYTES, cases, content, keys, place::TestStorage};

/// Size of a file with more parts than are sent concurrently.
const LARGE_BYTES: usize = 64 * 1024 * 1024;

cases! {
    file_written_in_odd_pieces_is_complete,
    file_written_byte_by_byte_is_complete,
    empty_file_is_stored,
    files_around_the_size_of_a_part_are_complete,
    files_around_the_size_of_two_parts_are_complete,
    one_write_may_exceed_several_parts,
    long_file_is_complete,
    file_does_not_exist_before_it_is_finished,
    dropped_file_leaves_nothing,
    aborted_file_leaves_nothing,
    file_dropped_before_its_first_write_leaves_nothing,
    second_file_replaces_the_first,
    short_file_replaces_a_long_one,
    dropped_file_leaves_the_previous_file_unchanged,
    concurrent_uploads_do_not_mix,
    local_file_is_stored_and_its_size_returned,
    long_local_file_is_stored_and_its_size_returned,
    empty_local_file_is_stored,
    storing_a_missing_file_fails_and_leaves_nothing,
    outputs_of_one_video_do_not_mix,
    readiness_check_succeeds_and_leaves_nothing,
}

async fn file_written_in_odd_pieces_is_complete(place: &TestStorage) {
    let key = original();
    let bytes = content(13_000_001, 1);
    let mut upload = place.storage.create(key).await.unwrap();
    let mut rest = &bytes[..];
    for size in [0, 1, 7, 65_536, 262_144, 262_145, 4_000_003]
        .into_iter()
        .cycle()
    {
        let (piece, later) = rest.split_at(size.min(rest.len()));
        upload.write(piece.to_vec().into()).await.unwrap();
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    upload.finish().await.unwrap();
    place.holds(key, &bytes).await;
}

async fn file_written_byte_by_byte_is_complete(place: &TestStorage) {
    let key = original();
    let bytes = content(3000, 1);
    let mut upload = place.storage.create(key).await.unwrap();
    for byte in bytes.chunks(1) {
        upload.write(byte.to_vec().into()).await.unwrap();
    }
    upload.finish().await.unwrap();
    place.holds(key, &bytes).await;
}

async fn empty_file_is_stored(place: &TestStorage) {
    for key in keys(VideoId::generate()) {
        let upload = place.storage.create(key).await.unwrap();
        upload.finish().await.unwrap();
        place.holds(key, &[]).await;
    }
}

async fn files_around_the_size_of_a_part_are_complete(place: &TestStorage) {
    around(place, PART_BYTES).await;
}

async fn files_around_the_size_of_two_parts_are_complete(place: &TestStorage) {
    around(place, 2 * PART_BYTES).await;
}

/// Writes files of about `size` bytes in pieces of network size.
async fn around(place: &TestStorage, size: usize) {
    let bytes = content(size + 1, 1);
    for size in [size - 1, size, size + 1] {
        let key = original();
        let mut upload = place.storage.create(key).await.unwrap();
        for piece in bytes[..size].chunks(65_536) {
            upload.write(piece.to_vec().into()).await.unwrap();
        }
        upload.finish().await.unwrap();
        place.holds(key, &bytes[..size]).await;
    }
    place.until_tidy().await;
}

async fn one_write_may_exceed_several_parts(place: &TestStorage) {
    let key = original();
    let bytes = content(3 * PART_BYTES + 5, 1);
    place.write(key, &bytes).await;
    place.holds(key, &bytes).await;
}

async fn long_file_is_complete(place: &TestStorage) {
    let key = original();
    let bytes = content(LARGE_BYTES, 1);
    let mut upload = place.storage.create(key).await.unwrap();
    for piece in bytes.chunks(256 * 1024 + 1) {
        upload.write(piece.to_vec().into()).await.unwrap();
    }
    upload.finish().await.unwrap();
    place.holds(key, &bytes).await;
}

async fn file_does_not_exist_before_it_is_finished(place: &TestStorage) {
    for key in keys(VideoId::generate()) {
        let mut upload = place.storage.create(key).await.unwrap();
        upload.write(vec![1; PART_BYTES + 1].into()).await.unwrap();
        assert!(place.fetch(key).await.is_none(), "{key}");
        upload.finish().await.unwrap();
        place.holds(key, &vec![1; PART_BYTES + 1]).await;
    }
}

async fn dropped_file_leaves_nothing(place: &TestStorage) {
    for bytes in [1, 600_000, 2 * PART_BYTES + 1] {
        for key in keys(VideoId::generate()) {
            drop(started(&place.storage, key, bytes).await);
            assert!(place.fetch(key).await.is_none(), "{key}");
        }
    }
    assert_eq!(place.names(), [""; 0]);
    place.until_tidy().await;
}

async fn aborted_file_leaves_nothing(place: &TestStorage) {
    for bytes in [1, 600_000, 2 * PART_BYTES + 1] {
        let key = original();
        let upload = started(&place.storage, key, bytes).await;
        upload.abort().await.unwrap();
        assert!(place.fetch(key).await.is_none(), "{key}");
    }
    assert_eq!(place.names(), [""; 0]);
    place.until_tidy().await;
}

async fn file_dropped_before_its_first_write_leaves_nothing(place: &TestStorage) {
    drop(place.storage.create(original()).await.unwrap());
    assert_eq!(place.names(), [""; 0]);
    place.until_tidy().await;
}

async fn second_file_replaces_the_first(place: &TestStorage) {
    for key in keys(VideoId::generate()) {
        for content in ["first and longer", "second"] {
            place.write(key, content).await;
            place.holds(key, content.as_bytes()).await;
        }
    }
    assert_eq!(place.names().len(), 5);
}

async fn short_file_replaces_a_long_one(place: &TestStorage) {
    let key = original();
    for (seed, bytes) in [(1, PART_BYTES + 9), (2, 9)] {
        let bytes = content(bytes, seed);
        place.write(key, &bytes).await;
        place.holds(key, &bytes).await;
    }
    assert_eq!(place.names().len(), 1);
}

async fn dropped_file_leaves_the_previous_file_unchanged(place: &TestStorage) {
    let key = original();
    place.write(key, "before").await;
    for bytes in [1, PART_BYTES + 1] {
        drop(started(&place.storage, key, bytes).await);
        place.holds(key, b"before").await;
    }
}

async fn concurrent_uploads_do_not_mix(place: &TestStorage) {
    let uploads = (0..32).map(async |seed| {
        let key = original();
        let bytes = content(200_000 + usize::try_from(seed).unwrap(), seed);
        let mut upload = place.storage.create(key).await.unwrap();
        for piece in bytes.chunks(10_007) {
            upload.write(piece.to_vec().into()).await.unwrap();
        }
        upload.finish().await.unwrap();
        (key, bytes)
    });
    for (key, bytes) in join_all(uploads).await {
        place.holds(key, &bytes).await;
    }
    assert_eq!(place.names().len(), 32);
}

async fn local_file_is_stored_and_its_size_returned(place: &TestStorage) {
    stored_and_counted(place, 700_001).await;
}

async fn long_local_file_is_stored_and_its_size_returned(place: &TestStorage) {
    stored_and_counted(place, 2 * PART_BYTES + 700_001).await;
}

async fn empty_local_file_is_stored(place: &TestStorage) {
    stored_and_counted(place, 0).await;
}

async fn stored_and_counted(place: &TestStorage, size: usize) {
    let key = StorageKey::Clip(VideoId::generate(), 1);
    let source = place.folder.path().join("clip");
    let bytes = content(size, 1);
    fs::write(&source, &bytes).unwrap();
    for _ in 0..2 {
        let counted = place.storage.store(key, &source).await.unwrap();
        assert_eq!(counted, u64::try_from(size).unwrap());
        place.holds(key, &bytes).await;
    }
    // The next attempt may need the source.
    assert!(source.exists());
}

async fn storing_a_missing_file_fails_and_leaves_nothing(place: &TestStorage) {
    let missing = place.folder.path().join("missing");
    let error = place.storage.store(original(), &missing).await.unwrap_err();
    assert!(format!("{error:#}").contains("missing"), "{error:#}");
    assert_eq!(place.names(), [""; 0]);
    place.until_tidy().await;
}

async fn outputs_of_one_video_do_not_mix(place: &TestStorage) {
    let video = VideoId::generate();
    let all = [
        StorageKey::Original(video),
        StorageKey::Clip(video, 1),
        StorageKey::Clip(video, 11),
        StorageKey::Poster(video, 1),
        StorageKey::Poster(video, i32::MAX),
        StorageKey::Light(video, 1),
        StorageKey::Thumb(video, 1),
        StorageKey::Thumb(video, 11),
    ];
    for key in all {
        place.write(key, key.to_string()).await;
    }
    for key in all {
        place.holds(key, key.to_string().as_bytes()).await;
    }
    let mut names = all.map(|key| key.to_string());
    names.sort();
    assert_eq!(place.names(), names);
}

async fn readiness_check_succeeds_and_leaves_nothing(place: &TestStorage) {
    place.storage.ready().await.unwrap();
    assert_eq!(place.names(), [""; 0]);
}

fn original() -> StorageKey {
    StorageKey::Original(VideoId::generate())
}

/// Starts a file without finishing it.
async fn started(storage: &Storage, key: StorageKey, bytes: usize) -> anb::storage::NewFile {
    let mut upload = storage.create(key).await.unwrap();
    upload.write(vec![1; bytes].into()).await.unwrap();
    upload
}
