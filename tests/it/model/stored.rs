//! A video's row, votes and note in PostgreSQL, converted to the model's types.

use anb::{
    db::Connection,
    ids::{UserId, VideoId},
};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Uuid},
};
use diesel_async::RunQueryDsl as _;

use super::core::{Cause, Row, Status, Timer};

/// Timestamps are read as whether they are over.
#[derive(QueryableByName)]
pub struct Stored {
    #[diesel(sql_type = Nullable<Text>)]
    status: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    code: Option<String>,
    #[diesel(sql_type = Array<Integer>)]
    counters: Vec<i32>,
    #[diesel(sql_type = Nullable<Bool>)]
    lease: Option<bool>,
    #[diesel(sql_type = Nullable<Bool>)]
    is_due: Option<bool>,
    #[diesel(sql_type = Nullable<Bool>)]
    pushed: Option<bool>,
    #[diesel(sql_type = Nullable<Bool>)]
    strays: Option<bool>,
    #[diesel(sql_type = Nullable<Bool>)]
    note: Option<bool>,
    #[diesel(sql_type = Nullable<Bool>)]
    is_public: Option<bool>,
    #[diesel(sql_type = Nullable<BigInt>)]
    votes: Option<i64>,
    #[diesel(sql_type = Array<BigInt>)]
    voters: Vec<i64>,
}

impl Stored {
    /// Reads all of `videos`, in their order.
    pub async fn read(connection: &mut Connection, videos: &[VideoId]) -> Vec<Self> {
        let query = sql_query(
            "SELECT status::text, failure->>'code' AS code,
                 array_remove(ARRAY[attempt, failures, losses], NULL) AS counters,
                 lease_until < now() AS lease, run_after <= now() AS is_due,
                 enqueued_at < now() - interval '1 minute' AS pushed,
                 strays_at < now() - interval '31 minutes' AS strays,
                 noted.at < now() - interval '31 minutes' AS note, is_public,
                 votes + (SELECT coalesce(sum(votes), 0)::bigint FROM uncounted WHERE video_id = asked.id) AS votes,
                 ARRAY(SELECT user_id FROM votes WHERE video_id = asked.id) AS voters
             FROM unnest($1) WITH ORDINALITY AS asked (id, place)
             LEFT JOIN videos USING (id)
             LEFT JOIN (SELECT video_id, started_at AS at FROM uploads) noted ON video_id = asked.id
             ORDER BY place",
        );
        let query = query.bind::<Array<Uuid>, _>(videos);
        query.load(connection).await.unwrap()
    }

    pub fn note(&self) -> Timer {
        timer(self.note)
    }

    /// Returns the row, if there is one. Voters are indices into `users`.
    pub fn row(&self, users: &[UserId]) -> Option<Row> {
        let status = match (self.status.as_deref()?, self.code.as_deref()) {
            ("uploaded", None) => Status::Uploaded,
            ("processing", None) => Status::Processing,
            ("processed", None) => Status::Processed,
            ("failed", Some("corrupt")) => Status::Failed(Cause::Rejected),
            ("failed", Some("processing_failed")) => Status::Failed(Cause::ProcessingFailed),
            ("failed", Some("worker_lost")) => Status::Failed(Cause::WorkerLost),
            other => panic!("{other:?}"),
        };
        let counters: Vec<u8> = self
            .counters
            .iter()
            .map(|count| u8::try_from(*count).unwrap())
            .collect();
        assert_eq!(
            self.votes,
            i64::try_from(self.voters.len()).ok(),
            "the counter equals the number of votes"
        );
        let voters = self
            .voters
            .iter()
            .map(|voter| users.iter().position(|user| user.0 == *voter).unwrap());
        Some(Row {
            status,
            attempt: counters[0],
            failures: counters[1],
            lease_expirations: counters[2],
            lease: timer(self.lease),
            is_due: self.is_due?,
            pushed: timer(self.pushed),
            strays: timer(self.strays),
            is_public: self.is_public?,
            voters: voters.collect(),
        })
    }
}

fn timer(is_over: Option<bool>) -> Timer {
    match is_over {
        None => Timer::Off,
        Some(false) => Timer::Running,
        Some(true) => Timer::Over,
    }
}
