//! Organisers hide videos from the public and show them again.

use std::time::Duration;

use anb::{auth::Role, ids::VideoId, videos::moderation};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{Player, Response, Seed, TestApp, film};

const REASON: &str = "Se ven datos personales.";

/// Maximum age of public pages.
const MAX_AGE: Duration = Duration::from_secs(2);

/// Maximum time until a new role takes effect.
const ROLE_TTL: Duration = Duration::from_secs(1);

const FRESH: &str =
    "SELECT count(*) FROM videos WHERE hidden_reason IS NULL AND NOT public_when_shown";

/// A public video of a player with one vote, and an organiser.
struct Scene {
    app: TestApp,
    owner: Player,
    fan: Player,
    organiser: Player,
    video: String,
}

impl Scene {
    async fn open() -> Self {
        Self::with(Seed::PUBLIC).await
    }

    async fn with(seed: Seed<'_>) -> Self {
        let app = TestApp::spawn().await;
        let owner = app.insert_user("Ana", "Cali").await;
        let fan = app.insert_user("Luis", "Cali").await;
        let organiser = organiser(&app, "Nora").await;
        let video = app.add(&owner, seed).await;
        app.add_files(&video);
        Self {
            app,
            owner,
            fan,
            organiser,
            video,
        }
    }

    async fn hide(&self) -> Response {
        hide(&self.app, &self.organiser, &self.video).await
    }

    async fn show(&self) -> Response {
        let path = format!("/api/moderation/videos/{}/show", self.video);
        self.app.call(&self.organiser, Method::POST, &path).await
    }

    async fn change(&self, change: &Value) -> Response {
        let path = format!("/api/videos/{}", self.video);
        let request = self.app.as_player(&self.owner, Method::PATCH, &path);
        Response::of(request.json(change)).await
    }

    async fn own(&self) -> Value {
        self.app.video(&self.owner, &self.video).await
    }

    /// Returns the places in which the public finds the video.
    async fn places(&self) -> Vec<&'static str> {
        let mut found = Vec::new();
        for (place, path) in [
            ("list", "/api/public/videos"),
            ("search", "/api/public/videos?q=jugada"),
            ("city", "/api/public/videos?city=cali"),
            ("players", "/api/public/rankings"),
            ("videos", "/api/public/rankings?by=video"),
        ] {
            let page = self.app.get(path).await.ok();
            if page.to_string().contains(&self.video) {
                found.push(place);
            }
        }
        for file in ["1.mp4", "1.jpg"] {
            let path = format!("/media/processed/{}/{file}", self.video);
            if self.app.get(&path).await.status == 200 {
                found.push(file);
            }
        }
        found
    }

    /// Asserts that the public finds the video everywhere or nowhere, as soon as pages are fresh.
    async fn assert_public(&self, is_public: bool) {
        sleep(MAX_AGE).await;
        let everywhere = [
            "list", "search", "city", "players", "videos", "1.mp4", "1.jpg",
        ];
        let expected = if is_public { &everywhere[..] } else { &[] };
        assert_eq!(self.places().await, expected);
    }

    async fn log(&self) -> Vec<(String, bool, Option<String>)> {
        let entries = moderation::log(&self.app.db, None, 100).await.unwrap();
        let entries = entries.into_iter();
        entries
            .map(|entry| {
                assert_eq!(entry.video.to_string(), self.video);
                let name = entry.first_name.unwrap_or_default();
                (name, entry.is_hidden, entry.reason)
            })
            .collect()
    }
}

async fn organiser(app: &TestApp, name: &str) -> Player {
    let organiser = app.insert_user(name, "Bogotá").await;
    set_role(app, &organiser, Role::Organiser).await;
    organiser
}

async fn set_role(app: &TestApp, player: &Player, role: Role) {
    app.grant(&player.email, role).await;
}

async fn hide(app: &TestApp, by: &Player, video: &str) -> Response {
    let path = format!("/api/moderation/videos/{video}/hide");
    let request = app.as_player(by, Method::POST, &path);
    Response::of(request.json(&json!({ "reason": REASON }))).await
}

#[tokio::test]
async fn hidden_video_leaves_the_public_and_returns_with_its_votes() {
    let scene = Scene::open().await;
    scene.app.vote(&scene.fan, &scene.video).await.ok();
    scene.app.counted().await;
    scene.assert_public(true).await;

    let hidden = scene.hide().await.ok();
    assert_eq!(hidden["message"], "El video está oculto.");
    assert_eq!(hidden["video_id"], scene.video);
    scene.assert_public(false).await;
    let late = organiser(&scene.app, "Eva").await;
    let vote = scene.app.vote(&late, &scene.video).await;
    assert_eq!(vote.refusal(), (404, "not_found"));
    assert_eq!(scene.app.stale_standings().await, 0);

    scene.show().await.ok();
    scene.assert_public(true).await;
    assert_eq!(scene.own().await["votes"], 1);
    let ranking = scene.app.get("/api/public/rankings").await.ok();
    assert_eq!(ranking[0]["votes"], 1);
    assert_eq!(scene.app.stale_standings().await, 0);
    let again = scene.app.vote(&scene.fan, &scene.video).await;
    assert_eq!(again.refusal(), (400, "already_voted"));
    assert_eq!(
        scene.log().await,
        [
            ("Nora".to_owned(), false, None),
            ("Nora".to_owned(), true, Some(REASON.to_owned())),
        ]
    );
}

#[tokio::test]
async fn owner_reads_the_reason_and_cannot_publish() {
    let scene = Scene::open().await;
    assert_eq!(scene.own().await.get("hidden_reason"), None);
    scene.hide().await.ok();
    let own = scene.own().await;
    assert_eq!(
        (&own["hidden_reason"], &own["is_public"]),
        (&json!(REASON), &json!(false))
    );
    let list = scene
        .app
        .call(&scene.owner, Method::GET, "/api/videos")
        .await
        .ok();
    assert_eq!(list[0]["hidden_reason"], REASON);

    let refused = scene.change(&json!({"is_public": true})).await;
    assert_eq!(refused.refusal(), (400, "hidden_video"));
    let publish = format!("/api/videos/{}/publish", scene.video);
    let refused = scene.app.call(&scene.owner, Method::POST, &publish).await;
    assert_eq!(refused.refusal(), (400, "hidden_video"));
    // A new title alone publishes nothing.
    let renamed = scene.change(&json!({"title": "Otro título"})).await.ok();
    assert_eq!(renamed["title"], "Otro título");

    scene.show().await.ok();
    let own = scene.own().await;
    assert_eq!(
        (own.get("hidden_reason"), &own["is_public"]),
        (None, &json!(true))
    );
    scene.change(&json!({"is_public": false})).await.ok();
    scene.change(&json!({"is_public": true})).await.ok();
}

#[tokio::test]
async fn video_that_its_owner_unpublished_stays_private_when_shown() {
    let scene = Scene::open().await;
    scene.hide().await.ok();
    scene.change(&json!({"is_public": false})).await.ok();
    scene.show().await.ok();
    assert_eq!(scene.own().await["is_public"], false);
    assert_eq!(scene.app.number(FRESH).await, 1);

    // Neither does a private video become public.
    scene.hide().await.ok();
    scene.show().await.ok();
    assert_eq!(scene.own().await["is_public"], false);
}

#[tokio::test]
async fn video_hidden_before_it_is_processed_does_not_become_public() {
    let app = TestApp::spawn().await;
    let owner = app.insert_user("Ana", "Cali").await;
    let nora = organiser(&app, "Nora").await;
    let video = app.uploaded(&owner, film().await, true).await;
    hide(&app, &nora, &video).await.ok();
    app.run_pending_jobs().await;
    let own = app.video(&owner, &video).await;
    assert_eq!(
        (&own["status"], &own["is_public"]),
        (&json!("processed"), &json!(false))
    );
    let clip = own["processed_url"].as_str().unwrap();
    let (path, _signature) = clip.split_once('?').unwrap();
    assert_eq!(app.get(path).await.refusal(), (403, "media_not_signed"));
    assert_eq!(app.get("/api/public/videos").await.ok(), json!([]));

    let path = format!("/api/moderation/videos/{video}/show");
    app.call(&nora, Method::POST, &path).await.ok();
    assert_eq!(app.video(&owner, &video).await["is_public"], true);
    let list = app.get("/api/public/videos?limit=5").await.ok();
    assert_eq!(list[0]["video_id"], video);
}

#[tokio::test]
async fn failed_video_is_the_same_after_hiding_and_showing() {
    let scene = Scene::with(Seed::PUBLIC.in_state("failed")).await;
    scene.hide().await.ok();
    assert_eq!(scene.own().await["is_public"], false);
    let refused = scene.change(&json!({"is_public": true})).await;
    assert_eq!(refused.refusal(), (400, "hidden_video"));
    scene.show().await.ok();
    let own = scene.own().await;
    assert_eq!(
        (&own["status"], &own["is_public"]),
        (&json!("failed"), &json!(true))
    );
    assert_eq!(own["failure_code"], "corrupt");
    assert_eq!(scene.places().await, [""; 0]);
}

#[tokio::test]
async fn of_concurrent_hides_exactly_one_succeeds() {
    let scene = Scene::open().await;
    let mut organisers = Vec::new();
    for number in 0..16 {
        organisers.push(organiser(&scene.app, &format!("Nora{number}")).await);
    }
    for round in 1..=4 {
        let hides = organisers
            .iter()
            .map(|by| hide(&scene.app, by, &scene.video));
        let answers = join_all(hides).await;
        let (done, refused): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(done.len(), 1);
        assert_eq!(refused.len(), 15);
        for answer in refused {
            assert_eq!(answer.refusal(), (409, "already_hidden"));
        }
        let path = format!("/api/moderation/videos/{}/show", scene.video);
        let shows = organisers
            .iter()
            .map(|by| scene.app.call(by, Method::POST, &path));
        let answers = join_all(shows).await;
        let done = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(done, 1);
        let refused = answers
            .iter()
            .filter(|answer| answer.refusal() == (409, "not_hidden"));
        assert_eq!(refused.count(), 15);
        assert_eq!(scene.log().await.len(), 2 * round);
    }
    assert_eq!(scene.own().await["is_public"], true);
}

#[tokio::test]
async fn hiding_racing_with_publishing_leaves_the_video_hidden() {
    let scene = Scene::with(Seed::PRIVATE).await;
    for _ in 0..8 {
        let publish = json!({"is_public": true});
        let (hidden, published) = tokio::join!(scene.hide(), scene.change(&publish));
        hidden.ok();
        let is_first = published.status == 200;
        assert!(
            is_first || published.refusal() == (400, "hidden_video"),
            "{published:?}"
        );
        let own = scene.own().await;
        assert_eq!(
            (&own["hidden_reason"], &own["is_public"]),
            (&json!(REASON), &json!(false))
        );
        // The owner's wish that came first is kept.
        scene.show().await.ok();
        assert_eq!(scene.own().await["is_public"], is_first);
        scene.change(&json!({"is_public": false})).await.ok();
    }
}

#[tokio::test]
async fn log_outlives_video_and_organiser() {
    let scene = Scene::open().await;
    scene.hide().await.ok();
    let path = format!("/api/videos/{}", scene.video);
    scene
        .app
        .call(&scene.owner, Method::DELETE, &path)
        .await
        .ok();
    let hidden = |name: &str| (name.to_owned(), true, Some(REASON.to_owned()));
    assert_eq!(scene.log().await, [hidden("Nora")]);
    let [entry] = &moderation::log(&scene.app.db, None, 100).await.unwrap()[..] else {
        panic!("not one entry");
    };
    assert_eq!(entry.title, "Mi mejor jugada");
    assert_eq!(scene.show().await.refusal(), (404, "not_found"));

    scene
        .app
        .execute("DELETE FROM users WHERE email = 'nora@example.com'")
        .await;
    assert_eq!(scene.log().await, [hidden("")]);
}

#[tokio::test]
async fn role_takes_effect_within_a_second() {
    let scene = Scene::open().await;
    let eva = scene.app.insert_user("Eva", "Cali").await;
    assert_eq!(
        hide(&scene.app, &eva, &scene.video).await.refusal(),
        (404, "not_found")
    );
    set_role(&scene.app, &eva, Role::Organiser).await;
    sleep(ROLE_TTL).await;
    hide(&scene.app, &eva, &scene.video).await.ok();

    set_role(&scene.app, &eva, Role::Player).await;
    sleep(ROLE_TTL).await;
    let refused = hide(&scene.app, &eva, &scene.video).await;
    assert_eq!(refused.refusal(), (404, "not_found"));
    assert_eq!(scene.log().await.len(), 1);
}

/// Processes of the version before know nothing of hidden videos.
#[tokio::test]
async fn database_refuses_to_publish_a_hidden_video() {
    let scene = Scene::open().await;
    scene.hide().await.ok();
    let video = VideoId::parse(&scene.video).unwrap();
    let publish = format!("UPDATE videos SET is_public = true WHERE id = '{video}'");
    let refused = scene.app.try_execute(&publish).await.unwrap_err();
    assert!(
        refused.to_string().contains("videos_hidden_are_not_public"),
        "{refused}"
    );
    assert_eq!(scene.own().await["is_public"], false);
    // What they also do still works.
    scene
        .app
        .set(video, "title = 'Otro título', votes = votes + 1")
        .await;
    scene.app.set(video, "is_public = false").await;
}
