//! Password changes and resets, and the operator's account commands.

use std::{
    process::{Command, Output},
    time::Duration,
};

use diesel::{ExpressionMethods as _, QueryDsl as _};
use diesel_async::RunQueryDsl as _;
use reqwest::Method;
use serde_json::json;

use crate::support::{PASSWORD, Player, Response, TestApp};

const NEW: &str = "tablero-2027";

async fn change(app: &TestApp, player: &Player, current: &str, new: [&str; 2]) -> Response {
    let form = json!({ "current": current, "password1": new[0], "password2": new[1] });
    let request = app.as_player(player, Method::POST, "/api/auth/password");
    Response::of(request.json(&form)).await
}

async fn log_in(app: &TestApp, email: &str, password: &str) -> Response {
    let credentials = json!({ "email": email, "password": password });
    Response::of(
        app.request(Method::POST, "/api/auth/login")
            .json(&credentials),
    )
    .await
}

async fn profile_status(app: &TestApp, player: &Player) -> u16 {
    let request = app.as_player(player, Method::GET, "/api/auth/profile");
    Response::of(request).await.status.as_u16()
}

fn admin(app: &TestApp, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_anb"))
        .args(["admin", "--database-url", &app.place.database_url])
        .args(words)
        .current_dir(app.folder.path())
        .env_clear()
        .output()
        .unwrap()
}

#[tokio::test]
async fn password_change_ends_older_sessions_within_a_second() {
    let app = TestApp::spawn().await;
    let elsewhere = TestApp::spawn_with(&["--database-url", &app.place.database_url], &[]).await;
    let ana = app.sign_up("Ana", "Cali").await;
    for api in [&app, &elsewhere] {
        assert_eq!(profile_status(api, &ana).await, 200);
    }

    let answer = change(&app, &ana, PASSWORD, [NEW, NEW]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // Every process rejects the older tokens a second later at the latest.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for api in [&app, &elsewhere] {
        assert_eq!(profile_status(api, &ana).await, 401);
    }

    assert_eq!(
        log_in(&app, &ana.email, PASSWORD).await.refusal(),
        (401, "wrong_credentials")
    );
    let token = log_in(&app, &ana.email, NEW).await.ok();
    let again = Player {
        token: token["access_token"].as_str().unwrap().to_owned(),
        ..ana
    };
    assert_eq!(profile_status(&app, &again).await, 200);
}

#[tokio::test]
async fn wrong_current_password_changes_nothing() {
    let app = TestApp::spawn().await;
    let ana = app.sign_up("Ana", "Cali").await;
    let answer = change(&app, &ana, "not-the-password", [NEW, NEW]).await;
    assert_eq!(answer.refusal(), (401, "wrong_credentials"));
    log_in(&app, &ana.email, PASSWORD).await.ok();
}

#[tokio::test]
async fn current_password_guesses_are_limited_like_logins() {
    let app = TestApp::spawn_with(&["--login-rate", "2/h"], &[]).await;
    let ana = app.sign_up("Ana", "Cali").await;
    for _ in 0..2 {
        assert_eq!(change(&app, &ana, "guess", [NEW, NEW]).await.status, 401);
    }
    assert_eq!(
        change(&app, &ana, "guess", [NEW, NEW]).await.refusal(),
        (429, "too_many_requests")
    );
}

#[tokio::test]
async fn failed_logins_do_not_block_the_password_change() {
    let app = TestApp::spawn_with(&["--login-rate", "2/h"], &[]).await;
    let ana = app.sign_up("Ana", "Cali").await;
    for status in [401, 401, 429] {
        assert_eq!(log_in(&app, &ana.email, "guess").await.status, status);
    }
    let answer = change(&app, &ana, PASSWORD, [NEW, NEW]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn new_password_is_validated_like_the_first_one() {
    let app = TestApp::spawn().await;
    let ana = app.sign_up("Ana", "Cali").await;
    let answer = change(&app, &ana, "", ["short", "other"]).await;
    assert_eq!(answer.refusal(), (400, "validation_failed"));
    let fields: Vec<_> = answer.body["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            (
                error["field"].as_str().unwrap(),
                error["code"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("current", "required"),
        ("password1", "too_short"),
        ("password2", "mismatch"),
    ];
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn exactly_one_of_two_concurrent_changes_succeeds() {
    let app = TestApp::spawn().await;
    let ana = app.sign_up("Ana", "Cali").await;
    let (first, second) = tokio::join!(
        change(&app, &ana, PASSWORD, [NEW, NEW]),
        change(&app, &ana, PASSWORD, ["otra-clave-9", "otra-clave-9"]),
    );
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
}

#[tokio::test]
async fn operator_resets_a_lost_password() {
    let app = TestApp::spawn().await;
    let ana = app.sign_up("Ana", "Cali").await;

    let output = admin(&app, &["reset-password", "ANA@example.com"]);
    assert!(output.status.success(), "{output:?}");
    let password = String::from_utf8(output.stdout).unwrap();
    log_in(&app, &ana.email, password.trim()).await.ok();
    assert_eq!(log_in(&app, &ana.email, PASSWORD).await.status, 401);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(profile_status(&app, &ana).await, 401);
}

#[tokio::test]
async fn operator_grants_the_organiser_role() {
    use anb::db::schema::users;

    let app = TestApp::spawn().await;
    let ana = app.sign_up("Ana", "Cali").await;
    let output = admin(&app, &["grant", "organiser", &ana.email]);
    assert!(output.status.success(), "{output:?}");

    let mut connection = app.db.connection().await.unwrap();
    let role: String = users::table
        .filter(users::email.eq(&ana.email))
        .select(users::role)
        .first(&mut connection)
        .await
        .unwrap();
    assert_eq!(role, "organiser");
}

#[tokio::test]
async fn unknown_email_is_reported_to_the_operator() {
    let app = TestApp::spawn().await;
    for words in [
        &["grant", "organiser", "no@body.co"][..],
        &["reset-password", "no@body.co"],
    ] {
        let output = admin(&app, words);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains("no account has the e-mail address no@body.co"),
            "{said}"
        );
    }
    assert_eq!(
        admin(&app, &["grant", "king", "ana@example.com"])
            .status
            .code(),
        Some(2)
    );
}
