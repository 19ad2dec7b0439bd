//! Everything by keyboard, with the focus always in sight.

use serde_json::Value;

use crate::{
    stage::Stage,
    support::{PASSWORD, Seed},
    visitor::{LAPTOP, Visitor},
};

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";

/// Maximum number of steps to an element.
const MAX_STEPS: usize = 60;

/// Says what is wrong with the element in focus, if it matters: it has a ring and nothing covers it.
const FOCUS: &str = "
    const element = document.activeElement;
    if (!element || element === document.body) return '';
    const describe = element.outerHTML.slice(0, 140);
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
            let problem = self.run(FOCUS, Value::Null).await;
            assert_eq!(problem, "", "on the way to {selector}");
            let has_focus = "return document.activeElement.matches(arguments[0])";
            if self.run(has_focus, selector.into()).await == true {
                return;
            }
        }
        panic!("{selector} gets no focus in {MAX_STEPS} steps");
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
    player.press(ENTER).await;
    player.until("dialog[open]").await;
    player.tab_to("dialog button[value=yes]").await;
    player.enter().await;
    assert_eq!(player.path().await, "/mis-videos");
    assert_eq!(stage.app.number("SELECT count(*) FROM videos").await, 0);
    player.end().await;
}
