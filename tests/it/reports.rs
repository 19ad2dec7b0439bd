//! Spectators report clips, moderators settle the reports, and players of hidden clips answer.

use anb::{auth::Role, reports};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Player, Response, Seed, TestApp};

const REASON: &str = "Se ven datos personales.";

/// A public video of a player, two spectators and a moderator.
struct Scene {
    app: TestApp,
    owner: Player,
    fans: Vec<Player>,
    moderator: Player,
    video: String,
}

impl Scene {
    async fn open() -> Self {
        let app = TestApp::spawn().await;
        let owner = app.insert_user("Ana", "Cali").await;
        let moderator = moderator(&app, "Nora").await;
        let video = app.add(&owner, Seed::PUBLIC).await;
        Self {
            fans: app.insert_users(4).await,
            app,
            owner,
            moderator,
            video,
        }
    }

    async fn report(&self, by: &Player, reason: &str) -> Response {
        report(&self.app, by, &self.video, &json!({ "reason": reason })).await
    }

    async fn dismiss(&self, by: &Player) -> Response {
        let path = format!("/api/moderation/videos/{}/dismiss", self.video);
        self.app.call(by, Method::POST, &path).await
    }

    async fn hide(&self) -> Response {
        let path = format!("/api/moderation/videos/{}/hide", self.video);
        let request = self.app.as_player(&self.moderator, Method::POST, &path);
        Response::of(request.json(&json!({ "reason": REASON }))).await
    }

    async fn show(&self) -> Response {
        let path = format!("/api/moderation/videos/{}/show", self.video);
        self.app.call(&self.moderator, Method::POST, &path).await
    }

    async fn answer(&self, text: &str) -> Response {
        let path = format!("/api/videos/{}/answer", self.video);
        let request = self.app.as_player(&self.owner, Method::POST, &path);
        Response::of(request.json(&json!({ "text": text }))).await
    }

    async fn list(&self) -> Value {
        let path = "/api/moderation/reports";
        self.app.call(&self.moderator, Method::GET, path).await.ok()
    }

    /// Returns the number of videos on the list.
    async fn listed(&self) -> usize {
        let listed = self.list().await.as_array().unwrap().len();
        let counted = reports::open_count(&self.app.db).await.unwrap();
        assert_eq!(usize::try_from(counted).unwrap(), listed);
        listed
    }

    /// Counts the reports with an outcome.
    async fn settled(&self, outcome: &str) -> i64 {
        let settled = format!(
            "SELECT count(*) FROM reports JOIN users ON users.id = settled_by
             WHERE outcome = '{outcome}' AND settled_at IS NOT NULL AND role = 'moderator'"
        );
        self.app.number(&settled).await
    }

    async fn own(&self) -> Value {
        self.app.video(&self.owner, &self.video).await
    }
}

async fn moderator(app: &TestApp, name: &str) -> Player {
    let moderator = app.insert_user(name, "Bogotá").await;
    app.grant(&moderator.email, Role::Moderator).await;
    moderator
}

async fn report(app: &TestApp, by: &Player, video: &str, form: &Value) -> Response {
    let path = format!("/api/videos/{video}/report");
    Response::of(app.as_player(by, Method::POST, &path).json(form)).await
}

#[tokio::test]
async fn report_lists_a_clip_and_hides_nothing() {
    let scene = Scene::open().await;
    assert_eq!(scene.listed().await, 0);
    let form = json!({"reason": "personal_data", "text": "Se ve un teléfono,\n al  final."});
    let sent = report(&scene.app, &scene.fans[0], &scene.video, &form).await;
    assert_eq!(
        sent.ok()["message"],
        "Gracias. La organización va a revisar este video."
    );
    scene.report(&scene.fans[1], "other").await.ok();
    let again = scene.report(&scene.fans[0], "violence").await;
    assert_eq!(again.refusal(), (400, "already_reported"));
    let own = scene.report(&scene.owner, "violence").await;
    assert_eq!(own.refusal(), (400, "own_report"));

    let list = scene.list().await;
    let entry = &list[0];
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(entry["video_id"], scene.video);
    assert_eq!(entry["username"], "Ana Prueba");
    assert_eq!(
        (&entry["is_urgent"], &entry["is_public"], &entry["reports"]),
        (&json!(false), &json!(true), &json!(2))
    );
    assert_eq!(
        entry["reasons"],
        json!([{"reason": "personal_data", "reports": 1}, {"reason": "other", "reports": 1}])
    );
    assert_eq!(entry["texts"], json!(["Se ve un teléfono, al final."]));
    // Even urgent reports hide nothing.
    for fan in &scene.fans[2..] {
        scene.report(fan, "hate").await.ok();
    }
    let entry = &scene.list().await[0];
    assert_eq!(entry["is_urgent"], true);
    assert_eq!(entry["reasons"][0], json!({"reason": "hate", "reports": 2}));
    assert_eq!(scene.own().await["is_public"], true);
    scene.app.vote(&scene.fans[0], &scene.video).await.ok();
}

#[tokio::test]
async fn of_concurrent_equal_reports_exactly_one_is_sent() {
    let scene = Scene::open().await;
    let reports = (0..16).map(|_| scene.report(&scene.fans[0], "violence"));
    let answers = join_all(reports).await;
    let sent = answers.iter().filter(|answer| answer.status == 200);
    assert_eq!(sent.count(), 1);
    let repeated = answers
        .iter()
        .filter(|answer| answer.status != 200)
        .all(|answer| answer.refusal() == (400, "already_reported"));
    assert!(repeated);
    assert_eq!(scene.app.number("SELECT count(*) FROM reports").await, 1);
}

#[tokio::test]
async fn nobody_sends_more_than_twenty_reports_a_day() {
    let scene = Scene::open().await;
    let mut videos = Vec::new();
    for _ in 0..32 {
        videos.push(scene.app.add(&scene.owner, Seed::PUBLIC).await);
    }
    let form = json!({"reason": "violence"});
    let fan = &scene.fans[0];
    let reports = videos
        .iter()
        .map(|video| report(&scene.app, fan, video, &form));
    let answers = join_all(reports).await;
    let (sent, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|it| it.status == 200);
    assert_eq!((sent.len(), refused.len()), (20, 12));
    for answer in refused {
        assert_eq!(answer.refusal(), (429, "too_many_reports"));
        let wait: u32 = answer.header("retry-after").parse().unwrap();
        assert!((86_000..=86_400).contains(&wait), "{wait}");
    }
    // Others are not concerned.
    scene.report(&scene.fans[1], "violence").await.ok();
    let age = "UPDATE reports SET created_at = created_at - interval '1 day'
        WHERE created_at = (SELECT min(created_at) FROM reports)";
    assert_eq!(scene.app.execute(age).await, 1);
    scene.report(fan, "violence").await.ok();
    let more = scene.app.add(&scene.owner, Seed::PUBLIC).await;
    let refused = report(&scene.app, fan, &more, &form).await;
    assert_eq!(refused.refusal(), (429, "too_many_reports"));
}

#[tokio::test]
async fn answered_and_urgent_clips_come_first() {
    let scene = Scene::open().await;
    let other = moderator(&scene.app, "Eva").await;
    let mut videos = Vec::new();
    for _ in 0..4 {
        videos.push(scene.app.add(&scene.owner, Seed::PUBLIC).await);
    }
    let form = json!({"reason": "violence"});
    let [old, young, by_staff, by_three] = &videos[..] else {
        panic!("not four");
    };
    for (video, people) in [
        (old, &scene.fans[..2]),
        (young, &scene.fans[..1]),
        (by_staff, std::slice::from_ref(&other)),
        (by_three, &scene.fans[..3]),
    ] {
        for person in people {
            report(&scene.app, person, video, &form).await.ok();
        }
    }
    scene.hide().await.ok();
    scene.answer("No soy yo.").await.ok();
    let list = scene.list().await;
    let order: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let id = entry["video_id"].as_str().unwrap().to_owned();
            let is = |name: &str| entry[name].as_bool().unwrap();
            (id, is("is_answered"), is("is_urgent"))
        })
        .collect();
    let expected = [
        (&scene.video, true, false),
        (by_staff, false, true),
        (by_three, false, true),
        (old, false, false),
        (young, false, false),
    ];
    let expected = expected.map(|(id, answered, urgent)| (id.clone(), answered, urgent));
    assert_eq!(order, expected);
    assert_eq!(list[0]["answer"], "No soy yo.");
    let page = "/api/moderation/reports?limit=2&page=2";
    let page = scene.app.call(&scene.moderator, Method::GET, page).await;
    assert!(page.header("link").contains("page=3"));
    assert_eq!(page.ok()[0]["video_id"], **by_three);
}

#[tokio::test]
async fn hiding_and_dismissing_settle_the_reports() {
    let scene = Scene::open().await;
    for fan in &scene.fans[..2] {
        scene.report(fan, "violence").await.ok();
    }
    let dismissed = scene.dismiss(&scene.moderator).await.ok();
    assert_eq!(dismissed["message"], "El video queda como está.");
    assert_eq!(
        (scene.listed().await, scene.settled("dismissed").await),
        (0, 2)
    );
    let late = scene.dismiss(&scene.moderator).await;
    assert_eq!(late.refusal(), (409, "already_settled"));
    assert_eq!(scene.own().await["is_public"], true);
    // Who was heard is not heard again, but others are.
    let again = scene.report(&scene.fans[0], "violence").await;
    assert_eq!(again.refusal(), (400, "already_reported"));
    scene.report(&scene.fans[2], "hate").await.ok();
    let list = scene.list().await;
    assert_eq!(
        list[0]["reasons"],
        json!([{"reason": "hate", "reports": 1}])
    );

    scene.hide().await.ok();
    assert_eq!(
        (scene.listed().await, scene.settled("hidden").await),
        (0, 1)
    );
    let hidden = scene.report(&scene.fans[3], "hate").await;
    assert_eq!(hidden.refusal(), (404, "not_found"));
    let other = scene.dismiss(&scene.fans[0]).await;
    assert_eq!(other.refusal(), (404, "not_found"));
}

#[tokio::test]
async fn of_concurrent_moderators_exactly_one_dismisses() {
    let scene = Scene::open().await;
    let mut moderators = Vec::new();
    for number in 0..8 {
        moderators.push(moderator(&scene.app, &format!("Nora{number}")).await);
    }
    for fan in &scene.fans {
        scene.report(fan, "violence").await.ok();
        let answers = join_all(moderators.iter().map(|by| scene.dismiss(by))).await;
        let done = answers.iter().filter(|answer| answer.status == 200);
        assert_eq!(done.count(), 1);
        let late = answers.iter().filter(|answer| answer.status != 200);
        assert_eq!(
            late.filter(|answer| answer.refusal() == (409, "already_settled"))
                .count(),
            7
        );
    }
    assert_eq!(scene.settled("dismissed").await, 4);
    // The record of acts has one entry for each.
    let recorded =
        "SELECT count(*) FROM audit WHERE act = 'report_dismissed' AND after->>'reports' = '1'";
    assert_eq!(scene.app.number(recorded).await, 4);
}

#[tokio::test]
async fn report_racing_with_hiding_leaves_nothing_open() {
    let scene = Scene::open().await;
    for number in 0..8 {
        let fan = &scene
            .app
            .insert_user(&format!("Otra{number}"), "Cali")
            .await;
        let (hidden, reported) = tokio::join!(scene.hide(), scene.report(fan, "violence"));
        hidden.ok();
        let is_first = reported.status == 200;
        assert!(
            is_first || reported.refusal() == (404, "not_found"),
            "{reported:?}"
        );
        assert_eq!(scene.listed().await, 0);
        scene.show().await.ok();
        assert_eq!(scene.listed().await, 0);
    }
}

#[tokio::test]
async fn owner_answers_once_per_hiding() {
    let scene = Scene::open().await;
    let refused = scene.answer("No soy yo.").await;
    assert_eq!(refused.refusal(), (409, "not_hidden"));
    for round in ["primera", "segunda"] {
        scene.hide().await.ok();
        assert_eq!(scene.own().await.get("answer"), None);
        let answers = join_all((0..8).map(|_| scene.answer(round))).await;
        let first = answers.iter().filter(|answer| answer.status == 200);
        assert_eq!(first.count(), 1);
        let late = scene.answer("otra vez").await;
        assert_eq!(late.refusal(), (400, "already_answered"));
        let own = scene.own().await;
        assert_eq!(
            (&own["answer"], &own["hidden_reason"]),
            (&json!(round), &json!(REASON))
        );
        assert_eq!(scene.listed().await, 1);
        assert_eq!(scene.list().await[0]["reports"], 0);
        scene.show().await.ok();
        assert_eq!(scene.listed().await, 0);
        let own = scene.own().await;
        assert_eq!((own.get("answer"), &own["is_public"]), (None, &json!(true)));
    }
    // Others see neither the video nor the answer.
    scene.hide().await.ok();
    let path = format!("/api/videos/{}/answer", scene.video);
    let other = scene.app.as_player(&scene.fans[0], Method::POST, &path);
    let other = Response::of(other.json(&json!({"text": "Yo tampoco."}))).await;
    assert_eq!(other.refusal(), (403, "forbidden"));
}

#[tokio::test]
async fn moderator_leaves_an_answered_clip_hidden() {
    let scene = Scene::open().await;
    scene.hide().await.ok();
    scene.answer("No soy yo.").await.ok();
    scene.dismiss(&scene.moderator).await.ok();
    assert_eq!(scene.listed().await, 0);
    let own = scene.own().await;
    assert_eq!(
        (&own["answer"], &own["hidden_reason"]),
        (&json!("No soy yo."), &json!(REASON))
    );
    let late = scene.answer("Otra vez.").await;
    assert_eq!(late.refusal(), (400, "already_answered"));
}

#[tokio::test]
async fn reports_and_answers_go_with_the_video_and_the_person() {
    let scene = Scene::open().await;
    let other = scene.app.add(&scene.owner, Seed::PUBLIC).await;
    let form = json!({"reason": "violence"});
    for video in [&scene.video, &other] {
        report(&scene.app, &scene.fans[0], video, &form).await.ok();
    }
    scene.dismiss(&scene.moderator).await.ok();
    scene.hide().await.ok();
    scene.answer("No soy yo.").await.ok();
    // A report outlives the moderator who settled it.
    scene
        .app
        .execute("DELETE FROM users WHERE email = 'nora@example.com'")
        .await;
    let all = "SELECT count(*) FROM reports";
    assert_eq!(scene.app.number(all).await, 2);
    let path = format!("/api/videos/{}", scene.video);
    scene
        .app
        .call(&scene.owner, Method::DELETE, &path)
        .await
        .ok();
    let left = "SELECT (SELECT count(*) FROM answers) * 10 + (SELECT count(*) FROM reports)";
    assert_eq!(scene.app.number(left).await, 1);
    scene
        .app
        .execute("DELETE FROM users WHERE first_name = 'Fan0'")
        .await;
    assert_eq!(scene.app.number(all).await, 0);
}
