//! Pagination of public lists, by page number and by cursor (keyset pagination).

use serde_json::json;

use super::{column, places, season, voted};
use crate::support::TestApp;

#[tokio::test]
async fn positions_continue_across_pages() {
    let app = season().await;
    let first = app.get("/api/public/rankings?by=video&limit=2").await;
    assert_eq!(
        first.header("link"),
        "</api/public/rankings?page=2&by=video&limit=2>; rel=\"next\""
    );
    let second = app
        .get("/api/public/rankings?by=video&limit=2&page=2")
        .await;
    assert_eq!(places(&second.body), [(3, "Ana dos", 5), (4, "Ana uno", 4)]);
    assert_eq!(
        second.header("link"),
        "</api/public/rankings?page=1&by=video&limit=2>; rel=\"prev\""
    );
    let third = app
        .get("/api/public/rankings?by=video&limit=2&page=3")
        .await;
    assert_eq!(third.ok(), json!([]));
}

#[tokio::test]
async fn deep_pages_are_linked_by_cursor() {
    let app = TestApp::spawn().await;
    for name in ["Ana", "Luis", "Eva"] {
        let player = app.insert_user(name, "Cali").await;
        for number in 0..8 {
            let title = format!("{name} {number}");
            app.add(&player, voted(&title, number / 3)).await;
        }
    }
    for list in [
        "rankings?by=video&",
        "rankings?by=video&city=cali&",
        "videos?",
        "videos?q=prueba&",
    ] {
        let path = format!("/api/public/{list}limit=1&page=");
        let all = app.get(&format!("/api/public/{list}limit=24")).await.ok();
        let mut titles = Vec::new();
        let mut next = Some(format!("{path}19"));
        while let Some(path) = next {
            let answer = app.get(&path).await;
            titles.push(column(&answer.body, "title")[0].to_owned());
            if list.starts_with("rankings") {
                assert_eq!(answer.body[0]["position"], 18 + titles.len());
            }
            let link = answer.header("link");
            let linked = link.split(", ").find(|link| link.contains("rel=\"next\""));
            next = linked.map(|link| link[1..link.find('>').unwrap()].to_owned());
            let by_cursor = next.as_ref().is_some_and(|next| next.contains("after="));
            assert_eq!(by_cursor, (2..6).contains(&titles.len()), "{list}: {link}");
        }
        assert_eq!(titles, column(&all, "title")[18..], "{list}");
    }
}

#[tokio::test]
async fn player_rankings_continue_after_a_cursor() {
    let app = season().await;
    for city in ["", "&city=medellin"] {
        let all = app.get(&format!("/api/public/rankings?{city}")).await.ok();
        let before = "0.99.0.00000000-0000-0000-0000-000000000000";
        let path = format!("/api/public/rankings?after={before}{city}");
        assert_eq!(app.get(&path).await.ok(), all);
    }
    let tie = "SELECT extract(epoch FROM since)::numeric * 1000000 FROM standings
               JOIN users ON id = user_id WHERE first_name = 'Ana'";
    let since = app.number(tie).await;
    let ana = app.get("/api/public/rankings?limit=1").await.ok()[0]["video_id"].clone();
    let cursor = format!("1.9.{since}.{}", ana.as_str().unwrap());
    let rest = app
        .get(&format!("/api/public/rankings?after={cursor}"))
        .await
        .ok();
    assert_eq!(places(&rest), [(2, "Eva uno", 9), (3, "Luis uno", 6)]);
}

#[tokio::test]
async fn invalid_cursor_is_rejected() {
    let app = TestApp::spawn().await;
    for path in ["/api/public/rankings", "/api/public/videos"] {
        for cursor in [
            "",
            "7",
            "1.2.3",
            "1.2.3.x",
            "-1.2.3.0198c0de-0000-7000-8000-000000000000",
        ] {
            let answer = app.get(&format!("{path}?after={cursor}")).await;
            assert_eq!(answer.fields(), [("after", "invalid")], "{cursor}");
        }
    }
}
