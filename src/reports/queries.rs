//! SQL on `reports`. Hiding a video settles its reports as well (`videos/queries/moderation.rs`).

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::{
    QueryDsl as _, QueryableByName,
    dsl::exists,
    select,
    sql_types::{Array, BigInt, Bool, Double, Jsonb, Nullable, Text, Timestamptz, Uuid},
};
use diesel_async::RunQueryDsl as _;
use serde_json::{Value, json};

use super::{Reason, ReportOutcome};
use crate::{
    db::{
        Connection, prepared,
        schema::{reports, users, videos},
    },
    ids::{UserId, VideoId},
};

/// Makes the reports of a person wait for each other until the transaction ends.
pub async fn lock_person(connection: &mut Connection, user: UserId) -> anyhow::Result<()> {
    users::table
        .find(user)
        .select(users::id)
        .for_no_key_update()
        .execute(connection)
        .await?;
    Ok(())
}

pub struct NewReport<'a> {
    pub user: UserId,
    pub video: VideoId,
    pub reason: Reason,
    pub text: Option<&'a str>,
}

#[derive(QueryableByName)]
struct Sent {
    #[diesel(sql_type = Text)]
    outcome: String,
    #[diesel(sql_type = Double)]
    wait: f64,
}

/// Inserts a report, unless the person has sent `max` within 24 hours. Call [`lock_person`] before.
/// The lock on the video makes a report and a hiding wait for each other, so no report of a public
/// video stays open once the video is hidden.
pub async fn send(
    connection: &mut Connection,
    report: &NewReport<'_>,
    max: i64,
) -> anyhow::Result<ReportOutcome> {
    let statement = "
        WITH asked AS MATERIALIZED (SELECT ?::bigint AS user_id, ?::uuid AS video_id),
        video AS MATERIALIZED (
            SELECT user_id AS owner_id, is_public AND status = 'processed' AS is_watchable
            FROM videos WHERE id = (SELECT video_id FROM asked) FOR SHARE),
        recent AS MATERIALIZED (
            SELECT count(*) AS number, min(created_at) AS since
            FROM reports WHERE user_id = (SELECT user_id FROM asked)
                AND created_at > clock_timestamp() - interval '24 h'),
        inserted AS (
            INSERT INTO reports (video_id, user_id, reason, text)
            SELECT asked.video_id, asked.user_id, ?, ? FROM asked, video, recent
            WHERE is_watchable AND owner_id <> asked.user_id AND recent.number < ?
            ON CONFLICT DO NOTHING RETURNING video_id)
        SELECT CASE
                WHEN EXISTS (SELECT FROM inserted) THEN 'sent'
                WHEN is_watchable IS NOT TRUE THEN 'not_found'
                WHEN owner_id = asked.user_id THEN 'own'
                WHEN EXISTS (
                    SELECT FROM reports
                    WHERE video_id = asked.video_id AND user_id = asked.user_id) THEN 'repeated'
                ELSE 'too_many'
            END AS outcome,
            coalesce(extract(epoch FROM since + interval '24 h' - clock_timestamp()), 0)::float8 AS wait
        FROM asked CROSS JOIN recent LEFT JOIN video ON true";
    let sent: Sent = prepared(statement)
        .bind::<BigInt, _>(report.user)
        .bind::<Uuid, _>(report.video)
        .bind::<Text, _>(report.reason.name())
        .bind::<Nullable<Text>, _>(report.text)
        .bind::<BigInt, _>(max)
        .get_result(connection)
        .await?;
    Ok(match sent.outcome.as_str() {
        "sent" => ReportOutcome::Sent,
        "not_found" => ReportOutcome::NotFound,
        "own" => ReportOutcome::OwnVideo,
        "repeated" => ReportOutcome::AlreadyReported,
        _ => ReportOutcome::TooMany {
            wait: Duration::try_from_secs_f64(sent.wait).unwrap_or_default(),
        },
    })
}

/// Returns whether `user` has reported `video`.
pub async fn is_sent(
    connection: &mut Connection,
    user: UserId,
    video: VideoId,
) -> anyhow::Result<bool> {
    let report = reports::table.find((video, user));
    Ok(select(exists(report)).get_result(connection).await?)
}

/// Why a video is on the moderators' list.
#[derive(Debug, Clone, PartialEq, QueryableByName)]
pub struct Case {
    #[diesel(sql_type = Uuid, column_name = "video_id")]
    pub video: VideoId,
    /// Number of open reports.
    #[diesel(sql_type = BigInt)]
    pub reports: i64,
    #[diesel(sql_type = Jsonb)]
    reasons: Value,
    /// Three people have reported it, or somebody who moderates.
    #[diesel(sql_type = Bool)]
    pub is_urgent: bool,
    /// It is hidden, and no moderator has dealt with its player's answer.
    #[diesel(sql_type = Bool)]
    pub is_answered: bool,
    /// The moment of the first open report, or of the answer.
    #[diesel(sql_type = Timestamptz)]
    pub since: DateTime<Utc>,
}

impl Case {
    /// Returns the reasons with the number of their open reports, most frequent first. Those that
    /// a newer version of the program wrote count as [`Reason::Other`].
    pub fn reasons(&self) -> Vec<(Reason, i64)> {
        let mut counts = Reason::ALL.map(|reason| (reason, 0));
        for (name, number) in self.reasons.as_object().into_iter().flatten() {
            let reason = Reason::parse(name).unwrap_or(Reason::Other);
            for (known, count) in &mut counts {
                if *known == reason {
                    *count += number.as_i64().unwrap_or_default();
                }
            }
        }
        let mut counts = counts.to_vec();
        counts.retain(|(_, count)| *count > 0);
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }
}

/// Returns why videos are on the moderators' list, in its order.
pub async fn cases(
    connection: &mut Connection,
    limit: i64,
    offset: i64,
) -> anyhow::Result<Vec<Case>> {
    let statement = "
        WITH by_reason AS (
            SELECT video_id, reason, count(*) AS number, min(reports.created_at) AS since,
                bool_or(role IN ('moderator', 'organiser')) AS is_by_staff
            FROM reports JOIN users ON users.id = user_id
            WHERE settled_at IS NULL GROUP BY video_id, reason),
        reported AS (
            SELECT video_id, sum(number)::bigint AS reports, jsonb_object_agg(reason, number) AS reasons,
                sum(number) >= 3 OR bool_or(is_by_staff) AS is_urgent, min(since) AS since
            FROM by_reason GROUP BY video_id),
        answered AS (
            SELECT video_id, created_at AS since FROM answers
            WHERE settled_at IS NULL AND moderation_id = (
                SELECT max(id) FROM moderations WHERE moderations.video_id = answers.video_id))
        SELECT video_id, coalesce(reports, 0) AS reports, coalesce(reasons, '{}') AS reasons,
            coalesce(is_urgent, false) AS is_urgent, answered.since IS NOT NULL AS is_answered,
            least(reported.since, answered.since) AS since
        FROM reported FULL JOIN answered USING (video_id) JOIN videos ON videos.id = video_id
        ORDER BY is_answered DESC, is_urgent DESC, since, video_id LIMIT ? OFFSET ?";
    let cases = prepared(statement)
        .bind::<BigInt, _>(limit)
        .bind::<BigInt, _>(offset)
        .load(connection)
        .await?;
    Ok(cases)
}

/// What somebody wrote in an open report.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct Remark {
    #[diesel(sql_type = Uuid, column_name = "video_id")]
    pub video: VideoId,
    #[diesel(sql_type = Text)]
    pub text: String,
}

/// Returns the earliest ten remarks about each video, the earliest first.
pub async fn remarks(
    connection: &mut Connection,
    videos: &[VideoId],
) -> anyhow::Result<Vec<Remark>> {
    let statement = "
        SELECT earliest.video_id, text FROM unnest(?) AS wanted (video_id) CROSS JOIN LATERAL (
            SELECT video_id, text, created_at FROM reports
            WHERE video_id = wanted.video_id AND settled_at IS NULL AND text IS NOT NULL
            ORDER BY created_at LIMIT 10) AS earliest
        ORDER BY created_at";
    let remarks = prepared(statement)
        .bind::<Array<Uuid>, _>(videos)
        .load(connection)
        .await?;
    Ok(remarks)
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// Counts the videos on the moderators' list.
pub async fn open_count(connection: &mut Connection) -> anyhow::Result<i64> {
    let statement = "
        SELECT count(*) AS number FROM (
            SELECT video_id FROM reports WHERE settled_at IS NULL
            UNION
            SELECT video_id FROM answers
            WHERE settled_at IS NULL AND moderation_id = (
                SELECT max(id) FROM moderations WHERE moderations.video_id = answers.video_id)) AS listed";
    let Number { number } = prepared(statement).get_result(connection).await?;
    Ok(number)
}

/// Makes moderations of a video wait for each other until the transaction ends. Returns whether the
/// video exists.
pub async fn lock_video(connection: &mut Connection, video: VideoId) -> anyhow::Result<bool> {
    let locked = videos::table
        .find(video)
        .select(videos::id)
        .for_no_key_update()
        .execute(connection)
        .await?;
    Ok(locked > 0)
}

/// What a moderator settled at once.
#[derive(Debug, Default, PartialEq, Eq, QueryableByName)]
pub struct Settled {
    #[diesel(sql_type = BigInt)]
    pub reports: i64,
    #[diesel(sql_type = BigInt)]
    pub answers: i64,
}

/// Converts into what the record of acts keeps.
impl From<Settled> for Value {
    fn from(Settled { reports, answers }: Settled) -> Self {
        match answers {
            0 => json!({ "reports": reports }),
            _ => json!({ "reports": reports, "answers": answers }),
        }
    }
}

/// Settles the open reports of a video and its player's answer. Call [`lock_video`] before.
pub async fn dismiss(
    connection: &mut Connection,
    moderator: Option<UserId>,
    video: VideoId,
) -> anyhow::Result<Settled> {
    let statement = "
        WITH asked AS (SELECT ?::bigint AS user_id, ?::uuid AS video_id),
        dismissed AS (
            UPDATE reports SET settled_at = clock_timestamp(), settled_by = asked.user_id, outcome = 'dismissed'
            FROM asked WHERE reports.video_id = asked.video_id AND settled_at IS NULL
            RETURNING reports.video_id),
        answered AS (
            UPDATE answers SET settled_at = clock_timestamp()
            FROM asked WHERE answers.video_id = asked.video_id AND settled_at IS NULL
            RETURNING answers.video_id)
        SELECT (SELECT count(*) FROM dismissed) AS reports, (SELECT count(*) FROM answered) AS answers";
    let settled = prepared(statement)
        .bind::<Nullable<BigInt>, _>(moderator)
        .bind::<Uuid, _>(video)
        .get_result(connection)
        .await?;
    Ok(settled)
}
