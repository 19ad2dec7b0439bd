//! What members do by form: registration with a vote, log-in, password, their own videos.

use reqwest::{Method, header, multipart};
use serde_json::Value;

use super::visitor::{Page, Visitor};
use crate::support::{PASSWORD, Response, Seed, TestApp, mp4};

const NEW: [(&str, &str); 6] = [
    ("first_name", "Mía"),
    ("last_name", "Ñáñez"),
    ("email", "mia@example.com"),
    ("city", "Cali"),
    ("country", "Colombia"),
    ("password", PASSWORD),
];

async fn votes(app: &TestApp) -> i64 {
    app.number("SELECT count(*) FROM votes").await
}

#[tokio::test]
async fn a_tap_leads_through_registration_to_a_vote() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PUBLIC).await;
    let mut visitor = Visitor::of(&app);
    let tap = visitor.post(&format!("/videos/{id}/votar"), &[]).await;
    let detour = format!("/entrar?volver=/videos/{id}&votar={id}");
    assert_eq!(tap.location(), detour);
    let log_in = visitor.get(&detour).await.ok();
    assert!(log_in.has("Mi mejor jugada") && log_in.has("Entra para que tu voto cuente"));
    let sign_up = format!("/registro?volver=%2Fvideos%2F{id}&votar={id}");
    assert!(log_in.links().contains(&sign_up), "{:?}", log_in.links());
    visitor.get(&sign_up).await.ok();
    // No GET votes.
    assert_eq!(votes(&app).await, 0);

    let back = format!("/videos/{id}");
    let form = [&NEW[..], &[("volver", &back), ("votar", &id)]].concat();
    let done = visitor.post("/registro", &form).await;
    assert_eq!(done.location(), format!("/voto/{id}"));
    assert_eq!(votes(&app).await, 1);
    let outcome = visitor.get(&format!("/voto/{id}")).await.ok();
    assert!(outcome.has("Tu voto cuenta"));
    assert_eq!(outcome.header("cache-control"), "no-store");

    let again = visitor.post(&format!("/videos/{id}/votar"), &[]).await;
    let page = visitor.get(again.location()).await.ok();
    assert!(page.has("Ya has votado por este video."));
    assert_eq!(votes(&app).await, 1);
    // No link claims a vote that was not cast.
    let other = app.add(&ana, Seed::PUBLIC).await;
    let claimed = visitor.get(&format!("/voto/{other}")).await;
    assert_eq!(claimed.location(), format!("/videos/{other}"));
}

#[tokio::test]
async fn own_clip_cannot_be_voted_for() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PUBLIC).await;
    let mut owner = Visitor::logged_in(&app, &ana).await;
    let tap = owner.post(&format!("/videos/{id}/votar"), &[]).await;
    let page = owner.get(tap.location()).await.ok();
    assert!(page.has("No puedes votar por tu propio video."));
    let own = owner.get(&format!("/sesion?videos={id},x")).await.ok();
    let own: Value = serde_json::from_str(&own.html).unwrap();
    assert_eq!(own["own"], serde_json::json!([id]));
    assert_eq!(Visitor::of(&app).get("/sesion").await.status, 401);
}

#[tokio::test]
async fn forms_keep_what_was_typed_but_passwords() {
    let app = TestApp::spawn().await;
    let mut visitor = Visitor::of(&app);
    let form = [
        ("first_name", ""),
        ("last_name", "\"Ñáñez\""),
        ("email", "mia"),
        ("city", "Cali"),
        ("country", "Colombia"),
        ("password", "secreto"),
    ];
    let page = visitor.post("/registro", &form).await;
    assert_eq!(page.status, 400);
    assert!(page.has("Es obligatorio.") && page.has("Debe tener al menos 8 caracteres."));
    assert!(page.has("value=\"&#34;Ñáñez&#34;\"") && page.has("value=\"mia\""));
    assert!(!page.has("secreto"));
    assert_eq!(app.number("SELECT count(*) FROM users").await, 0);

    assert_eq!(visitor.post("/registro", &NEW).await.location(), "/");
    let taken = Visitor::of(&app).post("/registro", &NEW).await;
    assert_eq!(taken.status, 400);
    assert!(taken.has("Ya está registrado."));
}

#[tokio::test]
async fn log_in_returns_to_this_site_only() {
    let app = TestApp::spawn().await;
    Visitor::of(&app).post("/registro", &NEW).await;
    let log_in = async |password: &str, more: &[(&str, &str)]| {
        let fields = [("email", "Mia@Example.com"), ("password", password)];
        let mut visitor = Visitor::of(&app);
        let page = visitor.post("/entrar", &[&fields[..], more].concat()).await;
        (page, visitor)
    };
    let (wrong, visitor) = log_in("equivocada", &[]).await;
    assert_eq!(wrong.status, 401);
    assert!(wrong.has("Correo electrónico o contraseña incorrectos."));
    assert!(wrong.has("value=\"Mia@Example.com\"") && !wrong.has("equivocada"));
    assert_eq!(visitor.cookie("anb"), None);

    let (page, _) = log_in(PASSWORD, &[("volver", "/mis-videos?pagina=1")]).await;
    assert_eq!(page.location(), "/mis-videos?pagina=1");
    for attack in ["//evil.test", "/\\evil.test", "https://evil.test", ""] {
        let (page, _) = log_in(PASSWORD, &[("volver", attack)]).await;
        assert_eq!(page.location(), "/", "{attack}");
    }
    // The session outlives the browser only on request.
    let lasting = |page: &Page| {
        let cookies = page.headers.get_all(header::SET_COOKIE);
        cookies
            .iter()
            .all(|value| value.to_str().unwrap().contains("Max-Age"))
    };
    assert!(!lasting(&log_in(PASSWORD, &[]).await.0));
    assert!(lasting(&log_in(PASSWORD, &[("keep", "1")]).await.0));
}

#[tokio::test]
async fn other_sites_can_neither_log_in_nor_register() {
    let app = TestApp::spawn().await;
    for (path, site) in [
        ("/entrar", "cross-site"),
        ("/registro", "same-site"),
        ("/idioma", "cross-site"),
    ] {
        let mut visitor = Visitor::of(&app);
        let request = visitor.request(Method::POST, path);
        let request = request
            .header("sec-fetch-site", site)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body("idioma=en");
        let page = visitor.send(request).await;
        assert_eq!(page.status, 403, "{path}");
        assert!(visitor.cookie("anb").is_none() && visitor.cookie("idioma").is_none());
    }
    assert_eq!(app.number("SELECT count(*) FROM users").await, 0);
}

#[tokio::test]
async fn module_logs_in_without_leaving_the_page() {
    let app = TestApp::spawn().await;
    Visitor::of(&app).post("/registro", &NEW).await;
    for (password, status) in [(PASSWORD, 204), ("equivocada", 401)] {
        let request = app
            .request(Method::POST, "/entrar")
            .header(header::ACCEPT, "application/json")
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(format!("email=mia@example.com&password={password}"));
        let response = Response::of(request).await;
        assert_eq!(response.status.as_u16(), status);
        assert_eq!(
            response.header("set-cookie").contains("anb="),
            status == 204
        );
    }
}

#[tokio::test]
async fn new_password_ends_the_other_sessions() {
    let app = TestApp::spawn().await;
    let mut here = Visitor::of(&app);
    here.post("/registro", &NEW).await;
    let fields = [("email", "mia@example.com"), ("password", PASSWORD)];
    let mut there = Visitor::of(&app);
    there.post("/entrar", &fields).await;
    there.get("/cuenta").await.ok();
    let wrong = here
        .post(
            "/cuenta/clave",
            &[("current", "x"), ("password", "tablero-2027")],
        )
        .await;
    assert_eq!(wrong.status, 401);
    let changed = here
        .post(
            "/cuenta/clave",
            &[("current", PASSWORD), ("password", "tablero-2027")],
        )
        .await;
    assert_eq!(changed.location(), "/cuenta");
    assert!(here.get("/cuenta").await.ok().has("mia@example.com"));
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(
        there.get("/cuenta").await.location(),
        "/entrar?volver=%2Fcuenta"
    );

    let out = here.post("/salir", &[]).await;
    assert_eq!(out.location(), "/");
    assert_eq!(out.header("clear-site-data"), "\"storage\"");
    assert_eq!(
        (here.cookie("anb"), here.cookie("anb_dentro")),
        (None, None)
    );
}

#[tokio::test]
async fn members_look_after_their_own_videos() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let eva = app.insert_user("Eva", "Cali").await;
    let id = app.add(&ana, Seed::PRIVATE).await;
    let page = format!("/mis-videos/{id}");
    let mut owner = Visitor::logged_in(&app, &ana).await;
    assert!(owner.get("/mis-videos").await.ok().has("Mi mejor jugada"));
    let published = owner.post(&format!("{page}/publicar"), &[]).await;
    assert_eq!(published.location(), page);
    // While it takes part in the vote, it cannot be deleted.
    let refused = owner.post(&format!("{page}/eliminar"), &[]).await;
    assert_eq!(refused.status, 400);
    assert!(refused.has("retíralo de la votación antes de eliminarlo"));
    assert!(refused.has("class=\"notice bad\""));
    let short = owner
        .post(&format!("{page}/titulo"), &[("title", "x")])
        .await;
    assert_eq!(short.status, 400);
    assert!(short.has("Debe tener al menos 5 caracteres."));
    owner
        .post(&format!("{page}/titulo"), &[("title", "Otro título")])
        .await;
    owner.post(&format!("{page}/retirar"), &[]).await;
    assert!(owner.get(&page).await.ok().has("Otro título"));

    let mut other = Visitor::logged_in(&app, &eva).await;
    assert_eq!(other.get(&page).await.status, 404);
    for action in ["publicar", "retirar", "eliminar"] {
        let refused = other.post(&format!("{page}/{action}"), &[]).await;
        assert!(refused.status.is_client_error(), "{action}");
    }
    assert!(
        owner
            .get(&format!("{page}/eliminar"))
            .await
            .ok()
            .has("Otro título")
    );
    assert_eq!(app.number("SELECT count(*) FROM videos").await, 1);
    let deleted = owner.post(&format!("{page}/eliminar"), &[]).await;
    assert_eq!(deleted.location(), "/mis-videos");
    assert_eq!(app.number("SELECT count(*) FROM videos").await, 0);
}

#[tokio::test]
async fn a_video_can_be_uploaded_by_form() {
    let rules = ["--min-input-duration", "20", "--min-input-height", "1080"];
    let app = TestApp::spawn_with(&rules, &[]).await;
    let ana = app.insert_user("Ana", "Cali").await;
    let mut visitor = Visitor::logged_in(&app, &ana).await;
    let page = visitor.get("/subir").await.ok();
    assert!(page.has("20 s") && page.has("1080"), "{}", page.html);
    assert_eq!(
        Visitor::of(&app).get("/subir").await.location(),
        "/entrar?volver=%2Fsubir"
    );
    let upload = async |visitor: &mut Visitor, bytes: Vec<u8>| {
        let form = multipart::Form::new()
            .text("title", "Mi mejor jugada")
            .text("is_public", "true")
            .part(
                "video_file",
                multipart::Part::bytes(bytes).file_name("a.mp4"),
            );
        let request = visitor.request(Method::POST, "/subir");
        let request = request
            .header("sec-fetch-site", "same-origin")
            .multipart(form);
        visitor.send(request).await
    };
    let refused = upload(&mut visitor, b"GIF89a, not a film".repeat(300)).await;
    assert_eq!(refused.status, 400);
    assert!(refused.has("El archivo no es un video MP4."));
    let accepted = upload(&mut visitor, mp4(5000)).await;
    assert!(accepted.location().starts_with("/mis-videos/"));
    let video = visitor.get(accepted.location()).await.ok();
    assert!(video.has("En fila") && video.has("http-equiv=\"refresh\""));
}
