//! Accounts and tokens.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{PASSWORD, Player, Response, TestApp, UNSIGNED_HEAD, seconds, sign};

const SECRET: &str = "a secret that only these tests know about";

fn form(email: &str) -> Value {
    json!({
        "first_name": "Ana", "last_name": "Prueba", "email": email, "password1": PASSWORD,
        "password2": PASSWORD, "city": "Bogotá D.C.", "country": "Colombia",
    })
}

fn with(field: &str, value: &str) -> Value {
    let mut form = form("ana@example.com");
    form[field] = json!(value);
    form
}

async fn sign_up(app: &TestApp, form: &Value) -> Response {
    Response::of(app.request(Method::POST, "/api/auth/signup").json(form)).await
}

async fn log_in(app: &TestApp, email: &str, password: &str) -> Response {
    let credentials = json!({ "email": email, "password": password });
    let request = app.request(Method::POST, "/api/auth/login");
    Response::of(request.json(&credentials)).await
}

async fn profile(app: &TestApp, token: &str) -> Response {
    let request = app.request(Method::GET, "/api/auth/profile");
    Response::of(request.header("authorization", format!("Bearer {token}"))).await
}

/// Signs a token for `player` with the given secret and expiry.
async fn token(app: &TestApp, player: &Player, secret: &str, expires: u64) -> String {
    sign(app.user_id(player).await, secret, expires)
}

#[tokio::test]
async fn new_user_can_log_in_and_read_profile() {
    let app = TestApp::spawn().await;
    let answer = sign_up(&app, &with("email", " Ana@Example.com ")).await;
    assert_eq!(answer.status, 201);
    assert_eq!(
        answer.body,
        json!({"message": "Usuario creado exitosamente."})
    );

    let login = log_in(&app, "ANA@example.COM", PASSWORD).await.ok();
    assert_eq!(login["token_type"], "Bearer");
    assert_eq!(login["expires_in"], 3600);
    let mut profile = profile(&app, login["access_token"].as_str().unwrap())
        .await
        .ok();
    profile["created_at"].take();
    assert_eq!(
        profile,
        json!({
            "id": "1", "first_name": "Ana", "last_name": "Prueba", "email": "ana@example.com",
            "city": "Bogotá", "country": "Colombia", "created_at": null,
        })
    );
}

#[tokio::test]
async fn pasted_email_variants_belong_to_one_account() {
    let app = TestApp::spawn().await;
    let pasted = "\u{200b}\u{feff}Jose\u{301}@Example.com\u{200b} ";
    assert_eq!(sign_up(&app, &with("email", pasted)).await.status, 201);
    for email in [pasted, "josé@example.com", " JOSÉ@EXAMPLE.COM\u{200e}"] {
        log_in(&app, email, PASSWORD).await.ok();
        let again = sign_up(&app, &with("email", email)).await;
        assert_eq!(again.refusal(), (400, "email_taken"), "{email:?}");
    }
}

#[tokio::test]
async fn password_matches_in_any_unicode_normalization() {
    let app = TestApp::spawn().await;
    let (phone, mac) = ("canción-2026", "cancio\u{301}n-2026");
    let mut form = form("ana@example.com");
    form["password1"] = json!(phone);
    form["password2"] = json!(mac);
    assert_eq!(sign_up(&app, &form).await.status, 201);
    for password in [phone, mac] {
        log_in(&app, "ana@example.com", password).await.ok();
    }
    let wrong = log_in(&app, "ana@example.com", "cancion-2026").await;
    assert_eq!(wrong.refusal(), (401, "wrong_credentials"));
}

#[tokio::test]
async fn every_invalid_field_is_reported() {
    let app = TestApp::spawn().await;
    let long = "x".repeat(300);
    for (field, value, code) in [
        ("first_name", "", "required"),
        ("first_name", "   ", "required"),
        ("first_name", &long, "too_long"),
        ("first_name", "A\0na", "invalid"),
        ("first_name", "\u{200b}\u{feff}", "required"),
        ("first_name", "\u{202e}Ana", "invalid"),
        ("first_name", "A\u{200b}na", "invalid"),
        ("last_name", "Prue\u{2028}ba", "invalid"),
        (
            "last_name",
            "P\u{300}\u{301}\u{302}\u{303}\u{304}rueba",
            "invalid",
        ),
        ("last_name", "", "required"),
        ("last_name", "Pru\u{1b}eba", "invalid"),
        ("last_name", &long, "too_long"),
        ("email", "", "required"),
        ("email", "ana", "invalid"),
        ("email", "ana@", "invalid"),
        ("email", "ana@exa mple.com", "invalid"),
        ("email", "Ana <ana@example.com>", "invalid"),
        ("email", "ana\0@example.com", "invalid"),
        ("city", "", "required"),
        ("city", "-.-", "invalid"),
        ("city", "Bogo\ntá", "invalid"),
        ("city", &long, "too_long"),
        ("country", "", "required"),
        ("country", &long, "too_long"),
        ("password2", "another one", "mismatch"),
    ] {
        let answer = sign_up(&app, &with(field, value)).await;
        assert_eq!(
            answer.refusal(),
            (400, "validation_failed"),
            "{field} {value}"
        );
        assert_eq!(answer.fields(), [(field, code)], "{value}");
    }
}

#[tokio::test]
async fn empty_form_reports_all_required_fields() {
    let app = TestApp::spawn().await;
    let answer = sign_up(&app, &json!({})).await;
    let names = [
        "first_name",
        "last_name",
        "email",
        "password1",
        "city",
        "country",
    ];
    assert_eq!(answer.fields(), names.map(|name| (name, "required")));
}

#[tokio::test]
async fn passwords_have_8_to_128_characters_of_any_kind() {
    let app = TestApp::spawn().await;
    for (number, (password, code)) in [
        ("x".repeat(7), Some("too_short")),
        ("ñ".repeat(8), None),
        ("x".repeat(80), None),
        ("x".repeat(128), None),
        ("ñ".repeat(128), None),
        ("x".repeat(129), Some("too_long")),
        (" con \0 y \u{1f3c0} ".to_owned(), None),
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("p{number}@example.com");
        let mut form = form(&email);
        form["password1"] = json!(password);
        form["password2"] = json!(password);
        let answer = sign_up(&app, &form).await;
        if let Some(code) = code {
            assert_eq!(answer.fields(), [("password1", code)], "{password}");
        } else {
            assert_eq!(answer.status, 201, "{password}");
            log_in(&app, &email, &password).await.ok();
        }
    }
}

#[tokio::test]
async fn taken_email_is_matched_case_insensitively() {
    let app = TestApp::spawn().await;
    for email in ["ana@example.com", "ÑANDÚ@example.com", "İΣẞ@example.com"] {
        assert_eq!(sign_up(&app, &form(email)).await.status, 201, "{email}");
    }
    for email in ["Ana@EXAMPLE.com", "ñandú@Example.com"] {
        let answer = sign_up(&app, &form(email)).await;
        assert_eq!(answer.refusal(), (400, "email_taken"), "{email}");
        assert_eq!(answer.fields(), [("email", "taken")]);
    }
}

#[tokio::test]
async fn login_without_required_fields_is_malformed() {
    let app = TestApp::spawn().await;
    for body in [
        json!({}),
        json!({"email": "ana@example.com"}),
        json!([]),
        json!({"email": 1, "password": 2}),
    ] {
        let request = app.request(Method::POST, "/api/auth/login").json(&body);
        assert_eq!(
            Response::of(request).await.refusal(),
            (400, "invalid_json"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn unknown_email_gets_same_response_as_wrong_password() {
    let app = TestApp::spawn().await;
    let ana = app.sign_up("Ana", "Cali").await;
    let mut wrong = log_in(&app, &ana.email, "not the password").await;
    assert_eq!(wrong.refusal(), (401, "wrong_credentials"));
    // Each request has its own id.
    let ids = ["request_id", "instance"];
    for member in ids {
        wrong.body[member].take();
    }
    let long = format!("{}@example.com", "x".repeat(300));
    for email in [
        "nobody@example.com",
        "not an address",
        "a\0b@example.com",
        "",
        &long,
    ] {
        let mut unknown = log_in(&app, email, "not the password").await;
        assert_eq!(unknown.status, 401, "{email:?}");
        for member in ids {
            unknown.body[member].take();
        }
        assert_eq!(unknown.body, wrong.body, "{email:?}");
    }
}

#[tokio::test]
async fn failed_logins_are_limited_per_account() {
    let app = TestApp::spawn_with(&["--login-rate", "3/h"], &[]).await;
    let (ana, luis) = (
        app.sign_up("Ana", "Cali").await,
        app.sign_up("Luis", "Cali").await,
    );
    for _ in 0..3 {
        assert_eq!(log_in(&app, &ana.email, "wrong").await.status, 401);
    }
    for (email, password) in [(ana.email.as_str(), "wrong"), ("ANA@example.com", PASSWORD)] {
        let answer = log_in(&app, email, password).await;
        assert_eq!(answer.refusal(), (429, "too_many_requests"));
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=1200).contains(&wait), "{wait}");
    }
    // Other accounts are not affected.
    log_in(&app, &luis.email, PASSWORD).await.ok();
}

#[tokio::test]
async fn failed_logins_from_one_address_do_not_block_another() {
    let flags = ["--login-rate", "3/h", "--trusted-proxies", "1"];
    let app = TestApp::spawn_with(&flags, &[]).await;
    let ana = app.sign_up("Ana", "Cali").await;
    let log_in_from = async |address: &str, password: &str| {
        let credentials = json!({ "email": ana.email, "password": password });
        let request = app
            .request(Method::POST, "/api/auth/login")
            .header("x-forwarded-for", address);
        Response::of(request.json(&credentials))
            .await
            .status
            .as_u16()
    };
    for status in [401, 401, 401, 429] {
        assert_eq!(log_in_from("6.6.6.6:4000", "guess").await, status);
    }
    assert_eq!(log_in_from("7.7.7.7", PASSWORD).await, 200);
}

#[tokio::test]
async fn sign_ups_are_limited_per_address() {
    let flags = ["--signup-rate", "2/h", "--trusted-proxies", "1"];
    let app = TestApp::spawn_with(&flags, &[]).await;
    let sign_up_from = async |address: &str, email: &str| {
        let request = app
            .request(Method::POST, "/api/auth/signup")
            .header("x-forwarded-for", address);
        Response::of(request.json(&form(email))).await
    };
    for (number, status) in [201, 201, 429].into_iter().enumerate() {
        let answer = sign_up_from("6.6.6.6", &format!("p{number}@example.com")).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    let answer = sign_up_from("7.7.7.7", "ana@example.com").await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn successful_logins_do_not_count_towards_limit() {
    let app = TestApp::spawn_with(&["--login-rate", "2/h"], &[]).await;
    let ana = app.sign_up("Ana", "Cali").await;
    for _ in 0..5 {
        log_in(&app, &ana.email, PASSWORD).await.ok();
    }
}

#[tokio::test]
async fn system_failures_do_not_count_towards_login_limit() {
    let app = TestApp::spawn_with(
        &[
            "--login-rate",
            "1/h",
            "--database-url",
            "postgres://anb@127.0.0.1:1/anb",
        ],
        &[],
    )
    .await;
    for _ in 0..3 {
        let answer = log_in(&app, "ana@example.com", PASSWORD).await;
        assert_eq!(answer.refusal(), (503, "unavailable"));
    }
}

#[tokio::test]
async fn logged_out_token_is_rejected_at_once_here_and_soon_elsewhere() {
    let here = TestApp::spawn().await;
    let elsewhere = TestApp::spawn_with(&["--database-url", &here.place.database_url], &[]).await;
    let ana = here.insert_user("Ana", "Cali").await;
    profile(&here, &ana.token).await.ok();
    profile(&elsewhere, &ana.token).await.ok();

    let answer = here.call(&ana, Method::POST, "/api/auth/logout").await.ok();
    assert_eq!(answer["message"], "Sesión cerrada exitosamente.");
    assert_eq!(
        profile(&here, &ana.token).await.refusal(),
        (401, "unauthorized")
    );
    // Other processes reject it a second after the logout at the latest.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(profile(&elsewhere, &ana.token).await.status, 401);
    // Other sessions of the same player stay valid.
    let other = token_of(&here, &ana).await;
    profile(&here, &other).await.ok();
}

#[tokio::test]
async fn logout_holds_during_concurrent_requests() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    for _ in 0..10 {
        let session = Player {
            token: token_of(&app, &ana).await,
            ..ana.clone()
        };
        let reads = join_all((0..12).map(|_| profile(&app, &session.token)));
        let logout = async {
            let logout = app.call(&session, Method::POST, "/api/auth/logout");
            assert_eq!(logout.await.status, 200);
            assert_eq!(profile(&app, &session.token).await.status, 401);
        };
        tokio::join!(reads, logout);
        assert_eq!(profile(&app, &session.token).await.status, 401);
    }
}

async fn token_of(app: &TestApp, player: &Player) -> String {
    let secret = "anb-development-secret-not-for-production";
    token(app, player, secret, seconds() + 60).await
}

#[tokio::test]
async fn forged_and_expired_tokens_are_rejected() {
    let app = TestApp::spawn_with(&["--jwt-secret", SECRET], &[]).await;
    let ana = app.insert_user("Ana", "Cali").await;
    let later = seconds() + 60;
    let good = token(&app, &ana, SECRET, later).await;
    profile(&app, &good).await.ok();

    let [head, claims, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let mut flipped = signature.to_owned();
    let first = if flipped.starts_with('A') { "B" } else { "A" };
    flipped.replace_range(..1, first);
    for (what, token) in [
        ("expired", token(&app, &ana, SECRET, seconds() - 1).await),
        (
            "signed with another secret",
            token(&app, &ana, "another secret", later).await,
        ),
        ("another signature", format!("{head}.{claims}.{flipped}")),
        ("no signature", format!("{head}.{claims}.")),
        ("no algorithm", format!("{UNSIGNED_HEAD}.{claims}.")),
        (
            "no algorithm, signed",
            format!("{UNSIGNED_HEAD}.{claims}.{signature}"),
        ),
        ("no claims", format!("{head}..{signature}")),
        ("garbage", "garbage".to_owned()),
        ("empty", String::new()),
    ] {
        let answer = profile(&app, &token).await;
        assert_eq!(answer.refusal(), (401, "unauthorized"), "{what}");
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{what}");
    }
}

#[tokio::test]
async fn both_secrets_are_accepted_during_rotation() {
    const OTHER: &str = "the secret before the rotation";
    let secrets = ["--jwt-secret", SECRET, "--jwt-secret-other", OTHER];
    let app = TestApp::spawn_with(&secrets, &[]).await;
    let ana = app.insert_user("Ana", "Cali").await;
    for (secret, is_good) in [(SECRET, true), (OTHER, true), ("a third one", false)] {
        let token = token(&app, &ana, secret, seconds() + 60).await;
        assert_eq!(
            profile(&app, &token).await.status == 200,
            is_good,
            "{secret}"
        );
    }
}

#[tokio::test]
async fn request_without_bearer_token_is_rejected() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    for value in [
        "",
        "Bearer",
        "Basic YW5hOmFuYQ==",
        &format!("Token {}", ana.token),
        &ana.token,
    ] {
        let request = app.request(Method::GET, "/api/auth/profile");
        let answer = Response::of(request.header("authorization", value)).await;
        assert_eq!(answer.refusal(), (401, "unauthorized"), "{value}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    assert_eq!(app.get("/api/auth/profile").await.status, 401);
}

#[tokio::test]
async fn tokens_of_deleted_account_are_rejected() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    app.execute("DELETE FROM users").await;
    assert_eq!(profile(&app, &ana.token).await.status, 401);
}

#[tokio::test]
async fn token_lifetime_is_configurable() {
    let app = TestApp::spawn_with(&["--jwt-expiration", "45m"], &[]).await;
    app.sign_up("Ana", "Cali").await;
    let login = log_in(&app, "ana@example.com", PASSWORD).await.ok();
    assert_eq!(login["expires_in"], Duration::from_mins(45).as_secs());
}
