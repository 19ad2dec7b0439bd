//! Direct access to videos in database and storage, bypassing the API.

use std::path::PathBuf;

use anb::{
    ids::VideoId,
    job::Job,
    storage::{Storage, StorageKey},
};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{Bool, Integer, Nullable, Text},
};
use diesel_async::RunQueryDsl as _;

use super::{TestApp, eventually, files_below};

/// The columns of a video that tests check.
#[derive(Debug, PartialEq, Eq, QueryableByName)]
pub struct Row {
    #[diesel(sql_type = Text)]
    pub status: String,
    #[diesel(sql_type = Integer)]
    pub attempt: i32,
    #[diesel(sql_type = Integer)]
    pub failures: i32,
    #[diesel(sql_type = Integer)]
    pub losses: i32,
    #[diesel(sql_type = Bool)]
    pub is_due: bool,
    #[diesel(sql_type = Bool)]
    pub is_enqueued: bool,
    #[diesel(sql_type = Nullable<Text>)]
    pub code: Option<String>,
}

/// Returns the names of all files that an attempt stores, sorted.
pub fn outputs_of(attempt: i32) -> [String; 4] {
    ["-l.mp4", "-s.jpg", ".jpg", ".mp4"].map(|kind| format!("{attempt}{kind}"))
}

impl TestApp {
    /// Waits until all votes are counted.
    pub async fn counted(&self) {
        eventually("the votes are counted", 60, async || {
            self.number("SELECT count(*) FROM uncounted").await == 0
        })
        .await;
    }

    /// Waits until at least one statement waits for a lock. Background statements may wait as well.
    pub async fn until_blocked(&self) {
        let blocked = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("a statement waits", 600, async || {
            self.number(blocked).await > 0
        })
        .await;
    }

    /// Counts the players whose row in `standings` does not match their videos.
    pub async fn stale_standings(&self) -> i64 {
        self.number(
            "SELECT count(*) FROM users LEFT JOIN standings ON user_id = users.id
             CROSS JOIN LATERAL (
                 SELECT coalesce(sum(votes), 0) AS votes, min(uploaded_at) AS since,
                     (array_agg(id ORDER BY videos.votes DESC, uploaded_at, id))[1] AS best
                 FROM videos
                 WHERE user_id = users.id AND is_public AND status = 'processed') AS now
             WHERE (coalesce(standings.votes, 0), standings.since, standings.best)
                 IS DISTINCT FROM (now.votes, now.since, now.best)",
        )
        .await
    }

    /// Updates a video's row with SQL `assignments`.
    pub async fn set(&self, video: VideoId, assignments: &str) {
        let statement = format!("UPDATE videos SET {assignments} WHERE id = '{video}'");
        assert_eq!(self.execute(&statement).await, 1, "{statement}");
    }

    pub async fn row(&self, video: VideoId) -> Option<Row> {
        let mut connection = self.db.connection().await.unwrap();
        let rows: Vec<Row> = sql_query(format!(
            "SELECT status::text, attempt, failures, losses, run_after <= now() AS is_due,
                 enqueued_at IS NOT NULL AS is_enqueued, failure->>'code' AS code
             FROM videos WHERE id = '{video}'"
        ))
        .load(&mut connection)
        .await
        .unwrap();
        rows.into_iter().next()
    }

    /// Returns a video's status, or `gone` without a row.
    pub async fn status(&self, video: VideoId) -> String {
        let row = self.row(video).await;
        row.map_or("gone".to_owned(), |row| row.status)
    }

    /// Adds a row without a file, for a video that was uploaded a minute ago and never pushed.
    pub async fn add_row(&self) -> VideoId {
        let video = VideoId::generate();
        self.insert(video, "NULL").await;
        video
    }

    async fn insert(&self, video: VideoId, enqueued_at: &str) {
        let owner = format!(
            "INSERT INTO users (first_name, last_name, email, password_hash, city, city_key, country)
             VALUES ('Ana', 'Prueba', '{video}@example.com', '', 'Cali', 'cali', 'Colombia')
             RETURNING id"
        );
        self.execute(&format!(
            "WITH owner AS ({owner})
             INSERT INTO videos
                 (id, user_id, title, is_public, original_bytes, run_after, enqueued_at)
             SELECT '{video}', id, 'Mi jugada', false, 1, now() - interval '1 minute', {enqueued_at}
             FROM owner"
        ))
        .await;
    }

    /// Adds a video with its original, as an upload does, and pushes it.
    pub async fn add_video(&self, original: &[u8]) -> VideoId {
        let video = VideoId::generate();
        let mut file = self
            .storage
            .create(StorageKey::Original(video))
            .await
            .unwrap();
        file.write(original.to_vec().into()).await.unwrap();
        file.finish().await.unwrap();
        // Already enqueued, or the sweeper of a running worker would push it a second time.
        self.insert(video, "now()").await;
        self.push(video).await;
        video
    }

    pub async fn push(&self, video: VideoId) {
        let job = Job::process_video(video, "test".to_owned());
        self.queue.push(&job).await.unwrap();
    }

    /// Returns the names of a video's output files.
    pub fn outputs(&self, video: VideoId) -> Vec<String> {
        if let Some(bucket) = &self.bucket {
            let folder = format!("processed/{video}/");
            let objects = bucket.objects();
            let outputs = objects.iter().filter_map(|name| name.strip_prefix(&folder));
            return outputs.map(str::to_owned).collect();
        }
        let folder = self.processed().join(video.to_string());
        if folder.exists() {
            files_below(&folder)
        } else {
            Vec::new()
        }
    }

    /// Returns the path of a video's original.
    pub fn original(&self, video: VideoId) -> PathBuf {
        let Storage::Local(folders) = &self.storage else {
            panic!("originals in a bucket have no path");
        };
        folders.path(StorageKey::Original(video))
    }

    pub fn processed(&self) -> PathBuf {
        self.folder.path().join("processed")
    }

    /// Returns the scratch folder of [`TestApp::worker_context`].
    pub fn scratch(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }
}
