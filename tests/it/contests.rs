//! The contest: windows and limits of votes and uploads, and the frozen result.

use std::time::Duration;

use anb::{
    auth::Role,
    contests::{self, Plan, Refusal},
};
use diesel_async::SimpleAsyncConnection as _;
use futures_util::future::join_all;
use reqwest::Method;
use ring::digest;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::{process::Command, time::sleep};

use crate::support::{
    Player, Response, Seed, TestApp, eventually, film, mp4, operator, tus::film_of,
};

const CONTEST: &str = "/api/contests";
const COPA: &str = "/api/contests/copa";

const CLOSE: &str = "UPDATE contests
    SET (submissions_close_at, voting_close_at) = (clock_timestamp(), clock_timestamp())";

/// An installation with an organiser, a player with a public video, and fans.
struct Scene {
    app: TestApp,
    organiser: Player,
    ana: Player,
    video: String,
    fans: Vec<Player>,
}

impl Scene {
    async fn open(fans: usize) -> Self {
        let app = TestApp::spawn().await;
        let organiser = app.insert_user("Nora", "Bogotá").await;
        app.grant(&organiser.email, Role::Organiser).await;
        let ana = app.insert_user("Ana", "Cali").await;
        let video = app.add(&ana, Seed::PUBLIC).await;
        let fans = app.insert_users(fans).await;
        Self {
            app,
            organiser,
            ana,
            video,
            fans,
        }
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Response {
        let request = self.app.as_player(&self.organiser, method, path);
        Response::of(request.json(body)).await
    }

    /// Creates a contest that all videos take part in, and whose voting is open, with changes.
    async fn create(&self, changes: Value) -> Response {
        let mut plan = json!({
            "slug": "copa", "name": "Copa de prueba", "submissions_open_at": "2020-01-01",
            "voting_open_at": "2020-01-01", "voting_close_at": "2999-01-01",
        });
        let plan_members = plan.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            plan_members.insert(name.clone(), value.clone());
        }
        self.send(Method::POST, CONTEST, &plan).await
    }

    async fn create_running(&self, changes: Value) {
        let created = self.create(changes).await;
        assert_eq!(created.status, 201, "{created:?}");
    }

    /// Changes the contest, even if it is running.
    async fn reschedule(&self, changes: &Value) {
        let answer = self
            .send(Method::PATCH, &format!("{COPA}?force=true"), changes)
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    async fn act(&self, act: &str) -> Response {
        self.send(Method::POST, &format!("{COPA}/{act}"), &json!({}))
            .await
    }

    async fn vote(&self, fan: usize, video: &str) -> Response {
        self.app.vote(&self.fans[fan], video).await
    }

    /// Ends the voting and publishes the result.
    async fn publish(&self) {
        self.reschedule(&json!({"voting_close_at": "now"})).await;
        for act in ["freeze", "publish"] {
            let done = self.act(act).await;
            assert_eq!(done.status, 200, "{act}: {done:?}");
        }
    }

    async fn results(&self, query: &str) -> Value {
        let path = format!("/api/public/contest/copa/results{query}");
        self.app.get(&path).await.ok()
    }
}

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
async fn uploads_are_refused_outside_the_submissions() {
    let scene = Scene::open(0).await;
    scene
        .create_running(json!({"submissions_open_at": "2998-01-01"}))
        .await;
    for refused in [
        scene.app.upload(&scene.ana, mp4(5000), true).await,
        Response::of(scene.app.creation(&scene.ana, 5000)).await,
    ] {
        assert_eq!(refused.refusal(), (400, "submissions_closed"));
        assert_eq!(refused.body["opens_at"], "2998-01-01T05:00:00Z");
    }
    assert_eq!(scene.app.number("SELECT count(*) FROM uploads").await, 0);
}

#[tokio::test]
async fn upload_that_began_in_time_takes_part_even_if_it_ends_later() {
    let scene = Scene::open(0).await;
    scene.create_running(json!({})).await;
    let upload = scene.app.create_upload(&scene.ana, 5000).await;
    scene
        .reschedule(&json!({"submissions_open_at": "2020-01-01", "submissions_close_at": "now"}))
        .await;
    let bytes = film_of(5000);
    let sent = scene.app.send_bytes(&scene.ana, &upload, 0, &bytes).await;
    assert_eq!(sent.status, 204, "{sent:?}");
    let entered = "SELECT count(*) FROM videos WHERE contest_id IS NOT NULL";
    assert_eq!(scene.app.number(entered).await, 2);
}

#[tokio::test]
async fn concurrent_uploads_of_one_player_never_exceed_the_limit() {
    let scene = Scene::open(0).await;
    scene.create_running(json!({"entries_per_player": 3})).await;
    let uploads =
        (0..6).map(|_| async { Response::of(scene.app.creation(&scene.ana, 5000)).await });
    let answers = join_all(uploads).await;
    let created = answers.iter().filter(|answer| answer.status == 201);
    assert_eq!(created.count(), 2);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(refused.refusal(), (400, "entry_limit"));
    }
    // A failed video makes room.
    let fail = "UPDATE videos SET status = 'failed', failure = '{\"code\": \"corrupt\"}'::jsonb,
        is_public = false, processed_at = NULL";
    scene.app.execute(fail).await;
    scene.app.create_upload(&scene.ana, 5000).await;
}

#[tokio::test]
async fn contest_has_rules_for_videos_of_its_own() {
    let scene = Scene::open(0).await;
    let rules = json!({"min_duration_seconds": 20, "max_file_bytes": 4000, "min_lines": 1080});
    scene.create_running(rules).await;
    let rules = scene.app.get("/api/rules").await.ok();
    assert_eq!(
        rules,
        json!({"max_file_bytes": 4000, "min_duration_seconds": 20, "min_lines": 1080})
    );
    let refused = scene.app.upload(&scene.ana, mp4(5000), true).await;
    assert_eq!(refused.refusal(), (400, "file_too_large"));
    let refused = Response::of(scene.app.creation(&scene.ana, 5000)).await;
    assert_eq!(refused.refusal(), (413, "upload_too_large"));
    assert_eq!(scene.app.number("SELECT count(*) FROM uploads").await, 0);
}

#[tokio::test]
async fn workers_judge_videos_by_the_rules_of_their_contest() {
    let scene = Scene::open(0).await;
    scene
        .create_running(json!({"max_duration_seconds": 1}))
        .await;
    let film = film().await;
    let id = scene.app.uploaded(&scene.ana, film, true).await;
    scene.app.run_pending_jobs().await;
    let video = scene.app.video(&scene.ana, &id).await;
    assert_eq!(
        (&video["status"], &video["failure_code"]),
        (&json!("failed"), &json!("too_long"))
    );
}

#[tokio::test]
async fn frozen_result_has_all_votes_and_shows_ties() {
    let scene = Scene::open(5).await;
    let app = &scene.app;
    let luis = app.insert_user("Luis", "CALI").await;
    let marta = app.insert_user("Marta", "Cartagena").await;
    let second = app.add(&scene.ana, Seed::PUBLIC).await;
    let of_luis = app.add(&luis, Seed::PUBLIC).await;
    let of_marta = app.add(&marta, Seed::PUBLIC).await;
    app.add(&marta, Seed::PRIVATE).await;
    scene.create_running(json!({})).await;
    // Ana and Luis have three votes each, Marta has one.
    for (fan, video) in [
        (0, &scene.video),
        (1, &second),
        (2, &second),
        (0, &of_luis),
        (1, &of_luis),
        (2, &of_luis),
        (3, &of_marta),
    ] {
        scene.vote(fan, video).await.ok();
    }
    assert_eq!(
        scene.act("freeze").await.refusal(),
        (409, "contest_not_over")
    );
    assert_eq!(
        scene.act("publish").await.refusal(),
        (409, "contest_not_frozen")
    );
    let hidden = app.get("/api/public/contest/copa/results").await;
    assert_eq!(hidden.refusal(), (404, "not_found"));
    scene.publish().await;

    let row = |row: &Value| {
        json!([
            row["position"],
            row["city"],
            row["city_position"],
            row["is_tied"],
            row["username"],
            row["votes"],
            row["video_id"]
        ])
    };
    let results = scene.results("").await;
    let rows: Vec<Value> = results.as_array().unwrap().iter().map(row).collect();
    assert_eq!(
        json!(rows),
        json!([
            [1, "Cali", 1, true, "Ana Prueba", 3, second],
            [2, "Cali", 2, true, "Luis Prueba", 3, of_luis],
            [3, "Cartagena", 1, false, "Marta Prueba", 1, of_marta],
        ])
    );
    let cali = scene.results("?city=cali&limit=1&page=2").await;
    assert_eq!(cali[0]["username"], "Luis Prueba");
    assert_eq!(scene.results("?city=Tunja").await, json!([]));

    // Nothing that happens later changes it.
    app.execute("DELETE FROM votes").await;
    app.execute("UPDATE videos SET is_public = false").await;
    app.execute("DELETE FROM users WHERE first_name = 'Luis'")
        .await;
    assert_eq!(scene.results("").await, results);
}

#[tokio::test]
async fn digest_is_that_of_the_published_file() {
    let scene = Scene::open(3).await;
    let spanish = scene.app.insert_user("Íñigo «Ñ»", "Bogotá").await;
    scene
        .app
        .add(
            &spanish,
            Seed {
                title: "\"Triple\"; =1+1 \u{1f3c0}",
                ..Seed::PUBLIC
            },
        )
        .await;
    scene.create_running(json!({})).await;
    scene.vote(0, &scene.video).await.ok();
    scene.publish().await;
    let contest = scene.app.get("/api/public/contest").await.ok();
    let address = format!("{}/api/public/contest/copa/results", scene.app.url);
    let file = reqwest::get(format!("{address}.json"))
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    let hash = hex::encode(digest::digest(&digest::SHA256, &file));
    assert_eq!(contest["digest"], hash.as_str());
    let value: Value = serde_json::from_slice(&file).unwrap();
    // Canonical: sorted members, and no blanks.
    assert_eq!(serde_json::to_vec(&value).unwrap(), file);
    assert_eq!(value["results"][0]["votes"], 1);

    let table = reqwest::get(format!("{address}.csv?city=bogota"))
        .await
        .unwrap();
    let table = table.text().await.unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert!(
        lines[1].starts_with("Bogotá;1;no;Íñigo «Ñ» Prueba;0;2;"),
        "{table}"
    );
    assert!(
        lines[1].ends_with(";\"\"\"Triple\"\"; =1+1 \u{1f3c0}\""),
        "{table}"
    );
}

#[tokio::test]
async fn result_is_frozen_again_without_a_clip_that_was_hidden_since() {
    let scene = Scene::open(1).await;
    scene.create_running(json!({})).await;
    scene.vote(0, &scene.video).await.ok();
    scene.reschedule(&json!({"voting_close_at": "now"})).await;
    scene.act("freeze").await.ok();
    assert_eq!(scene.act("freeze").await.refusal(), (409, "contest_frozen"));
    scene
        .app
        .execute("UPDATE videos SET is_public = false")
        .await;
    scene.act("freeze?force=true").await.ok();
    let preview = scene
        .app
        .call(&scene.organiser, Method::GET, &format!("{COPA}/results"))
        .await;
    assert_eq!(preview.ok(), json!([]));
    scene.act("publish").await.ok();
    for act in ["freeze?force=true", "publish"] {
        assert_eq!(scene.act(act).await.refusal(), (409, "contest_published"));
    }
    let moved = scene
        .send(
            Method::PATCH,
            COPA,
            &json!({"voting_close_at": "2999-01-01"}),
        )
        .await;
    assert_eq!(moved.refusal(), (409, "contest_frozen"));
}

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
    eventually("both votes are ranked", 10, ranked).await;
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
    eventually("three votes are counted", 10, counted).await;
}

#[tokio::test]
async fn freezing_waits_for_votes_that_are_being_committed() {
    let scene = Scene::open(1).await;
    scene.create_running(json!({})).await;
    let mut slow = scene.app.db.connection().await.unwrap();
    let vote = format!(
        "BEGIN;
         SELECT * FROM open_ballot();
         INSERT INTO votes (user_id, video_id)
             SELECT id, '{}' FROM users WHERE email = '{}'",
        scene.video, scene.fans[0].email
    );
    slow.batch_execute(&vote).await.unwrap();
    scene.app.execute(CLOSE).await;
    let commit = async {
        let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        let waiting = async || scene.app.number(waits).await == 1;
        eventually("freezing waits", 10, waiting).await;
        slow.batch_execute("COMMIT").await.unwrap();
    };
    let by = operator();
    let freeze = contests::freeze(&scene.app.db, &by, "copa", false);
    let (frozen, ()) = tokio::join!(freeze, commit);
    frozen.unwrap();
    let result = scene.app.number("SELECT sum(votes) FROM results").await;
    assert_eq!(result, 1);
}

/// Runs `anb contest`. Returns its exit code and its output.
#[expect(
    clippy::disallowed_methods,
    reason = "the program is tested from outside"
)]
async fn run(app: &TestApp, arguments: &[&str]) -> (Option<i32>, String) {
    let database = &app.serve.backends.database.database_url;
    let ran = Command::new(env!("CARGO_BIN_EXE_anb"))
        .env_clear()
        .env("DATABASE_URL", database.as_ref().unwrap().expose_secret())
        .arg("contest")
        .args(arguments)
        .output()
        .await
        .unwrap();
    let output = if ran.status.success() {
        ran.stdout
    } else {
        ran.stderr
    };
    (ran.status.code(), String::from_utf8(output).unwrap())
}

#[tokio::test]
async fn operator_runs_a_contest_by_command() {
    let scene = Scene::open(1).await;
    let app = &scene.app;
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config/contest.env");
    let (code, shown) = run(app, &["create", "--env-file", example]).await;
    assert_eq!(code, Some(0), "{shown}");
    assert!(
        shown.starts_with("rising-stars-2026 · ANB Rising Stars 2026\n"),
        "{shown}"
    );
    let rules = "rules        votes per day 10, min account age seconds 3600, entries per player 2, \
        min duration seconds 20, max duration seconds 60, min lines 1080\n";
    assert!(shown.contains(rules), "{shown}");
    let slug = "rising-stars-2026";
    let (code, refusal) = run(app, &["schedule", slug, "--voting-open", "2020-01-01"]).await;
    assert_eq!(code, Some(1));
    assert!(
        refusal.contains("--voting-open: Lies in the past"),
        "{refusal}"
    );
    let dates = ["2020-01-01"; 2];
    let schedule = [
        "schedule",
        slug,
        "--force",
        "--submissions-open",
        dates[0],
        "--voting-open",
    ];
    let schedule = [&schedule[..], &[dates[1], "--min-account-age-seconds", "0"]].concat();
    let (code, shown) = run(app, &schedule).await;
    assert_eq!(code, Some(0), "{shown}");
    scene.vote(0, &scene.video).await.ok();
    let (_, refusal) = run(app, &["freeze", slug]).await;
    assert_eq!(refusal, "anb: the voting of this contest is not over yet\n");
    let (code, _) = run(app, &["schedule", slug, "--voting-close", "now", "--force"]).await;
    assert_eq!(code, Some(0));
    for act in ["freeze", "publish"] {
        assert_eq!(run(app, &[act, slug]).await.0, Some(0), "{act}");
    }
    let (_, shown) = run(app, &["show", "--json"]).await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["phase"], "published");
    assert_eq!(shown["figures"]["votes"], 1);
    let acts = "SELECT count(*) FROM audit WHERE act LIKE 'contest%' AND actor LIKE 'anb contest%'";
    assert_eq!(app.number(acts).await, 5);
    let (code, refusal) = run(app, &["show", "other"]).await;
    assert_eq!(
        (code, refusal.as_str()),
        (Some(1), "anb: there is no contest of this name\n")
    );
}

#[tokio::test]
async fn plan_without_an_end_is_refused_before_anything_changes() {
    let app = TestApp::spawn().await;
    let refused = contests::create(&app.db, &operator(), "copa", &Plan::default()).await;
    assert!(matches!(refused, Err(Refusal::Invalid(_))));
    assert_eq!(app.number("SELECT count(*) FROM contests").await, 0);
}
