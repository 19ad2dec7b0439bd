//! A spectator reports a clip with two taps, and a moderator works through the reports by keyboard.

use serde_json::Value;

use crate::{
    stage::Stage,
    support::{Player, Seed},
    visitor::{LAPTOP, Visitor},
};

/// Number of clips that a moderator works through.
const CLIPS: usize = 100;

const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const DOWN: &str = "\u{e015}";

/// Number of clips that were hidden from the list.
const HIDDEN: &str = "SELECT count(*) FROM reports WHERE outcome = 'hidden'";
const DISMISSED: &str = "SELECT count(*) FROM reports WHERE outcome = 'dismissed'";

async fn report_with_two_taps(has_script: bool) {
    let stage = Stage::set().await;
    let ana = stage.player("Ana", "Rentería", "Cali").await;
    let luz = stage.player("Luz", "Ñáñez", "Cali").await;
    let clip = stage.clip(&ana, Seed::PUBLIC).await;
    let mut spectator = Visitor::of(&stage).await;
    spectator.be(&stage, &luz).await;
    if !has_script {
        spectator.disable_script().await;
    }
    spectator.open(&format!("/videos/{clip}")).await;
    spectator.click(".report-clip summary").await;
    spectator.judge().await;
    spectator.follow(".reasons button[value=violence]").await;
    assert_eq!(spectator.path().await, format!("/reporte/{clip}"));
    assert_eq!(
        spectator.text("h1").await.to_lowercase(),
        "gracias por avisar"
    );
    assert_eq!(stage.app.number("SELECT count(*) FROM reports").await, 1);
    spectator.end().await;
}

#[tokio::test]
async fn spectator_reports_with_two_taps() {
    report_with_two_taps(true).await;
}

#[tokio::test]
async fn spectator_without_javascript_reports_with_two_taps() {
    report_with_two_taps(false).await;
}

/// A contest with a moderator and reported clips.
async fn reported(clips: usize) -> (Stage, Player, Vec<String>) {
    let stage = Stage::set().await;
    let ana = stage.player("Ana", "Rentería", "Cali").await;
    let olga = stage.player("Olga", "Ruiz", "Bogotá").await;
    stage.make_organiser(&olga).await;
    stage.player("Luz", "Ñáñez", "Cali").await;
    let mut ids = Vec::new();
    for _ in 0..clips {
        ids.push(stage.clip(&ana, Seed::PUBLIC).await);
    }
    let report = "INSERT INTO reports (video_id, user_id, reason, created_at)
        SELECT videos.id, users.id, 'violence', uploaded_at FROM videos, users WHERE first_name = 'Luz'";
    assert_eq!(stage.app.execute(report).await, clips);
    (stage, olga, ids)
}

impl Visitor {
    /// Waits until the moderator has dealt with `count` clips.
    async fn until_settled(&self, stage: &Stage, count: i64) {
        crate::support::eventually("the clip is settled", 60, async || {
            stage.app.number(HIDDEN).await + stage.app.number(DISMISSED).await == count
        })
        .await;
    }

    /// Waits until a clip of the list is selected. The tab may be in the background, where `:focus`
    /// matches nothing.
    async fn until_selected(&self, id: &str) {
        let is_selected = "return document.activeElement.dataset.video === arguments[0]";
        crate::support::eventually("the clip is selected", 60, async || {
            self.run(is_selected, id.into()).await == true
        })
        .await;
    }
}

#[tokio::test]
async fn moderator_works_through_a_hundred_reports_by_keyboard() {
    let (stage, olga, ids) = reported(CLIPS).await;
    let mut olga_browser = Visitor::of(&stage).await;
    let moderator = &mut olga_browser;
    moderator.be(&stage, &olga).await;
    moderator.resize(LAPTOP).await;
    moderator.open("/organizacion/reportes").await;
    assert_eq!(moderator.text("[data-open]").await, "100");
    // Up and down, and what the keys are.
    moderator.until_selected(&ids[0]).await;
    moderator.press("j").await;
    moderator.press(DOWN).await;
    moderator.until_selected(&ids[2]).await;
    moderator.press("k").await;
    moderator.until_selected(&ids[1]).await;
    moderator.press("?").await;
    moderator.until("dialog[open]").await;
    moderator.press(ESCAPE).await;
    moderator.until_selected(&ids[1]).await;
    moderator.press("k").await;
    // The clip plays in the list.
    moderator.press("o").await;
    moderator.until("article video").await;
    moderator.press("j").await;
    moderator.press("k").await;
    for (number, id) in (1_i64..).zip(&ids) {
        let clip = format!("article[data-video='{id}']");
        moderator.until_selected(id).await;
        if number % 2 == 0 {
            moderator.press("d").await;
        } else {
            moderator.press("h").await;
            let is_choosing = "return document.activeElement.matches(arguments[0])";
            let choice = format!("{clip} select");
            assert_eq!(moderator.run(is_choosing, choice.into()).await, true);
            moderator.press(ENTER).await;
        }
        let gone = "return !document.querySelector(arguments[0])";
        crate::support::eventually("the clip is off the list", 60, async || {
            moderator.run(gone, clip.as_str().into()).await == true
        })
        .await;
        moderator.until_settled(&stage, number).await;
    }
    assert_eq!(stage.app.number(HIDDEN).await, 50);
    assert_eq!(stage.app.number(DISMISSED).await, 50);
    assert!(moderator.sees("[data-empty]").await);
    let told = moderator.text("[data-told]").await;
    assert!(told.contains("Por revisar: 0."), "{told}");
    let reason = "SELECT count(*) FROM moderations
        WHERE reason = 'El clip muestra violencia o algo peligroso.'";
    assert_eq!(stage.app.number(reason).await, 50);
    olga_browser.end().await;
}

#[tokio::test]
async fn second_moderator_is_told() {
    let (stage, olga, ids) = reported(3).await;
    let eva = stage.player("Eva", "Ruiz", "Bogotá").await;
    stage.make_organiser(&eva).await;
    let [mut first, mut second] = Visitor::pair(&stage).await;
    for (visitor, person) in [(&mut first, &olga), (&mut second, &eva)] {
        visitor.be(&stage, person).await;
        visitor.resize(LAPTOP).await;
        visitor.open("/organizacion/reportes").await;
        visitor.until_selected(&ids[0]).await;
    }
    first.press("d").await;
    first.until_selected(&ids[1]).await;
    second.expect(409, &format!("/organizacion/reportes/{}/descartar", ids[0]));
    second.press("d").await;
    second.until_selected(&ids[1]).await;
    let told = second.text("[data-told]").await;
    assert!(told.contains("ya revisó este clip"), "{told}");
    assert_eq!(stage.app.number(DISMISSED).await, 1);
    // Keys are letters where somebody types.
    second.open("/organizacion/videos").await;
    second.click("#q").await;
    second.press("d").await;
    let typed = second
        .run("return document.getElementById('q').value", Value::Null)
        .await;
    assert_eq!(typed, "d");
    first.end().await;
    second.end().await;
}
