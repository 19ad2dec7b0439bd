//! Search by words: its results, and its bounded cost.

use anb::db;
use diesel::{QueryableByName, sql_query, sql_types::Json};
use diesel_async::{RunQueryDsl as _, SimpleAsyncConnection as _};
use futures_util::future::join_all;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{column, voted};
use crate::support::TestApp;

/// Maximum number of 8 KiB pages that PostgreSQL reads for one search and its results.
const MAX_PAGES: i64 = 12_000;

async fn found(app: &TestApp, text: &str) -> Vec<String> {
    let text: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let list = app.get(&format!("/api/public/videos?q={text}")).await.ok();
    column(&list, "title")
        .into_iter()
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn words_are_found_by_prefix_in_any_spelling() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Gómez", "Cali").await;
    let eva = app.insert_user("Eva", "Cali").await;
    app.add(&ana, voted("¡El Ñandú vuela! (100%)", 2)).await;
    app.add(&eva, voted("Un triple de Ibagué", 1)).await;
    app.add(&eva, voted("Тройной бросок", 0)).await;
    let (nandu, triple) = ("¡El Ñandú vuela! (100%)", "Un triple de Ibagué");
    for (text, titles) in [
        ("gomez", &[nandu][..]),
        ("GÓMEZ", &[nandu]),
        ("Gómez", &[nandu]),
        // The accent is a combining character.
        ("go\u{301}mez", &[nandu]),
        ("gom", &[nandu]),
        ("nandu", &[nandu]),
        ("ÑANDÚ, gómez", &[nandu]),
        ("100", &[nandu]),
        ("prueba", &[nandu, triple, "Тройной бросок"]),
        ("t eva", &[triple]),
        ("ibague", &[triple]),
        ("БРОСОК", &["Тройной бросок"]),
        // Neither parts inside words nor words of two videos match.
        ("omez", &[]),
        ("triple gomez", &[]),
        ("triplex", &[]),
        ("🏀", &[]),
    ] {
        assert_eq!(found(&app, text).await, titles, "{text:?}");
    }
}

#[tokio::test]
async fn search_follows_changes_to_videos_and_players() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    app.add(&ana, voted("Primera", 0)).await;
    let changes = [
        ("UPDATE videos SET title = 'Segunda'", "segunda", 1),
        ("UPDATE videos SET votes = 7", "primera", 0),
        ("UPDATE users SET first_name = 'Lucía'", "lucia", 1),
        ("UPDATE users SET last_name = 'Otra'", "ana", 0),
        ("UPDATE videos SET is_public = false", "segunda", 0),
        ("UPDATE videos SET is_public = true", "segunda", 1),
        ("DELETE FROM users", "segunda", 0),
    ];
    for (number, (change, text, count)) in changes.into_iter().enumerate() {
        TestApp::execute(&app, change).await;
        // Each text is different because responses are cached.
        let text = text.to_owned() + &".".repeat(number);
        assert_eq!(found(&app, &text).await.len(), count, "{change}");
    }
    assert_eq!(app.number("SELECT count(*) FROM search_words").await, 0);
}

#[tokio::test]
async fn search_and_city_are_limited_to_100_characters() {
    let app = TestApp::spawn().await;
    for (path, name) in [("videos", "q"), ("videos", "city"), ("rankings", "city")] {
        for letter in ["a", "%C3%B1", "%EF%B7%BA"] {
            let path = format!("/api/public/{path}?{name}=");
            let right = app.get(&format!("{path}{}", letter.repeat(100))).await;
            assert_eq!(right.status, 200, "{name} {letter}: {right:?}");
            let wrong = app.get(&format!("{path}{}", letter.repeat(101))).await;
            assert_eq!(wrong.refusal(), (400, "validation_failed"));
            assert_eq!(wrong.fields(), [(name, "too_long")]);
        }
        let blanks = "%20".repeat(200);
        let path = format!("/api/public/{path}?{name}={blanks}a{blanks}");
        assert_eq!(app.get(&path).await.status, 200);
    }
}

/// Adds videos in one statement. Every second title contains `gol`, every hundredth `raro`, and
/// none both. Only the last thousand belong to Leticia. The connection has no time limits because a
/// busy machine takes long.
async fn crowd(app: &TestApp, count: u32) {
    app.insert_user("Ana", "Cali").await;
    app.insert_user("Eva", "Leticia").await;
    let mut connection = db::connect(&app.serve.backends.database).await.unwrap();
    let videos = format!(
        "INSERT INTO videos (id, user_id, title, status, is_public, votes, original_bytes, attempt, processed_at)
         SELECT gen_random_uuid(), (SELECT id FROM users WHERE first_name = CASE WHEN n > {count} - 1000 THEN 'Eva' ELSE 'Ana' END),
             CASE n % 2 WHEN 0 THEN 'Gol ' ELSE 'Pase ' END || CASE n % 100 WHEN 1 THEN 'raro ' ELSE '' END || n,
             'processed', true, {count} - n, 1, 1, now()
         FROM generate_series(1, {count}) AS n"
    );
    connection.batch_execute(&videos).await.unwrap();
}

#[tokio::test]
async fn search_reads_a_bounded_number_of_pages() {
    #[derive(QueryableByName)]
    struct Plan {
        #[diesel(sql_type = Json, column_name = "QUERY PLAN")]
        plan: Value,
    }
    let app = TestApp::spawn().await;
    crowd(&app, 20_000).await;
    let mut connection = app.db.connection().await.unwrap();
    for (text, after) in [
        ("nadie", "NULL, NULL, NULL"),
        ("n", "NULL, NULL, NULL"),
        ("gol", "NULL, NULL, NULL"),
        ("g", "NULL, NULL, NULL"),
        ("raro", "NULL, NULL, NULL"),
        // Each word is in half of all titles, but no title contains both.
        ("gol pase", "NULL, NULL, NULL"),
        (
            "gol pase",
            "9000, now(), '00000000-0000-0000-0000-000000000000'",
        ),
    ] {
        let explained = sql_query(format!(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)
             SELECT * FROM search_videos('{text}', NULL, NULL, {after}, 51)"
        ));
        let plan: Plan = explained.get_result(&mut connection).await.unwrap();
        let plan = &plan.plan[0]["Plan"];
        let pages = plan["Shared Hit Blocks"].as_i64().unwrap()
            + plan["Shared Read Blocks"].as_i64().unwrap();
        assert!((1..MAX_PAGES).contains(&pages), "{text} {after}: {pages}");
    }
}

#[tokio::test]
async fn interrupted_search_continues_on_the_next_page() {
    let app = TestApp::spawn().await;
    crowd(&app, 5_000).await;
    for (query, count) in [
        ("q=gol&limit=100", 2500),
        ("q=gol%20pase&limit=100", 0),
        // Two terms, which together match few of the rows of one read.
        ("q=gol&city=leticia&limit=100", 500),
        ("q=raro", 50),
    ] {
        let (mut seen, mut next) = (Vec::new(), Some(format!("/api/public/videos?{query}")));
        let mut requests = 0;
        while let Some(path) = next {
            let answer = app.get(&path).await;
            let ids = column(&answer.body, "video_id").into_iter();
            seen.extend(ids.map(str::to_owned));
            let link = answer.header("link");
            let linked = link.split(", ").find(|link| link.contains("rel=\"next\""));
            next = linked.map(|link| link[1..link.find('>').unwrap()].to_owned());
            requests += 1;
            assert!(requests <= 60, "{query}");
        }
        assert_eq!(seen.len(), count, "{query}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count, "{query}");
    }
}

#[tokio::test]
async fn searches_leave_connections_for_other_requests() {
    let app = TestApp::spawn_with(&["--db-pool-size", "3"], &[]).await;
    let ana = app.insert_user("Ana", "Cali").await;
    let mut blocker = app.db.dedicated_connection().await.unwrap();
    sql_query("BEGIN").execute(&mut blocker).await.unwrap();
    sql_query("LOCK TABLE search_words")
        .execute(&mut blocker)
        .await
        .unwrap();
    let searches = join_all((0..20).map(|number| {
        let path = format!("/api/public/videos?q=a{number}");
        async { app.get(&{ path }).await }
    }));
    let profile = async {
        // By then the searches with a permit wait for the lock.
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%search_videos%' AND pid <> pg_backend_pid()";
        while app.number(waiting).await < 2 {}
        let profile = app
            .call(&ana, reqwest::Method::GET, "/api/auth/profile")
            .await;
        assert_eq!(app.number(waiting).await, 2);
        sql_query("ROLLBACK").execute(&mut blocker).await.unwrap();
        profile
    };
    let (searches, profile) = tokio::join!(searches, profile);
    assert_eq!(profile.status, 200);
    for search in searches {
        assert_eq!(search.ok(), json!([]));
    }
}
