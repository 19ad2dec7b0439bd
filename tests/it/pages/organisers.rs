//! The organisers' pages: only for them, with retries and a table of the ranking.

use super::visitor::Visitor;
use crate::support::{Seed, TestApp};

const PAGES: [&str; 5] = [
    "/organizacion",
    "/organizacion/videos",
    "/organizacion/reportes",
    "/organizacion/clasificacion.csv",
    "/organizacion/piezas",
];

async fn organiser(app: &TestApp) -> Visitor {
    let boss = app.insert_user("Boss", "Cali").await;
    app.execute("UPDATE users SET role = 'organiser' WHERE first_name = 'Boss'")
        .await;
    Visitor::logged_in(app, &boss).await
}

#[tokio::test]
async fn pages_of_organisers_do_not_exist_for_others() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PUBLIC).await;
    let mut player = Visitor::logged_in(&app, &ana).await;
    let mut organiser = organiser(&app).await;
    for path in PAGES {
        assert_eq!(player.get(path).await.status, 404, "{path}");
        organiser.get(path).await.ok();
    }
    for action in ["ocultar", "mostrar", "reintentar"] {
        let path = format!("/organizacion/videos/{id}/{action}");
        let refused = player.post(&path, &[("motivo", "Un motivo")]).await;
        assert_eq!(refused.status, 404, "{action}");
    }
    assert_eq!(
        player.post("/organizacion/reintentar", &[]).await.status,
        404
    );
    assert_eq!(app.number("SELECT count(*) FROM moderations").await, 0);
    let anonymous = Visitor::of(&app).get("/organizacion").await;
    assert_eq!(anonymous.location(), "/entrar?volver=%2Forganizacion");
}

#[tokio::test]
async fn dead_videos_can_be_retried() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let mut organiser = organiser(&app).await;
    let mut ids = Vec::new();
    for code in ["processing_failed", "worker_lost", "corrupt"] {
        let id = app.add(&ana, Seed::PUBLIC.in_state("failed")).await;
        app.execute(&format!(
            "UPDATE videos SET failure = jsonb_build_object('code', '{code}') WHERE id = '{id}'"
        ))
        .await;
        ids.push(id);
    }
    let long = app.add(&ana, Seed::PUBLIC.in_state("failed")).await;
    app.execute(&format!(
        "UPDATE videos SET failure = '{{\"code\": \"too_long\", \"seconds\": 75, \"max_seconds\": 60}}' WHERE id = '{long}'"
    ))
    .await;
    let page = organiser.get("/organizacion").await.ok();
    assert!(page.has(&ids[0]) && page.has(&ids[1]) && page.has("corrupt"));
    // The reason has the details of one of its videos.
    assert!(page.has("dura 75 s"), "{}", page.html);
    let waiting = "SELECT count(*) FROM videos WHERE status = 'uploaded'";
    let one = format!("/organizacion/videos/{}/reintentar", ids[0]);
    let retried = organiser.post(&one, &[]).await;
    assert_eq!(retried.location(), "/organizacion?reintentados=1");
    assert_eq!(app.number(waiting).await, 1);
    // Its file is at fault, so it stays failed.
    let rejected = format!("/organizacion/videos/{}/reintentar", ids[2]);
    let refused = organiser.post(&rejected, &[]).await;
    assert_eq!(refused.location(), "/organizacion?reintentados=0");
    let all = organiser.post("/organizacion/reintentar", &[]).await;
    assert_eq!(all.location(), "/organizacion?reintentados=1&quedan=0");
    assert_eq!(app.number(waiting).await, 2);
    organiser.get(all.location()).await.ok();
}

#[tokio::test]
async fn videos_are_found_by_title_player_id_and_state() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let seed = |title| Seed {
        title,
        ..Seed::PRIVATE
    };
    let first = app.add(&ana, seed("Triple 100%_seguro")).await;
    let second = app.add(&ana, Seed::HIDDEN).await;
    let mut organiser = organiser(&app).await;
    for (query, found) in [
        ("q=100%25_seg", [true, false]),
        ("q=%25", [true, false]),
        ("q=prueba", [true, true]),
        (&format!("q={second}"), [false, true]),
        ("estado=hidden", [false, true]),
        ("estado=ready", [true, true]),
        ("estado=failed", [false, false]),
        ("", [true, true]),
    ] {
        let page = organiser
            .get(&format!("/organizacion/videos?{query}"))
            .await
            .ok();
        let shown = [&first, &second].map(|id| page.has(&format!("data-video=\"{id}\"")));
        assert_eq!(shown, found, "{query}");
    }
}

#[tokio::test]
async fn ranking_is_a_table_for_spreadsheets() {
    let app = TestApp::spawn_with(&["--public-url", "https://anb.example"], &[]).await;
    for (name, city, title, votes) in [
        ("Ana", "Cali", "=HYPERLINK(\"x\")", 3),
        ("Eva", "Bogotá D.C.", "Triple; \"desde\" lejos", 9),
        ("Mia", "Cali", "Clavada", 7),
    ] {
        let player = app.insert_user(name, city).await;
        let seed = Seed {
            title,
            votes,
            ..Seed::PUBLIC
        };
        app.add(&player, seed).await;
    }
    let mut organiser = organiser(&app).await;
    let token = organiser.cookie("anb").unwrap().to_owned();
    organiser.set_cookie("__Host-anb", &token);
    let table = organiser.get("/organizacion/clasificacion.csv").await.ok();
    assert_eq!(table.header("content-type"), "text/csv; charset=utf-8");
    assert!(table.header("content-disposition").contains("attachment"));
    let text = table.html.strip_prefix('\u{feff}').unwrap_or(&table.html);
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(rows.len(), 4, "{text}");
    assert_eq!(rows[0], "ciudad;puesto;jugador;votos;video;titulo;enlace");
    assert!(rows[1].starts_with("Bogotá;1;Eva Prueba;9;"));
    assert!(rows[1].contains(";\"Triple; \"\"desde\"\" lejos\";https://anb.example/videos/"));
    assert!(rows[2].starts_with("Cali;1;Mia Prueba;7;"));
    assert!(rows[3].contains("\"'=HYPERLINK(\"\"x\"\")\""));
    assert!(!text.contains("example.com"), "an e-mail address: {text}");
}
