//! Every unsafe request with a session cookie must come from our own pages. A refused one changes
//! nothing.

use diesel::{QueryableByName, sql_query, sql_types::Text};
use diesel_async::RunQueryDsl as _;
use reqwest::{Method, RequestBuilder, multipart};
use serde_json::json;

use super::{SITE, page_token};
use crate::support::{
    Player, Response, Seed, TestApp, mp4,
    tus::{BYTES, metadata},
};

/// All rows that requests of players change.
const ROWS: &str = "
    SELECT coalesce(string_agg(line, E'\\n' ORDER BY line), '') AS line FROM (
        SELECT 'video ' || videos::text AS line FROM videos
        UNION ALL SELECT 'vote ' || votes::text FROM votes
        UNION ALL SELECT 'upload ' || uploads::text FROM uploads
        UNION ALL SELECT 'key ' || idempotency_keys::text FROM idempotency_keys
        UNION ALL SELECT 'token ' || revoked_tokens::text FROM revoked_tokens) AS rows";

/// A request that changes something.
#[derive(Debug, Clone, Copy)]
enum Act {
    Vote,
    Rename,
    Publish,
    Delete,
    Upload,
    Create,
    Append,
    Cancel,
    LogOut,
}

const ACTS: [Act; 9] = [
    Act::Vote,
    Act::Rename,
    Act::Publish,
    Act::Delete,
    Act::Upload,
    Act::Create,
    Act::Append,
    Act::Cancel,
    Act::LogOut,
];

/// Where a request comes from, as browsers tell it, and whether it is allowed.
type Source = (Option<&'static str>, Option<String>, bool);

/// Returns the sources of requests to `app`, whose own origins are `own`.
fn sources(own: &[&str], foreign: &[&str]) -> Vec<Source> {
    let mut sources = vec![(None, None, false)];
    for (site, is_allowed) in [
        ("same-origin", true),
        ("none", true),
        ("same-site", false),
        ("cross-site", false),
        ("Same-Origin", false),
        ("same-origin, cross-site", false),
        ("", false),
    ] {
        // The header decides, whatever the origin is.
        for origin in [None, Some(own[0]), Some(foreign[0])] {
            sources.push((Some(site), origin.map(str::to_owned), is_allowed));
        }
    }
    for (origins, is_allowed) in [(own, true), (foreign, false)] {
        for origin in origins {
            sources.push((None, Some((*origin).to_owned()), is_allowed));
        }
    }
    sources
}

#[tokio::test]
async fn on_a_site_without_an_address() {
    let app = TestApp::spawn().await;
    let host = app.url.strip_prefix("http://").unwrap();
    let (name, port) = host.split_once(':').unwrap();
    // Behind a proxy, the scheme is unknown.
    let own = [format!("http://{host}"), format!("https://{host}")];
    let foreign = [
        "https://evil.test".to_owned(),
        "null".to_owned(),
        String::new(),
        format!("http://{name}"),
        format!("http://{name}:1"),
        format!("http://localhost:{port}"),
        format!("http://{host}.evil.test"),
        format!("ftp://{host}"),
        host.to_owned(),
    ];
    check(&app, "anb", &own, &foreign).await;
}

#[tokio::test]
async fn on_a_site_with_an_address() {
    let app = TestApp::spawn_with(&["--public-url", SITE], &[]).await;
    let foreign = [
        "https://evil.test".to_owned(),
        "http://anb.example".to_owned(),
        "https://www.anb.example".to_owned(),
        "https://anb.example:8443".to_owned(),
        // The address of this process, not of the site.
        app.url.clone(),
    ];
    check(&app, "__Host-anb", &[SITE.to_owned()], &foreign).await;
}

/// Sends each act from each source.
async fn check(app: &TestApp, cookie: &str, own: &[String], foreign: &[String]) {
    let own: Vec<_> = own.iter().map(String::as_str).collect();
    let foreign: Vec<_> = foreign.iter().map(String::as_str).collect();
    let mut rows = 0;
    for act in ACTS {
        for (site, origin, is_allowed) in sources(&own, &foreign) {
            rows += 1;
            let player = app.insert_user(&format!("P{rows}"), "Cali").await;
            let mut request = request(app, act, &player).await;
            let token = page_token(app, &player).await;
            request = request.header("cookie", format!("{cookie}={token}"));
            if let Some(site) = site {
                request = request.header("sec-fetch-site", site);
            }
            if let Some(origin) = &origin {
                request = request.header("origin", origin);
            }
            app.counted().await;
            let before = dump(app).await;
            let answer = Response::of(request).await;
            let row = format!("{act:?} {site:?} {origin:?}: {answer:?}");
            if is_allowed {
                assert!(answer.status.is_success(), "{row}");
                assert_ne!(dump(app).await, before, "{row}");
            } else {
                assert_eq!(answer.refusal(), (403, "cross_origin"), "{row}");
                assert_eq!(dump(app).await, before, "{row}");
            }
        }
    }
    println!("{rows} rows");
    assert!(rows > 60);
}

/// Builds a request of a player without credentials, which has everything else that it needs.
async fn request(app: &TestApp, act: Act, player: &Player) -> RequestBuilder {
    let own = async |seed| format!("/api/videos/{}", app.add(player, seed).await);
    let tus = |method, path: &str| app.request(method, path).header("tus-resumable", "1.0.0");
    match act {
        Act::Vote => {
            let owner = format!("De{}", player.email.replace("@example.com", ""));
            let owner = app.insert_user(&owner, "Cali").await;
            let id = app.add(&owner, Seed::PUBLIC).await;
            app.request(Method::POST, &format!("/api/public/videos/{id}/vote"))
        }
        Act::Rename => app
            .request(Method::PATCH, &own(Seed::PRIVATE).await)
            .json(&json!({"title": "Otro título"})),
        Act::Publish => {
            let path = format!("{}/publish", own(Seed::PRIVATE).await);
            app.request(Method::PUT, &path)
        }
        Act::Delete => app.request(Method::DELETE, &own(Seed::PRIVATE).await),
        Act::Upload => {
            let file = multipart::Part::bytes(mp4(5000)).file_name("jugada.mp4");
            let form = multipart::Form::new().part("video_file", file);
            app.request(Method::POST, "/api/videos/upload")
                .multipart(form.text("title", "Mi mejor jugada"))
        }
        Act::Create => tus(Method::POST, "/api/uploads")
            .header("upload-length", 5000)
            .header("upload-metadata", metadata(&[("title", "Mi mejor jugada")])),
        Act::Append => tus(Method::PATCH, &app.create_upload(player, 5000).await)
            .header("upload-offset", 0)
            .header("content-type", BYTES)
            .body(mp4(1000)),
        Act::Cancel => tus(Method::DELETE, &app.create_upload(player, 5000).await),
        Act::LogOut => app.request(Method::POST, "/api/auth/logout"),
    }
}

/// Returns all rows and the names of all files.
async fn dump(app: &TestApp) -> (String, Vec<String>) {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        line: String,
    }
    let mut connection = app.db.connection().await.unwrap();
    let row: Row = sql_query(ROWS).get_result(&mut connection).await.unwrap();
    (row.line, app.files())
}
