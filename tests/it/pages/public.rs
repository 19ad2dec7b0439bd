//! Public pages: the same for every visitor, cached, in two languages, with share cards.

use std::time::Duration;

use tokio::time::sleep;

use super::visitor::{Page, Visitor};
use crate::support::{Seed, TestApp, eventually};

const SITE: &str = "https://anb.example";

/// The header fields that every page has, with the value or a part of it.
const PROTECTION: [(&str, &str); 6] = [
    ("content-security-policy", "default-src 'none'"),
    (
        "content-security-policy",
        "require-trusted-types-for 'script'",
    ),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "camera=()"),
    ("x-content-type-options", "nosniff"),
];

#[tokio::test]
async fn public_pages_do_not_know_the_visitor() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PUBLIC).await;
    for path in [
        "/".to_owned(),
        "/?ciudad=cali".to_owned(),
        "/?q=jugada".to_owned(),
        "/clasificacion".to_owned(),
        format!("/videos/{id}"),
        "/ayuda".to_owned(),
        "/privacidad".to_owned(),
    ] {
        let stranger = Visitor::of(&app).get(&path).await.ok();
        let owner = Visitor::logged_in(&app, &ana).await.get(&path).await.ok();
        assert_eq!(stranger.html, owner.html, "{path}");
        for page in [&stranger, &owner] {
            assert_eq!(page.header("set-cookie"), "", "{path}");
            assert!(page.header("cache-control").starts_with("public"), "{path}");
            let vary = page.header("vary");
            for name in ["accept-encoding", "accept-language", "cookie"] {
                assert!(vary.contains(name), "{path}: {vary}");
            }
        }
        let mut again = Visitor::of(&app);
        let request = again.request(reqwest::Method::GET, &path);
        let request = request.header("if-none-match", stranger.header("etag"));
        assert_eq!(again.send(request).await.status, 304, "{path}");
    }
}

#[tokio::test]
async fn every_page_is_protected() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let mut visitor = Visitor::logged_in(&app, &ana).await;
    for path in [
        "/",
        "/clasificacion",
        "/entrar",
        "/registro",
        "/cuenta",
        "/mis-videos",
        "/subir",
        "/ayuda",
        "/nada",
        "/organizacion",
        "/videos/x",
    ] {
        let page = visitor.get(path).await;
        for (name, part) in PROTECTION {
            assert!(page.header(name).contains(part), "{path}: {name}");
        }
        let policy = page.header("content-security-policy");
        for hole in ["unsafe", "data:", "sha256", "nonce", "*"] {
            assert!(!policy.contains(hole), "{path}: {policy}");
        }
        assert!(page.has("<html lang=\"es-CO\">"), "{path}");
        for inline in [" style=\"", "<style", "onclick=", "<script>"] {
            assert!(!page.has(inline), "{path} has {inline}");
        }
    }
}

#[tokio::test]
async fn language_is_chosen_by_cookie_then_browser() {
    let app = TestApp::spawn().await;
    let mut visitor = Visitor::of(&app);
    assert!(visitor.get("/").await.ok().has("lang=\"es-CO\""));
    let chosen = visitor
        .post(
            "/idioma",
            &[("idioma", "en"), ("volver", "/clasificacion?por=video")],
        )
        .await;
    assert_eq!(chosen.location(), "/clasificacion?por=video");
    let english = visitor.get("/").await.ok();
    assert!(english.has("<html lang=\"en\">"));
    assert_eq!(english.header("content-language"), "en");
    let back = visitor
        .post("/idioma", &[("idioma", "es-CO"), ("volver", "//evil.test")])
        .await;
    assert_eq!(back.location(), "/");
    assert!(visitor.get("/").await.ok().has("lang=\"es-CO\""));
    let wrong = visitor.post("/idioma", &[("idioma", "fr")]).await;
    assert_eq!(wrong.status, 400);
}

#[tokio::test]
async fn share_card_has_absolute_addresses() {
    let app = TestApp::spawn_with(&["--public-url", SITE], &[]).await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app.add(&ana, Seed::PUBLIC).await;
    app.add_files(&id);
    let page = Visitor::of(&app).get(&format!("/videos/{id}")).await.ok();
    for tag in [
        "og:title\" content=\"Mi mejor jugada · Ana Prueba, Cali\"".to_owned(),
        format!("og:url\" content=\"{SITE}/videos/{id}\""),
        format!("og:image\" content=\"{SITE}/videos/{id}/portada.jpg\""),
        "og:type\" content=\"video.other\"".to_owned(),
        format!("rel=\"canonical\" href=\"{SITE}/videos/{id}\""),
        format!("videos%2F{}", id.replace('-', "%2D")),
    ] {
        assert!(page.has(&tag), "{tag}");
    }
    assert!(page.header("strict-transport-security").contains("max-age"));
    let poster = format!("/videos/{id}/portada.jpg");
    let shown = Visitor::of(&app).get(&poster).await.ok();
    assert_eq!(shown.header("content-type"), "image/jpeg");

    // Without a public address, no address can be absolute.
    let plain = TestApp::spawn().await;
    let eva = plain.insert_user("Eva", "Cali").await;
    let id = plain.add(&eva, Seed::PUBLIC).await;
    let page = Visitor::of(&plain).get(&format!("/videos/{id}")).await.ok();
    assert!(!page.has("og:image") && !page.has("canonical"));
}

#[tokio::test]
async fn clips_that_are_not_public_are_missing() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    app.add(&ana, Seed::PUBLIC).await;
    for seed in [
        Seed::PRIVATE,
        Seed::HIDDEN,
        Seed::PUBLIC.in_state("uploaded"),
    ] {
        let id = app.add(&ana, seed).await;
        let mut owner = Visitor::logged_in(&app, &ana).await;
        let page = owner.get(&format!("/videos/{id}")).await;
        assert_eq!(page.status, 404);
        // Other clips to watch.
        assert!(page.has("class=\"card\""), "{}", page.html);
        assert_eq!(
            owner.get(&format!("/videos/{id}/portada.jpg")).await.status,
            404
        );
    }
}

#[tokio::test]
async fn hidden_clip_leaves_the_pages_and_returns() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    let id = app
        .add(
            &ana,
            Seed {
                votes: 3,
                ..Seed::PUBLIC
            },
        )
        .await;
    let boss = app.insert_user("Boss", "Cali").await;
    app.execute("UPDATE users SET role = 'organiser' WHERE first_name = 'Boss'")
        .await;
    let mut organiser = Visitor::logged_in(&app, &boss).await;
    let is_shown = async || {
        let mut shown = Vec::new();
        for path in ["/", "/clasificacion", &format!("/videos/{id}")] {
            let page = Visitor::of(&app).get(path).await;
            shown.push(page.has("Mi mejor jugada"));
        }
        shown
    };
    assert_eq!(is_shown().await, [true; 3]);
    let page = format!("/organizacion/videos/{id}");
    let hidden = organiser
        .post(
            &format!("{page}/ocultar"),
            &[("motivo", "Música con derechos")],
        )
        .await;
    assert_eq!(hidden.location(), page);
    eventually("it is gone", 60, async || is_shown().await == [false; 3]).await;
    let own = Visitor::logged_in(&app, &ana).await;
    let mut own = own;
    let mine = own.get(&format!("/mis-videos/{id}")).await.ok();
    assert!(mine.has("Música con derechos"));
    let again = organiser
        .post(&format!("{page}/ocultar"), &[("motivo", "Otro motivo")])
        .await;
    assert_eq!(again.location(), format!("{page}?antes=1"));
    let shown = organiser.post(&format!("{page}/mostrar"), &[]).await;
    assert_eq!(shown.location(), page);
    eventually("it is back", 60, async || is_shown().await == [true; 3]).await;
    assert_eq!(app.number("SELECT count(*) FROM moderations").await, 2);
}

/// The 50th and the 51st clip have as many votes, and are on different pages.
#[tokio::test]
async fn ranking_marks_ties_across_pages() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    for votes in (1..=52).filter(|votes| *votes != 2).chain([3]) {
        let seed = Seed {
            votes,
            ..Seed::PUBLIC
        };
        app.add(&ana, seed).await;
    }
    let mut visitor = Visitor::of(&app);
    let first = visitor.get("/clasificacion?por=video").await.ok();
    let links = first.links();
    let next = links.iter().find(|link| link.contains("pagina=2"));
    let second = visitor.get(next.unwrap()).await.ok();
    let ties = |page: &Page| page.html.matches("class=\"tie\"").count();
    assert_eq!((ties(&first), ties(&second)), (1, 1));
    assert!(second.has("<td class=\"number wide-only\">=</td>"));
}

#[tokio::test]
async fn assets_are_kept_only_under_their_own_build() {
    let app = TestApp::spawn().await;
    let mut visitor = Visitor::of(&app);
    let front = visitor.get("/").await.ok();
    let (_, rest) = front.html.split_once("/estatico/").unwrap();
    let (build, _) = rest.split_once('/').unwrap();
    for file in ["anb.css", "page.js", "marcador.woff2", "favicon.svg"] {
        let asset = visitor.get(&format!("/estatico/{build}/{file}")).await.ok();
        let caching = asset.header("cache-control");
        assert_eq!(caching, "public, max-age=31536000, immutable", "{file}");
        let other = visitor
            .get(&format!("/estatico/0123456789abcdef/{file}"))
            .await;
        assert_eq!(other.ok().header("cache-control"), "no-store", "{file}");
    }
    for path in ["/estatico/x/nada.css", "/estatico/x/..%2fanb.css"] {
        assert_eq!(visitor.get(path).await.status, 404, "{path}");
    }
    for (accepted, encoding) in [("br, gzip", "br"), ("gzip", "gzip"), ("identity", "")] {
        let path = format!("/estatico/{build}/anb.css");
        let request = visitor.request(reqwest::Method::GET, &path);
        let response = request
            .header("accept-encoding", accepted)
            .send()
            .await
            .unwrap();
        let found = response.headers().get("content-encoding");
        assert_eq!(found.map_or("", |value| value.to_str().unwrap()), encoding);
    }
}

#[tokio::test]
async fn wrong_addresses_and_parameters_have_pages() {
    let app = TestApp::spawn().await;
    let mut visitor = Visitor::of(&app);
    for (path, status) in [
        ("/nada", 404),
        ("/videos/x", 404),
        ("/?pagina=0", 400),
        ("/?pagina=x", 400),
        ("/?despues=x", 400),
        ("/clasificacion?por=nada", 400),
        ("/?ciudad=%FF", 400),
        ("/salir", 405),
    ] {
        let page = visitor.get(path).await;
        assert_eq!(page.status.as_u16(), status, "{path}");
        assert!(page.has("<h1"), "{path}");
        assert!(
            page.header("content-type").starts_with("text/html"),
            "{path}"
        );
    }
    // Programs get JSON.
    let response = app.get("/nada").await;
    assert_eq!(response.refusal(), (404, "not_found"));
    for path in ["/api/nada", "/media/nada"] {
        let page = visitor.get(path).await;
        assert!(page.html.starts_with('{'), "{path}");
    }
}

#[tokio::test]
async fn pages_survive_the_database() {
    let app = TestApp::spawn().await;
    let ana = app.insert_user("Ana", "Cali").await;
    app.add(&ana, Seed::PUBLIC).await;
    Visitor::of(&app).get("/").await.ok();
    app.execute("ALTER TABLE videos RENAME TO away").await;
    // For as long as the page is current enough.
    Visitor::of(&app).get("/").await.ok();
    sleep(Duration::from_millis(2100)).await;
    let broken = Visitor::of(&app).get("/").await;
    assert_eq!(broken.status, 500);
    assert!(broken.has(broken.header("x-request-id")));
    app.execute("ALTER TABLE away RENAME TO videos").await;
    Visitor::of(&app).get("/").await.ok();
}
