//! Operator commands: queue depth, and redrive of failed videos.

use std::collections::HashSet;

use diesel_async::AsyncConnection as _;
use serde_json::json;

use super::{
    queries::operator::{self, VideoCounts},
    sweep,
};
use crate::{
    audit::{self, Act, By, Entry, Subject},
    db::Db,
    ids::VideoId,
    job::Job,
    queue::Queue,
};

/// Maximum dead messages per redrive. Another redrive takes the rest.
const MAX_MESSAGES: usize = 10_000;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Redriven {
    /// Videos that had failed through a system failure and wait again.
    pub videos: usize,
    /// Dead messages that were removed, because their video waits again, is done or was deleted.
    pub removed: usize,
    /// Dead messages of an unknown kind that were sent again.
    pub sent_again: usize,
    /// Dead messages that were left, because their video has failed again.
    pub left: usize,
}

/// Counts waiting and claimed videos, and those that failed through a system failure.
pub async fn count_videos(db: &Db) -> anyhow::Result<VideoCounts> {
    let mut connection = db.connection().await?;
    operator::count_videos(&mut connection).await
}

/// Requeues all videos that failed through a system failure, and removes their dead messages.
/// Rejected videos stay failed, and nothing is purged. Updates the rows first, so that after a
/// crash the next redrive handles the messages. Idempotent, and safe while workers run.
pub async fn redrive(db: &Db, queue: &Queue, by: &By) -> anyhow::Result<Redriven> {
    let reset = reset(db, by, None).await?;
    let mut redriven = Redriven {
        videos: sweep::push(db, queue, &reset).await?,
        ..Redriven::default()
    };
    let dead = queue.receive_dead(MAX_MESSAGES).await?;
    let dead: Vec<_> = dead
        .into_iter()
        .map(|message| (Job::from_payload(&message.payload).ok(), message))
        .collect();
    let videos: Vec<_> = dead
        .iter()
        .filter_map(|(job, _)| job.as_ref()?.video())
        .collect();
    let failed: HashSet<_> = {
        let mut connection = db.connection().await?;
        let failed = operator::failed_among(&mut connection, &videos).await?;
        failed.into_iter().collect()
    };
    for (job, message) in dead {
        match job.and_then(|job| job.video()) {
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

/// Requeues a video that failed through a system failure. Returns whether it had. Its dead message,
/// if there is one, is a ticket for the next video, and stays for the next redrive.
pub async fn retry(db: &Db, queue: &Queue, by: &By, video: VideoId) -> anyhow::Result<bool> {
    let reset = reset(db, by, Some(video)).await?;
    Ok(sweep::push(db, queue, &reset).await? > 0)
}

/// Requeues the failed videos, or one of them, and records who did. A redrive also removes messages,
/// so it is recorded even if no video had failed.
async fn reset(db: &Db, by: &By, video: Option<VideoId>) -> anyhow::Result<Vec<VideoId>> {
    let mut connection = db.connection().await?;
    connection
        .transaction(async |connection| {
            let reset = operator::reset_failed(connection, video).await?;
            let entry = match video {
                Some(_) if reset.is_empty() => return Ok(reset),
                Some(video) => Entry {
                    by,
                    act: Act::VideoRetried,
                    subject: Subject::Video(video),
                    before: Some(json!({ "status": "failed" })),
                    after: Some(json!({ "status": "uploaded" })),
                },
                None => Entry {
                    by,
                    act: Act::QueueRedriven,
                    subject: Subject::Queue,
                    before: None,
                    after: Some(json!({ "videos": reset.len() })),
                },
            };
            audit::record(connection, &entry).await?;
            anyhow::Ok(reset)
        })
        .await
}
