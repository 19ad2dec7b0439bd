//! The contest on the pages: what each phase says, the result, and what organisers do, all without
//! JavaScript.

use std::time::Duration;

use anb::{
    audit::By,
    contests::{self, Plan},
};

use super::visitor::Visitor;
use crate::support::{Player, Seed, TestApp};

const PAGE: &str = "/organizacion/concurso";
const CLOSE: &str = "UPDATE contests
    SET (submissions_close_at, voting_close_at) = (clock_timestamp(), clock_timestamp())";

fn operator() -> By {
    By::command("test")
}

/// A player with a public clip, and a contest that it takes part in.
struct Scene {
    app: TestApp,
    ana: Player,
    video: String,
}

impl Scene {
    async fn open() -> Self {
        let app = TestApp::spawn().await;
        let ana = app.insert_user("Ana", "Cali").await;
        let video = app.add(&ana, Seed::PUBLIC).await;
        Self { app, ana, video }
    }

    /// Creates a contest with these dates: uploads open and close, voting opens and closes.
    async fn create(&self, dates: [&str; 4]) {
        let [
            submissions_open,
            submissions_close,
            voting_open,
            voting_close,
        ] = dates.map(|date| Some(date.parse().unwrap()));
        let plan = Plan {
            name: Some("Copa del barrio".to_owned()),
            submissions_open_at: submissions_open,
            submissions_close_at: submissions_close,
            voting_open_at: voting_open,
            voting_close_at: voting_close,
            ..Plan::default()
        };
        contests::create(&self.app.db, &operator(), "copa", &plan)
            .await
            .unwrap();
    }

    async fn create_running(&self) {
        self.create(["2020-01-01", "2998-01-01", "2020-01-01", "2999-01-01"])
            .await;
    }

    async fn organiser(&self) -> Visitor {
        let boss = self.app.insert_user("Boss", "Cali").await;
        self.app
            .execute("UPDATE users SET role = 'organiser' WHERE first_name = 'Boss'")
            .await;
        Visitor::logged_in(&self.app, &boss).await
    }

    async fn publish(&self) {
        self.app.execute(CLOSE).await;
        contests::freeze(&self.app.db, &operator(), "copa", false)
            .await
            .unwrap();
        contests::publish(&self.app.db, &operator(), "copa")
            .await
            .unwrap();
    }

    async fn fan(&self) -> Visitor {
        let fan = self.app.insert_user("Fan", "Cali").await;
        Visitor::logged_in(&self.app, &fan).await
    }
}

/// Returns a page as plain text would have it.
async fn text_of(visitor: &mut Visitor, path: &str) -> String {
    visitor.get(path).await.ok().html.replace('\u{a0}', " ")
}

#[tokio::test]
async fn pages_say_nothing_of_a_contest_without_one() {
    let scene = Scene::open().await;
    let mut anybody = Visitor::of(&scene.app);
    for path in [
        "/",
        "/clasificacion",
        "/ayuda",
        &format!("/videos/{}", scene.video),
    ] {
        let page = anybody.get(path).await.ok();
        for word in [
            "data-contest",
            "class=\"contest",
            "aria-disabled",
            "resultados",
        ] {
            assert!(!page.has(word), "{path}: {word}");
        }
    }
}

#[tokio::test]
async fn public_pages_say_where_the_contest_stands() {
    for (dates, sentence, label) in [
        (
            ["2990-12-03 08:00", "2991-01-01", "2992-01-01", "2993-01-01"],
            "recibe videos desde el 3 de diciembre de 2990, 8:00 a. m. (hora de Colombia)",
            Some("Aún no"),
        ),
        (
            ["2020-01-01", "2991-01-01", "2992-12-03 20:30", "2993-01-01"],
            "La votación abre el 3 de diciembre de 2992, 8:30 p. m. (hora de Colombia)",
            Some("Aún no"),
        ),
        (
            ["2020-01-01", "2020-01-02", "2992-12-03 20:30", "2993-01-01"],
            "La votación abre el 3 de diciembre de 2992, 8:30 p. m. (hora de Colombia)",
            Some("Aún no"),
        ),
        (
            ["2020-01-01", "2991-01-01", "2020-01-01", "2993-01-01 12:00"],
            "La votación cierra el 1 de enero de 2993, 12:00 p. m. (hora de Colombia)",
            None,
        ),
    ] {
        let scene = Scene::open().await;
        let early = "UPDATE videos SET uploaded_at = '2020-01-01 12:00'";
        scene.app.execute(early).await;
        scene.create(dates).await;
        let mut anybody = Visitor::of(&scene.app);
        for path in ["/", "/clasificacion", &format!("/videos/{}", scene.video)] {
            let page = text_of(&mut anybody, path).await;
            assert!(page.contains(sentence), "{path}: {sentence}\n{page}");
            assert!(page.contains("Copa del barrio") && page.contains("data-countdown=\""));
            // A clip from before the submissions takes no part.
            let has_star = path != "/clasificacion" && dates[0] == "2020-01-01";
            let closed = page.contains("data-state=\"closed\" aria-disabled=\"true\"");
            assert_eq!(closed, has_star && label.is_some(), "{path}: {sentence}");
            if let Some(label) = label.filter(|_| has_star) {
                assert!(page.contains(&format!("data-label>{label}<")), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn closed_contest_says_when_voting_ended_and_leads_to_its_result() {
    let scene = Scene::open().await;
    scene.create_running().await;
    scene.app.execute(CLOSE).await;
    let mut anybody = Visitor::of(&scene.app);
    let watch = format!("/videos/{}", scene.video);
    let page = text_of(&mut anybody, &watch).await;
    assert!(page.contains("Pronto publicaremos el resultado."), "{page}");
    assert!(page.contains("id=\"vote-closed\">La votación cerró el "));
    assert!(!page.contains("data-countdown"), "a countdown to nothing");
    contests::freeze(&scene.app.db, &operator(), "copa", false)
        .await
        .unwrap();
    contests::publish(&scene.app.db, &operator(), "copa")
        .await
        .unwrap();
    // What pages show of a contest is a second old at most.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let ranking = text_of(&mut anybody, "/clasificacion?por=video").await;
    assert!(
        ranking.contains("class=\"button action\" href=\"/resultados/copa\""),
        "{ranking}"
    );
}

#[tokio::test]
async fn refused_vote_is_explained_without_javascript() {
    let scene = Scene::open().await;
    scene
        .create(["2020-01-01", "2991-01-01", "2992-12-03 20:30", "2993-01-01"])
        .await;
    let mut fan = scene.fan().await;
    let vote = format!("/videos/{}/votar", scene.video);
    let sent = fan.post(&vote, &[]).await;
    let outcome = format!("/voto/{}?motivo=voting_closed", scene.video);
    assert_eq!(sent.location(), outcome);
    let page = text_of(&mut fan, &outcome).await;
    assert!(page.contains("Tu voto no cuenta"));
    assert!(
        page.contains("La votación abre el 3 de diciembre de 2992, 8:30 p. m. (hora de Colombia).")
    );

    // Once voting is open, the same link claims nothing.
    scene
        .app
        .execute("UPDATE contests SET voting_open_at = '2020-01-01'")
        .await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let stale = fan.get(&outcome).await;
    assert_eq!(stale.location(), format!("/videos/{}", scene.video));

    // A new account.
    scene
        .app
        .execute("UPDATE contests SET min_account_age_seconds = 86400")
        .await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let sent = fan.post(&vote, &[]).await;
    let location = sent.location().to_owned();
    assert!(
        location.contains("?motivo=account_too_new&desde="),
        "{location}"
    );
    let page = text_of(&mut fan, &location).await;
    assert!(page.contains(
        "Tu cuenta es demasiado nueva para votar en este concurso. Podrás votar desde el "
    ));

    // A clip that does not take part.
    scene
        .app
        .execute("UPDATE contests SET min_account_age_seconds = NULL")
        .await;
    scene
        .app
        .execute("UPDATE videos SET contest_id = NULL")
        .await;
    let sent = fan.post(&vote, &[]).await;
    assert_eq!(
        sent.location(),
        format!("/voto/{}?motivo=not_in_contest", scene.video)
    );
    let page = text_of(&mut fan, sent.location()).await;
    assert!(page.contains("Este video no participa en el concurso actual."));
    for path in ["/".to_owned(), format!("/videos/{}", scene.video)] {
        let page = text_of(&mut fan, &path).await;
        assert!(page.contains("No participa en este concurso"), "{path}");
        assert!(!page.contains("data-vote"), "{path}");
    }
    assert_eq!(scene.app.number("SELECT count(*) FROM votes").await, 0);
}

#[tokio::test]
async fn upload_page_has_dates_in_place_of_the_form_while_no_videos_are_taken() {
    let scene = Scene::open().await;
    scene
        .create(["2990-12-03 08:00", "2991-01-01", "2992-01-01", "2993-01-01"])
        .await;
    let mut ana = Visitor::logged_in(&scene.app, &scene.ana).await;
    let page = text_of(&mut ana, "/subir").await;
    assert!(page.contains("Podrás subir tu video desde el 3 de diciembre de 2990, 8:00 a. m."));
    assert!(!page.contains("data-upload"), "{page}");
    // What has begun may be finished.
    scene
        .app
        .execute("UPDATE contests SET submissions_open_at = '2020-01-01'")
        .await;
    scene.app.create_upload(&scene.ana, 1_000_000).await;
    scene
        .app
        .execute("UPDATE contests SET submissions_close_at = '2020-01-02'")
        .await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let page = text_of(&mut ana, "/subir").await;
    assert!(page.contains("data-upload"), "{page}");
}

#[tokio::test]
async fn help_has_dates_and_rules_of_the_contest() {
    let scene = Scene::open().await;
    scene.create_running().await;
    scene
        .app
        .execute("UPDATE contests SET votes_per_day = 5, min_account_age_seconds = 86400")
        .await;
    let page = text_of(&mut Visitor::of(&scene.app), "/ayuda").await;
    for words in [
        "El concurso: Copa del barrio",
        "hasta el 1 de enero de 2999, 12:00 a. m. (hora de Colombia).",
        "Cada persona tiene 5 votos por día.",
        "Para votar, tu cuenta debe existir desde hace 1 día.",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[tokio::test]
async fn result_is_public_once_it_is_published() {
    let scene = Scene::open().await;
    let luz = scene.app.insert_user("Luz", "Cali").await;
    scene.app.add(&luz, Seed::PUBLIC).await;
    let eva = scene.app.insert_user("Eva", "Bogotá D.C.").await;
    scene.app.add(&eva, Seed::PUBLIC).await;
    scene.create_running().await;
    let mut anybody = Visitor::of(&scene.app);
    scene.app.execute(CLOSE).await;
    contests::freeze(&scene.app.db, &operator(), "copa", false)
        .await
        .unwrap();
    for path in [
        "/resultados/copa",
        "/resultados/copa/acta",
        "/resultados/otra",
    ] {
        assert_eq!(anybody.get(path).await.status, 404, "{path}");
    }
    contests::publish(&scene.app.db, &operator(), "copa")
        .await
        .unwrap();
    let page = anybody.get("/resultados/copa").await.ok();
    assert!(page.has("Ana Prueba") && page.has("Eva Prueba") && page.has("Bogotá"));
    assert!(page.has("3 jugadores"), "{}", page.html);

    // The digest is that of the file, of the country and of the city.
    for (query, city, players) in [("", "", 3), ("?ciudad=cali", "?city=cali", 2)] {
        let page = anybody.get(&format!("/resultados/copa{query}")).await.ok();
        let file = format!("/api/public/contest/copa/results.json{city}");
        assert!(page.has(&format!("href=\"{file}\"")), "{}", page.html);
        let json = anybody.get(&file).await.ok();
        let digest = ring::digest::digest(&ring::digest::SHA256, json.html.as_bytes());
        assert!(page.has(&hex::encode(digest)), "{query}: {}", page.html);
        let record = anybody
            .get(&format!("/resultados/copa/acta{query}"))
            .await
            .ok();
        assert!(record.has(&hex::encode(digest)), "{query}");
        assert!(record.has("Acta de resultados") && record.has("Nombre, cargo y firma"));
        assert_eq!(
            record.html.matches("<th scope=\"row\">").count(),
            players,
            "{query}"
        );
    }
    let cali = anybody.get("/resultados/copa?ciudad=CALI").await.ok();
    assert!(cali.has("Empate: va primero quien subió antes su video."));
    assert!(!cali.has("Eva Prueba"));
}

#[tokio::test]
async fn organiser_runs_a_contest_with_forms_alone() {
    let scene = Scene::open().await;
    let mut boss = scene.organiser().await;
    let page = boss.get(PAGE).await.ok();
    assert!(page.has("No hay concurso") && page.has("Crear concurso"));

    // What is wrong is named, and what was typed stays.
    let mut form = vec![
        ("name", "Copa del barrio"),
        ("slug", "copa"),
        ("time_zone", "America/Bogota"),
        ("submissions_open_at", "2020-01-01T08:00"),
        ("voting_open_at", "2020-01-02T08:00"),
        ("voting_close_at", "2020-01-01T08:00"),
        ("votes_per_day", "5"),
        ("min_account_age_seconds", "24"),
    ];
    let wrong = boss.post(PAGE, &form).await;
    assert_eq!(wrong.status, 400);
    assert!(
        wrong.has("Debe ser posterior a «La votación abre».")
            || wrong.has("posterior a &#171;La votación abre"),
        "{}",
        wrong.html
    );
    assert!(wrong.has("value=\"Copa del barrio\""));
    form[5] = ("voting_close_at", "2999-01-01T08:00");
    let created = boss.post(PAGE, &form).await;
    assert_eq!(
        created.location(),
        "/organizacion/concurso?hecho=creado&videos=1"
    );
    let page = boss.get(created.location()).await.ok();
    assert!(page.has("Entraron 1 video.") && page.has("En votación"));
    assert!(page.has("value=\"2999-01-01T08:00\"") && page.has("Guardar cambios"));
    let rules = "SELECT count(*) FROM contests
        WHERE votes_per_day = 5 AND min_account_age_seconds = 86400";
    assert_eq!(scene.app.number(rules).await, 1);

    // An unchanged form changes nothing, and needs no second look.
    let change = format!("{PAGE}/cambiar");
    form.push(("submissions_close_at", "2999-01-01T08:00"));
    let saved = boss.post(&change, &form).await;
    assert_eq!(
        saved.location(),
        "/organizacion/concurso?hecho=guardado&videos=0"
    );

    // A rule that changes while people vote is asked about.
    form[6] = ("votes_per_day", "");
    let asked = boss.post(&change, &form).await;
    assert_eq!(asked.status, 409);
    assert!(asked.has("Hacer el cambio de todos modos") && asked.has("name=\"force\" value=\"1\""));
    assert!(asked.has("Votos por persona y día"));
    form.push(("force", "1"));
    assert_eq!(boss.post(&change, &form).await.status, 303);
    assert_eq!(scene.app.number(rules).await, 0);

    // Too early.
    let freeze = format!("{PAGE}/congelar");
    let early = boss.post(&freeze, &[]).await;
    assert_eq!(early.status, 409);
    assert!(early.has("La votación de este concurso aún no ha terminado."));
    scene.app.execute(CLOSE).await;
    let asked = boss.get(&freeze).await.ok();
    assert!(asked.has("Congelar el resultado") && asked.has("Cuenta los votos"));
    let frozen = boss.post(&freeze, &[]).await;
    assert_eq!(frozen.location(), "/organizacion/concurso?hecho=congelado");
    for path in [
        "/organizacion/concurso/resultado",
        "/organizacion/concurso/acta?ciudad=cali",
    ] {
        let preview = boss.get(path).await.ok();
        assert!(
            preview.has("el resultado aún no es público") && preview.has("Ana Prueba"),
            "{path}"
        );
    }
    boss.get("/api/contests/copa/results.csv").await.ok();
    let published = boss.post(&format!("{PAGE}/publicar"), &[]).await;
    assert_eq!(
        published.location(),
        "/organizacion/concurso?hecho=publicado"
    );
    Visitor::of(&scene.app).get("/resultados/copa").await.ok();
    // The next contest can be created.
    assert!(boss.get(PAGE).await.ok().has("Crear concurso"));
}

#[tokio::test]
async fn contest_with_votes_is_removed_after_a_warning() {
    let scene = Scene::open().await;
    scene.create_running().await;
    let mut fan = scene.fan().await;
    let vote = format!("/videos/{}/votar", scene.video);
    assert_eq!(
        fan.post(&vote, &[]).await.location(),
        format!("/voto/{}", scene.video)
    );
    let mut boss = scene.organiser().await;
    let remove = format!("{PAGE}/eliminar");
    let asked = boss.get(&remove).await.ok();
    assert!(asked.has("El concurso ya tiene 1 voto.") && asked.has("name=\"force\""));
    assert_eq!(boss.post(&remove, &[]).await.status, 409);
    let removed = boss.post(&remove, &[("force", "1")]).await;
    assert_eq!(removed.location(), "/organizacion/concurso?hecho=eliminado");
    assert_eq!(scene.app.number("SELECT count(*) FROM contests").await, 0);
    assert_eq!(scene.app.number("SELECT count(*) FROM votes").await, 1);
    boss.get(removed.location()).await.ok();
}

#[tokio::test]
async fn contest_pages_of_organisers_do_not_exist_for_others() {
    let scene = Scene::open().await;
    scene.create_running().await;
    scene.publish().await;
    let mut player = Visitor::logged_in(&scene.app, &scene.ana).await;
    for page in [
        "",
        "/congelar",
        "/publicar",
        "/eliminar",
        "/resultado",
        "/acta",
    ] {
        let path = format!("{PAGE}{page}");
        assert_eq!(player.get(&path).await.status, 404, "{path}");
    }
    for act in ["", "/cambiar", "/congelar", "/publicar", "/eliminar"] {
        let path = format!("{PAGE}{act}");
        assert_eq!(
            player.post(&path, &[("force", "1")]).await.status,
            404,
            "{path}"
        );
    }
}

#[tokio::test]
async fn votes_by_hour_and_city_are_shown() {
    let scene = Scene::open().await;
    scene.create_running().await;
    let mut boss = scene.organiser().await;
    assert!(boss.get(PAGE).await.ok().has("Todavía no hay votos."));
    let mut fan = scene.fan().await;
    fan.post(&format!("/videos/{}/votar", scene.video), &[])
        .await;
    scene.app.counted().await;
    // The figures are kept for five seconds.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let page = boss.get(PAGE).await.ok();
    assert!(
        page.has("class=\"plot\" role=\"img\"") && page.has("1 voto en total."),
        "{}",
        page.html
    );
    assert!(page.has("<th scope=\"row\">Cali</th>"));
}
