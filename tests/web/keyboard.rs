//! Everything by keyboard, with the focus always in sight.

use serde_json::Value;

use crate::{
    stage::Stage,
    support::{PASSWORD, Seed, film},
    visitor::{LAPTOP, Visitor},
};

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const DOWN: &str = "\u{e015}";

/// Number of processed videos that are public.
const PUBLIC: &str = "SELECT count(*) FROM videos WHERE is_public AND status = 'processed'";

/// Maximum number of steps to an element.
const MAX_STEPS: usize = 60;

/// Says what is wrong with the element in focus, if it matters: it has a ring and nothing covers it.
const FOCUS: &str = "
    const element = document.activeElement;
    if (!element || element === document.body) return '';
    const describe = element.outerHTML.slice(0, 140);
    // The controls of a player are the browser's own, with its own rings.
    if (element.matches('video:not(:focus-visible)')) return '';
    const ringed = [element, ...element.parentElement.querySelectorAll('*'), element.parentElement];
    const hasRing = ringed.some((one) => {
        const { outlineStyle, outlineWidth } = getComputedStyle(one);
        return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2;
    });
    if (!hasRing) return `no ring: ${describe}`;
    const { left, right, top, bottom } = element.getBoundingClientRect();
    const [x, y] = [(left + right) / 2, (Math.max(top, 0) + Math.min(bottom, innerHeight)) / 2];
    const above = document.elementFromPoint(x, y);
    const isSeen = above && (element.contains(above) || above.contains(element) ||
        above.closest('label')?.control === element);
    return isSeen ? '' : `out of sight: ${describe} below ${above?.outerHTML.slice(0, 100)}`;";

impl Visitor {
    /// Presses the tabulator until an element has the focus.
    async fn tab_to(&self, selector: &str) {
        for _ in 0..MAX_STEPS {
            self.press(TAB).await;
            self.judge_focus(selector).await;
            let has_focus = "return document.activeElement.matches(arguments[0])";
            if self.run(has_focus, selector.into()).await == true {
                return;
            }
        }
        panic!("{selector} gets no focus in {MAX_STEPS} steps");
    }

    /// Checks that the focus is in sight.
    async fn judge_focus(&self, selector: &str) {
        let problem = self.run(FOCUS, Value::Null).await;
        assert_eq!(problem, "", "on the way to {selector}");
    }

    async fn type_text(&self, text: &str) {
        for letter in text.chars() {
            self.press(letter.encode_utf8(&mut [0; 4])).await;
        }
    }

    /// Presses Enter, which leads to another page.
    async fn enter(&mut self) {
        self.judge().await;
        self.run("window.isLeft = true", Value::Null).await;
        self.press(ENTER).await;
        self.until_arrived().await;
    }
}

#[tokio::test]
async fn voter_needs_no_pointer() {
    let stage = Stage::set().await;
    let ana = stage.player("Ana", "Rentería", "Cali").await;
    for _ in 0..3 {
        stage.clip(&ana, Seed::PUBLIC).await;
    }
    for size in [crate::visitor::PHONE, LAPTOP] {
        let mut voter = Visitor::of(&stage).await;
        voter.resize(size).await;
        voter.open("/").await;
        voter.press(TAB).await;
        assert_eq!(voter.text(":focus").await, "Saltar al contenido");
        voter.press(ENTER).await;
        voter.tab_to(".card form.vote button").await;
        voter.enter().await;
        voter.tab_to(".other-way a").await;
        voter.enter().await;
        for (field, text) in [
            ("#first_name", "Rosa"),
            ("#last_name", "Prueba"),
            ("#email", &format!("rosa{}@example.com", size.0)),
            ("#city", "Cali"),
            ("#password", PASSWORD),
        ] {
            voter.tab_to(field).await;
            voter.type_text(text).await;
        }
        voter.enter().await;
        assert_eq!(voter.text("h1").await.to_lowercase(), "tu voto cuenta");

        // The next vote, without another page: the focus stays.
        voter.open("/").await;
        voter.tab_to(".cell:nth-child(2) form.vote button").await;
        voter.press(ENTER).await;
        voter
            .until(".cell:nth-child(2) button[data-state=voted]:focus")
            .await;
        voter.end().await;
    }
}

#[tokio::test]
async fn player_needs_no_pointer() {
    let mut stage = Stage::set().await;
    stage.work().await;
    let file = stage.file("jugada.mp4", &film().await);
    let mut player = Visitor::of(&stage).await;
    player.resize(LAPTOP).await;
    player.open("/registro").await;
    for (field, text) in [
        ("#first_name", "Yeison"),
        ("#last_name", "Prueba"),
        ("#email", "yeison@example.com"),
        ("#city", "Cali"),
        ("#password", PASSWORD),
    ] {
        player.tab_to(field).await;
        player.type_text(text).await;
    }
    player.enter().await;

    player.open("/subir").await;
    // Its key opens the dialog of the system, which only a person can use.
    player.tab_to("[data-file]").await;
    player.choose("[data-file]", &file).await;
    player.until("[data-estado=listo]:focus").await;
    player.tab_to("[data-estado=listo] [data-title]").await;
    player.type_text("Mi gran clavada").await;
    player.tab_to("[data-estado=listo] input[value=true]").await;
    // One of two: the arrow chooses the other.
    player.press(DOWN).await;
    player.until("input[value=false]:checked:focus").await;
    player.tab_to("[data-estado=listo] [data-do=start]").await;
    player.press(ENTER).await;
    player.until("[data-estado=listo-clip]").await;
    player.tab_to("[data-estado=listo-clip] video").await;
    player.tab_to("[data-do=publish]").await;
    player.press(ENTER).await;
    player.until("[data-share]:focus").await;
    player.judge_focus("[data-share]").await;
    assert_eq!(stage.app.number(PUBLIC).await, 1);
    player.end().await;
}

#[tokio::test]
async fn organiser_needs_no_pointer() {
    let stage = Stage::set().await;
    let ana = stage.player("Ana", "Rentería", "Cali").await;
    let olga = stage.player("Olga", "Ruiz", "Bogotá").await;
    stage.make_organiser(&olga).await;
    let clip = stage.clip(&ana, Seed::PUBLIC).await;
    let dead = stage.app.add(&ana, Seed::PUBLIC.in_state("failed")).await;
    stage.fail_by_our_fault(&dead).await;
    let mut organiser = Visitor::of(&stage).await;
    organiser.resize(LAPTOP).await;
    organiser.be(&stage, &olga).await;

    organiser.open("/organizacion").await;
    organiser.tab_to("[data-dead] form button").await;
    organiser.enter().await;
    assert_eq!(organiser.text("[data-tile=dead] [data-value]").await, "0");
    organiser
        .tab_to(".tabs a[href='/organizacion/videos']")
        .await;
    organiser.enter().await;
    organiser.tab_to("input[name=q]").await;
    organiser.type_text("jugada").await;
    organiser.enter().await;
    let link = format!("a[href='/organizacion/videos/{clip}']");
    organiser.tab_to(&link).await;
    organiser.enter().await;
    organiser.tab_to("#motivo").await;
    organiser.type_text("Lleva música").await;
    organiser.tab_to("form[action$=ocultar] button").await;
    organiser.enter().await;
    assert_eq!(stage.app.number(PUBLIC).await, 0);
    organiser.tab_to("form[action$=mostrar] button").await;
    organiser.enter().await;
    assert_eq!(stage.app.number(PUBLIC).await, 1);
    organiser.end().await;
}

#[tokio::test]
async fn dialogs_give_the_focus_back() {
    let stage = Stage::set().await;
    let ana = stage.player("Ana", "Rentería", "Cali").await;
    let video = stage.clip(&ana, Seed::PRIVATE).await;
    let mut player = Visitor::of(&stage).await;
    player.be(&stage, &ana).await;
    player.open(&format!("/mis-videos/{video}")).await;
    player.tab_to("form[data-confirm] button").await;
    player.press(ENTER).await;
    player.until("dialog[open]").await;
    assert_eq!(player.text(":focus").await, "Conservarlo");
    player.press(ESCAPE).await;
    player.until("form[data-confirm] button:focus").await;
    // The question is asked again before the browser has reported the end of the first one.
    let again = "
        const button = document.querySelector('form[data-confirm] button');
        button.click();
        document.querySelector('dialog[open]').close();
        button.click();";
    player.run(again, Value::Null).await;
    player.until("dialog[open]").await;
    player.tab_to("dialog button[value=yes]").await;
    player.enter().await;
    assert_eq!(player.path().await, "/mis-videos");
    assert_eq!(stage.app.number("SELECT count(*) FROM videos").await, 0);
    player.end().await;
}
