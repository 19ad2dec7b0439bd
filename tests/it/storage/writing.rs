//! Files of all sizes, written in all ways, are whole or not there.

use std::fs;

use anb::{
    ids::VideoId,
    storage::{Storage, StorageKey},
};
use futures_util::future::join_all;

use super::{PART_BYTES, cases, content, keys, place::Place};

/// More parts than are sent at one time.
const LARGE_BYTES: usize = 64 * 1024 * 1024;

cases! {
    what_is_written_in_odd_pieces_comes_back_whole,
    what_is_written_byte_by_byte_comes_back_whole,
    a_file_without_content_is_a_file,
    files_around_the_size_of_a_part_come_back_whole,
    files_around_the_size_of_two_parts_come_back_whole,
    one_write_may_be_longer_than_several_parts,
    a_long_file_comes_back_whole,
    nothing_is_there_before_the_end,
    nothing_stays_of_what_was_dropped,
    nothing_stays_of_what_was_given_up,
    nothing_stays_of_what_was_dropped_without_a_write,
    a_second_file_replaces_the_first,
    a_short_file_replaces_a_long_one,
    a_dropped_file_leaves_the_one_before_as_it_was,
    thirty_two_at_once_do_not_mix,
    a_file_of_this_machine_is_stored_and_counted,
    a_long_file_of_this_machine_is_stored_and_counted,
    an_empty_file_of_this_machine_is_stored,
    storing_what_is_not_there_is_an_error_and_leaves_nothing,
    outputs_of_one_video_do_not_mix,
    an_open_storage_is_ready_and_that_leaves_nothing,
}

async fn what_is_written_in_odd_pieces_comes_back_whole(place: &Place) {
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

async fn what_is_written_byte_by_byte_comes_back_whole(place: &Place) {
    let key = original();
    let bytes = content(3000, 1);
    let mut upload = place.storage.create(key).await.unwrap();
    for byte in bytes.chunks(1) {
        upload.write(byte.to_vec().into()).await.unwrap();
    }
    upload.finish().await.unwrap();
    place.holds(key, &bytes).await;
}

async fn a_file_without_content_is_a_file(place: &Place) {
    for key in keys(VideoId::generate()) {
        let upload = place.storage.create(key).await.unwrap();
        upload.finish().await.unwrap();
        place.holds(key, &[]).await;
    }
}

async fn files_around_the_size_of_a_part_come_back_whole(place: &Place) {
    around(place, PART_BYTES).await;
}

async fn files_around_the_size_of_two_parts_come_back_whole(place: &Place) {
    around(place, 2 * PART_BYTES).await;
}

/// Writes files of about `size` bytes in pieces as the network brings them.
async fn around(place: &Place, size: usize) {
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

async fn one_write_may_be_longer_than_several_parts(place: &Place) {
    let key = original();
    let bytes = content(3 * PART_BYTES + 5, 1);
    place.write(key, &bytes).await;
    place.holds(key, &bytes).await;
}

async fn a_long_file_comes_back_whole(place: &Place) {
    let key = original();
    let bytes = content(LARGE_BYTES, 1);
    let mut upload = place.storage.create(key).await.unwrap();
    for piece in bytes.chunks(256 * 1024 + 1) {
        upload.write(piece.to_vec().into()).await.unwrap();
    }
    upload.finish().await.unwrap();
    place.holds(key, &bytes).await;
}

async fn nothing_is_there_before_the_end(place: &Place) {
    for key in keys(VideoId::generate()) {
        let mut upload = place.storage.create(key).await.unwrap();
        upload.write(vec![1; PART_BYTES + 1].into()).await.unwrap();
        assert!(place.fetch(key).await.is_none(), "{key}");
        upload.finish().await.unwrap();
        place.holds(key, &vec![1; PART_BYTES + 1]).await;
    }
}

async fn nothing_stays_of_what_was_dropped(place: &Place) {
    for bytes in [1, 600_000, 2 * PART_BYTES + 1] {
        for key in keys(VideoId::generate()) {
            drop(started(&place.storage, key, bytes).await);
            assert!(place.fetch(key).await.is_none(), "{key}");
        }
    }
    assert_eq!(place.names(), [""; 0]);
    place.until_tidy().await;
}

async fn nothing_stays_of_what_was_given_up(place: &Place) {
    for bytes in [1, 600_000, 2 * PART_BYTES + 1] {
        let key = original();
        let upload = started(&place.storage, key, bytes).await;
        upload.abort().await.unwrap();
        assert!(place.fetch(key).await.is_none(), "{key}");
    }
    assert_eq!(place.names(), [""; 0]);
    place.until_tidy().await;
}

async fn nothing_stays_of_what_was_dropped_without_a_write(place: &Place) {
    drop(place.storage.create(original()).await.unwrap());
    assert_eq!(place.names(), [""; 0]);
    place.until_tidy().await;
}

async fn a_second_file_replaces_the_first(place: &Place) {
    for key in keys(VideoId::generate()) {
        for content in ["first and longer", "second"] {
            place.write(key, content).await;
            place.holds(key, content.as_bytes()).await;
        }
    }
    assert_eq!(place.names().len(), 3);
}

async fn a_short_file_replaces_a_long_one(place: &Place) {
    let key = original();
    for (seed, bytes) in [(1, PART_BYTES + 9), (2, 9)] {
        let bytes = content(bytes, seed);
        place.write(key, &bytes).await;
        place.holds(key, &bytes).await;
    }
    assert_eq!(place.names().len(), 1);
}

async fn a_dropped_file_leaves_the_one_before_as_it_was(place: &Place) {
    let key = original();
    place.write(key, "before").await;
    for bytes in [1, PART_BYTES + 1] {
        drop(started(&place.storage, key, bytes).await);
        place.holds(key, b"before").await;
    }
}

async fn thirty_two_at_once_do_not_mix(place: &Place) {
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

async fn a_file_of_this_machine_is_stored_and_counted(place: &Place) {
    stored_and_counted(place, 700_001).await;
}

async fn a_long_file_of_this_machine_is_stored_and_counted(place: &Place) {
    stored_and_counted(place, 2 * PART_BYTES + 700_001).await;
}

async fn an_empty_file_of_this_machine_is_stored(place: &Place) {
    stored_and_counted(place, 0).await;
}

async fn stored_and_counted(place: &Place, size: usize) {
    let key = StorageKey::Clip(VideoId::generate(), 1);
    let source = place.folder.path().join("clip");
    let bytes = content(size, 1);
    fs::write(&source, &bytes).unwrap();
    for _ in 0..2 {
        let counted = place.storage.store(key, &source).await.unwrap();
        assert_eq!(counted, u64::try_from(size).unwrap());
        place.holds(key, &bytes).await;
    }
    // The next attempt may need it.
    assert!(source.exists());
}

async fn storing_what_is_not_there_is_an_error_and_leaves_nothing(place: &Place) {
    let missing = place.folder.path().join("missing");
    let error = place.storage.store(original(), &missing).await.unwrap_err();
    assert!(format!("{error:#}").contains("missing"), "{error:#}");
    assert_eq!(place.names(), [""; 0]);
    place.until_tidy().await;
}

async fn outputs_of_one_video_do_not_mix(place: &Place) {
    let video = VideoId::generate();
    let all = [
        StorageKey::Original(video),
        StorageKey::Clip(video, 1),
        StorageKey::Clip(video, 11),
        StorageKey::Poster(video, 1),
        StorageKey::Poster(video, i32::MAX),
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

async fn an_open_storage_is_ready_and_that_leaves_nothing(place: &Place) {
    place.storage.ready().await.unwrap();
    assert_eq!(place.names(), [""; 0]);
}

fn original() -> StorageKey {
    StorageKey::Original(VideoId::generate())
}

/// Starts a file and does not end it.
async fn started(storage: &Storage, key: StorageKey, bytes: usize) -> anb::storage::Upload {
    let mut upload = storage.create(key).await.unwrap();
    upload.write(vec![1; bytes].into()).await.unwrap();
    upload
}
