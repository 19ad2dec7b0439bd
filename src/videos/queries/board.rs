//! SQL for the pages of players and organisers: places in line, jobs that run, failures by reason.

use chrono::{DateTime, Utc};
use diesel::{
    BoolExpressionMethods as _, ExpressionMethods as _, JoinOnDsl as _,
    PgTextExpressionMethods as _, QueryDsl as _, Queryable, QueryableByName, Selectable,
    SelectableHelper as _, sql_query,
    sql_types::{self, BigInt, Text},
};
use diesel_async::RunQueryDsl as _;

use super::{super::Failure, Video, VideoStatus};
use crate::{
    db::{
        Connection,
        schema::{users, videos},
    },
    ids::{UserId, VideoId},
};

/// How many videos ahead in line are counted.
pub const MAX_WAITING: i64 = 1000;

/// How far a video is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct Progress {
    #[diesel(sql_type = sql_types::Uuid)]
    pub id: VideoId,
    #[diesel(sql_type = crate::db::schema::sql_types::VideoStatus)]
    pub status: VideoStatus,
    /// Percent of the clip that is made.
    #[diesel(sql_type = sql_types::Int2)]
    pub progress: i16,
    /// When the clip should be ready.
    #[diesel(sql_type = sql_types::Nullable<sql_types::Timestamptz>)]
    pub ready_at: Option<DateTime<Utc>>,
    /// How many videos a worker takes before this one if it waits, at most [`MAX_WAITING`].
    #[diesel(sql_type = BigInt)]
    pub before: i64,
}

/// Returns how far the videos among `ids` are, in no order.
pub async fn progress(
    connection: &mut Connection,
    ids: &[VideoId],
) -> anyhow::Result<Vec<Progress>> {
    let statement = sql_query(
        "WITH line AS MATERIALIZED (
             SELECT id, row_number() OVER (ORDER BY turn, id) - 1 AS before
             FROM (SELECT id, turn FROM videos WHERE status = 'uploaded'
                   ORDER BY turn, id LIMIT $2) AS next)
         SELECT videos.id, status, progress, ready_at, coalesce(line.before, $2) AS before
         FROM videos LEFT JOIN line ON line.id = videos.id
         WHERE videos.id = ANY($1)",
    );
    let found = statement
        .bind::<sql_types::Array<sql_types::Uuid>, _>(ids)
        .bind::<BigInt, _>(MAX_WAITING)
        .load(connection)
        .await?;
    Ok(found)
}

/// Returns the videos among `ids` that `user` owns.
pub async fn own_among(
    connection: &mut Connection,
    user: UserId,
    ids: &[VideoId],
) -> anyhow::Result<Vec<VideoId>> {
    let own = videos::table
        .filter(videos::id.eq_any(ids))
        .filter(videos::user_id.eq(user))
        .select(videos::id)
        .load(connection)
        .await?;
    Ok(own)
}

/// Returns ids and titles of the videos among `ids` that exist.
pub async fn titles(
    connection: &mut Connection,
    ids: &[VideoId],
) -> anyhow::Result<Vec<(VideoId, String)>> {
    let titles = videos::table
        .filter(videos::id.eq_any(ids))
        .select((videos::id, videos::title))
        .load(connection)
        .await?;
    Ok(titles)
}

/// A video as organisers see it.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = videos)]
pub struct OrganisedVideo {
    #[diesel(embed)]
    pub video: Video,
    #[diesel(select_expression = users::first_name)]
    pub first_name: String,
    #[diesel(select_expression = users::last_name)]
    pub last_name: String,
    #[diesel(select_expression = users::city_name)]
    pub city: String,
    pub lease_until: Option<DateTime<Utc>>,
}

/// Which videos organisers want to see.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// A part of the title or of the player's name.
    pub text: Option<String>,
    pub video: Option<VideoId>,
    pub status: Option<VideoStatus>,
    pub is_public: Option<bool>,
    pub failure_code: Option<String>,
    /// Only those that failed through a system failure.
    pub is_dead: bool,
    pub is_hidden: bool,
}

/// Returns the wanted videos, newest first. Reads all videos if a text matches few of them.
pub async fn organised(
    connection: &mut Connection,
    wanted: &Wanted,
    limit: i64,
    offset: i64,
) -> anyhow::Result<Vec<OrganisedVideo>> {
    let code = || diesel::dsl::sql::<sql_types::Nullable<Text>>("videos.failure->>'code'");
    let mut query = videos::table
        .inner_join(users::table.on(users::id.eq(videos::user_id)))
        .select(OrganisedVideo::as_select())
        .order(videos::id.desc())
        .limit(limit)
        .offset(offset)
        .into_boxed();
    if let Some(text) = &wanted.text {
        let pattern = format!("%{}%", escape_like(text));
        query = query.filter(
            videos::title
                .ilike(pattern.clone())
                .or(users::first_name.ilike(pattern.clone()))
                .or(users::last_name.ilike(pattern)),
        );
    }
    if let Some(video) = wanted.video {
        query = query.filter(videos::id.eq(video));
    }
    if let Some(status) = wanted.status {
        query = query.filter(videos::status.eq(status));
    }
    if let Some(is_public) = wanted.is_public {
        query = query.filter(videos::is_public.eq(is_public));
    }
    if let Some(wanted) = &wanted.failure_code {
        query = query.filter(code().eq(wanted.clone()));
    }
    if wanted.is_dead {
        query = query
            .filter(videos::status.eq(VideoStatus::Failed))
            .filter(code().eq_any(Failure::RETRYABLE));
    }
    if wanted.is_hidden {
        query = query.filter(videos::hidden_reason.is_not_null());
    }
    Ok(query.load(connection).await?)
}

/// Returns the videos among `ids` as organisers see them, in no order.
pub async fn organised_among(
    connection: &mut Connection,
    ids: &[VideoId],
) -> anyhow::Result<Vec<OrganisedVideo>> {
    let found = videos::table
        .inner_join(users::table.on(users::id.eq(videos::user_id)))
        .filter(videos::id.eq_any(ids))
        .select(OrganisedVideo::as_select())
        .load(connection)
        .await?;
    Ok(found)
}

/// Escapes the wildcards of `LIKE`.
fn escape_like(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// How many videos failed for one reason.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct FailureCount {
    #[diesel(sql_type = Text)]
    pub code: String,
    /// The failure of one of these videos.
    #[diesel(sql_type = sql_types::Jsonb)]
    pub example: serde_json::Value,
    /// Of those uploaded in the last 24 hours.
    #[diesel(sql_type = BigInt)]
    pub last_day: i64,
    #[diesel(sql_type = BigInt)]
    pub all: i64,
}

/// Counts the failed videos by reason, most frequent first.
pub async fn failures_by_reason(connection: &mut Connection) -> anyhow::Result<Vec<FailureCount>> {
    let counts = sql_query(
        "SELECT coalesce(failure->>'code', 'unknown') AS code,
                coalesce(min(failure::text), '{}')::jsonb AS example,
                count(*) FILTER (WHERE uploaded_at > now() - interval '24 h') AS last_day,
                count(*) AS all
         FROM videos WHERE status = 'failed' GROUP BY 1 ORDER BY 3 DESC, 1",
    );
    Ok(counts.load(connection).await?)
}

/// How much workers have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct Throughput {
    /// Videos processed in the last hour.
    #[diesel(sql_type = BigInt)]
    pub last_hour: i64,
    /// Of those, in the last five minutes.
    #[diesel(sql_type = BigInt)]
    pub last_five_minutes: i64,
    /// Uploads that are running or unfinished.
    #[diesel(sql_type = BigInt)]
    pub open_uploads: i64,
}

/// Counts what was processed recently, and the uploads that are open.
pub async fn throughput(connection: &mut Connection) -> anyhow::Result<Throughput> {
    let counts = sql_query(
        "SELECT count(*) AS last_hour,
                count(*) FILTER (WHERE processed_at > now() - interval '5 min') AS last_five_minutes,
                (SELECT count(*) FROM uploads WHERE is_upload) AS open_uploads
         FROM videos WHERE status = 'processed' AND processed_at > now() - interval '1 h'",
    );
    Ok(counts.get_result(connection).await?)
}
