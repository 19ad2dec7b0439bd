//! SQL on `videos` and `uploads` for players. [`entry`] has how uploads enter the contest. [`jobs`]
//! serves workers, [`sweeping`] their sweeper and cleanup, [`tagging`] the tags of public clips,
//! [`operator`] `anb queue`, [`moderation`] organisers, [`resumable`] resumable uploads.

pub mod board;
mod entry;
pub mod fsck;
pub mod jobs;
pub mod moderation;
pub mod operator;
pub mod remakes;
pub mod resumable;
pub mod sweeping;
pub mod tagging;

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::{
    AsChangeset, BoolExpressionMethods as _, ExpressionMethods as _, IntoSql as _,
    OptionalExtension as _, QueryDsl as _, Queryable, QueryableByName, Selectable,
    SelectableHelper as _, delete as delete_from,
    dsl::{AsExprOf, not, sql},
    expression::SqlLiteral,
    insert_into, sql_query,
    sql_types::{self, BigInt, Bool, Nullable, Text},
    update as update_table,
};
use diesel_async::RunQueryDsl as _;
use serde_json::Value;

use self::entry::Entry;
use super::{Change, Renditions, VideoStatus};
use crate::{
    config::storage::QuotaSettings,
    db::{
        Connection, ago,
        schema::{uploads, users, videos},
    },
    ids::{ContestId, UserId, VideoId},
};

/// NULL in a column of times.
const NO_TIME: Option<DateTime<Utc>> = None;

/// A row of a raw SQL statement that returns ids.
#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = sql_types::Uuid)]
    id: VideoId,
}

fn ids(rows: Vec<Id>) -> Vec<VideoId> {
    rows.into_iter().map(|row| row.id).collect()
}

/// A video as its owner sees it.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = videos)]
pub struct Video {
    pub id: VideoId,
    pub user_id: UserId,
    pub title: String,
    pub status: VideoStatus,
    pub is_public: bool,
    /// Why an organiser hid it.
    pub hidden_reason: Option<String>,
    /// What its owner answered to that.
    #[diesel(select_expression = answer(), select_expression_type = SqlLiteral<Nullable<Text>>)]
    pub answer: Option<String>,
    /// All votes cast, including the vote deltas.
    #[diesel(select_expression = votes_so_far(), select_expression_type = SqlLiteral<BigInt>)]
    pub votes: i64,
    pub attempt: i32,
    pub failure: Option<Value>,
    pub uploaded_at: DateTime<Utc>,
    pub processed_at: Option<DateTime<Utc>>,
    pub progress: i16,
    pub ready_at: Option<DateTime<Utc>>,
    #[diesel(embed)]
    pub renditions: Renditions,
}

fn votes_so_far() -> SqlLiteral<BigInt> {
    sql("videos.votes
        + (SELECT coalesce(sum(uncounted.votes), 0)::bigint FROM uncounted WHERE video_id = videos.id)")
}

/// Returns the answer to the hiding that lasts. Evaluated for hidden videos only.
fn answer() -> SqlLiteral<Nullable<Text>> {
    sql("CASE WHEN videos.hidden_reason IS NOT NULL THEN (
            SELECT text FROM answers WHERE moderation_id = (
                SELECT max(moderations.id) FROM moderations WHERE moderations.video_id = videos.id)) END")
}

#[derive(AsChangeset)]
#[diesel(table_name = videos)]
struct Changes<'a> {
    title: Option<&'a str>,
    is_public: Option<bool>,
    public_when_shown: Option<bool>,
}

/// Records in `uploads` that the files of `video` no longer have a row, so that the cleanup removes
/// them even after a crash.
pub async fn record_delete(
    connection: &mut Connection,
    user: UserId,
    video: VideoId,
) -> anyhow::Result<()> {
    insert_into(uploads::table)
        .values((
            uploads::video_id.eq(video),
            uploads::user_id.eq(user),
            uploads::is_upload.eq(false),
        ))
        .execute(connection)
        .await?;
    Ok(())
}

/// Serializes the user's uploads until the transaction ends. Its later statements see all uploads
/// recorded before.
pub async fn lock_user(connection: &mut Connection, user: UserId) -> anyhow::Result<()> {
    users::table
        .find(user)
        .select(users::id)
        .for_no_key_update()
        .execute(connection)
        .await?;
    Ok(())
}

/// Records in `uploads` that an upload of `video` is running, so that the cleanup removes its files
/// after a crash, unless the account has reached a quota. Call [`lock_user`] before.
pub async fn record_upload(
    connection: &mut Connection,
    user: UserId,
    video: VideoId,
    quota: &QuotaSettings,
) -> anyhow::Result<Admission> {
    let (contest, max_bytes) = match entry::enter(connection, user).await? {
        Entry::Free => (None, None),
        Entry::In { contest, max_bytes } => (Some(contest), max_bytes),
        Entry::Closed {
            opens_at,
            closes_at,
        } => {
            return Ok(Admission::SubmissionsClosed {
                opens_at,
                closes_at,
            });
        }
        Entry::LimitReached => return Ok(Admission::TooManyEntries),
    };
    let open = uploads::table
        .filter(uploads::user_id.eq(user))
        .filter(uploads::is_upload)
        .count()
        .get_result::<i64>(connection)
        .await?;
    if open >= quota.max_open_uploads.into() {
        return Ok(Admission::TooManyOpen);
    }
    let waits = [VideoStatus::Uploaded, VideoStatus::Processing];
    let waiting = videos::table
        .filter(videos::user_id.eq(user))
        .filter(videos::status.eq_any(waits))
        .count()
        .get_result::<i64>(connection)
        .await?;
    if waiting >= quota.max_waiting_videos.into() {
        return Ok(Admission::TooManyWaiting);
    }
    insert_into(uploads::table)
        .values((
            uploads::video_id.eq(video),
            uploads::user_id.eq(user),
            uploads::contest_id.eq(contest),
        ))
        .execute(connection)
        .await?;
    Ok(Admission::Admitted {
        max_bytes: max_bytes.and_then(|bytes| u64::try_from(bytes).ok()),
    })
}

/// Whether an upload may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Admitted {
        /// Maximum size of the file that the contest allows, if it has such a rule.
        max_bytes: Option<u64>,
    },
    /// The account has the maximum number of running uploads.
    TooManyOpen,
    /// The account has the maximum number of waiting videos.
    TooManyWaiting,
    /// The account has the maximum number of videos in the contest.
    TooManyEntries,
    /// The contest takes no videos now.
    SubmissionsClosed {
        opens_at: DateTime<Utc>,
        closes_at: DateTime<Utc>,
    },
}

/// An upload whose row was removed, to make it a video.
#[derive(Debug, Clone, Copy, Queryable)]
pub struct Claimed {
    /// The contest that it takes part in.
    pub contest: Option<ContestId>,
}

/// Removes the row of `video` in `uploads`.
pub async fn clear_upload(connection: &mut Connection, video: VideoId) -> anyhow::Result<()> {
    delete_from(uploads::table.find(video))
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes the row of an upload that is not older than `timeout`. Returns none if there is no such
/// row. An older row belongs to the cleanup, and its file may already be removed.
pub async fn claim_upload(
    connection: &mut Connection,
    video: VideoId,
    timeout: Duration,
) -> anyhow::Result<Option<Claimed>> {
    let note = uploads::table
        .find(video)
        .filter(uploads::started_at.gt(ago(timeout)));
    let claimed = delete_from(note)
        .returning((uploads::contest_id,))
        .get_result(connection)
        .await
        .optional()?;
    Ok(claimed)
}

/// Returns the videos whose rows in `uploads` are older than `timeout`, except resumable uploads.
pub async fn orphaned_uploads(
    connection: &mut Connection,
    timeout: Duration,
    limit: i64,
) -> anyhow::Result<Vec<VideoId>> {
    let stale = uploads::table
        .filter(uploads::started_at.lt(ago(timeout)))
        .filter(uploads::length.is_null())
        .order(uploads::started_at)
        .limit(limit)
        .select(uploads::video_id)
        .load(connection)
        .await?;
    Ok(stale)
}

/// A video whose original is stored.
pub struct NewVideo<'a> {
    pub id: VideoId,
    pub user: UserId,
    pub title: &'a str,
    pub is_public: bool,
    pub original_bytes: i64,
}

/// Fixed cost of a video, the encoding of its clip, in bytes of equal cost. Estimated, not
/// measured; a wrong value only shifts turns.
const BASE_COST: i64 = 10_000_000;

/// Inserts a video that waits for a worker. Call [`lock_user`] before.
///
/// Its turn is the start tag of start-time fair queueing (Goyal, Vin, Cheng 1996): the maximum of
/// the turn claimed last and the end of the same player's waiting videos. The cost is in bytes.
pub async fn insert(
    connection: &mut Connection,
    video: &NewVideo<'_>,
    claimed: Claimed,
) -> anyhow::Result<()> {
    let insert = sql_query(
        "INSERT INTO videos (id, user_id, title, is_public, original_bytes, contest_id, turn)
         SELECT $1, $2, $3, $4, $5, $7, greatest(
             (SELECT last_value FROM videos_turn),
             (SELECT max(turn + original_bytes + $6) FROM videos
              WHERE user_id = $2 AND status IN ('uploaded', 'processing')))",
    );
    insert
        .bind::<sql_types::Uuid, _>(video.id)
        .bind::<sql_types::BigInt, _>(video.user)
        .bind::<sql_types::Text, _>(video.title)
        .bind::<sql_types::Bool, _>(video.is_public)
        .bind::<sql_types::BigInt, _>(video.original_bytes)
        .bind::<sql_types::BigInt, _>(BASE_COST)
        .bind::<Nullable<BigInt>, _>(claimed.contest)
        .execute(connection)
        .await?;
    Ok(())
}

/// Returns a user's own videos, newest first.
pub async fn list_own(
    connection: &mut Connection,
    user: UserId,
    limit: i64,
    offset: i64,
) -> anyhow::Result<Vec<Video>> {
    let own = videos::table
        .filter(videos::user_id.eq(user))
        .order((videos::uploaded_at.desc(), videos::id.desc()))
        .limit(limit)
        .offset(offset)
        .select(Video::as_select())
        .load(connection)
        .await?;
    Ok(own)
}

/// Returns a video of any owner.
pub async fn find(connection: &mut Connection, video: VideoId) -> anyhow::Result<Option<Video>> {
    let found = videos::table
        .find(video)
        .select(Video::as_select())
        .first(connection)
        .await
        .optional()?;
    Ok(found)
}

/// Returns, as an SQL expression, whether a change publishes.
fn publishes(change: &Change) -> AsExprOf<bool, Bool> {
    (change.is_public == Some(true)).into_sql::<Bool>()
}

/// Changes a video of `user`, unless that would publish a failed or hidden one. Returns none if
/// nothing changed, because the video does not exist, has another owner, has failed or is hidden.
pub async fn update(
    connection: &mut Connection,
    user: UserId,
    video: VideoId,
    change: &Change,
) -> anyhow::Result<Option<Video>> {
    let is_refused = videos::status
        .eq(VideoStatus::Failed)
        .or(videos::hidden_reason.is_not_null())
        .and(publishes(change));
    let own = videos::table
        .find(video)
        .filter(videos::user_id.eq(user))
        .filter(not(is_refused));
    let changed = update_table(own)
        .set(Changes {
            title: change.title.as_deref(),
            is_public: change.is_public,
            // Whoever unpublishes a hidden video does not want it back in the vote.
            public_when_shown: change.is_public.filter(|is_public| !is_public),
        })
        .returning(Video::as_returning())
        .get_result(connection)
        .await
        .optional()?;
    Ok(changed)
}

/// Deletes a video of `user`, unless it takes part in the vote. Returns whether it was deleted. Of
/// concurrent calls, exactly one succeeds.
pub async fn delete(
    connection: &mut Connection,
    user: UserId,
    video: VideoId,
) -> anyhow::Result<bool> {
    let in_vote = videos::is_public.and(videos::status.eq(VideoStatus::Processed));
    let own = videos::table
        .find(video)
        .filter(videos::user_id.eq(user))
        .filter(not(in_vote));
    Ok(delete_from(own).execute(connection).await? == 1)
}
