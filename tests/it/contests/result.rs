//! The frozen result: its votes, its order, its files.

use anb::contests;
use diesel_async::SimpleAsyncConnection as _;
use reqwest::Method;
use ring::digest;
use serde_json::{Value, json};

use super::{CLOSE, COPA, Scene};
use crate::{
    pages::visitor::Visitor,
    support::{Seed, eventually, operator},
};

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
async fn pages_show_ties_of_the_list_also_with_the_next_page() {
    let scene = Scene::open(0).await;
    scene.create_running(json!({})).await;
    scene.publish().await;
    scene.app.execute("DELETE FROM results").await;
    // Two cities take turns. Numbers 100 and 101 of the country have as many votes.
    let result = "INSERT INTO results (contest_id, position, city_key, city, city_position,
            is_tied, user_id, player, votes, video_id, title)
        SELECT id, number, CASE number % 2 WHEN 0 THEN 'cali' ELSE 'tunja' END, 'Lugar',
            (number + 1) / 2, false, number, 'Ana', 1000 - number + (number = 101)::int,
            gen_random_uuid(), 'Triple'
        FROM contests, generate_series(1, 102) AS number";
    scene.app.execute(result).await;
    let mut anybody = Visitor::of(&scene.app);
    for (path, mark, count) in [
        ("", "class=\"tie\"", 1),
        ("?pagina=2", "class=\"tie\"", 1),
        ("?ciudad=cali", "class=\"tie\"", 0),
        ("/acta", "(Empate)", 2),
        ("/acta?ciudad=cali", "(Empate)", 0),
    ] {
        let page = anybody.get(&format!("/resultados/copa{path}")).await.ok();
        assert_eq!(
            page.html.matches(mark).count(),
            count,
            "{path}: {}",
            page.html
        );
    }
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
        eventually("freezing waits", 60, waiting).await;
        slow.batch_execute("COMMIT").await.unwrap();
    };
    let by = operator();
    let freeze = contests::freeze(&scene.app.db, &by, "copa", false);
    let (frozen, ()) = tokio::join!(freeze, commit);
    frozen.unwrap();
    let result = scene.app.number("SELECT sum(votes) FROM results").await;
    assert_eq!(result, 1);
}
