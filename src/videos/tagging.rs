//! The tags that let the CDN read public clips. They follow the rows: a trigger notes each video
//! whose tags may differ from its row, in the same transaction, and [`settle`] or [`keep_settled`]
//! sets them. Exactly one process at a time sets the tags of a video, so that none of an outdated
//! row are left ([decision 26](../../docs/decisions/0026-public-clips-are-tagged.md)).

use std::{future::Future, time::Duration};

use anyhow::Context as _;
use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::queries::tagging::{self, Untagged};
use crate::{app::Backends, ids::VideoId, shutdown::Shutdown};

/// Time between two looks for videos that others left unsettled.
const INTERVAL: Duration = Duration::from_secs(2);

/// How long a claim lasts, and so the delay after a failure, or after the end of a process.
const LEASE: Duration = Duration::from_secs(15);

/// Timeout of setting the tags of one video, which a claim outlasts.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Videos that are settled concurrently.
const BATCH: i64 = 8;

/// A claim whose holder has tagged the outputs of an attempt.
pub struct Prepared {
    claim: Untagged,
    attempt: i32,
}

/// Tags the outputs of the attempt that `attempt` finds, before a statement publishes the video, so
/// that nobody finds a clip that the CDN refuses. Call [`settle`] after the statement, whatever
/// became of it. A failure of the tagging must not keep a player from publishing, so it is only
/// logged. Looks for no attempt if the storage has no tags.
pub async fn prepare(
    backends: &Backends,
    video: VideoId,
    attempt: impl Future<Output = anyhow::Result<Option<i32>>>,
) -> anyhow::Result<Option<Prepared>> {
    if !backends.storage.has_tags() {
        return Ok(None);
    }
    let Some(attempt) = attempt.await? else {
        return Ok(None);
    };
    let prepared = async {
        let claim = {
            let mut connection = backends.db.connection().await?;
            // If this process ends before the statement, another one removes the tags.
            tagging::note(&mut connection, video).await?;
            tagging::claim(&mut connection, video, LEASE).await?
        };
        let Some(claim) = claim else {
            return Ok(None);
        };
        within(backends.storage.tag_outputs(video, attempt)).await?;
        anyhow::Ok(Some(Prepared { claim, attempt }))
    };
    Ok(prepared.await.unwrap_or_else(|error| {
        log(video, &error);
        None
    }))
}

/// Tags the new outputs of `attempt` before the row refers to them, if the video is public. Call
/// [`settle`] once it does.
pub async fn prepare_outputs(backends: &Backends, video: VideoId, attempt: i32) {
    if !backends.storage.has_tags() {
        return;
    }
    let prepared = async {
        let is_public = {
            let mut connection = backends.db.connection().await?;
            tagging::is_to_be_public(&mut connection, video).await?
        };
        if is_public {
            within(backends.storage.tag_outputs(video, attempt)).await?;
        }
        anyhow::Ok(())
    };
    if let Err(error) = prepared.await {
        log(video, &error);
    }
}

/// Sets the tags of a video according to its row, if they may differ. A failure is logged, and
/// another process retries.
pub async fn settle(backends: &Backends, video: VideoId, prepared: Option<Prepared>) {
    let settled = async {
        let mut connection = backends.db.connection().await?;
        let (claim, tagged) = match prepared {
            Some(Prepared { claim, attempt }) => {
                let renewed = tagging::renew(&mut connection, claim, LEASE).await?;
                (renewed, Some(attempt))
            }
            None => (tagging::claim(&mut connection, video, LEASE).await?, None),
        };
        drop(connection);
        match claim {
            Some(claim) => settle_claimed(backends, claim, tagged).await,
            // Another process has claimed the video, or the tags are right.
            None => Ok(()),
        }
    };
    if let Err(error) = settled.await {
        log(video, &error);
    }
}

fn log(video: VideoId, error: &anyhow::Error) {
    tracing::warn!(%video, "failed to tag a clip, will retry: {error:#}");
}

/// Settles the videos that are due, until none is left or one fails. Returns their number.
pub async fn run(backends: &Backends) -> anyhow::Result<usize> {
    let mut settled = 0;
    loop {
        let claims = {
            let mut connection = backends.db.connection().await?;
            tagging::claim_due(&mut connection, LEASE, BATCH).await?
        };
        if claims.is_empty() {
            return Ok(settled);
        }
        // Another installation's storage has none of these videos.
        backends.installation.verify().await?;
        let is_last = claims.len() < usize::try_from(BATCH)?;
        let claims = claims.into_iter();
        // A failure must not stop the others of its batch.
        let all = join_all(claims.map(|claim| settle_claimed(backends, claim, None)));
        for result in all.await {
            result?;
            settled += 1;
        }
        if is_last {
            return Ok(settled);
        }
    }
}

/// Settles all videos every two seconds, until the shutdown is requested.
pub async fn keep_settled(backends: Backends, shutdown: Shutdown) {
    let mut is_failing = false;
    while !shutdown.is_requested() {
        let settled = tokio::select! {
            settled = run(&backends) => settled,
            () = shutdown.forced() => return,
        };
        if let Err(error) = &settled
            && !is_failing
        {
            tracing::warn!("failed to tag clips, will retry: {error:#}");
        }
        is_failing = settled.is_err();
        tokio::select! {
            () = sleep(INTERVAL) => {}
            () = shutdown.requested() => {}
        }
    }
}

/// Sets the tags, again and again while the row changes. The holder of the claim has tagged the
/// outputs of `tagged`. No connection is held meanwhile.
async fn settle_claimed(
    backends: &Backends,
    mut claim: Untagged,
    mut tagged: Option<i32>,
) -> anyhow::Result<()> {
    let video = claim.video;
    loop {
        let public = {
            let mut connection = backends.db.connection().await?;
            tagging::public_attempt(&mut connection, video).await?
        };
        if public.is_none() || public != tagged {
            within(backends.storage.set_public(video, public)).await?;
            tagged = public;
        }
        let mut connection = backends.db.connection().await?;
        if tagging::finish(&mut connection, claim).await? {
            return Ok(());
        }
        let Some(renewed) = tagging::renew(&mut connection, claim, LEASE).await? else {
            // Another process took over, and these tags may be outdated.
            return tagging::note(&mut connection, video).await;
        };
        claim = renewed;
    }
}

async fn within(tag: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    timeout(TIMEOUT, tag).await.context("no answer in time")?
}
