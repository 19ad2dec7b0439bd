//! Start-time fair queueing decides which waiting video is next, whatever video a message names.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use anb::{
    ids::VideoId,
    videos::{
        process,
        sweep::{self, Leases},
    },
};
use futures_util::future::join_all;
use rustix::process::Signal;

use crate::{
    processes::process::{Role, SystemUnderTest},
    support::{LARGE, Player, TestApp, eventually, film, hold, long_film, mp4},
};

#[tokio::test]
async fn first_video_of_a_player_precedes_the_second_of_another() {
    let app = TestApp::spawn().await;
    let context = app.context().await;
    let (ana, luis) = players(&app).await;
    let of_ana = uploaded(&app, &ana, 6).await;
    let first = process::claim(&context).await.unwrap().unwrap();
    assert_eq!(first.video, of_ana[0]);
    let of_luis = uploaded(&app, &luis, 2).await;
    // While a video of Ana is processed, Luis is next. Then they take turns.
    let expected = [
        of_luis[0], of_ana[1], of_luis[1], of_ana[2], of_ana[3], of_ana[4],
    ];
    assert_eq!(claimed(&app, 6).await, expected);
}

#[tokio::test]
async fn concurrent_uploads_take_turns_as_well() {
    let app = TestApp::spawn().await;
    let (ana, luis) = players(&app).await;
    join_all((0..5).map(|_| app.uploaded(&ana, mp4(5000), false))).await;
    let distinct = "SELECT count(DISTINCT turn) FROM videos";
    assert_eq!(app.number(distinct).await, 5);
    let of_luis = uploaded(&app, &luis, 1).await;
    let order = claimed(&app, 2).await;
    assert!(order.contains(&of_luis[0]), "{order:?}");
}

#[tokio::test]
async fn large_video_counts_more_than_a_small_one() {
    let app = TestApp::spawn().await;
    let (ana, luis) = players(&app).await;
    app.uploaded(&ana, mp4(5000), false).await;
    app.execute("UPDATE videos SET original_bytes = 90000000")
        .await;
    let of_ana = uploaded(&app, &ana, 1).await;
    // Twelve small videos cost as much as Ana's large one.
    let of_luis = uploaded(&app, &luis, 12).await;
    let order = claimed(&app, 14).await;
    let place = |video| order.iter().position(|other| *other == video).unwrap();
    assert!(place(of_ana[0]) > place(of_luis[8]), "{order:?}");
    assert!(place(of_ana[0]) < place(of_luis[11]), "{order:?}");
}

#[tokio::test]
async fn video_of_killed_worker_is_next() {
    let app = TestApp::spawn().await;
    let context = app.context().await;
    let (ana, luis) = players(&app).await;
    uploaded(&app, &luis, 3).await;
    let killed = claimed(&app, 1).await[0];
    uploaded(&app, &ana, 3).await;
    app.set(killed, "lease_until = now() - interval '1 second'")
        .await;
    let leases = Leases::expired(&app.db).await.unwrap();
    sweep::run(&context.backends, leases).await.unwrap();
    assert_eq!(claimed(&app, 1).await, [killed]);
}

#[tokio::test]
async fn job_of_killed_worker_does_not_wait_behind_the_backlog() {
    let app = TestApp::spawn().await;
    let system = SystemUnderTest::of(&app);
    let [one, lease] = [("WORKER_CONCURRENCY", "1"), ("JOB_LEASE", "3s")];
    let mut killed = system.start_with(Role::Work, &[one, lease]);
    killed.until_ready().await;
    let video = app.add_video(&long_film().await).await;
    // Keeps the job from ending before the other worker has run for the duration of a lease.
    let _held = hold(&system.scratch()).await;
    let scratch = system.folder().join("other");
    let scratch = ("SCRATCH_PATH", scratch.to_str().unwrap());
    let flags = [one, lease, scratch, ("OUTPUT_RESOLUTION", LARGE)];
    let mut other = system.start_with(Role::Work, &flags);
    other.until_ready().await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    for _ in 0..60 {
        app.add_video(&film().await).await;
    }
    killed.signal(Signal::KILL);
    let started = Instant::now();
    eventually("another worker has the job", 600, async || {
        app.row(video).await.unwrap().attempt == 2
    })
    .await;
    println!("the job runs again after {:?}", started.elapsed());
    let waiting = "SELECT count(*) FROM videos WHERE status = 'uploaded'";
    assert!(app.number(waiting).await > 10);
}

#[tokio::test]
async fn video_that_is_not_due_does_not_block_others() {
    let app = TestApp::spawn().await;
    let (ana, _) = players(&app).await;
    let videos = uploaded(&app, &ana, 2).await;
    app.set(videos[0], "run_after = now() + interval '1 hour'")
        .await;
    assert_eq!(claimed(&app, 1).await, [videos[1]]);
    let context = app.context().await;
    assert!(process::claim(&context).await.unwrap().is_none());
}

#[tokio::test]
async fn concurrent_claims_get_different_videos() {
    let app = TestApp::spawn().await;
    let context = app.context().await;
    for _ in 0..30 {
        app.add_row().await;
    }
    let claims = join_all((0..40).map(|_| process::claim(&context))).await;
    let videos: Vec<_> = claims
        .into_iter()
        .filter_map(Result::unwrap)
        .map(|claim| claim.video)
        .collect();
    assert_eq!(videos.len(), 30);
    assert_eq!(videos.iter().collect::<HashSet<_>>().len(), 30);
}

#[tokio::test]
async fn duplicate_late_and_lost_messages_change_nothing() {
    let app = TestApp::spawn().await;
    let (ana, _) = players(&app).await;
    let videos = uploaded(&app, &ana, 2).await;
    // The second video's message comes first, twice, then one for a video that never existed.
    for message in app.queue.receive(2, Duration::from_secs(1)).await.unwrap() {
        message.ack().await.unwrap();
    }
    for video in [videos[1], videos[1], VideoId::generate()] {
        app.push(video).await;
    }
    // The files are not videos, so each is rejected at its first attempt.
    app.run_pending_jobs().await;
    for video in videos {
        let row = app.row(video).await.unwrap();
        assert_eq!((row.status.as_str(), row.attempt), ("failed", 1));
    }
    let stats = app.queue.stats().await.unwrap();
    assert_eq!((stats.waiting, stats.in_flight, stats.dead), (0, 0, 0));
}

async fn players(app: &TestApp) -> (Player, Player) {
    let ana = app.insert_user("Ana", "Cali").await;
    (ana, app.insert_user("Luis", "Cali").await)
}

/// Uploads `count` small videos, one after the other.
async fn uploaded(app: &TestApp, player: &Player, count: usize) -> Vec<VideoId> {
    let mut videos = Vec::new();
    for _ in 0..count {
        let id = app.uploaded(player, mp4(5000), false).await;
        videos.push(VideoId::parse(&id).unwrap());
    }
    videos
}

/// Claims `count` videos and returns them in this order.
async fn claimed(app: &TestApp, count: usize) -> Vec<VideoId> {
    let context = app.context().await;
    let mut videos = Vec::new();
    for _ in 0..count {
        let claim = process::claim(&context).await.unwrap().unwrap();
        videos.push(claim.video);
    }
    videos
}
