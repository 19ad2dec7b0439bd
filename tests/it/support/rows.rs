//! Videos as database and disk hold them: written and read past the API.

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

/// What a test asks about a video's row.
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

impl TestApp {
    /// Runs a statement and returns how many rows it changed.
    pub async fn sql(&self, statement: &str) -> usize {
        let mut connection = self.db.connection().await.unwrap();
        sql_query(statement).execute(&mut connection).await.unwrap()
    }

    /// Waits until all votes are counted.
    pub async fn counted(&self) {
        eventually("the votes are counted", 60, async || {
            self.number("SELECT count(*) FROM uncounted").await == 0
        })
        .await;
    }

    /// Waits until a statement waits for a lock: one at least, since others may do so in the background.
    pub async fn until_blocked(&self) {
        let blocked = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("a statement waits", 60, async || {
            self.number(blocked).await > 0
        })
        .await;
    }

    /// Counts the players whose row in `standings` is not what their videos say.
    pub async fn misranked(&self) -> i64 {
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

    /// Changes a video's row: `assignments` are SQL.
    pub async fn set(&self, video: VideoId, assignments: &str) {
        let statement = format!("UPDATE videos SET {assignments} WHERE id = '{video}'");
        assert_eq!(self.sql(&statement).await, 1, "{statement}");
    }

    /// Returns a video's row, if it is there.
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

    /// Returns a video's status; `gone` without a row.
    pub async fn status(&self, video: VideoId) -> String {
        let row = self.row(video).await;
        row.map_or("gone".to_owned(), |row| row.status)
    }

    /// Adds the row of a video that was uploaded a minute ago and never pushed. It has no file.
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
        self.sql(&format!(
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
        // At once: the sweeper of a running worker would push it a second time.
        self.insert(video, "now()").await;
        self.push(video).await;
        video
    }

    /// Pushes a job for `video`.
    pub async fn push(&self, video: VideoId) {
        let job = Job::process_video(video, "test".to_owned());
        self.queue.push(&job).await.unwrap();
    }

    /// Returns the names of all files among a video's outputs.
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

    /// Returns the scratch folder of [`TestApp::own_workshop`].
    pub fn scratch(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }
}
