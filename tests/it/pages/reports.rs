//! Reports by form: two taps of a spectator, the moderators' list, the player's answer.

use reqwest::{Method, header};

use super::visitor::{Page, Visitor};
use crate::support::{PASSWORD, Player, Seed, TestApp};

const LIST: &str = "/organizacion/reportes";

/// A public video, its player, a spectator and an organiser.
async fn scene() -> (TestApp, Player, String, Visitor, Visitor) {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let luis = app.insert_user("Luis", "Cali").await;
    let boss = app.insert_user("Boss", "Cali").await;
    app.execute("UPDATE users SET role = 'organiser' WHERE first_name = 'Boss'")
        .await;
    let id = app.add(&ana, Seed::PUBLIC).await;
    let spectator = Visitor::logged_in(&app, &luis).await;
    let organiser = Visitor::logged_in(&app, &boss).await;
    (app, ana, id, spectator, organiser)
}

async fn report(visitor: &mut Visitor, id: &str, reason: &str, text: &str) -> Page {
    let form = [("motivo", reason), ("texto", text)];
    visitor.post(&format!("/videos/{id}/reportar"), &form).await
}

#[tokio::test]
async fn two_taps_report_a_clip() {
    let (app, ana, id, mut spectator, mut organiser) = scene().await;
    let watch = spectator.get(&format!("/videos/{id}")).await.ok();
    assert!(watch.has("Reportar") && watch.has("value=\"personal_data\""));
    let sent = report(&mut spectator, &id, "personal_data", "Un\r\nteléfono").await;
    assert_eq!(sent.location(), format!("/reporte/{id}"));
    let thanks = spectator.get(sent.location()).await.ok();
    assert!(thanks.has("Gracias por avisar") && !thanks.has("name=\"motivo\""));
    assert_eq!(thanks.header("cache-control"), "no-store");
    // A second tap changes nothing.
    let again = report(&mut spectator, &id, "violence", "").await;
    assert_eq!(again.location(), format!("/reporte/{id}"));
    assert_eq!(app.number("SELECT count(*) FROM reports").await, 1);
    let listed = organiser.get(LIST).await.ok();
    assert!(listed.has("Un teléfono") && listed.has("Muestra datos personales"));

    let mut owner = Visitor::logged_in(&app, &ana).await;
    let own = report(&mut owner, &id, "violence", "").await;
    assert_eq!(own.status, 400);
    assert!(own.has("Este video es tuyo"));
    let long = report(&mut owner, &id, "violence", &"x".repeat(501)).await;
    assert_eq!(long.status, 400);
    assert!(long.has("máximo 500 caracteres") && long.has("xxx</textarea>"));
    let missing = app.add(&ana, Seed::PRIVATE).await;
    let missing = report(&mut spectator, &missing, "violence", "").await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn report_survives_the_log_in() {
    let (app, _, id, ..) = scene().await;
    let mut stranger = Visitor::of(&app);
    let tap = report(&mut stranger, &id, "hate", "").await;
    let detour = format!("/entrar?volver=%2Freporte%2F{id}%3Fmotivo%3Dhate");
    assert_eq!(tap.location(), detour);
    let log_in = stranger.get(&detour).await.ok();
    let back = format!("/reporte/{id}?motivo=hate");
    assert!(log_in.has(&format!("value=\"{back}\"")), "{}", log_in.html);
    let form = [
        ("first_name", "Mía"),
        ("last_name", "Ñáñez"),
        ("email", "mia@example.com"),
        ("city", "Cali"),
        ("country", "Colombia"),
        ("password", PASSWORD),
        ("volver", &back),
    ];
    let inside = stranger.post("/registro", &form).await;
    assert_eq!(inside.location(), back);
    let page = stranger.get(&back).await.ok();
    // No link reports. The chosen reason is the main button.
    assert!(page.has("<button class=\"button action\" name=\"motivo\" value=\"hate\">"));
    assert_eq!(app.number("SELECT count(*) FROM reports").await, 0);
    report(&mut stranger, &id, "hate", "").await;
    assert_eq!(app.number("SELECT count(*) FROM reports").await, 1);
}

#[tokio::test]
async fn other_sites_cannot_report() {
    let (app, _, id, mut spectator, _) = scene().await;
    let request = spectator
        .request(Method::POST, &format!("/videos/{id}/reportar"))
        .header("sec-fetch-site", "cross-site")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body("motivo=violence");
    assert_eq!(spectator.send(request).await.status, 403);
    assert_eq!(app.number("SELECT count(*) FROM reports").await, 0);
}

/// Sends a form as the module of the list does.
async fn send(visitor: &mut Visitor, app: &TestApp, path: &str, body: &'static str) -> Page {
    let session = format!("anb={}", visitor.cookie("anb").unwrap());
    let request = app
        .request(Method::POST, path)
        .header(header::ACCEPT, "application/json")
        .header(header::ORIGIN, &app.url)
        .header(header::COOKIE, session)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body);
    visitor.send(request).await
}

#[tokio::test]
async fn moderators_hide_and_dismiss_from_the_list() {
    let (app, ana, id, mut spectator, mut organiser) = scene().await;
    let other = app.add(&ana, Seed::PUBLIC).await;
    for video in [&id, &other] {
        report(&mut spectator, video, "violence", "").await;
        let refused = spectator
            .post(&format!("{LIST}/{video}/descartar"), &[])
            .await;
        assert_eq!(refused.status, 404);
    }
    assert_eq!(spectator.get(LIST).await.status, 404);
    let dashboard = organiser.get("/organizacion").await.ok();
    assert!(dashboard.has("data-open=\"2\""), "{}", dashboard.html);
    // The sentence for the reason of the report is the first choice.
    let list = organiser.get(LIST).await.ok();
    let sentence = "El clip muestra violencia o algo peligroso.";
    assert!(list.has(&format!(
        "<select id=\"m-{id}\" name=\"motivo\"><option>{sentence}"
    )));

    let hide = format!("{LIST}/{id}/ocultar");
    let hidden = organiser.post(&hide, &[("motivo", sentence)]).await;
    assert_eq!(hidden.location(), format!("{LIST}?hecho=oculto"));
    let page = organiser.get(hidden.location()).await.ok();
    assert!(page.has("Clip oculto.") && !page.has(&id) && page.has(&other));
    let late = organiser.post(&format!("{LIST}/{id}/descartar"), &[]).await;
    assert_eq!(late.location(), format!("{LIST}?hecho=tarde"));
    assert!(
        organiser
            .get(late.location())
            .await
            .ok()
            .has("ya revisó este clip")
    );

    // After another moderator has dismissed the reports, the list hides nothing.
    let dismiss = format!("{LIST}/{other}/descartar");
    let dismissed = organiser.post(&dismiss, &[]).await;
    assert_eq!(dismissed.location(), format!("{LIST}?hecho=igual"));
    let hide = format!("{LIST}/{other}/ocultar");
    let late = send(&mut organiser, &app, &hide, "motivo=Un+motivo").await;
    assert_eq!(late.status, 409);
    assert!(late.has("\"already_settled\""), "{}", late.html);
    assert_eq!(
        app.number("SELECT count(*) FROM videos WHERE is_public")
            .await,
        1
    );
    let empty = organiser.get(LIST).await.ok();
    assert!(empty.has("No hay clips por revisar.") && !empty.has("data-open"));
}

#[tokio::test]
async fn player_answers_and_moderator_shows_the_clip_again() {
    let (app, ana, id, mut spectator, mut organiser) = scene().await;
    report(&mut spectator, &id, "violence", "").await;
    let hide = format!("{LIST}/{id}/ocultar");
    let done = send(&mut organiser, &app, &hide, "motivo=Hay+una+pelea").await;
    assert_eq!(done.status, 204);

    let page = format!("/mis-videos/{id}");
    let mut owner = Visitor::logged_in(&app, &ana).await;
    let own = owner.get(&page).await.ok();
    assert!(own.has("Hay una pelea") && own.has("/responder\""));
    let answer = format!("{page}/responder");
    let empty = owner.post(&answer, &[("texto", " ")]).await;
    assert_eq!(empty.status, 400);
    let sent = owner.post(&answer, &[("texto", "Es un \r\nabrazo.")]).await;
    assert_eq!(sent.location(), page);
    let own = owner.get(&page).await.ok();
    assert!(own.has("Es un abrazo.") && !own.has("/responder\""));
    let again = owner.post(&answer, &[("texto", "De verdad.")]).await;
    assert_eq!(again.status, 400);
    assert!(again.has("Ya respondiste."));

    let list = organiser.get(LIST).await.ok();
    assert!(list.has("Es un abrazo.") && list.has("Dejar oculto"));
    let clip = organiser.get(&format!("/organizacion/videos/{id}")).await;
    assert!(clip.ok().has("Es un abrazo."));
    let shown = organiser.post(&format!("{LIST}/{id}/mostrar"), &[]).await;
    assert_eq!(shown.location(), format!("{LIST}?hecho=visible"));
    assert!(!organiser.get(LIST).await.ok().has(&id));
    assert_eq!(
        app.number("SELECT count(*) FROM videos WHERE is_public")
            .await,
        1
    );
}
