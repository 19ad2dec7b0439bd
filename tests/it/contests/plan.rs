//! Creating, changing and removing a contest.

use std::time::Duration;

use anb::contests::{self, Plan, Refusal};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio::time::sleep;

use super::{COPA, Scene};
use crate::support::{TestApp, eventually, operator};

#[tokio::test]
async fn change_of_a_running_contest_needs_force_and_names_what_it_affects() {
    let scene = Scene::open(1).await;
    scene.create_running(json!({})).await;
    let change = json!({
        "name": "Otro nombre", "voting_close_at": "2021-01-01", "votes_per_day": 3,
        "submissions_close_at": "2020-06-01",
    });
    let refused = scene.send(Method::PATCH, COPA, &change).await;
    assert_eq!(refused.refusal(), (409, "force_required"));
    let fields = [
        ("submissions_close_at", "in_the_past"),
        ("voting_close_at", "in_the_past"),
        ("votes_per_day", "while_voting"),
    ];
    assert_eq!(refused.fields(), fields);
    scene.vote(0, &scene.video).await.ok();
    let harmless = json!({"name": "Otro nombre", "voting_close_at": "2999-02-01"});
    let changed = scene.send(Method::PATCH, COPA, &harmless).await.ok();
    assert_eq!(changed["name"], "Otro nombre");
    scene.reschedule(&change).await;
    assert_eq!(
        scene.app.get("/api/public/contest").await.ok()["phase"],
        "closed"
    );
}

#[tokio::test]
async fn plan_is_checked_as_a_whole() {
    let scene = Scene::open(0).await;
    for (changes, fields) in [
        (json!({"slug": "Copa 1"}), vec![("slug", "invalid")]),
        (
            json!({"time_zone": "Bogota"}),
            vec![("time_zone", "invalid")],
        ),
        (
            json!({"voting_open_at": "mañana"}),
            vec![("voting_open_at", "invalid")],
        ),
        (
            json!({"voting_open_at": "2999-01-01"}),
            vec![("voting_close_at", "not_after")],
        ),
        (
            json!({"submissions_open_at": "2999-05-01", "submissions_close_at": "2999-02-01"}),
            vec![
                ("submissions_close_at", "not_after"),
                ("voting_close_at", "not_after"),
            ],
        ),
        (
            json!({"votes_per_day": -1}),
            vec![("votes_per_day", "out_of_range")],
        ),
        (
            json!({"min_duration_seconds": 30, "max_duration_seconds": 20}),
            vec![("max_duration_seconds", "not_after")],
        ),
        (
            json!({"name": "", "slug": "", "voting_close_at": null}),
            vec![
                ("slug", "required"),
                ("voting_close_at", "required"),
                ("name", "required"),
            ],
        ),
    ] {
        let refused = scene.create(changes).await;
        assert_eq!(refused.refusal(), (400, "validation_failed"));
        assert_eq!(refused.fields(), fields);
    }
    let none = scene.app.get("/api/public/contest").await;
    assert_eq!(none.refusal(), (404, "not_found"));
}

#[tokio::test]
async fn plan_without_an_end_is_refused_before_anything_changes() {
    let app = TestApp::spawn().await;
    let refused = contests::create(&app.db, &operator(), "copa", &Plan::default()).await;
    assert!(matches!(refused, Err(Refusal::Invalid(_))));
    assert_eq!(app.number("SELECT count(*) FROM contests").await, 0);
}

#[tokio::test]
async fn of_concurrent_creations_one_succeeds() {
    let scene = Scene::open(0).await;
    let creations = (0..8).map(|number| {
        let slug = json!({"slug": format!("copa-{number}")});
        scene.create(slug)
    });
    let (created, refused): (Vec<_>, Vec<_>) = join_all(creations)
        .await
        .into_iter()
        .partition(|answer| answer.status == 201);
    assert_eq!(created.len(), 1);
    for answer in refused {
        assert_eq!(answer.refusal(), (409, "contest_running"));
    }
}

#[tokio::test]
async fn next_contest_begins_with_no_entries() {
    let scene = Scene::open(1).await;
    scene.create_running(json!({})).await;
    scene.vote(0, &scene.video).await.ok();
    let again = scene.create(json!({"slug": "copa-2"})).await;
    assert_eq!(again.refusal(), (409, "contest_running"));
    scene.publish().await;
    let again = scene.create(json!({})).await;
    assert_eq!(again.fields(), [("slug", "taken")]);
    let next = scene
        .create(json!({"slug": "copa-2", "submissions_open_at": "2020-01-01"}))
        .await;
    assert_eq!(next.status, 201, "{next:?}");
    assert_eq!(next.body["entered_videos"], 0);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(scene.app.get("/api/public/rankings").await.ok(), json!([]));
    assert_eq!(
        scene.vote(0, &scene.video).await.refusal(),
        (400, "not_in_contest")
    );
    assert_eq!(scene.results("").await[0]["votes"], 1);
}

#[tokio::test]
async fn slug_with_blanks_around_it_is_stored_without_them_and_taken() {
    let scene = Scene::open(0).await;
    let created = scene.create(json!({"slug": " copa "})).await;
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(created.body["slug"], "copa");
    scene.publish().await;
    for slug in ["copa", "copa  ", "\t copa"] {
        let again = scene.create(json!({ "slug": slug })).await;
        assert_eq!(again.refusal(), (400, "validation_failed"), "{slug:?}");
        assert_eq!(again.fields(), [("slug", "taken")], "{slug:?}");
    }
    assert_eq!(scene.app.number("SELECT count(*) FROM contests").await, 1);
}

#[tokio::test]
async fn removed_contest_leaves_its_videos_and_votes() {
    let scene = Scene::open(2).await;
    scene.create_running(json!({"votes_in_all": 1})).await;
    scene.vote(0, &scene.video).await.ok();
    let refused = scene.send(Method::DELETE, COPA, &json!({})).await;
    assert_eq!(refused.refusal(), (409, "force_required"));
    let removed = scene
        .send(Method::DELETE, &format!("{COPA}?force=true"), &json!({}))
        .await;
    assert_eq!(removed.status, 204);
    scene.vote(1, &scene.video).await.ok();
    let ranked = async || {
        let ranking = scene.app.get("/api/public/rankings").await.ok();
        ranking[0]["votes"] == 2
    };
    eventually("both votes are ranked", 60, ranked).await;
}
