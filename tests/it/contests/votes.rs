//! Votes: the window, the limits of one person, and who may vote.

use anb::contests;
use futures_util::future::join_all;
use serde_json::json;

use super::{CLOSE, Scene};
use crate::support::{Seed, eventually};

#[tokio::test]
async fn votes_count_only_while_voting_is_open() {
    let scene = Scene::open(2).await;
    let created = scene
        .create(json!({"voting_open_at": "2998-12-03 08:00"}))
        .await;
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(created.body["entered_videos"], 1);
    let early = scene.vote(0, &scene.video).await;
    assert_eq!(early.refusal(), (400, "voting_closed"));
    assert_eq!(early.body["opens_at"], "2998-12-03T13:00:00Z");
    assert_eq!(early.body["closes_at"], "2999-01-01T05:00:00Z");

    scene.reschedule(&json!({"voting_open_at": "now"})).await;
    scene.vote(0, &scene.video).await.ok();

    scene.reschedule(&json!({"voting_close_at": "now"})).await;
    let late = scene.vote(1, &scene.video).await;
    assert_eq!(late.refusal(), (400, "voting_closed"));
    assert_eq!(scene.app.number("SELECT count(*) FROM votes").await, 1);
}

#[tokio::test]
async fn vote_is_refused_at_the_first_moment_after_the_end() {
    let scene = Scene::open(1).await;
    scene.create_running(json!({})).await;
    // Windows are half-open: the end itself belongs to no window.
    scene.app.execute(CLOSE).await;
    let late = scene.vote(0, &scene.video).await;
    assert_eq!(late.refusal(), (400, "voting_closed"));
}

#[tokio::test]
async fn clips_outside_the_contest_get_no_votes_and_are_not_ranked() {
    let scene = Scene::open(1).await;
    scene
        .create_running(json!({"submissions_open_at": "now"}))
        .await;
    let refused = scene.vote(0, &scene.video).await;
    assert_eq!(refused.refusal(), (400, "not_in_contest"));
    assert_eq!(scene.app.get("/api/public/rankings").await.ok(), json!([]));
    let list = scene.app.get("/api/public/videos").await.ok();
    assert_eq!(list[0]["video_id"], scene.video.as_str());
}

#[tokio::test]
async fn concurrent_votes_of_one_person_never_exceed_the_limits() {
    for (rule, left) in [("votes_per_day", true), ("votes_in_all", false)] {
        let scene = Scene::open(2).await;
        let mut videos = vec![scene.video.clone()];
        for _ in 0..11 {
            videos.push(scene.app.add(&scene.ana, Seed::PUBLIC).await);
        }
        scene.create_running(json!({rule: 5})).await;
        scene.vote(0, &videos[0]).await.ok();
        assert_eq!(
            scene.vote(0, &videos[0]).await.refusal(),
            (400, "already_voted")
        );
        let answers = join_all(videos.iter().map(|video| scene.vote(0, video))).await;
        let (counted, refused): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(counted.len(), 4, "{rule}");
        let limited: Vec<_> = refused
            .iter()
            .filter(|answer| answer.refusal() == (400, "vote_limit"))
            .collect();
        assert_eq!(limited.len(), 7, "{rule}: {refused:?}");
        for answer in limited {
            assert_eq!(answer.body.get("allowed_at").is_some(), left, "{answer:?}");
        }
        // The limit is one person's.
        scene.vote(1, &videos[0]).await.ok();
    }
}

#[tokio::test]
async fn votes_of_yesterday_leave_those_of_today() {
    let scene = Scene::open(1).await;
    let other = scene.app.add(&scene.ana, Seed::PUBLIC).await;
    scene.create_running(json!({"votes_per_day": 1})).await;
    scene.vote(0, &scene.video).await.ok();
    assert_eq!(scene.vote(0, &other).await.refusal(), (400, "vote_limit"));
    let yesterday = "UPDATE votes SET created_at = created_at - interval '1 day'";
    scene.app.execute(yesterday).await;
    let created = "UPDATE contests SET created_at = created_at - interval '2 days'";
    scene.app.execute(created).await;
    scene.vote(0, &other).await.ok();
}

#[tokio::test]
async fn new_accounts_vote_when_they_are_old_enough() {
    let scene = Scene::open(1).await;
    scene
        .create_running(json!({"min_account_age_seconds": 3600}))
        .await;
    let refused = scene.vote(0, &scene.video).await;
    assert_eq!(refused.refusal(), (400, "account_too_new"));
    assert!(refused.body["allowed_at"].is_string());
    let older = "UPDATE users SET created_at = created_at - interval '1 hour'";
    scene.app.execute(older).await;
    scene.vote(0, &scene.video).await.ok();
}

#[tokio::test]
async fn votes_are_counted_per_hour() {
    let scene = Scene::open(3).await;
    scene.create_running(json!({})).await;
    for fan in 0..3 {
        scene.vote(fan, &scene.video).await.ok();
    }
    let contest = contests::current(&scene.app.db).await.unwrap().unwrap();
    let counted = async || {
        let hours = contests::vote_hours(&scene.app.db, &contest).await.unwrap();
        hours.iter().map(|hour| hour.votes).sum::<i64>() == 3
    };
    eventually("three votes are counted", 60, counted).await;
}
