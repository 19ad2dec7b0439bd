//! An organiser: a video that failed by our fault, a clip that has to go, the table of results.

use std::time::Duration;

use serde_json::Value;

use crate::{
    stage::Stage,
    support::{Seed, film},
    visitor::{LAPTOP, Visitor},
};

/// Returns whether the gallery has a clip, when it is fresh.
async fn is_in_gallery(stage: &Stage, id: &str) -> bool {
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let page = stage.app.client.get(format!("{}/", stage.app.url)).send();
    page.await.unwrap().text().await.unwrap().contains(id)
}

async fn organise(has_script: bool) {
    let mut stage = Stage::set().await;
    let ana = stage.player("Ana", "Rentería", "Cali").await;
    let olga = stage.player("Olga", "Ruiz", "Bogotá").await;
    stage.make_organiser(&olga).await;
    let dead = Seed {
        title: "Doble ritmo",
        ..Seed::PUBLIC
    };
    let dead = stage.app.add(&ana, dead.in_state("failed")).await;
    stage.fail_by_our_fault(&dead).await;
    stage.original(&dead, &film().await);
    let shown = Seed {
        title: "=1+1;Rebote",
        votes: 7,
        ..Seed::PUBLIC
    };
    let shown = stage.clip(&ana, shown).await;

    let mut olga_browser = Visitor::of(&stage).await;
    let visitor = &mut olga_browser;
    visitor.be(&stage, &olga).await;
    visitor.resize(LAPTOP).await;
    if !has_script {
        visitor.disable_script().await;
    }
    visitor.open("/organizacion").await;
    assert_eq!(visitor.text("[data-tile=dead] [data-value]").await, "1");
    assert!(
        visitor
            .text("[data-dead]")
            .await
            .contains("processing_failed")
    );
    visitor.follow("[data-dead] form button").await;
    assert_eq!(visitor.text("[data-tile=dead] [data-value]").await, "0");
    stage.work().await;
    if has_script {
        // By itself, as events arrive.
        visitor
            .until_text("[data-tile=done] [data-value]", "2")
            .await;
    }
    let video = anb::ids::VideoId::parse(&dead).unwrap();
    crate::support::eventually("the video is processed", 60, async || {
        stage.app.status(video).await == "processed"
    })
    .await;

    visitor.open("/organizacion/videos?q=Rebote").await;
    visitor
        .follow(&format!("a[href='/organizacion/videos/{shown}']"))
        .await;
    visitor.fill("#motivo", "Lleva música de otro").await;
    visitor.follow("form[action$=ocultar] button").await;
    assert!(visitor.text("main").await.contains("Lleva música de otro"));
    assert!(!is_in_gallery(&stage, &shown).await);
    visitor.follow("form[action$=mostrar] button").await;
    assert!(is_in_gallery(&stage, &shown).await);

    visitor.open("/organizacion").await;
    let table = "const answer = fetch('/organizacion/clasificacion.csv');
        return answer.then((it) => it.arrayBuffer()).then((it) => [...new Uint8Array(it)]);";
    if has_script {
        let bytes = visitor.run(table, Value::Null).await;
        let bytes = bytes.as_array().unwrap().iter();
        let bytes: Vec<u8> = bytes
            .map(|byte| u8::try_from(byte.as_u64().unwrap()).unwrap())
            .collect();
        let text = String::from_utf8(bytes).unwrap();
        let text = text.strip_prefix('\u{feff}').expect("a byte order mark");
        let mut lines = text.lines();
        assert_eq!(
            lines.next(),
            Some("ciudad;puesto;jugador;votos;video;titulo;enlace")
        );
        let link = format!("{}/videos/{shown}", stage.app.url);
        let row = format!("Cali;1;Ana Rentería;7;{shown};\"'=1+1;Rebote\";{link}");
        assert_eq!(lines.next(), Some(row.as_str()));
    }
    visitor.open("/organizacion/videos").await;
    let log = visitor.text("table.list").await;
    assert!(log.contains("Ocultó") && log.contains("Mostró"), "{log}");
    olga_browser.end().await;
}

#[tokio::test]
async fn organiser_retries_hides_and_takes_the_results() {
    organise(true).await;
}

#[tokio::test]
async fn organiser_without_javascript_does_the_same() {
    organise(false).await;
}
