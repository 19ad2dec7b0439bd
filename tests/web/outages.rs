//! What visitors see when something is away: their session, the database, the network.

use std::time::Duration;

use serde_json::Value;

use crate::{
    stage::Stage,
    support::{PASSWORD, Seed, eventually},
    visitor::Visitor,
    voter::fill_registration,
};

#[tokio::test]
async fn changed_password_ends_the_other_browser() {
    let stage = Stage::set().await;
    let [mut phone, mut laptop] = Visitor::pair(&stage).await;
    phone.open("/registro").await;
    fill_registration(&phone, "Rosa", "rosa@example.com").await;
    phone.follow("form.panel button.action").await;
    laptop.open("/entrar?volver=/mis-videos").await;
    laptop.fill("#email", "rosa@example.com").await;
    laptop.fill("#password", PASSWORD).await;
    laptop.follow("form.panel button.action").await;
    assert_eq!(laptop.path().await, "/mis-videos");

    phone.open("/cuenta").await;
    phone.fill("#current", PASSWORD).await;
    phone.fill("#password", "otra-canasta-2026").await;
    phone
        .follow("form[action$=clave] button:not([data-reveal])")
        .await;
    assert_eq!(phone.path().await, "/cuenta");
    // Tokens are checked again after a second.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    laptop.open("/cuenta").await;
    assert_eq!(laptop.path().await, "/entrar?volver=%2Fcuenta");
    phone.open("/cuenta").await;
    assert_eq!(phone.path().await, "/cuenta");

    phone.follow("[data-logout] button").await;
    assert_eq!(phone.path().await, "/");
    phone.open("/mis-videos").await;
    assert_eq!(phone.path().await, "/entrar?volver=%2Fmis-videos");
    phone.end().await;
    laptop.end().await;
}

#[tokio::test]
async fn pages_return_by_themselves_after_an_outage_of_the_database() {
    let stage = Stage::set().await;
    let ana = stage.player("Ana", "Rentería", "Cali").await;
    let clip = stage.clip(&ana, Seed::PUBLIC).await;
    let mut visitor = Visitor::of(&stage).await;
    visitor.be(&stage, &ana).await;
    visitor.open("/clasificacion").await;
    stage.app.place.close_database().await;
    visitor.expect(503, "/clasificacion?por=video");
    visitor.expect(503, "/mis-videos");
    // The page that is open may still ask for these.
    visitor.allow(503, "/sesion");
    visitor.allow(503, "/media/");
    visitor.expect(503, &format!("/videos/{clip}"));
    for path in [
        "/clasificacion?por=video",
        "/mis-videos",
        &format!("/videos/{clip}"),
    ] {
        visitor.open(path).await;
        assert_eq!(visitor.text(".score-board").await, "503", "{path}");
        assert_eq!(visitor.text(".steps").await, "Reintentar");
        assert!(visitor.violations().await.is_empty());
    }
    stage.app.place.open_database().await;
    eventually("the page is back", 60, async || {
        visitor.open(&format!("/videos/{clip}")).await;
        !visitor.sees(".score-board").await
    })
    .await;
    visitor.open("/mis-videos").await;
    assert!(visitor.text("main").await.contains("Mi mejor jugada"));
    visitor.end().await;
}

#[tokio::test]
async fn failed_vote_leaves_number_and_star_as_they_were() {
    let stage = Stage::set().await;
    let ana = stage.player("Ana", "Rentería", "Cali").await;
    let rosa = stage.player("Rosa", "Prueba", "Cali").await;
    let clip = stage
        .clip(
            &ana,
            Seed {
                votes: 41,
                ..Seed::PUBLIC
            },
        )
        .await;
    let mut voter = Visitor::of(&stage).await;
    voter.be(&stage, &rosa).await;
    voter.open(&format!("/videos/{clip}")).await;
    voter.set_offline(true).await;
    voter.until("[data-offline]").await;
    voter.click("form.vote button").await;
    voter
        .until_text("[data-status]", "No pudimos enviar tu voto.")
        .await;
    assert!(voter.sees("form.vote button[data-state=none]").await);
    assert_eq!(voter.text("[data-count]").await, "41");
    assert_eq!(stage.app.number("SELECT count(*) FROM votes").await, 0);

    voter.set_offline(false).await;
    voter.click("form.vote button").await;
    voter.until("form.vote button[data-state=voted]").await;
    assert_eq!(voter.text("[data-count]").await, "42");
    voter.end().await;
}

#[tokio::test]
async fn many_taps_in_many_tabs_are_one_vote() {
    const TABS: usize = 8;
    let stage = Stage::set().await;
    let ana = stage.player("Ana", "Rentería", "Cali").await;
    let rosa = stage.player("Rosa", "Prueba", "Cali").await;
    let clip = stage
        .clip(
            &ana,
            Seed {
                votes: 41,
                ..Seed::PUBLIC
            },
        )
        .await;
    let mut voter = Visitor::of(&stage).await;
    voter.be(&stage, &rosa).await;
    voter.allow(400, "/api/public/videos/");
    let path = format!("/videos/{clip}");
    voter.open(&path).await;
    let first = voter.browser().tab().await;
    let mut tabs = vec![first.clone()];
    for _ in 1..TABS {
        voter
            .browser()
            .open_tab(&format!("{}{path}", stage.app.url))
            .await;
        tabs.push(voter.browser().tab().await);
    }
    let start = "const button = document.querySelector('form.vote button');
        const tap = () => { for (let tap = 0; tap < 8; tap++) button.click(); };
        setTimeout(tap, arguments[0] - Date.now());";
    let at = voter.run("return Date.now() + 3000", Value::Null).await;
    for tab in &tabs {
        voter.browser().switch_to(tab).await;
        voter.run(start, at.clone()).await;
    }
    for tab in &tabs {
        voter.browser().switch_to(tab).await;
        voter.until("form.vote button[data-state=voted]").await;
        assert_eq!(voter.text("[data-label]").await, "Tu voto cuenta");
        assert!(["41", "42"].contains(&voter.text("[data-count]").await.as_str()));
    }
    assert_eq!(stage.app.number("SELECT count(*) FROM votes").await, 1);
    voter.browser().switch_to(&first).await;
    voter.end().await;
}
