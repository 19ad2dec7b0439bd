//! Live progress by server-sent events, and by polling.

use reqwest::Method;
use serde_json::{Value, json};

use super::visitor::Visitor;
use crate::support::{
    Seed, TestApp, eventually,
    proxy::{Fault, Proxy},
};

/// The events of a stream.
struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    async fn open(visitor: &Visitor, path: &str) -> Self {
        let request = visitor.request(Method::GET, path);
        let response = request
            .header("accept-encoding", "gzip")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        Self {
            response,
            text: String::new(),
        }
    }

    /// Returns the data of the next event, or none at the end of the stream.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let data = event.split_once("data: ").map(|(_, data)| data.to_owned());
                let rest = rest.to_owned();
                self.text = rest;
                if let Some(data) = data {
                    return Some(serde_json::from_str(&data).unwrap());
                }
            } else {
                let chunk = self.response.chunk().await.ok()??;
                self.text += str::from_utf8(&chunk).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn progress_arrives_as_it_changes() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let eva = app.insert_user("Eva", "Cali").await;
    let first = app.add(&eva, Seed::PUBLIC.in_state("uploaded")).await;
    let id = app.add(&ana, Seed::PUBLIC.in_state("uploaded")).await;
    let player = Visitor::logged_in(&app, &ana).await;
    // Videos of others are left out.
    let query = format!("videos={id},{first}");
    let mut events = Events::open(&player, &format!("/mis-videos/eventos?{query}")).await;
    let headers = events.response.headers();
    assert_eq!(headers["content-type"], "text/event-stream");
    let waiting = events.next().await.unwrap();
    assert_eq!(waiting[0]["state"], "uploaded");
    assert_eq!(waiting[0]["left"], "En fila: 1 video antes que el tuyo");
    assert_eq!(waiting[1], Value::Null);

    app.execute(&format!(
        "UPDATE videos SET status = 'processing', progress = 40, lease_until = now(),
             ready_at = now() + interval '20 s' WHERE id = '{id}'"
    ))
    .await;
    let processing = events.next().await.unwrap();
    assert_eq!(processing[0]["percent"], 40);
    app.execute(&format!(
        "UPDATE videos SET status = 'processed', processed_at = now(), lease_until = NULL WHERE id = '{id}'"
    ))
    .await;
    let ready = events.next().await.unwrap();
    assert_eq!(ready[0]["state"], "processed");

    let mut polling = Visitor::logged_in(&app, &ana).await;
    let polled = polling
        .get(&format!("/mis-videos/estado?{query}"))
        .await
        .ok();
    let polled: Value = serde_json::from_str(&polled.html).unwrap();
    assert_eq!(polled, ready);
    for path in ["/mis-videos/estado", "/mis-videos/eventos"] {
        let others = polling.get(&format!("{path}?videos={first}")).await;
        assert_eq!(others.status, 404, "{path}");
    }
}

#[tokio::test]
async fn proxy_that_holds_events_back_passes_polls() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PUBLIC.in_state("uploaded")).await;
    let stream = format!("/mis-videos/eventos?videos={id}");
    let poll = format!("/mis-videos/estado?videos={id}");
    let passing = Proxy::between(&[&app.url]).await;
    let player = Visitor::logged_in(&app, &ana).await.through(&passing);
    let mut events = Events::open(&player, &stream).await;
    let first = events.next().await.unwrap();

    let holding = Proxy::to(&app.url, Fault::HoldsEvents).await;
    let mut player = Visitor::logged_in(&app, &ana).await.through(&holding);
    let waiting = tokio::spawn(player.request(Method::GET, &stream).send());
    eventually("the stream is held", 60, async || holding.held() == 1).await;
    let polled = player.get(&poll).await.ok();
    let polled: Value = serde_json::from_str(&polled.html).unwrap();
    assert_eq!(polled, first);
    assert!(!waiting.is_finished());
    waiting.abort();
    eventually("the stream is closed", 60, async || holding.held() == 0).await;
    let seen = holding.exchanges().into_iter();
    let seen: Vec<_> = seen
        .map(|one| (one.server, one.method, one.path, one.status))
        .collect();
    assert_eq!(
        seen,
        [(0, Method::GET, stream, 200), (0, Method::GET, poll, 200)]
    );
}

#[tokio::test]
async fn an_account_has_three_streams() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PUBLIC.in_state("uploaded")).await;
    let mut player = Visitor::logged_in(&app, &ana).await;
    let path = format!("/mis-videos/eventos?videos={id}");
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut events = Events::open(&player, &path).await;
        events.next().await.unwrap();
        open.push(events);
    }
    assert_eq!(player.get(&path).await.status, 503);
    open.pop();
    // The server notices that the browser is gone when it sends something.
    app.execute(&format!("UPDATE videos SET progress = 1 WHERE id = '{id}'"))
        .await;
    eventually("a stream is free", 60, async || {
        let request = player.request(Method::GET, &path);
        request.send().await.unwrap().status() == 200
    })
    .await;
}

#[tokio::test]
async fn stopping_ends_the_streams() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PUBLIC.in_state("uploaded")).await;
    let player = Visitor::logged_in(&app, &ana).await;
    let mut events = Events::open(&player, &format!("/mis-videos/eventos?videos={id}")).await;
    events.next().await.unwrap();
    app.shutdown.request();
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn dashboard_is_live_for_organisers_only() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let path = "/organizacion/eventos";
    let mut player = Visitor::logged_in(&app, &ana).await;
    assert_eq!(player.get(path).await.status, 404);
    app.execute("UPDATE users SET role = 'organiser'").await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    app.add(&ana, Seed::PUBLIC.in_state("uploaded")).await;
    let mut events = Events::open(&player, path).await;
    let first = events.next().await.unwrap();
    assert_eq!(first["tiles"]["waiting"]["value"], "1");
    assert_eq!(
        first["tiles"]["dead"],
        json!({"value": "0", "note": null, "bad": false})
    );
    let id = app.add(&ana, Seed::PUBLIC.in_state("failed")).await;
    let code = "{\"code\": \"processing_failed\"}";
    app.execute(&format!(
        "UPDATE videos SET failure = '{code}' WHERE id = '{id}'"
    ))
    .await;
    let mut dead = events.next().await.unwrap();
    while dead["tiles"]["dead"]["value"] == "0" {
        dead = events.next().await.unwrap();
    }
    assert_eq!(dead["tiles"]["dead"]["bad"], true);
}

#[tokio::test]
async fn dashboard_ends_with_the_role_and_with_the_session() {
    let app = TestApp::spawn().await;
    for ending in ["UPDATE users SET role = 'player'", ""] {
        let name = format!("Ana{}", ending.len());
        let ana = app.insert_user(&name, "Cali").await;
        app.execute(&format!(
            "UPDATE users SET role = 'organiser' WHERE first_name = '{name}'"
        ))
        .await;
        let mut organiser = Visitor::logged_in(&app, &ana).await;
        let mut events = Events::open(&organiser, "/organizacion/eventos").await;
        events.next().await.unwrap();
        if ending.is_empty() {
            let left = organiser.post("/salir", &[]).await;
            assert_eq!(left.status, 303);
        } else {
            app.execute(ending).await;
        }
        let end = async { while events.next().await.is_some() {} };
        let ended = tokio::time::timeout(std::time::Duration::from_mins(1), end).await;
        assert!(ended.is_ok(), "after {ending:?}");
    }
}

/// Returns the number of transactions in the app's database within two seconds.
async fn transactions(app: &TestApp) -> i64 {
    let committed = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()";
    let before = app.number(committed).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    app.number(committed).await - before
}

#[tokio::test]
async fn queries_do_not_grow_with_watchers() {
    let app = TestApp::spawn().await;
    let mut open = Vec::new();
    for number in 0..40 {
        let name = format!("Ana{number}");
        let player = app.insert_user(&name, "Cali").await;
        let id = app.add(&player, Seed::PUBLIC.in_state("uploaded")).await;
        let visitor = Visitor::logged_in(&app, &player).await;
        let path = format!("/mis-videos/eventos?videos={id}");
        let mut events = Events::open(&visitor, &path).await;
        events.next().await.unwrap();
        open.push(events);
    }
    // If each stream asked the database once a second, there would always be eighty. Sessions of
    // PostgreSQL report transactions up to ten seconds later.
    crate::support::eventually("few transactions", 60, async || {
        transactions(&app).await < 40
    })
    .await;
}
