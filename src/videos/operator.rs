//! What an operator asks and orders: how much waits, and another chance for what failed.

use std::collections::HashSet;

use super::{
    queries::operator::{self, Depth},
    sweep,
};
use crate::{db::Db, job::Job, queue::Queue};

/// Most dead messages of one redrive; a second one takes the rest.
const MAX_MESSAGES: usize = 10_000;

/// What a redrive did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Redriven {
    /// Videos that had failed by our fault, and wait again.
    pub videos: usize,
    /// Dead messages whose video waits again, is done or was deleted: removed.
    pub removed: usize,
    /// Dead messages that no row explains, of a kind this program does not know: sent again.
    pub sent_again: usize,
    /// Dead messages whose video failed once more meanwhile: left.
    pub left: usize,
}

/// Counts the videos that wait, run, and failed by our fault.
pub async fn depth(db: &Db) -> anyhow::Result<Depth> {
    let mut connection = db.connection().await?;
    operator::depth(&mut connection).await
}

/// Lets all videos that failed by our fault wait again, and clears their messages away. Videos that failed
/// by their own fault stay so, and nothing is purged. Rows first: a crash before the messages leaves them to
/// the next redrive. Safe to run twice, and while workers run.
pub async fn redrive(db: &Db, queue: &Queue) -> anyhow::Result<Redriven> {
    let reset = {
        let mut connection = db.connection().await?;
        operator::reset_failed(&mut connection).await?
    };
    let mut redriven = Redriven {
        videos: sweep::push(db, queue, &reset).await?,
        ..Redriven::default()
    };
    let dead = queue.take_dead(MAX_MESSAGES).await?;
    let dead: Vec<_> = dead
        .into_iter()
        .map(|message| (Job::from_payload(&message.payload).ok(), message))
        .collect();
    let videos: Vec<_> = dead
        .iter()
        .filter_map(|(job, _)| job.as_ref().map(Job::video))
        .collect();
    let failed: HashSet<_> = {
        let mut connection = db.connection().await?;
        let failed = operator::failed_among(&mut connection, &videos).await?;
        failed.into_iter().collect()
    };
    for (job, message) in dead {
        match job.map(|job| job.video()) {
            None => {
                message.send_again(queue).await?;
                redriven.sent_again += 1;
            }
            Some(video) if failed.contains(&video) => {
                message.put_back().await?;
                redriven.left += 1;
            }
            Some(_) => {
                message.remove().await?;
                redriven.removed += 1;
            }
        }
    }
    Ok(redriven)
}
