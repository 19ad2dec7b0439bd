//! A worker in an Auto Scaling group. Its metadata and group are scripted; its jobs are real.

mod cloud;

use std::time::Duration;

use anb::ec2::Pace;
use rustix::process::Signal;

use self::cloud::{Cloud, Crew, PACE};
use crate::{
    processes::{
        STOP,
        process::{Role, SystemUnderTest},
    },
    support::{TestApp, eventually, film, hold, long_film},
};

const PROTECT: &str = "SetInstanceProtection";
const COMPLETE: &str = "CompleteLifecycleAction";
const HEARTBEAT: &str = "RecordLifecycleActionHeartbeat";

/// Longer than any worker waits for its first job.
const NEVER: Duration = Duration::from_hours(1);

#[tokio::test]
async fn instance_is_protected_while_busy() {
    let app = TestApp::spawn().await;
    let cloud = Cloud::start().await;
    let video = app.add_video(&long_film().await).await;
    let crew = Crew::start(&app, &cloud).await;
    let held = hold(&app.scratch()).await;
    cloud.until_protected().await;
    assert_ne!(app.status(video).await, "processed");
    drop(held);
    eventually("it is no longer protected", 600, async || {
        cloud.protections().last().unwrap() == "false"
    })
    .await;
    assert_eq!(app.status(video).await, "processed");
    // A crew that waited long for its job first removes protection left by a predecessor.
    let protections = cloud.protections();
    let first = usize::from(protections[0] == "false");
    assert_eq!(protections[first..], ["true", "false"]);
    let asked = cloud.asked(PROTECT);
    assert_eq!(
        asked[0].field("InstanceIds.member.1").unwrap(),
        cloud::INSTANCE
    );
    assert_eq!(
        asked[0].field("AutoScalingGroupName").unwrap(),
        cloud::GROUP
    );
    crew.stop().await;
    assert_eq!(cloud.asked(COMPLETE).len(), 0);
}

#[tokio::test]
async fn protection_left_by_killed_predecessor_is_removed() {
    let app = TestApp::spawn().await;
    let cloud = Cloud::start().await;
    let crew = Crew::start(&app, &cloud).await;
    eventually("the instance is not protected", 600, async || {
        cloud.protections() == ["false"]
    })
    .await;
    crew.stop().await;
    assert_eq!(cloud.protections(), ["false"]);
}

#[tokio::test]
async fn terminating_instance_finishes_its_job_before_completing_the_hook() {
    let app = TestApp::spawn().await;
    let cloud = Cloud::start().await;
    let crew = Crew::start(&app, &cloud).await;
    let video = app.add_video(&long_film().await).await;
    let held = hold(&app.scratch()).await;
    cloud.until_protected().await;

    cloud.set("autoscaling/target-lifecycle-state", "Terminated");
    crew.shutdown.requested().await;
    let next = app.add_video(&film().await).await;
    drop(held);
    cloud.until_asked(COMPLETE).await;
    assert_eq!(app.status(video).await, "processed");
    assert_eq!(app.row(next).await.unwrap().attempt, 0);

    let completed = cloud.asked(COMPLETE);
    assert_eq!(completed.len(), 1);
    for (field, value) in [
        ("InstanceId", cloud::INSTANCE),
        ("LifecycleHookName", cloud::HOOK),
        ("AutoScalingGroupName", cloud::GROUP),
        ("LifecycleActionResult", "CONTINUE"),
    ] {
        assert_eq!(completed[0].field(field).unwrap(), value);
    }
    assert!(!crew.is_over(), "the worker would be restarted");
    crew.stop().await;
}

#[tokio::test]
async fn instance_chosen_between_receive_and_protection_finishes_its_job() {
    let app = TestApp::spawn().await;
    let cloud = Cloud::start().await;
    // The group has chosen the instance before the protection request arrives.
    cloud.on(PROTECT, |cloud| {
        cloud.set("autoscaling/target-lifecycle-state", "Terminated");
        cloud.refuse(PROTECT, 400, "ValidationError");
    });
    let video = app.add_video(&film().await).await;
    let crew = Crew::start_with(
        &app,
        &cloud,
        Pace {
            linger: NEVER,
            ..PACE
        },
    )
    .await;
    cloud.until_asked(COMPLETE).await;
    let row = app.row(video).await.unwrap();
    assert_eq!(
        (row.status.as_str(), row.attempt, row.failures, row.losses),
        ("processed", 1, 0, 0)
    );
    assert_eq!(cloud.protections()[0], "true");
    assert_eq!(cloud.asked(COMPLETE).len(), 1);
    crew.stop().await;
}

#[tokio::test]
async fn long_drain_sends_hook_heartbeats() {
    let app = TestApp::spawn().await;
    let cloud = Cloud::start().await;
    let crew = Crew::start(&app, &cloud).await;
    app.add_video(&long_film().await).await;
    let held = hold(&app.scratch()).await;
    cloud.until_protected().await;
    cloud.set("autoscaling/target-lifecycle-state", "Terminated");
    cloud.until_asked(HEARTBEAT).await;
    assert_eq!(cloud.asked(COMPLETE).len(), 0);
    drop(held);
    cloud.until_asked(COMPLETE).await;
    let reminded = cloud.asked(HEARTBEAT);
    assert_eq!(reminded[0].field("LifecycleHookName").unwrap(), cloud::HOOK);
    crew.stop().await;
}

#[tokio::test]
async fn early_spot_notice_lets_the_job_finish() {
    let app = TestApp::spawn().await;
    let cloud = Cloud::start().await;
    let video = app.add_video(&film().await).await;
    let crew = Crew::start(&app, &cloud).await;
    cloud.until_protected().await;
    cloud.interrupt(Duration::from_mins(2));
    cloud.until_asked(COMPLETE).await;
    assert_eq!(app.status(video).await, "processed");
    crew.stop().await;
}

#[tokio::test]
async fn late_spot_notice_releases_the_job() {
    let app = TestApp::spawn().await;
    let cloud = Cloud::start().await;
    let crew = Crew::start(&app, &cloud).await;
    let video = app.add_video(&long_film().await).await;
    let _held = hold(&app.scratch()).await;
    cloud.until_protected().await;
    cloud.interrupt(Duration::from_secs(10));
    crew.ended().await;
    let row = app.row(video).await.unwrap();
    assert_eq!(
        (row.status.as_str(), row.failures, row.losses),
        ("uploaded", 0, 0)
    );
    let again = app.queue.receive(1, Duration::from_millis(30)).await;
    assert_eq!(again.unwrap().len(), 1);
}

#[tokio::test]
async fn instance_at_risk_is_replaced_after_its_job() {
    let app = TestApp::spawn().await;
    let cloud = Cloud::start().await;
    let video = app.add_video(&film().await).await;
    let crew = Crew::start(&app, &cloud).await;
    cloud.until_protected().await;
    let notice = r#"{"noticeTime":"2026-11-24T10:00:00Z"}"#;
    cloud.set("events/recommendations/rebalance", notice);
    cloud.until_asked("SetInstanceHealth").await;
    assert_eq!(app.status(video).await, "processed");
    let health = cloud.asked("SetInstanceHealth");
    assert_eq!(health[0].field("HealthStatus").unwrap(), "Unhealthy");
    assert_eq!(cloud.protections().last().unwrap(), "false");
    assert_eq!(cloud.asked(COMPLETE).len(), 0);
    crew.stop().await;
}

#[tokio::test]
async fn worker_starting_on_terminating_instance_takes_no_job() {
    let app = TestApp::spawn().await;
    let cloud = Cloud::start().await;
    cloud.set("autoscaling/target-lifecycle-state", "Terminated");
    let video = app.add_video(&film().await).await;
    let crew = Crew::start(&app, &cloud).await;
    cloud.until_asked(COMPLETE).await;
    assert_eq!(app.row(video).await.unwrap().attempt, 0);
    crew.stop().await;
}

#[tokio::test]
async fn failed_hook_completion_is_retried() {
    let app = TestApp::spawn().await;
    let cloud = Cloud::start().await;
    cloud.refuse(COMPLETE, 500, "InternalFailure");
    cloud.set("autoscaling/target-lifecycle-state", "Terminated");
    let crew = Crew::start(&app, &cloud).await;
    // More attempts than the SDK makes on its own.
    eventually("it is retried", 60, async || {
        cloud.asked(COMPLETE).len() > 4
    })
    .await;
    crew.stop().await;
}

#[tokio::test]
async fn denied_permission_warns_once_and_stops_no_job() {
    let app = TestApp::spawn_with(&[], &[]).await;
    let cloud = Cloud::start().await;
    cloud.refuse(PROTECT, 403, "AccessDenied");
    let system = SystemUnderTest::of(&app);
    let mut worker = system.start_with(Role::Work, &cloud.environment());
    worker.until_ready().await;
    for _ in 0..2 {
        let video = app.add_video(&film().await).await;
        eventually("the clip is made", 600, async || {
            app.status(video).await == "processed"
        })
        .await;
    }
    worker.signal(Signal::TERM);
    assert_eq!(worker.ended(STOP).await, Some(0));
    assert_eq!(cloud.asked(PROTECT).len(), 1);
    let log = worker.log();
    // The worker may also warn of a busy machine.
    let is_about = |line: &&str| line.contains("WARN") && line.contains("SetInstanceProtection");
    assert_eq!(log.lines().filter(is_about).count(), 1, "{log}");
}

#[tokio::test]
async fn program_stays_up_after_hook_completion_until_signalled() {
    let app = TestApp::spawn().await;
    let cloud = Cloud::start().await;
    let system = SystemUnderTest::of(&app);
    let mut worker = system.start_with(Role::Work, &cloud.environment());
    worker.until_ready().await;
    cloud.set("autoscaling/target-lifecycle-state", "Terminated");
    cloud.until_asked(COMPLETE).await;
    assert!(worker.get("/health").await.status().is_success());
    worker.signal(Signal::TERM);
    assert_eq!(worker.ended(STOP).await, Some(0));
}

#[tokio::test]
async fn missing_metadata_service_fails_startup_and_names_the_setting() {
    let app = TestApp::spawn().await;
    let cloud = Cloud::start().await;
    let system = SystemUnderTest::of(&app);
    let nowhere = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1");
    let environment = [&cloud.environment()[..], &[nowhere]].concat();
    let mut worker = system.start_with(Role::Work, &environment);
    assert_eq!(worker.ended(STOP).await, Some(1));
    let log = worker.log();
    assert!(log.contains("anb: EC2_LIFECYCLE=on: "), "{log}");
}
