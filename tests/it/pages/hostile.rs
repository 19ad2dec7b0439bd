//! Hostile names and titles are text on every page, and no link changes anything.

use std::collections::BTreeSet;

use proptest::{prelude::*, test_runner::TestRunner};
use tokio::runtime::Handle;

use super::visitor::Visitor;
use crate::support::{Seed, TestApp};

const NASTY: [&str; 8] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }} {% raw %}",
    "\u{202e}abc\u{2066}",
    "🏀⭐🏀⭐🏀",
    "&lt;b&gt; &amp;",
    "</textarea></title></svg>",
];

/// A sum over all rows that any change alters. Times of use are not stored.
const ROWS: &str = "SELECT sum(hashtext(line)::bigint) FROM (
    SELECT users::text AS line FROM users UNION ALL SELECT videos::text FROM videos
    UNION ALL SELECT votes::text FROM votes UNION ALL SELECT moderations::text FROM moderations
    UNION ALL SELECT reports::text FROM reports UNION ALL SELECT answers::text FROM answers
    UNION ALL SELECT revoked_tokens::text FROM revoked_tokens
    UNION ALL SELECT uploads::text FROM uploads) AS every";

/// Asserts that the markup of a page has no element or attribute that came from text.
fn assert_harmless(html: &str, path: &str) {
    for sign in [
        "<script>alert",
        "<img src=x",
        "</textarea></title>",
        "onmouseover='alert",
    ] {
        assert!(!html.contains(sign), "{path}: {sign}");
    }
}

#[tokio::test]
async fn hostile_names_and_titles_are_text() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    for nasty in NASTY {
        let seed = Seed {
            title: nasty,
            ..Seed::PUBLIC
        };
        app.add(&ana, seed).await;
    }
    let name = NASTY[1].replace('\'', "''");
    app.execute(&format!(
        "UPDATE users SET first_name = '{name}', city = '{name}'"
    ))
    .await;
    app.execute("UPDATE users SET role = 'organiser'").await;
    app.insert_user("Luis", "Cali").await;
    let reports = "INSERT INTO reports (video_id, user_id, reason, text)
        SELECT videos.id, users.id, title, title FROM videos, users WHERE first_name = 'Luis'";
    assert_eq!(app.execute(reports).await, NASTY.len());
    let mut visitor = Visitor::logged_in(&app, &ana).await;
    let clip = app.add(&ana, Seed::PUBLIC).await;
    let form = format!(
        "/reporte/{clip}?motivo=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&texto=%3C/textarea%3E%3C/title%3E"
    );
    for path in [
        &form,
        "/organizacion/reportes",
        "/",
        "/clasificacion",
        "/cuenta",
        "/mis-videos",
        "/organizacion/videos",
        "/?q=%3Cscript%3Ealert(1)%3C/script%3E",
        "/?ciudad=%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E",
        "/entrar?volver=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&votar=%22%3E%3Cimg%20src=x",
    ] {
        let page = visitor.get(path).await.ok();
        assert_harmless(&page.html, path);
        for link in page.links() {
            if link.starts_with("/videos/") {
                assert_harmless(&visitor.get(&link).await.html, &link);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_title_is_escaped() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PRIVATE).await;
    let user = app.user_id(&ana).await;
    let video = id.parse().map(anb::ids::VideoId).unwrap();
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let titles = proptest::collection::vec(
        prop_oneof![
            Just("<".to_owned()),
            Just("\"".to_owned()),
            Just("'>".to_owned()),
            Just("&".to_owned()),
            Just("--!>".to_owned()),
            "\\PC{1,4}",
        ],
        5..20,
    );
    let handle = Handle::current();
    let outcome = tokio::task::spawn_blocking(move || {
        runner.run(&titles, |parts| {
            let title = parts.concat();
            let Ok(title) = anb::videos::check_title(&title) else {
                return Ok(());
            };
            let change = anb::videos::Change {
                title: Some(title.clone()),
                is_public: None,
            };
            let html = handle.block_on(async {
                anb::videos::change(&app.backends(), user, video, &change)
                    .await
                    .unwrap();
                let mut visitor = Visitor::logged_in(&app, &ana).await;
                visitor.get(&format!("/mis-videos/{id}")).await.ok().html
            });
            let escaped: String = title
                .chars()
                .map(|letter| match letter {
                    '<' => "&#60;".to_owned(),
                    '>' => "&#62;".to_owned(),
                    '&' => "&#38;".to_owned(),
                    '"' => "&#34;".to_owned(),
                    '\'' => "&#39;".to_owned(),
                    other => other.to_string(),
                })
                .collect();
            prop_assert!(html.contains(&escaped), "{title:?}");
            Ok(())
        })
    });
    outcome.await.unwrap().unwrap();
}

#[tokio::test]
async fn no_link_changes_anything() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let boss = app.insert_user("Boss", "Cali").await;
    app.execute("UPDATE users SET role = 'organiser' WHERE first_name = 'Boss'")
        .await;
    for seed in [Seed::PUBLIC, Seed::PRIVATE, Seed::PUBLIC.in_state("failed")] {
        app.add(&ana, seed).await;
    }
    let before = app.number(ROWS).await;
    for mut visitor in [
        Visitor::of(&app),
        Visitor::logged_in(&app, &ana).await,
        Visitor::logged_in(&app, &boss).await,
    ] {
        let mut seen = BTreeSet::new();
        let mut next = vec!["/".to_owned(), "/organizacion".to_owned()];
        while let Some(path) = next.pop() {
            let is_page = !["/media/", "/api/", "/swagger"]
                .iter()
                .any(|it| path.starts_with(it));
            if !is_page || seen.len() > 150 || !seen.insert(path.clone()) {
                continue;
            }
            let page = visitor.get(&path).await;
            assert!(!page.status.is_server_error(), "{path}: {page:?}");
            next.extend(page.links());
        }
        assert!(seen.len() >= 8, "{seen:?}");
    }
    assert_eq!(app.number(ROWS).await, before);
}
