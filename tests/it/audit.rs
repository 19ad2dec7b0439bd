//! The record of what members of staff do: complete, numbered without gaps, and never changed.

use anb::{
    audit::{self, Act, Entry, Recorded, Subject, Wanted},
    auth::Role,
    ids::VideoId,
};
use diesel_async::AsyncConnection as _;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    fsck::check,
    pages::visitor::Visitor,
    processes::process::SystemUnderTest,
    support::{Player, Response, Seed, TestApp, operator},
};

const REASON: &str = "Se ven datos personales.";

/// Returns all entries, newest first.
async fn entries(app: &TestApp) -> Vec<Recorded> {
    audit::list(&app.db, &Wanted::default(), 1000)
        .await
        .unwrap()
}

async fn latest(app: &TestApp) -> Recorded {
    entries(app).await.swap_remove(0)
}

async fn organiser(app: &TestApp, name: &str) -> Player {
    let organiser = app.insert_user(name, "Bogotá").await;
    app.grant(&organiser.email, Role::Organiser).await;
    organiser
}

async fn hide(app: &TestApp, by: &Player, video: &str) -> Response {
    let path = format!("/api/moderation/videos/{video}/hide");
    let request = app.as_player(by, Method::POST, &path);
    Response::of(request.json(&json!({ "reason": REASON }))).await
}

/// Writes an entry in a transaction of its own, which may roll back.
async fn write(app: &TestApp, is_kept: bool) {
    let mut connection = app.db.connection().await.unwrap();
    let written = connection
        .transaction(async |connection| {
            let by = operator();
            let entry = Entry {
                by: &by,
                act: Act::QueueRedriven,
                subject: Subject::Queue,
                before: None,
                after: None,
            };
            audit::record(connection, &entry).await?;
            anyhow::ensure!(is_kept, "rolled back");
            Ok(())
        })
        .await;
    assert_eq!(written.is_ok(), is_kept);
}

/// Removes entries as the owner of the tables can.
async fn remove(app: &TestApp, condition: &str) {
    for statement in [
        "ALTER TABLE audit DISABLE TRIGGER audit_append_only",
        &format!("DELETE FROM audit WHERE {condition}"),
        "ALTER TABLE audit ENABLE TRIGGER audit_append_only",
    ] {
        app.execute(statement).await;
    }
}

#[tokio::test]
async fn requests_of_staff_are_recorded_with_their_ids() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let nora = organiser(&app, "Nora").await;
    let user = app.user_id(&nora).await;
    let video = app.add(&ana, Seed::PUBLIC).await;

    let hidden = hide(&app, &nora, &video).await;
    let entry = latest(&app).await;
    assert_eq!(entry.actor_id, Some(user));
    assert_eq!(entry.actor, "nora@example.com");
    assert_eq!(entry.act, "video_hidden");
    assert_eq!(entry.subject, format!("video:{video}"));
    assert_eq!(
        (entry.before, entry.after),
        (None, Some(json!({"reason": REASON})))
    );
    let request = entry.request_id.unwrap().to_string();
    assert_eq!(request, hidden.header("x-request-id"));

    // Refused: nothing is recorded.
    let count = entries(&app).await.len();
    assert_eq!(hide(&app, &nora, &video).await.status, 409);
    assert_eq!(entries(&app).await.len(), count);
    let show = format!("/api/moderation/videos/{video}/show");
    app.call(&nora, Method::POST, &show).await.ok();
    assert_eq!(latest(&app).await.act, "video_shown");

    let request = app.as_player(&nora, Method::PUT, "/api/admin/roles");
    let grant = json!({"email": "ANA@example.com", "role": "moderator"});
    Response::of(request.json(&grant)).await.ok();
    let entry = latest(&app).await;
    assert_eq!(entry.subject, "account:ana@example.com");
    assert_eq!(entry.before, Some(json!({"role": "player"})));
    assert_eq!(entry.after, Some(json!({"role": "moderator"})));
}

#[tokio::test]
async fn pages_of_staff_record_what_they_do() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let nora = organiser(&app, "Nora").await;
    let video = app.add(&ana, Seed::PUBLIC).await;
    let failed = app.add(&ana, Seed::PUBLIC.in_state("failed")).await;
    let failure = r#"failure = '{"code": "processing_failed"}'"#;
    app.set(VideoId::parse(&failed).unwrap(), failure).await;
    let mut visitor = Visitor::logged_in(&app, &nora).await;
    let page = format!("/organizacion/videos/{video}");
    for (path, act) in [
        (format!("{page}/ocultar"), "video_hidden"),
        (format!("{page}/mostrar"), "video_shown"),
        (
            format!("/organizacion/videos/{failed}/reintentar"),
            "video_retried",
        ),
        ("/organizacion/reintentar".to_owned(), "queue_redriven"),
        ("/organizacion/personas".to_owned(), "role_granted"),
    ] {
        let fields = [
            ("motivo", REASON),
            ("email", "ana@example.com"),
            ("role", "operator"),
        ];
        assert_eq!(visitor.post(&path, &fields).await.status, 303, "{path}");
        let entry = latest(&app).await;
        assert_eq!(
            (entry.act.as_str(), entry.actor.as_str()),
            (act, "nora@example.com")
        );
        assert!(entry.request_id.is_some());
    }
    // Its file is gone from the list of the failed: no act, no entry.
    let count = entries(&app).await.len();
    let again = format!("/organizacion/videos/{failed}/reintentar");
    visitor.post(&again, &[]).await;
    assert_eq!(entries(&app).await.len(), count);
}

#[tokio::test]
async fn commands_of_operators_are_recorded_with_their_host() {
    let app = TestApp::spawn().await;
    app.sign_up("Ana", "Cali").await;
    let system = SystemUnderTest::of(&app);
    for (command, act) in [
        ("admin grant organiser ana@example.com", "role_granted"),
        ("admin reset-password ana@example.com", "password_reset"),
        ("queue redrive", "queue_redriven"),
    ] {
        system.run(command).await;
        let entry = latest(&app).await;
        assert_eq!(entry.act, act);
        assert_eq!((entry.actor_id, entry.request_id), (None, None));
        let words = command.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let actor = entry.actor;
        assert!(actor.starts_with(&format!("anb {words} (uid ")), "{actor}");
    }
    // The new password is in no entry.
    assert_eq!(entries(&app).await[1].after, None);
}

#[tokio::test]
async fn act_that_cannot_be_recorded_does_not_happen() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let nora = organiser(&app, "Nora").await;
    let video = app.add(&ana, Seed::PUBLIC).await;
    app.execute("ALTER TABLE audit RENAME TO gone").await;
    assert_eq!(hide(&app, &nora, &video).await.refusal(), (500, "internal"));
    let grant = json!({"email": ana.email, "role": "moderator"});
    let request = app.as_player(&nora, Method::PUT, "/api/admin/roles");
    let refused = Response::of(request.json(&grant)).await;
    assert_eq!(refused.refusal(), (500, "internal"));
    let untouched = "SELECT count(*) FROM videos, users
        WHERE hidden_reason IS NULL AND email = 'ana@example.com' AND role = 'player'";
    assert_eq!(app.number(untouched).await, 1);
    assert_eq!(app.number("SELECT count(*) FROM moderations").await, 0);
}

#[tokio::test]
async fn entries_have_no_gaps_although_transactions_roll_back() {
    let app = TestApp::spawn().await;
    let writers = (0..40).map(|number| write(&app, number % 2 == 0));
    join_all(writers).await;
    let entries = entries(&app).await;
    let ids: Vec<i64> = entries.iter().rev().map(|entry| entry.id).collect();
    assert_eq!(ids, (1..=20).collect::<Vec<_>>());
    assert!(entries.iter().rev().is_sorted_by_key(|entry| entry.at));
    assert_eq!(audit::gaps(&app.db).await.unwrap(), []);
}

#[tokio::test]
async fn nobody_changes_or_removes_entries() {
    let app = TestApp::spawn().await;
    write(&app, true).await;
    for statement in [
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE false",
        "TRUNCATE audit",
    ] {
        let refused = app.try_execute(statement).await.unwrap_err().to_string();
        assert!(
            refused.contains("never changed or removed"),
            "{statement}: {refused}"
        );
    }
    // Not even its number or time is the writer's choice.
    let forged = "INSERT INTO audit (id, at, actor, act, subject)
        VALUES (7, '2020-01-01', 'nobody', 'video_hidden', 'queue')";
    app.execute(forged).await;
    let entry = latest(&app).await;
    assert_eq!(entry.id, 2);
    assert!(entry.at.timestamp() > 1_600_000_000, "{}", entry.at);
}

#[tokio::test]
async fn fsck_reports_removed_entries() {
    let app = TestApp::spawn().await;
    for _ in 0..9 {
        write(&app, true).await;
    }
    assert_eq!(check(&app, "").await, (0, json!([])));
    remove(&app, "id IN (1, 4, 5, 9)").await;
    let found = |first, last| {
        json!({
            "kind": "missing_entries", "first": first, "last": last, "is_repaired": false,
        })
    };
    let expected = json!([found(1, 1), found(4, 5), found(9, 9)]);
    assert_eq!(check(&app, "").await, (1, expected.clone()));
    assert_eq!(check(&app, "--fix").await, (1, expected));
    // The next entry leaves the gap as it is.
    write(&app, true).await;
    assert_eq!(latest(&app).await.id, 10);
}

#[tokio::test]
async fn entries_outlive_the_account() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let nora = organiser(&app, "Nora").await;
    let video = app.add(&ana, Seed::PUBLIC).await;
    hide(&app, &nora, &video).await.ok();
    app.execute("DELETE FROM users WHERE email = 'nora@example.com'")
        .await;
    assert_eq!(latest(&app).await.actor, "nora@example.com");
}

#[tokio::test]
async fn list_has_pages_by_number() {
    let app = TestApp::spawn().await;
    let nora = organiser(&app, "Nora").await;
    for _ in 0..6 {
        write(&app, true).await;
    }
    let mut path = "/api/admin/audit?limit=3".to_owned();
    let mut ids = Vec::new();
    loop {
        let page = app.call(&nora, Method::GET, &path).await;
        let link = page.header("link");
        let body = page.ok();
        ids.extend(
            body.as_array()
                .unwrap()
                .iter()
                .map(|entry| entry["id"].clone()),
        );
        match link.split_once('>') {
            Some((next, " ; rel=\"next\"" | "; rel=\"next\"")) => path = next[1..].to_owned(),
            None => break,
            other => panic!("{other:?}"),
        }
    }
    let expected: Vec<Value> = (1..=7).rev().map(|id| json!(id.to_string())).collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn page_shows_acts_in_words_by_kind_and_in_pages() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let nora = organiser(&app, "Nora").await;
    let video = app.add(&ana, Seed::PUBLIC).await;
    hide(&app, &nora, &video).await.ok();
    for _ in 0..60 {
        write(&app, true).await;
    }
    let mut visitor = Visitor::logged_in(&app, &nora).await;
    let newest = visitor.get("/organizacion/registro").await.ok();
    assert_eq!(newest.html.matches("data-entry=").count(), 50);
    let older = newest
        .links()
        .into_iter()
        .find(|link| link.contains("antes="));
    let older = visitor.get(&older.unwrap()).await.ok();
    assert_eq!(older.html.matches("data-entry=").count(), 12);
    assert!(older.has("Dio un rol") && older.has("Rol: Juega → Organiza"));
    assert!(older.has("anb test") && older.has("nora@example.com"));

    let filtered = visitor
        .get("/organizacion/registro?acto=video_hidden")
        .await
        .ok();
    assert_eq!(filtered.html.matches("data-entry=").count(), 1);
    assert!(filtered.has(&format!("Motivo: {REASON}")) && filtered.has("Mi mejor jugada"));
    assert!(filtered.has(&format!("href=\"/organizacion/videos/{video}\"")));
    let none = visitor
        .get("/organizacion/registro?acto=video_shown")
        .await
        .ok();
    assert!(none.has("No hay acciones registradas."));
}
