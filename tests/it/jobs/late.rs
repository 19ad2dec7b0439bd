//! What a worker says late or twice: its answer got lost, or it had given up already. Nothing of it takes
//! a finished video's files away, or counts a second time.

use anb::{
    app::Workshop,
    ids::VideoId,
    job::JobError,
    videos::{
        Claim, Failure,
        process::{self, Outcome, Recorded},
    },
};
use anyhow::anyhow;

use crate::support::{TestApp, film};

#[tokio::test]
async fn the_end_of_a_job_is_no_loss_of_its_claim() {
    let (app, workshop, video, claim) = processed().await;
    assert!(process::heartbeat(&workshop, claim).await.unwrap());
    app.set(video, "attempt = 2").await;
    assert!(!process::heartbeat(&workshop, claim).await.unwrap());
    app.sql("DELETE FROM videos").await;
    assert!(!process::heartbeat(&workshop, claim).await.unwrap());
}

#[tokio::test]
async fn a_result_is_recorded_again_when_the_answer_got_lost() {
    let (app, workshop, video, claim) = processed().await;
    let again = process::run(&workshop, claim).await.unwrap();
    assert_eq!(again, Outcome::Processed);
    assert_eq!(app.status(video).await, "processed");
    assert_eq!(app.outputs(video), ["1.jpg", "1.mp4"]);
}

#[tokio::test]
async fn a_processed_video_keeps_its_clip_whatever_its_worker_says_late() {
    let (app, workshop, video, claim) = processed().await;
    process::release(&workshop, claim).await.unwrap();
    for error in [
        JobError::Job(anyhow!("no answer")),
        JobError::Video(Failure::ProcessingFailed.into()),
    ] {
        let recorded = process::record_failure(&workshop, claim, error).await;
        assert_eq!(recorded.unwrap(), Recorded::Superseded);
    }
    assert_eq!(app.status(video).await, "processed");
    assert_eq!(app.outputs(video), ["1.jpg", "1.mp4"]);
}

#[tokio::test]
async fn a_failure_that_is_told_twice_counts_once() {
    let (app, workshop, video, claim) = claimed().await;
    for recorded in [Recorded::Waiting, Recorded::Superseded] {
        let error = JobError::Job(anyhow!("no answer"));
        let told = process::record_failure(&workshop, claim, error).await;
        assert_eq!(told.unwrap(), recorded);
    }
    let row = app.row(video).await.unwrap();
    assert_eq!((row.status.as_str(), row.failures), ("uploaded", 1));
}

#[tokio::test]
async fn a_heartbeat_that_comes_late_revives_no_job_that_was_given_up() {
    let (app, workshop, video, claim) = claimed().await;
    let error = JobError::Job(anyhow!("no answer"));
    process::record_failure(&workshop, claim, error)
        .await
        .unwrap();
    process::heartbeat(&workshop, claim).await.unwrap();
    assert_eq!(app.status(video).await, "uploaded");

    app.set(video, "run_after = now()").await;
    let claim = process::claim(&workshop).await.unwrap().unwrap();
    process::release(&workshop, claim).await.unwrap();
    assert!(!process::heartbeat(&workshop, claim).await.unwrap());
    assert_eq!(app.status(video).await, "uploaded");
}

#[tokio::test]
async fn a_result_that_comes_after_its_job_was_given_back_does_not_count() {
    let (app, workshop, video, claim) = claimed().await;
    process::release(&workshop, claim).await.unwrap();
    let late = process::run(&workshop, claim).await.unwrap();
    assert_eq!(late, Outcome::Superseded);
    assert_eq!(app.status(video).await, "uploaded");
    assert!(app.outputs(video).is_empty());
}

#[tokio::test]
async fn a_refusal_is_recorded_again_when_the_answer_got_lost() {
    let (app, workshop, video, claim) = claimed().await;
    for _ in 0..2 {
        let error = JobError::Video(Failure::ProcessingFailed.into());
        let told = process::record_failure(&workshop, claim, error).await;
        assert_eq!(told.unwrap(), Recorded::Failed);
    }
    assert_eq!(app.status(video).await, "failed");
}

async fn claimed() -> (TestApp, Workshop, VideoId, Claim) {
    let app = TestApp::spawn().await;
    let workshop = app.workshop().await;
    let video = app.add_video(&film().await).await;
    let claim = process::claim(&workshop).await.unwrap().unwrap();
    (app, workshop, video, claim)
}

async fn processed() -> (TestApp, Workshop, VideoId, Claim) {
    let (app, workshop, video, claim) = claimed().await;
    let outcome = process::run(&workshop, claim).await.unwrap();
    assert_eq!(outcome, Outcome::Processed);
    assert_eq!(app.outputs(video), ["1.jpg", "1.mp4"]);
    (app, workshop, video, claim)
}
