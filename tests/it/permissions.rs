//! Every route, asked by nobody and by every role, according to the table of permissions.

use std::{collections::BTreeSet, time::Duration};

use anb::auth::{
    Permission::{self, ExportResults, GrantRoles, ModerateClips, ReadAudit, RunContest, SeeQueue},
    Role, Tokens, allows,
};
use futures_util::future::join_all;
use reqwest::{Client, Method, RequestBuilder, redirect::Policy};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    contract::sources::{endpoints, page_routes, with_parameters},
    pages::visitor::Visitor,
    support::{Player, Response, Seed, TestApp},
};

/// Maximum time until a new role takes effect.
const ROLE_TTL: Duration = Duration::from_secs(1);

/// The routes for members of staff, and the permission that each needs.
const STAFF: [(&str, &str, Permission); 49] = [
    (
        "POST",
        "/api/moderation/videos/{video_id}/hide",
        ModerateClips,
    ),
    (
        "POST",
        "/api/moderation/videos/{video_id}/show",
        ModerateClips,
    ),
    (
        "POST",
        "/api/moderation/videos/{video_id}/dismiss",
        ModerateClips,
    ),
    ("GET", "/api/moderation/reports", ModerateClips),
    ("GET", "/organizacion/reportes", ModerateClips),
    (
        "POST",
        "/organizacion/reportes/{video_id}/ocultar",
        ModerateClips,
    ),
    (
        "POST",
        "/organizacion/reportes/{video_id}/mostrar",
        ModerateClips,
    ),
    (
        "POST",
        "/organizacion/reportes/{video_id}/descartar",
        ModerateClips,
    ),
    ("GET", "/api/admin/audit", ReadAudit),
    ("PUT", "/api/admin/roles", GrantRoles),
    ("GET", "/api/contests", RunContest),
    ("HEAD", "/api/contests", RunContest),
    ("POST", "/api/contests", RunContest),
    ("GET", "/api/contests/{slug}", RunContest),
    ("HEAD", "/api/contests/{slug}", RunContest),
    ("PATCH", "/api/contests/{slug}", RunContest),
    ("DELETE", "/api/contests/{slug}", RunContest),
    ("POST", "/api/contests/{slug}/freeze", RunContest),
    ("POST", "/api/contests/{slug}/publish", RunContest),
    ("GET", "/api/contests/{slug}/results", ExportResults),
    ("GET", "/api/contests/{slug}/results.csv", ExportResults),
    ("GET", "/api/contests/{slug}/results.json", ExportResults),
    ("GET", "/organizacion/eventos", SeeQueue),
    ("GET", "/organizacion/estado", SeeQueue),
    ("POST", "/organizacion/reintentar", Permission::Redrive),
    ("GET", "/organizacion/piezas", RunContest),
    ("GET", "/organizacion/clasificacion.csv", ExportResults),
    ("GET", "/organizacion/concurso", RunContest),
    ("POST", "/organizacion/concurso", RunContest),
    ("POST", "/organizacion/concurso/cambiar", RunContest),
    ("GET", "/organizacion/concurso/congelar", RunContest),
    ("POST", "/organizacion/concurso/congelar", RunContest),
    ("GET", "/organizacion/concurso/publicar", RunContest),
    ("POST", "/organizacion/concurso/publicar", RunContest),
    ("GET", "/organizacion/concurso/eliminar", RunContest),
    ("POST", "/organizacion/concurso/eliminar", RunContest),
    ("GET", "/organizacion/concurso/resultado", ExportResults),
    ("GET", "/organizacion/concurso/acta", ExportResults),
    ("GET", "/organizacion/personas", GrantRoles),
    ("POST", "/organizacion/personas", GrantRoles),
    ("GET", "/organizacion/registro", ReadAudit),
    ("GET", "/organizacion/videos", ModerateClips),
    ("GET", "/organizacion/videos/{video_id}", ModerateClips),
    (
        "POST",
        "/organizacion/videos/{video_id}/ocultar",
        ModerateClips,
    ),
    (
        "POST",
        "/organizacion/videos/{video_id}/mostrar",
        ModerateClips,
    ),
    (
        "POST",
        "/organizacion/videos/{video_id}/reintentar",
        Permission::Redrive,
    ),
    // Others of staff are led to their first tab.
    ("GET", "/organizacion", SeeQueue),
    ("HEAD", "/organizacion", SeeQueue),
    ("HEAD", "/api/admin/audit", ReadAudit),
];

/// The routes that need no role.
const EVERYBODY: [&str; 60] = [
    "/",
    "/api/auth/login",
    "/api/auth/logout",
    "/api/auth/password",
    "/api/auth/profile",
    "/api/auth/signup",
    "/api/public/cities",
    "/api/public/contest",
    "/api/public/contest/{slug}/results",
    "/api/public/contest/{slug}/results.csv",
    "/api/public/contest/{slug}/results.json",
    "/api/public/rankings",
    "/api/public/videos",
    "/api/public/videos/{video_id}/vote",
    "/api/rules",
    "/api/uploads",
    "/api/uploads/{video_id}",
    "/api/user/votes",
    "/api/videos",
    "/api/videos/upload",
    "/api/videos/{video_id}",
    "/api/videos/{video_id}/answer",
    "/api/videos/{video_id}/publish",
    "/api/videos/{video_id}/report",
    "/ayuda",
    "/clasificacion",
    "/cuenta",
    "/cuenta/clave",
    "/entrar",
    "/errors/{code}",
    "/estatico/{build}/{file}",
    "/health",
    "/idioma",
    "/media/{key:.*}",
    "/mis-videos",
    "/mis-videos/estado",
    "/mis-videos/eventos",
    "/mis-videos/{video_id}",
    "/mis-videos/{video_id}/eliminar",
    "/mis-videos/{video_id}/publicar",
    "/mis-videos/{video_id}/responder",
    "/mis-videos/{video_id}/retirar",
    "/mis-videos/{video_id}/titulo",
    "/openapi.json",
    "/privacidad",
    "/ready",
    "/registro",
    "/reporte/{video_id}",
    "/resultados/{slug}",
    "/resultados/{slug}/acta",
    "/robots.txt",
    "/salir",
    "/sesion",
    "/subir",
    "/swagger/{file:.*}",
    "/videos/{video_id}",
    "/videos/{video_id}/portada.jpg",
    "/videos/{video_id}/reportar",
    "/videos/{video_id}/votar",
    "/voto/{video_id}",
];

/// Routes in neither table fail the test, also those that no longer exist.
#[test]
fn every_route_is_in_one_table() {
    let routes: BTreeSet<_> = endpoints().into_iter().chain(page_routes()).collect();
    let of_staff = STAFF.iter().filter(|(method, ..)| *method != "HEAD");
    let of_staff: BTreeSet<_> = of_staff
        .map(|(method, route, _)| ((*method).to_owned(), (*route).to_owned()))
        .collect();
    let others: BTreeSet<_> = routes
        .difference(&of_staff)
        .map(|(_, route)| route.as_str())
        .collect();
    assert!(
        of_staff.is_subset(&routes),
        "{:?}",
        of_staff.difference(&routes)
    );
    assert_eq!(others, EVERYBODY.into_iter().collect());
}

/// Who asks: nobody, or an account with a role.
struct Asker {
    role: Option<Role>,
    api_token: String,
    page_token: String,
}

async fn askers(app: &TestApp) -> Vec<Asker> {
    let mut askers = vec![Asker {
        role: None,
        api_token: String::new(),
        page_token: String::new(),
    }];
    let tokens = Tokens::new(&app.serve.auth, app.db.clone(), &app.shutdown);
    for role in Role::ALL {
        let player = app.insert_user(role.name(), "Cali").await;
        app.grant(&player.email, role).await;
        let user = app.user_id(&player).await;
        let page_token = tokens.issue_for_page(user, Duration::from_hours(1));
        askers.push(Asker {
            role: Some(role),
            api_token: player.token,
            page_token: page_token.unwrap(),
        });
    }
    askers
}

impl Asker {
    fn request(&self, app: &TestApp, method: &str, path: &str) -> RequestBuilder {
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = client.request(method, format!("{}{path}", app.url));
        if path.starts_with("/api/") {
            let request = request.header("content-type", "application/json").body("{");
            return match self.role {
                Some(_) => request.bearer_auth(&self.api_token),
                None => request,
            };
        }
        let request = request
            .header("accept", "text/html")
            .header("origin", &app.url)
            .header("content-type", "application/x-www-form-urlencoded");
        match self.role {
            Some(_) => request.header("cookie", format!("anb={}", self.page_token)),
            None => request,
        }
    }
}

#[tokio::test]
async fn staff_routes_answer_as_the_table_says() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let askers = askers(&app).await;
    let mut wrong = Vec::new();
    for (method, route, permission) in STAFF {
        for asker in &askers {
            let video = app.add(&ana, Seed::PUBLIC).await;
            app.execute(&format!(
                "INSERT INTO contests (slug, name, time_zone, submissions_open_at,
                     submissions_close_at, voting_open_at, voting_close_at, is_current)
                 VALUES ('{video}', 'Copa', 'America/Bogota', '2020-01-01', '2021-01-01',
                     '2020-01-01', '2021-01-01', false)"
            ))
            .await;
            let path = with_parameters(route, |_| video.clone());
            let answer = asker.request(&app, method, &path).send().await.unwrap();
            let status = answer.status().as_u16();
            let location = answer.headers().get("location");
            let location = location.map_or("", |value| value.to_str().unwrap());
            let is_right = match asker.role {
                None if route.starts_with("/api/") => status == 401,
                None => status == 303 && location.starts_with("/entrar?volver="),
                Some(role) if allows(role, permission) => {
                    !matches!(status, 401 | 403 | 404 | 405) && status < 500
                }
                // The entrance leads the rest of the staff to their first tab.
                Some(Role::Moderator) if route == "/organizacion" => {
                    status == 303 && location == "/organizacion/videos"
                }
                Some(_) => status == 404,
            };
            if !is_right {
                wrong.push(format!(
                    "{method} {route} {:?}: {status} {location}",
                    asker.role
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The table of decision 31.
#[test]
fn roles_may_do_what_the_decision_says() {
    let may = |role: Role| {
        let all = Permission::ALL.iter().copied();
        all.filter(|permission| role.may(*permission))
            .collect::<Vec<_>>()
    };
    assert_eq!(may(Role::Player), []);
    assert_eq!(may(Role::Moderator), [ModerateClips]);
    assert_eq!(may(Role::Organiser), Permission::ALL);
    assert_eq!(may(Role::Operator), [SeeQueue, Permission::Redrive]);
}

#[tokio::test]
async fn tabs_and_links_lead_nobody_to_a_page_that_does_not_exist() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    for state in ["processed", "processing", "failed"] {
        let video = app.add(&ana, Seed::PUBLIC.in_state(state)).await;
        let code = r#"failure = '{"code": "processing_failed"}'"#;
        if state == "failed" {
            app.set(anb::ids::VideoId::parse(&video).unwrap(), code)
                .await;
        }
    }
    for role in [Role::Moderator, Role::Organiser, Role::Operator] {
        let player = app.insert_user(role.name(), "Cali").await;
        app.grant(&player.email, role).await;
        let mut visitor = Visitor::logged_in(&app, &player).await;
        let account = visitor.get("/cuenta").await.ok();
        assert!(account.has("href=\"/organizacion\""), "{role:?}");
        let mut seen = BTreeSet::new();
        let mut open = vec!["/organizacion".to_owned()];
        while let Some(path) = open.pop() {
            let (path, _) = path.split_once('#').unwrap_or((&path, ""));
            if !path.starts_with("/organizacion") || !seen.insert(path.to_owned()) {
                continue;
            }
            let page = visitor.get(path).await;
            match page.status.as_u16() {
                303 => open.push(page.location().to_owned()),
                _ => open.extend(page.ok().links()),
            }
        }
        let tabs = ["", "/videos", "/reportes", "/personas", "/registro"]
            .map(|tab| format!("/organizacion{tab}"));
        let seen = tabs.map(|tab| seen.contains(&tab));
        let expected = match role {
            Role::Player => unreachable!(),
            Role::Moderator => [true, true, true, false, false],
            Role::Organiser => [true; 5],
            Role::Operator => [true, false, false, false, false],
        };
        assert_eq!(seen, expected, "{role:?}");
    }
    let mut player = Visitor::logged_in(&app, &ana).await;
    assert!(!player.get("/cuenta").await.ok().has("/organizacion"));
}

#[tokio::test]
async fn role_change_takes_effect_on_running_sessions_within_a_second() {
    let app = TestApp::spawn().await;
    let eva = app.insert_user("Eva", "Cali").await;
    let mut visitor = Visitor::logged_in(&app, &eva).await;
    let audit = async || app.call(&eva, Method::GET, "/api/admin/audit").await.status;
    assert_eq!(visitor.get("/organizacion/videos").await.status, 404);
    assert_eq!(audit().await, 404);
    for (role, moderates, reads) in [
        (Role::Moderator, 200, 404),
        (Role::Organiser, 200, 200),
        (Role::Operator, 404, 404),
        (Role::Player, 404, 404),
    ] {
        app.grant(&eva.email, role).await;
        sleep(ROLE_TTL).await;
        let page = visitor.get("/organizacion/videos").await;
        assert_eq!(page.status, moderates, "{role:?}");
        assert_eq!(audit().await, reads, "{role:?}");
    }
}

/// Roles of later versions.
#[tokio::test]
async fn unknown_role_permits_nothing_and_breaks_nothing() {
    let app = TestApp::spawn().await;
    let eva = app.insert_user("Eva", "Cali").await;
    app.execute("ALTER TABLE users DROP CONSTRAINT users_role_check")
        .await;
    app.execute("UPDATE users SET role = 'juror'").await;
    app.call(&eva, Method::GET, "/api/auth/profile").await.ok();
    let audit = app.call(&eva, Method::GET, "/api/admin/audit").await;
    assert_eq!(audit.refusal(), (404, "not_found"));
    let nora = app.insert_user("Nora", "Cali").await;
    app.grant(&nora.email, Role::Organiser).await;
    let mut visitor = Visitor::logged_in(&app, &nora).await;
    assert!(
        visitor
            .get("/organizacion/personas")
            .await
            .ok()
            .has("juror")
    );
}

async fn grant(app: &TestApp, by: &Player, email: &str, role: &str) -> Response {
    let request = app.as_player(by, Method::PUT, "/api/admin/roles");
    Response::of(request.json(&json!({"email": email, "role": role}))).await
}

const ORGANISERS: &str = "SELECT count(*) FROM users WHERE role = 'organiser'";

#[tokio::test]
async fn last_organiser_keeps_the_role() {
    let app = TestApp::spawn().await;
    let nora = app.insert_user("Nora", "Cali").await;
    app.grant(&nora.email, Role::Organiser).await;
    let refused = grant(&app, &nora, &nora.email, "player").await;
    assert_eq!(refused.refusal(), (409, "last_organiser"));
    // Granting the same role again changes nothing.
    grant(&app, &nora, &nora.email, "organiser").await.ok();
    assert_eq!(app.number("SELECT count(*) FROM audit").await, 1);

    let mut visitor = Visitor::logged_in(&app, &nora).await;
    let fields = [("email", nora.email.as_str()), ("role", "operator")];
    let page = visitor.post("/organizacion/personas", &fields).await;
    assert_eq!(page.status, 409);
    assert!(page.has("única persona que organiza") && page.has("value=\"nora@example.com\""));

    // An operator may, since an operator can also name the next one.
    app.grant(&nora.email, Role::Player).await;
    assert_eq!(app.number(ORGANISERS).await, 0);
}

#[tokio::test]
async fn of_organisers_who_remove_each_other_one_stays() {
    let app = TestApp::spawn().await;
    let mut all = Vec::new();
    for number in 0..4 {
        all.push(app.insert_user(&format!("Nora{number}"), "Cali").await);
    }
    for _ in 0..6 {
        for organiser in &all {
            app.grant(&organiser.email, Role::Organiser).await;
        }
        sleep(ROLE_TTL).await;
        let removals = (0..all.len()).map(|number| {
            let next = &all[(number + 1) % all.len()];
            grant(&app, &all[number], &next.email, "player")
        });
        let statuses: Vec<_> = join_all(removals)
            .await
            .into_iter()
            .map(|answer| answer.status.as_u16())
            .collect();
        assert!(
            statuses
                .iter()
                .all(|status| matches!(status, 200 | 404 | 409)),
            "{statuses:?}"
        );
        let left = app.number(ORGANISERS).await;
        let removed = statuses.iter().filter(|status| **status == 200).count();
        assert!(left >= 1, "{statuses:?}");
        assert_eq!(usize::try_from(left).unwrap() + removed, all.len());
    }
}

#[tokio::test]
async fn page_of_people_grants_roles() {
    let app = TestApp::spawn().await;
    let nora = app.insert_user("Nora", "Cali").await;
    app.grant(&nora.email, Role::Organiser).await;
    app.insert_user("Luis", "Cali").await;
    let mut visitor = Visitor::logged_in(&app, &nora).await;
    assert!(
        !visitor
            .get("/organizacion/personas")
            .await
            .ok()
            .has("luis@example.com")
    );
    let fields = [("email", "Luis@example.com"), ("role", "moderator")];
    let granted = visitor.post("/organizacion/personas", &fields).await;
    let page = visitor.get(granted.location()).await.ok();
    assert!(page.has("luis@example.com") && page.has("Listo"));

    for (email, role, status) in [
        ("nadie@example.com", "moderator", 400),
        ("", "moderator", 400),
        ("luis@example.com", "king", 400),
    ] {
        let fields = [("email", email), ("role", role)];
        let refused = visitor.post("/organizacion/personas", &fields).await;
        assert_eq!(refused.status, status, "{email} {role}");
    }
    assert_eq!(
        app.number("SELECT count(*) FROM users WHERE role = 'moderator'")
            .await,
        1
    );
}
