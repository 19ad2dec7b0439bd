//! SQL of resumable uploads. The row is the truth about an upload: it counts durable bytes only.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods as _, NullableExpressionMethods as _, OptionalExtension as _, QueryDsl as _,
    Queryable, Selectable, SelectableHelper as _, delete, dsl::AssumeNotNull, insert_into, update,
    upsert::excluded,
};
use diesel_async::RunQueryDsl as _;
use serde_json::Value;

use super::{Claimed, VideoStatus};
use crate::{
    db::{
        Connection, ago, from_now, now,
        schema::{idempotency_keys, uploads, videos},
    },
    ids::{UserId, VideoId},
};

/// An upload to create.
pub struct NewUpload<'a> {
    pub video: VideoId,
    pub length: i64,
    pub title: &'a str,
    pub is_public: bool,
    pub metadata: &'a str,
}

/// The row of an open upload.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = uploads)]
pub struct OpenUpload {
    pub video_id: VideoId,
    pub user_id: UserId,
    #[diesel(select_expression = uploads::length.assume_not_null(),
             select_expression_type = AssumeNotNull<uploads::length>)]
    pub length: i64,
    pub received: i64,
    pub parts: Value,
    pub epoch: i32,
    pub title: String,
    pub is_public: bool,
    pub metadata: String,
    #[diesel(select_expression = uploads::expires_at.assume_not_null(),
             select_expression_type = AssumeNotNull<uploads::expires_at>)]
    pub expires_at: DateTime<Utc>,
}

/// Returns the number of the user's open resumable uploads.
pub async fn count(connection: &mut Connection, user: UserId) -> anyhow::Result<i64> {
    let open = uploads::table
        .filter(uploads::user_id.eq(user))
        .filter(uploads::expires_at.gt(now().nullable()));
    Ok(open.count().get_result(connection).await?)
}

/// Returns the user's open uploads, the latest first.
pub async fn list(connection: &mut Connection, user: UserId) -> anyhow::Result<Vec<OpenUpload>> {
    let open = uploads::table
        .filter(uploads::user_id.eq(user))
        .filter(uploads::expires_at.gt(now().nullable()))
        .order(uploads::video_id.desc())
        .select(OpenUpload::as_select())
        .load(connection)
        .await?;
    Ok(open)
}

/// Returns an upload of the user, even if it has expired.
pub async fn find(
    connection: &mut Connection,
    user: UserId,
    video: VideoId,
) -> anyhow::Result<Option<OpenUpload>> {
    let found = uploads::table
        .find(video)
        .filter(uploads::user_id.eq(user))
        .filter(uploads::length.is_not_null())
        .select(OpenUpload::as_select())
        .first(connection)
        .await
        .optional()?;
    Ok(found)
}

/// Makes the row of an admitted upload that of a resumable one.
pub async fn describe(
    connection: &mut Connection,
    upload: &NewUpload<'_>,
    expiry: Duration,
) -> anyhow::Result<OpenUpload> {
    let described = update(uploads::table.find(upload.video))
        .set((
            uploads::length.eq(Some(upload.length)),
            uploads::title.eq(upload.title),
            uploads::is_public.eq(upload.is_public),
            uploads::metadata.eq(upload.metadata),
            uploads::started_at.eq(from_now(expiry)),
            uploads::expires_at.eq(from_now(expiry).nullable()),
        ))
        .returning(OpenUpload::as_returning())
        .get_result(connection)
        .await?;
    Ok(described)
}

/// Returns the video that the user created with the same key at most `expiry` ago.
pub async fn find_created(
    connection: &mut Connection,
    user: UserId,
    key: &[u8],
    expiry: Duration,
) -> anyhow::Result<Option<VideoId>> {
    let created = idempotency_keys::table
        .find((user, key))
        .filter(idempotency_keys::created_at.gt(ago(expiry)))
        .select(idempotency_keys::video_id)
        .first(connection)
        .await
        .optional()?;
    Ok(created)
}

/// Records which video the user created with a key.
pub async fn record_key(
    connection: &mut Connection,
    user: UserId,
    key: &[u8],
    video: VideoId,
) -> anyhow::Result<()> {
    insert_into(idempotency_keys::table)
        .values((
            idempotency_keys::user_id.eq(user),
            idempotency_keys::key.eq(key),
            idempotency_keys::video_id.eq(video),
        ))
        .on_conflict((idempotency_keys::user_id, idempotency_keys::key))
        .do_update()
        .set((
            idempotency_keys::video_id.eq(excluded(idempotency_keys::video_id)),
            idempotency_keys::created_at.eq(now()),
        ))
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes the keys of uploads that were created more than `expiry` ago.
pub async fn delete_old_keys(connection: &mut Connection, expiry: Duration) -> anyhow::Result<()> {
    let old = idempotency_keys::table.filter(idempotency_keys::created_at.lt(ago(expiry)));
    delete(old).execute(connection).await?;
    Ok(())
}

/// The video of a complete upload.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = videos)]
pub struct CompleteUpload {
    pub id: VideoId,
    pub title: String,
    pub status: VideoStatus,
    pub original_bytes: i64,
}

/// Returns the user's video with this id.
pub async fn find_complete(
    connection: &mut Connection,
    user: UserId,
    video: VideoId,
) -> anyhow::Result<Option<CompleteUpload>> {
    let complete = videos::table
        .find(video)
        .filter(videos::user_id.eq(user))
        .select(CompleteUpload::as_select())
        .first(connection)
        .await
        .optional()?;
    Ok(complete)
}

/// Fences all earlier writers of the user's open upload. Returns its row.
pub async fn fence(
    connection: &mut Connection,
    user: UserId,
    video: VideoId,
) -> anyhow::Result<Option<OpenUpload>> {
    let open = uploads::table
        .find(video)
        .filter(uploads::user_id.eq(user))
        .filter(uploads::expires_at.gt(now().nullable()));
    let fenced = update(open)
        .set(uploads::epoch.eq(uploads::epoch + 1))
        .returning(OpenUpload::as_returning())
        .get_result(connection)
        .await
        .optional()?;
    Ok(fenced)
}

/// Fences all writers of up to `limit` uploads that have expired. Returns their rows.
pub async fn fence_expired(
    connection: &mut Connection,
    limit: i64,
) -> anyhow::Result<Vec<OpenUpload>> {
    let expired = uploads::table
        .filter(uploads::expires_at.lt(now().nullable()))
        .order(uploads::expires_at)
        .limit(limit)
        .select(uploads::video_id)
        .load::<VideoId>(connection)
        .await?;
    let fenced = update(uploads::table.filter(uploads::video_id.eq_any(expired)))
        .set(uploads::epoch.eq(uploads::epoch + 1))
        .returning(OpenUpload::as_returning())
        .get_results(connection)
        .await?;
    Ok(fenced)
}

/// Records what is durable, unless the writer of `epoch` was fenced. Returns whether it is recorded.
pub async fn record(
    connection: &mut Connection,
    video: VideoId,
    epoch: i32,
    received: i64,
    parts: &Value,
) -> anyhow::Result<bool> {
    let ours = uploads::table.find(video).filter(uploads::epoch.eq(epoch));
    let recorded = update(ours)
        .set((uploads::received.eq(received), uploads::parts.eq(parts)))
        .execute(connection)
        .await?;
    Ok(recorded == 1)
}

/// Returns whether the writer of `epoch` was not fenced.
pub async fn is_latest(
    connection: &mut Connection,
    video: VideoId,
    epoch: i32,
) -> anyhow::Result<bool> {
    let latest: Option<i32> = uploads::table
        .find(video)
        .select(uploads::epoch)
        .first(connection)
        .await
        .optional()?;
    Ok(latest == Some(epoch))
}

/// Removes the row. Returns none if the writer of `epoch` was fenced.
pub async fn remove(
    connection: &mut Connection,
    video: VideoId,
    epoch: i32,
) -> anyhow::Result<Option<Claimed>> {
    let ours = uploads::table.find(video).filter(uploads::epoch.eq(epoch));
    let claimed = delete(ours)
        .returning((uploads::contest_id,))
        .get_result(connection)
        .await
        .optional()?;
    Ok(claimed)
}
