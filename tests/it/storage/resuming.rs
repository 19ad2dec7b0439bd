//! Files that are received over several requests, each by a writer of its own.

use anb::{
    ids::VideoId,
    storage::{Missing, Progress, ResumableFile, StorageKey},
};

use super::{PART_BYTES, cases, content, place::TestStorage};

cases! {
    file_cut_at_any_place_is_complete,
    short_file_in_two_requests_is_complete,
    bytes_after_the_last_checkpoint_are_discarded,
    checkpoints_follow_the_bytes_of_a_long_request,
    file_that_was_finished_before_a_crash_is_finished_again,
    start_of_a_short_file_can_be_read,
    replaced_bytes_are_forgotten,
    unfinished_file_is_listed_and_deleted_with_its_video,
}

/// An upload as the database records it.
pub struct Record {
    pub key: StorageKey,
    pub length: usize,
    pub progress: Progress,
    epoch: i32,
}

impl Record {
    pub fn new(length: usize) -> Self {
        Self {
            key: StorageKey::Original(VideoId::generate()),
            length,
            progress: Progress::default(),
            epoch: 0,
        }
    }

    /// Returns the epoch of the next writer, which fences the one before.
    pub fn writer(&mut self) -> i32 {
        self.epoch += 1;
        self.epoch
    }

    pub fn received(&self) -> usize {
        self.progress.received.try_into().unwrap()
    }

    pub async fn resume(&mut self, place: &TestStorage) -> anyhow::Result<(ResumableFile, i32)> {
        let writer = self.writer();
        let length = self.length.try_into().unwrap();
        let progress = self.progress.clone();
        let file = place.storage.resume(self.key, writer, progress, length);
        Ok((file.await?, writer))
    }

    /// Receives bytes up to `end` in one request, with a checkpoint at its end.
    async fn receive(&mut self, place: &TestStorage, bytes: &[u8], end: usize) {
        let (mut file, writer) = self.resume(place).await.unwrap();
        write(&mut file, &bytes[self.received()..end]).await;
        self.progress = file.checkpoint().await.unwrap();
        assert_eq!(self.received(), end);
        self.forget_replaced(place, writer).await;
    }

    async fn forget_replaced(&self, place: &TestStorage, writer: i32) {
        let storage = &place.storage;
        let forgotten = storage.forget_replaced(self.key, writer, &self.progress);
        forgotten.await.unwrap();
    }

    /// Receives the rest and finishes the file.
    async fn finish(&mut self, place: &TestStorage, bytes: &[u8]) {
        let (mut file, writer) = self.resume(place).await.unwrap();
        write(&mut file, &bytes[self.received()..]).await;
        file.finish().await.unwrap();
        self.progress = Progress::default();
        self.forget_replaced(place, writer).await;
        place.holds(self.key, bytes).await;
    }
}

/// Writes in pieces of the size of network reads.
pub async fn write(file: &mut ResumableFile, bytes: &[u8]) {
    for piece in bytes.chunks(60_000) {
        file.write(piece.to_vec().into()).await.unwrap();
    }
}

/// Asserts that the storage contains only the finished file.
fn assert_tidy(place: &TestStorage, key: StorageKey) {
    let names = place.names();
    let [name] = &names[..] else {
        panic!("{names:?}");
    };
    assert!(name.ends_with(&key.name()), "{name}");
}

async fn file_cut_at_any_place_is_complete(place: &TestStorage) {
    let bytes = content(13_000_001, 1);
    let mut record = Record::new(bytes.len());
    for end in [
        0,
        1,
        4095,
        4096,
        1_000_000,
        PART_BYTES - 1,
        PART_BYTES,
        PART_BYTES + 1,
        11_000_000,
        11_000_000,
        bytes.len() - 1,
    ] {
        record.receive(place, &bytes, end).await;
    }
    assert_eq!(place.fetch(record.key).await, None);
    record.finish(place, &bytes).await;
    place.until_tidy().await;
    assert_tidy(place, record.key);
}

async fn short_file_in_two_requests_is_complete(place: &TestStorage) {
    let bytes = content(5000, 2);
    let mut record = Record::new(bytes.len());
    record.receive(place, &bytes, 10).await;
    record.finish(place, &bytes).await;
    assert_tidy(place, record.key);
}

async fn bytes_after_the_last_checkpoint_are_discarded(place: &TestStorage) {
    let bytes = content(12_000_000, 3);
    let mut record = Record::new(bytes.len());
    record.receive(place, &bytes, 3_000_000).await;
    for lost in [1_000, 7_000_000] {
        let (mut file, _) = record.resume(place).await.unwrap();
        write(&mut file, &content(lost, 4)).await;
    }
    record.receive(place, &bytes, 3_000_500).await;
    record.finish(place, &bytes).await;
    place.until_tidy().await;
    assert_tidy(place, record.key);
}

async fn checkpoints_follow_the_bytes_of_a_long_request(place: &TestStorage) {
    let bytes = content(30_000_000, 5);
    let mut record = Record::new(bytes.len());
    let (mut file, _) = record.resume(place).await.unwrap();
    let mut ahead = 0;
    for piece in bytes[..25_000_000].chunks(50_000) {
        ahead += piece.len();
        if let Some(progress) = file.write(piece.to_vec().into()).await.unwrap() {
            ahead -= usize::try_from(progress.received).unwrap() - record.received();
            record.progress = progress;
        }
        // Two parts of S3: one is being filled, and one sent. A file on disk has a limit of time.
        let is_near = ahead <= 2 * PART_BYTES + 50_000;
        let is_local = matches!(file, ResumableFile::Local { .. });
        assert!(is_near || is_local, "{ahead} bytes are not durable");
    }
    if let Some(progress) = file.record_idle().await.unwrap() {
        record.progress = progress;
    }
    drop(file);
    assert!(record.received() > 10_000_000);
    record.finish(place, &bytes).await;
}

async fn file_that_was_finished_before_a_crash_is_finished_again(place: &TestStorage) {
    for length in [5000, 13_000_000] {
        let bytes = content(length, 6);
        let mut record = Record::new(length);
        record.receive(place, &bytes, length / 2).await;
        // The process is killed before it commits.
        let (mut file, _) = record.resume(place).await.unwrap();
        write(&mut file, &bytes[record.received()..]).await;
        file.finish().await.unwrap();
        record.finish(place, &bytes).await;
        place
            .storage
            .delete_video(record.key.video())
            .await
            .unwrap();
    }
    assert!(place.names().is_empty(), "{:?}", place.names());
}

async fn start_of_a_short_file_can_be_read(place: &TestStorage) {
    let bytes = content(100_000, 7);
    let mut record = Record::new(bytes.len());
    record.receive(place, &bytes, 700).await;
    let (file, _) = record.resume(place).await.unwrap();
    assert_eq!(file.read_start(700).await.unwrap(), bytes[..700]);
}

async fn replaced_bytes_are_forgotten(place: &TestStorage) {
    let bytes = content(100_000, 8);
    let mut record = Record::new(bytes.len());
    for end in [100, 200, 200, 300] {
        record.receive(place, &bytes, end).await;
        assert_eq!(place.names().len(), 1, "{:?}", place.names());
    }
}

async fn unfinished_file_is_listed_and_deleted_with_its_video(place: &TestStorage) {
    let bytes = content(9_000_000, 9);
    let mut record = Record::new(bytes.len());
    record.receive(place, &bytes, 8_000_000).await;
    let mut listed = Vec::new();
    let mut visit = |file| listed.push(file);
    place.storage.list(&mut visit).await.unwrap();
    assert!(!listed.is_empty());
    for file in listed {
        assert_eq!(file.key, Some(record.key), "{file:?}");
        assert!(!file.is_finished, "{file:?}");
    }
    place
        .storage
        .discard(record.key, &record.progress)
        .await
        .unwrap();
    place.until_tidy().await;
    assert!(place.names().is_empty(), "{:?}", place.names());
}

/// Returns whether resuming failed because bytes are lost.
pub fn is_lost<T>(result: &anyhow::Result<T>) -> bool {
    result.as_ref().is_err_and(anyhow::Error::is::<Missing>)
}
