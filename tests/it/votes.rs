//! Single and concurrent votes.

use std::time::Duration;

use anb::{
    app::counting::Counting,
    db::Db,
    ids::VideoId,
    shutdown::Shutdown,
    votes::{CastOutcome, Votes},
};
use diesel_async::SimpleAsyncConnection as _;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::support::{Response, Seed, TestApp, eventually};

const COUNTS: &str = "SELECT count(*) FROM votes";

#[tokio::test]
async fn vote_counts_once() {
    let app = TestApp::spawn().await;
    let (ana, luis) = (
        app.insert_user("Ana", "Cali").await,
        app.insert_user("Luis", "Cali").await,
    );
    let id = app.add(&ana, Seed::PUBLIC).await;
    let answer = app.vote(&luis, &id).await.ok();
    assert_eq!(answer, json!({"message": "Voto registrado exitosamente."}));
    let again = app.vote(&luis, &id).await;
    assert_eq!(again.refusal(), (400, "already_voted"));
    assert_eq!(again.body["error"], "Ya has votado por este video.");
    assert_eq!(app.video(&ana, &id).await["votes"], 1);
}

#[tokio::test]
async fn player_cannot_vote_for_own_video() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PUBLIC).await;
    assert_eq!(app.vote(&ana, &id).await.refusal(), (400, "own_video"));
    assert_eq!(app.number(COUNTS).await, 0);
}

#[tokio::test]
async fn only_public_processed_videos_can_be_voted_for() {
    let app = TestApp::spawn().await;
    let (ana, luis) = (
        app.insert_user("Ana", "Cali").await,
        app.insert_user("Luis", "Cali").await,
    );
    let mut ids = vec![
        "0198c0de-0000-7000-8000-000000000000".to_owned(),
        "7".to_owned(),
        app.add(&ana, Seed::PRIVATE).await,
    ];
    for status in ["uploaded", "processing", "failed"] {
        ids.push(app.add(&ana, Seed::PUBLIC.in_state(status)).await);
    }
    for id in ids {
        assert_eq!(
            app.vote(&luis, &id).await.refusal(),
            (404, "not_found"),
            "{id}"
        );
    }
    assert_eq!(app.number(COUNTS).await, 0);
}

#[tokio::test]
async fn vote_requires_a_token() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PUBLIC).await;
    let path = format!("/api/public/videos/{id}/vote");
    let answer = Response::of(app.request(Method::POST, &path)).await;
    assert_eq!(answer.refusal(), (401, "unauthorized"));
}

#[tokio::test]
async fn duplicate_vote_is_reported_even_beyond_the_limit() {
    let app = TestApp::spawn_with(&["--write-rate", "1/h"], &[]).await;
    let (ana, luis) = (
        app.insert_user("Ana", "Cali").await,
        app.insert_user("Luis", "Cali").await,
    );
    let first = app.add(&ana, Seed::PUBLIC).await;
    let second = app.add(&ana, Seed::PUBLIC).await;
    app.vote(&luis, &first).await.ok();
    assert_eq!(
        app.vote(&luis, &first).await.refusal(),
        (400, "already_voted")
    );
    let refused = app.vote(&luis, &second).await;
    assert_eq!(refused.refusal(), (429, "too_many_requests"));
    assert_ne!(refused.header("retry-after"), "");
}

#[tokio::test]
async fn votes_racing_with_unpublish_and_delete_are_counted_or_not_found() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let fans = app.insert_users(24).await;
    for _ in 0..4 {
        let id = app.add(&ana, Seed::PUBLIC).await;
        app.add_files(&id);
        let path = format!("/api/videos/{id}");
        let remove = async {
            let unpublish = app.as_player(&ana, Method::PATCH, &path);
            let unpublish = Response::of(unpublish.json(&json!({"is_public": false})));
            assert_eq!(unpublish.await.status, 200);
            let delete = app.call(&ana, Method::DELETE, &path);
            assert_eq!(delete.await.status, 200);
        };
        let votes = join_all(fans.iter().map(|fan| app.vote(fan, &id)));
        let (answers, ()) = tokio::join!(votes, remove);
        for answer in answers {
            assert!(answer.status == 200 || answer.status == 404, "{answer:?}");
        }
        assert_eq!(app.number(COUNTS).await, 0);
        assert_eq!(app.stale_standings().await, 0);
    }
}

#[tokio::test]
async fn votes_racing_with_a_bare_delete_are_counted_or_not_found() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let fans = app.insert_users(24).await;
    for _ in 0..4 {
        let id = app.add(&ana, Seed::PUBLIC).await;
        let delete = format!("DELETE FROM videos WHERE id = '{id}'");
        let votes = join_all(fans.iter().map(|fan| app.vote(fan, &id)));
        let (answers, _) = tokio::join!(votes, app.execute(&delete));
        for answer in answers {
            assert!(answer.status == 200 || answer.status == 404, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn concurrent_votes_each_get_their_own_response() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let fans = app.insert_users(12).await;
    let (one, other) = (
        app.add(&ana, Seed::PUBLIC).await,
        app.add(&ana, Seed::PUBLIC).await,
    );
    let hidden = app.add(&ana, Seed::PRIVATE).await;
    let votes = fans.iter().chain([&ana]).flat_map(|player| {
        // The first video twice.
        [&one, &other, &hidden, &one].map(|id| app.vote(player, id))
    });
    let answers = join_all(votes).await;
    let mut fans_answers = answers.chunks(4);
    let ana_answers = fans_answers.next_back().unwrap();
    for answers in fans_answers {
        let mut twice = [answers[0].refusal(), answers[3].refusal()];
        twice.sort_unstable();
        assert_eq!(twice, [(200, ""), (400, "already_voted")]);
        assert_eq!(answers[1].refusal(), (200, ""));
        assert_eq!(answers[2].refusal(), (404, "not_found"));
    }
    let refused: Vec<_> = ana_answers.iter().map(Response::refusal).collect();
    let own = (400, "own_video");
    assert_eq!(refused, [own, own, (404, "not_found"), own]);
    for id in [&one, &other] {
        assert_eq!(app.video(&ana, id).await["votes"], 12);
    }
    assert_eq!(app.stale_standings().await, 0);
}

#[tokio::test]
async fn deleted_users_do_not_affect_votes_of_others() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let fans = app.insert_users(24).await;
    let (first, second) = (
        app.add(&ana, Seed::PUBLIC).await,
        app.add(&ana, Seed::PUBLIC).await,
    );
    // From here on their tokens are briefly cached as valid.
    for answer in join_all(fans.iter().map(|fan| app.vote(fan, &first))).await {
        answer.ok();
    }
    let (removed, others) = fans.split_at(4);
    for fan in removed {
        let remove = format!("DELETE FROM users WHERE email = '{}'", fan.email);
        app.execute(&remove).await;
    }
    let votes = join_all(fans.iter().map(|fan| app.vote(fan, &second))).await;
    for answer in &votes[..removed.len()] {
        assert_ne!(answer.status, 200);
    }
    for answer in &votes[removed.len()..] {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(app.video(&ana, &second).await["votes"], others.len());
}

#[tokio::test]
async fn vote_of_disconnected_client_is_counted_or_not_cast() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let fans = app.insert_users(48).await;
    let id = app.add(&ana, Seed::PUBLIC).await;
    let votes = fans.iter().zip(0..).map(|(fan, micros)| {
        let limit = Duration::from_micros(micros * 200);
        tokio::time::timeout(limit, app.vote(fan, &id))
    });
    let answered = join_all(votes).await;
    let answered = answered.iter().filter(|answer| answer.is_ok()).count();
    for fan in &fans {
        let again = app.vote(fan, &id).await;
        assert!(
            again.status == 200 || again.refusal() == (400, "already_voted"),
            "{again:?}"
        );
    }
    assert!(answered < fans.len(), "no client disconnected");
    assert_eq!(app.video(&ana, &id).await["votes"], fans.len());
    assert_eq!(app.number(COUNTS).await, 48);
}

#[tokio::test]
async fn votes_on_a_broken_connection_all_fail_and_none_is_counted() {
    let mut app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let fans = app.insert_users(24).await;
    let id = app.add(&ana, Seed::PUBLIC).await;
    let mut lock = app.db.connection().await.unwrap();
    lock.batch_execute("BEGIN; SELECT FROM videos FOR UPDATE")
        .await
        .unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event_type = 'Lock'";
    // Opened and held before, so that it is not among the terminated connections.
    let mut cutting = app.db.connection().await.unwrap();
    let answers = tokio::select! {
        answers = join_all(fans.iter().map(|fan| app.vote(fan, &id))) => answers,
        () = eventually("every vote is answered", 60, async || {
            cutting.batch_execute(cut).await.unwrap();
            false
        }) => unreachable!(),
    };
    for answer in answers {
        assert_eq!(answer.refusal(), (503, "unavailable"));
        assert_ne!(answer.header("retry-after"), "");
    }
    lock.batch_execute("ROLLBACK").await.unwrap();
    // A busy client may not have noticed yet that a connection in its pool was terminated.
    app.db = Db::new(&app.serve.backends.database).unwrap();
    assert_eq!(app.number(COUNTS).await, 0);
    for fan in &fans {
        eventually("the vote is accepted", 60, async || {
            app.vote(fan, &id).await.status == 200
        })
        .await;
    }
    assert_eq!(app.video(&ana, &id).await["votes"], fans.len());
    assert_eq!(app.stale_standings().await, 0);
}

#[tokio::test]
async fn votes_racing_with_other_changes_of_videos_are_all_counted() {
    let app = TestApp::spawn().await;
    let members = app.insert_users(18).await;
    let (players, fans) = members.split_at(6);
    let mut videos = Vec::new();
    for player in players.iter().chain(players) {
        videos.push(app.add(player, Seed::PUBLIC).await);
    }
    let changes = videos.iter().rev().map(async |id| {
        for _ in 0..8 {
            let later = format!(
                "UPDATE videos SET uploaded_at = uploaded_at + interval '1 s' WHERE id = '{id}'"
            );
            app.execute(&later).await;
        }
    });
    let votes = fans
        .iter()
        .flat_map(|fan| videos.iter().rev().map(|id| app.vote(fan, id)));
    let (answers, _) = tokio::join!(join_all(votes), join_all(changes));
    for answer in answers {
        answer.ok();
    }
    assert_eq!(app.number(COUNTS).await, 144);
    app.counted().await;
    assert_eq!(
        app.number("SELECT sum(votes)::bigint FROM videos").await,
        144
    );
    assert_eq!(app.stale_standings().await, 0);
}

/// Each process uses group commit for its votes. Two processes cast the same votes concurrently, in
/// opposite orders.
#[tokio::test]
async fn batches_of_two_processes_insert_in_the_same_order() {
    let app = TestApp::spawn().await;
    let members = app.insert_users(45).await;
    let (players, fans) = members.split_at(5);
    let mut videos = Vec::new();
    for player in players.iter().cycle().take(20) {
        let id = app.add(player, Seed::PUBLIC).await;
        videos.push(VideoId::parse(&id).unwrap());
    }
    let ids = fans.iter().map(async |fan| app.user_id(fan).await);
    let fans = join_all(ids).await;
    let shutdown = Shutdown::new(Duration::ZERO);
    let processes = [0, 1].map(|_| Votes::new(&app.db, &Counting::default(), &shutdown));
    for fans in fans.chunks(2) {
        let ballots: Vec<_> = fans
            .iter()
            .flat_map(|fan| videos.iter().map(move |video| (*fan, *video)))
            .collect();
        let there = ballots.iter();
        let back = ballots.iter().rev();
        let [one, other] = &processes;
        let votes = there.map(|(fan, video)| one.cast(*fan, *video));
        let again = back.map(|(fan, video)| other.cast(*fan, *video));
        let (votes, again) = tokio::join!(join_all(votes), join_all(again));
        for (vote, again) in votes.into_iter().zip(again.into_iter().rev()) {
            let outcomes = [vote.unwrap(), again.unwrap()];
            let counted = outcomes.iter().filter(|it| **it == CastOutcome::Counted);
            assert_eq!(counted.count(), 1, "{outcomes:?}");
            assert!(
                outcomes.contains(&CastOutcome::AlreadyVoted),
                "{outcomes:?}"
            );
        }
    }
    assert_eq!(app.number(COUNTS).await, 800);
    app.counted().await;
    assert_eq!(
        app.number("SELECT sum(votes)::bigint FROM videos").await,
        800
    );
    assert_eq!(app.stale_standings().await, 0);
}

#[tokio::test]
async fn video_deleted_during_a_vote_is_not_found() {
    let app = TestApp::spawn().await;
    let (ana, luis) = (
        app.insert_user("Ana", "Cali").await,
        app.insert_user("Luis", "Cali").await,
    );
    let (id, user) = (app.add(&ana, Seed::PUBLIC).await, app.user_id(&luis).await);
    let votes = Votes::new(
        &app.db,
        &Counting::default(),
        &Shutdown::new(Duration::ZERO),
    );
    let mut deletion = app.db.connection().await.unwrap();
    deletion
        .batch_execute("BEGIN; DELETE FROM videos")
        .await
        .unwrap();
    let commit = async {
        app.until_blocked().await;
        deletion.batch_execute("COMMIT").await.unwrap();
    };
    let vote = votes.cast(user, VideoId::parse(&id).unwrap());
    let (outcome, ()) = tokio::join!(vote, commit);
    assert_eq!(outcome.unwrap(), CastOutcome::NotFound);
    assert_eq!(app.number("SELECT count(*) FROM uncounted").await, 0);
}

#[tokio::test]
async fn own_votes_are_listed_latest_first_and_in_pages() {
    let app = TestApp::spawn().await;
    let (ana, luis) = (
        app.insert_user("Ana", "Cali").await,
        app.insert_user("Luis", "Cali").await,
    );
    let empty = app.call(&luis, Method::GET, "/api/user/votes").await;
    assert_eq!(empty.ok(), json!([]));
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = app.add(&ana, Seed::PUBLIC).await;
        app.vote(&luis, &id).await.ok();
        ids.insert(0, id);
    }
    let first = app
        .call(&luis, Method::GET, "/api/user/votes?limit=2")
        .await;
    assert_eq!(first.body, json!(ids[..2]));
    assert_eq!(
        first.header("link"),
        "</api/user/votes?page=2&limit=2>; rel=\"next\""
    );
    let second = app
        .call(&luis, Method::GET, "/api/user/votes?limit=2&page=2")
        .await;
    assert_eq!(second.body, json!(ids[2..]));
    let refused = app
        .call(&luis, Method::GET, "/api/user/votes?limit=101")
        .await;
    assert_eq!(refused.fields(), [("limit", "out_of_range")]);
}
