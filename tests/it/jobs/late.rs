//! Late and repeated reports of a worker, after a lost response or a released job. They never
//! remove the files of a processed video and never count twice.

use anb::{
    app::WorkerContext,
    ids::VideoId,
    videos::{
        Claim, Failure,
        process::{self, FailureOutcome, JobError, Outcome},
    },
};
use anyhow::anyhow;

use crate::support::{TestApp, film, outputs_of};

#[tokio::test]
async fn finished_job_does_not_lose_its_claim() {
    let (app, context, video, claim) = processed().await;
    assert!(process::heartbeat(&context, claim).await.unwrap());
    app.set(video, "attempt = 2").await;
    assert!(!process::heartbeat(&context, claim).await.unwrap());
    app.execute("DELETE FROM videos").await;
    assert!(!process::heartbeat(&context, claim).await.unwrap());
}

#[tokio::test]
async fn recording_a_success_is_idempotent() {
    let (app, context, video, claim) = processed().await;
    let again = process::run(&context, claim).await.unwrap();
    assert_eq!(again, Outcome::Processed);
    assert_eq!(app.status(video).await, "processed");
    assert_eq!(app.outputs(video), outputs_of(1));
}

#[tokio::test]
async fn late_reports_do_not_affect_a_processed_video() {
    let (app, context, video, claim) = processed().await;
    process::release(&context, claim).await.unwrap();
    for error in [
        JobError::failed(anyhow!("no answer")),
        JobError::Rejected(Failure::ProcessingFailed.into()),
    ] {
        let recorded = process::record_failure(&context, claim, error).await;
        assert_eq!(recorded.unwrap(), FailureOutcome::Superseded);
    }
    assert_eq!(app.status(video).await, "processed");
    assert_eq!(app.outputs(video), outputs_of(1));
}

#[tokio::test]
async fn failure_reported_twice_counts_once() {
    let (app, context, video, claim) = claimed().await;
    for expected in [FailureOutcome::Waiting, FailureOutcome::Superseded] {
        let error = JobError::failed(anyhow!("no answer"));
        let recorded = process::record_failure(&context, claim, error).await;
        assert_eq!(recorded.unwrap(), expected);
    }
    let row = app.row(video).await.unwrap();
    assert_eq!((row.status.as_str(), row.failures), ("uploaded", 1));
}

#[tokio::test]
async fn late_heartbeat_does_not_revive_a_failed_or_released_job() {
    let (app, context, video, claim) = claimed().await;
    let error = JobError::failed(anyhow!("no answer"));
    process::record_failure(&context, claim, error)
        .await
        .unwrap();
    process::heartbeat(&context, claim).await.unwrap();
    assert_eq!(app.status(video).await, "uploaded");

    app.set(video, "run_after = now()").await;
    let claim = process::claim(&context).await.unwrap().unwrap();
    process::release(&context, claim).await.unwrap();
    assert!(!process::heartbeat(&context, claim).await.unwrap());
    assert_eq!(app.status(video).await, "uploaded");
}

#[tokio::test]
async fn success_reported_after_a_release_is_superseded() {
    let (app, context, video, claim) = claimed().await;
    process::release(&context, claim).await.unwrap();
    let late = process::run(&context, claim).await.unwrap();
    assert_eq!(late, Outcome::Superseded);
    assert_eq!(app.status(video).await, "uploaded");
    assert!(app.outputs(video).is_empty());
}

#[tokio::test]
async fn recording_a_rejection_is_idempotent() {
    let (app, context, video, claim) = claimed().await;
    for _ in 0..2 {
        let error = JobError::Rejected(Failure::ProcessingFailed.into());
        let recorded = process::record_failure(&context, claim, error).await;
        assert_eq!(recorded.unwrap(), FailureOutcome::Rejected);
    }
    assert_eq!(app.status(video).await, "failed");
}

async fn claimed() -> (TestApp, WorkerContext, VideoId, Claim) {
    let app = TestApp::spawn().await;
    let context = app.context().await;
    let video = app.add_video(&film().await).await;
    let claim = process::claim(&context).await.unwrap().unwrap();
    (app, context, video, claim)
}

async fn processed() -> (TestApp, WorkerContext, VideoId, Claim) {
    let (app, context, video, claim) = claimed().await;
    let outcome = process::run(&context, claim).await.unwrap();
    assert_eq!(outcome, Outcome::Processed);
    assert_eq!(app.outputs(video), outputs_of(1));
    (app, context, video, claim)
}
