//! Sessions of browsers: the cookie, and the rule that a request with it comes from our own pages.

mod table;

use std::time::Duration;

use anb::auth::{Tokens, Use};
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    processes::process::{Role, SystemUnderTest},
    support::{PASSWORD, Player, Response, Seed, TestApp},
};

const PROFILE: &str = "/api/auth/profile";

/// Origin of the site in tests of https.
const SITE: &str = "https://anb.example";

/// Maximum time until all processes refuse a revoked token.
const STATUS_TTL: Duration = Duration::from_secs(1);

/// Returns another process's view of tokens.
fn tokens(app: &TestApp) -> Tokens {
    Tokens::new(&app.serve.auth, app.db.clone(), &app.shutdown)
}

/// Returns the token of a browser's session.
async fn page_token(app: &TestApp, player: &Player) -> String {
    let user = app.user_id(player).await;
    let lifetime = Duration::from_mins(10);
    tokens(app).issue_for_page(user, lifetime).unwrap()
}

/// Builds a request for the profile with this `Cookie`.
fn profile(app: &TestApp, cookie: &str) -> RequestBuilder {
    app.request(Method::GET, PROFILE).header("cookie", cookie)
}

async fn status(request: RequestBuilder) -> u16 {
    Response::of(request).await.status.as_u16()
}

#[tokio::test]
async fn reads_need_no_origin() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let cookie = format!("anb={}", page_token(&app, &ana).await);
    for method in [Method::GET, Method::HEAD] {
        for site in ["cross-site", "same-site", "same-origin", "none"] {
            let request = app.request(method.clone(), PROFILE);
            let request = request.header("cookie", &cookie);
            let request = request.header("sec-fetch-site", site);
            assert_eq!(status(request).await, 200, "{method} {site}");
        }
    }
    let own = Response::of(profile(&app, &cookie)).await.ok();
    assert_eq!(own["email"], ana.email);
}

#[tokio::test]
async fn clients_with_a_token_need_no_origin() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PRIVATE).await;
    let path = format!("/api/videos/{id}");
    let rename = || {
        app.as_player(&ana, Method::PATCH, &path)
            .json(&json!({"title": "Otro título"}))
    };
    let page = page_token(&app, &ana).await;
    for request in [
        rename(),
        rename().header("origin", "https://evil.test"),
        rename().header("sec-fetch-site", "cross-site"),
        // The cookie is ignored, whatever it holds.
        rename().header("cookie", "anb=nonsense"),
        rename()
            .header("cookie", format!("anb={page}"))
            .header("sec-fetch-site", "cross-site"),
    ] {
        assert_eq!(status(request).await, 200);
    }
    for authorization in ["Bearer nonsense", "Basic YW5hOmFuYQ==", ""] {
        let request = profile(&app, &format!("anb={page}"));
        let refused = request.header("authorization", authorization);
        assert_eq!(status(refused).await, 401, "{authorization:?}");
    }
}

#[tokio::test]
async fn a_token_opens_one_door() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let page = page_token(&app, &ana).await;
    assert_eq!(status(profile(&app, &format!("anb={page}"))).await, 200);
    let bearer = |token: &str| app.request(Method::GET, PROFILE).bearer_auth(token);
    assert_eq!(status(bearer(&ana.token)).await, 200);
    // Refused before and after its status is cached for the other use.
    for _ in 0..2 {
        assert_eq!(status(bearer(&page)).await, 401);
        let cookie = format!("anb={}", ana.token);
        assert_eq!(status(profile(&app, &cookie)).await, 401);
    }
}

#[tokio::test]
async fn only_the_cookie_of_the_site_counts() {
    let plain = TestApp::spawn().await;
    let secure = TestApp::spawn_with(&["--public-url", SITE], &[]).await;
    for (app, name, others) in [
        (&plain, "anb", ["__Host-anb", "Anb", "%61nb", "anb_dentro"]),
        (
            &secure,
            "__Host-anb",
            ["anb", "__host-anb", "%5F%5FHost-anb", "__Host%2Danb"],
        ),
    ] {
        let ana = app.insert_user("Ana", "Cali").await;
        let token = page_token(app, &ana).await;
        for other in others {
            let cookie = format!("{other}={token}");
            assert_eq!(status(profile(app, &cookie)).await, 401, "{cookie}");
        }
        // Cookies of other programs on the same host.
        for cookie in [
            format!("{name}={token}"),
            format!("theme=dark; {name}={token}; lang=es"),
            format!("nonsense; =x; a=%FF; {name}={token}"),
        ] {
            assert_eq!(status(profile(app, &cookie)).await, 200, "{cookie}");
        }
        for cookie in [format!("{name}="), format!("{name}={token}x"), name.into()] {
            assert_eq!(status(profile(app, &cookie)).await, 401, "{cookie}");
        }
    }
}

#[tokio::test]
async fn session_ends_with_its_lifetime() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let (user, second) = (app.user_id(&ana).await, Duration::from_secs(1));
    let token = tokens(&app).issue_for_page(user, second).unwrap();
    sleep(3 * second).await;
    assert_eq!(status(profile(&app, &format!("anb={token}"))).await, 401);
}

#[tokio::test]
async fn logging_out_ends_the_session_at_once() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let cookie = format!("anb={}", page_token(&app, &ana).await);
    let other = format!("anb={}", page_token(&app, &ana).await);
    assert_eq!(status(profile(&app, &cookie)).await, 200);
    let log_out = app.request(Method::POST, "/api/auth/logout");
    let log_out = log_out.header("cookie", &cookie);
    assert_eq!(
        status(log_out.header("sec-fetch-site", "same-origin")).await,
        200
    );
    assert_eq!(status(profile(&app, &cookie)).await, 401);
    assert_eq!(status(profile(&app, &other)).await, 200);
}

#[tokio::test]
async fn session_revoked_by_another_process_ends_within_a_second() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let token = page_token(&app, &ana).await;
    let cookie = format!("anb={token}");
    assert_eq!(status(profile(&app, &cookie)).await, 200);
    let other = tokens(&app);
    let caller = other.verify(&token, Use::Page).await.unwrap();
    other.revoke(caller.unwrap()).await.unwrap();
    sleep(STATUS_TTL).await;
    assert_eq!(status(profile(&app, &cookie)).await, 401);
}

#[tokio::test]
async fn changed_password_ends_all_sessions_within_a_second() {
    let app = TestApp::spawn().await;
    let ana = app.sign_up("Ana", "Cali").await;
    let cookie = format!("anb={}", page_token(&app, &ana).await);
    assert_eq!(status(profile(&app, &cookie)).await, 200);
    let form = json!({
        "current": PASSWORD, "password1": "tablero-2027", "password2": "tablero-2027",
    });
    let change = app.as_player(&ana, Method::POST, "/api/auth/password");
    Response::of(change.json(&form)).await.ok();
    sleep(STATUS_TTL).await;
    assert_eq!(status(profile(&app, &cookie)).await, 401);
    let cookie = format!("anb={}", page_token(&app, &ana).await);
    assert_eq!(status(profile(&app, &cookie)).await, 200);
}

#[tokio::test]
async fn pages_of_other_origins_never_use_the_session() {
    const OTHER: &str = "https://friend.example";
    let app = TestApp::spawn_with(&["--cors-allowed-origins", OTHER], &[]).await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PRIVATE).await;
    let cookie = format!("anb={}", page_token(&app, &ana).await);
    let path = format!("/api/videos/{id}");
    for origin in [OTHER, "https://evil.test", "null", &app.url] {
        for method in [Method::GET, Method::PATCH, Method::OPTIONS] {
            for path in [&path, PROFILE, "/api/uploads", "/nothing", "/health"] {
                let request = app.request(method.clone(), path);
                let request = request.header("origin", origin).header("cookie", &cookie);
                let request = request.header("access-control-request-method", "PATCH");
                let answer = Response::of(request).await;
                let allowed = answer.header("access-control-allow-credentials");
                assert_eq!(allowed, "", "{method} {path} {origin}");
                assert_ne!(answer.header("access-control-allow-origin"), "*");
            }
        }
    }
    // Being allowed by CORS does not make an origin our own.
    let rename = app.request(Method::PATCH, &path).header("origin", OTHER);
    let rename = rename.header("cookie", cookie);
    let refused = Response::of(rename.json(&json!({"title": "Otro título"}))).await;
    assert_eq!(refused.refusal(), (403, "cross_origin"));
    assert_eq!(app.video(&ana, &id).await["title"], Seed::PRIVATE.title);
}

#[tokio::test]
async fn production_without_https_warns_once() {
    const SECRET: &str = "thirty-two-bytes-are-long-enough";
    let app = TestApp::spawn().await;
    let system = SystemUnderTest::of(&app);
    for (environment, public_url, warnings) in [
        ("production", "", 1),
        ("production", "http://anb.example", 1),
        ("production", SITE, 0),
        ("development", "", 0),
    ] {
        let settings = [
            ("ENVIRONMENT", environment),
            ("JWT_SECRET", SECRET),
            ("PUBLIC_URL", public_url),
        ];
        let mut process = system.start_with(Role::Serve, &settings);
        process.until_ready().await;
        let log = process.log();
        let is_warning = |line: &&str| line.contains("WARN") && line.contains("PUBLIC_URL");
        let found: Vec<_> = log.lines().filter(is_warning).collect();
        assert_eq!(found.len(), warnings, "{environment} {public_url}: {log}");
        for line in found {
            assert!(
                line.contains("cookies") && line.contains("picture"),
                "{line}"
            );
        }
    }
}
