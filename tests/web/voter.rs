//! A voter who follows a link in a message.

use serde_json::Value;

use crate::{
    sheets::examine,
    stage::Stage,
    support::{PASSWORD, Seed},
    visitor::Visitor,
};

/// Fills the fields of a registration.
pub async fn fill_registration(visitor: &Visitor, name: &str, email: &str) {
    visitor.fill("#first_name", name).await;
    visitor.fill("#last_name", "Prueba").await;
    visitor.fill("#email", email).await;
    visitor.fill("#city", "Cali").await;
    visitor.fill("#password", PASSWORD).await;
}

/// A link, a tap, a registration: the vote counts.
async fn vote_by_link(has_script: bool) {
    let stage = Stage::set().await;
    let ana = stage.player("Ana", "Rentería", "Cali").await;
    let luz = stage.player("Luz", "Ñáñez", "Cali").await;
    let rival = Seed {
        votes: 1,
        title: "Rebote y canasta",
        ..Seed::PUBLIC
    };
    let rival = stage.clip(&luz, rival).await;
    let clip = stage
        .clip(
            &ana,
            Seed {
                votes: 1,
                ..Seed::PUBLIC
            },
        )
        .await;

    let mut voter = Visitor::of(&stage).await;
    if !has_script {
        voter.disable_script().await;
    }
    voter.open(&format!("/videos/{clip}")).await;
    assert!(voter.text(".score").await.contains("Cali"));
    voter.follow("form.vote button").await;
    let detour = format!("/entrar?volver=/videos/{clip}&votar={clip}");
    assert_eq!(voter.path().await, detour);
    assert!(
        voter
            .text("main")
            .await
            .contains("Entra para que tu voto cuente.")
    );
    voter.follow(".other-way a").await;
    fill_registration(&voter, "Rosa", "rosa@example.com").await;
    voter.follow("form.panel button.action").await;

    assert_eq!(voter.path().await, format!("/voto/{clip}"));
    assert_eq!(voter.text("h1").await.to_lowercase(), "tu voto cuenta");
    assert!(voter.sees("[data-share]").await);
    let cast = "SELECT count(*) FROM votes";
    assert_eq!(stage.app.number(cast).await, 1);
    stage.app.counted().await;

    // The clip overtakes the other one as soon as the page of the ranking is fresh.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    voter.open("/clasificacion").await;
    let first = voter.text(".standings tbody tr").await;
    assert!(
        first.contains("Ana Rentería") && first.contains('2'),
        "{first}"
    );

    // The next vote needs no detour.
    voter.open(&format!("/videos/{rival}")).await;
    if has_script {
        voter.click("form.vote button").await;
        voter.until(".vote button[data-state=voted]").await;
        voter.until_text("[data-label]", "Tu voto cuenta").await;
        assert_eq!(voter.text("[data-count]").await, "2");
    } else {
        voter.follow("form.vote button").await;
        assert_eq!(voter.path().await, format!("/voto/{rival}"));
        voter.open(&format!("/videos/{rival}")).await;
        voter.follow("form.vote button").await;
        assert_eq!(voter.path().await, format!("/voto/{rival}?repetido=1"));
        assert_eq!(voter.text("h1").await.to_lowercase(), "ya votaste");
    }
    assert_eq!(stage.app.number(cast).await, 2);
    voter.end().await;
}

#[tokio::test]
async fn voter_from_a_link_registers_and_the_vote_counts() {
    vote_by_link(true).await;
}

#[tokio::test]
async fn voter_without_javascript_does_the_same() {
    vote_by_link(false).await;
}

#[tokio::test]
async fn places_are_suggested_for_the_city() {
    let stage = Stage::set().await;
    let mut voter = Visitor::of(&stage).await;
    voter.open("/registro").await;
    assert!(!voter.sees("[data-places]").await);
    // Without the accent.
    voter.fill("#city", "la union").await;
    voter.until("[data-places] button").await;
    let places = voter.text("[data-places]").await;
    assert!(places.starts_with("La Unión, Valle del Cauca La Unión, Nariño "));
    let mut findings = Vec::new();
    examine(&voter, "es", "places", &mut findings).await;
    assert!(findings.is_empty(), "{}", findings.join("\n"));
    voter.click("[data-places] li:nth-child(2) button").await;
    let city = "return document.querySelector('#city').value";
    assert_eq!(voter.run(city, Value::Null).await, "La Unión, Nariño");
    assert!(!voter.sees("[data-places]").await);
    voter.end().await;
}
