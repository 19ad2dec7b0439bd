//! `anb contest`.

use secrecy::ExposeSecret as _;
use serde_json::Value;
use tokio::process::Command;

use super::Scene;
use crate::support::TestApp;

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
async fn command_names_flags_where_dates_are_in_the_wrong_order() {
    let app = TestApp::spawn().await;
    let create = "create copa --name Copa --submissions-open 2020-01-01 \
        --submissions-close 2020-02-01";
    for (dates, message) in [
        (
            "--voting-open 2999-02-01 --voting-close 2999-01-01",
            "anb: --voting-close: Must be later than --voting-open.\n",
        ),
        (
            "--voting-open 2020-01-01 --voting-close 2020-01-15",
            "anb: --voting-close: Must be later than --submissions-close.\n",
        ),
    ] {
        let line = format!("{create} {dates}");
        let words: Vec<_> = line.split(' ').collect();
        let (code, refusal) = run(&app, &words).await;
        assert_eq!((code, refusal.as_str()), (Some(1), message));
    }
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
