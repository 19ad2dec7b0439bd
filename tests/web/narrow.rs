//! Long words, narrow screens and large text: nothing is cut, nothing scrolls sideways.

use serde_json::json;

use crate::{
    sheets::{Contest, Who, photograph},
    visitor::{LAPTOP, PHONE, Visitor},
};

const NARROW: (u32, u32) = (320, 640);

/// Opens all pages of all visitors, and saves pictures of those whose scheme changes as well.
async fn open_all(
    contest: &Contest,
    name: &str,
    sizes: &[(u32, u32)],
    prepare: impl AsyncFn(&Visitor),
) {
    let mut findings = Vec::new();
    for who in [Who::Anybody, Who::Player, Who::Organiser] {
        let mut visitor = contest.visitor(who).await;
        prepare(&visitor).await;
        for sheet in contest.sheets.iter().filter(|sheet| sheet.who == who) {
            for size in sizes {
                visitor.resize(*size).await;
                sheet.open(&mut visitor).await;
                if sheet.is_dark_too {
                    findings.extend(visitor.violations().await);
                    let name = format!("{}-{}-{name}", sheet.name, size.0);
                    photograph(&visitor, &name).await;
                }
            }
        }
        visitor.end().await;
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[tokio::test]
async fn words_without_breaks_fit_on_the_narrowest_phone() {
    let contest = Contest::hold().await;
    for statement in [
        "UPDATE users SET first_name = repeat('W', 80), last_name = repeat('M', 80)",
        "UPDATE users SET city = repeat('W', 80)",
        "UPDATE videos SET title = repeat('W', 100)",
    ] {
        assert!(contest.stage.app.execute(statement).await > 0);
    }
    open_all(&contest, "long", &[NARROW, LAPTOP], async |_| {}).await;
}

#[tokio::test]
async fn text_of_twice_the_size_fits() {
    let contest = Contest::hold().await;
    open_all(&contest, "large", &[PHONE], async |visitor| {
        let sizes = json!({ "fontSizes": { "standard": 32, "fixed": 26 } });
        visitor.devtools("Page.setFontSizes", sizes).await;
    })
    .await;
}

#[tokio::test]
async fn names_are_text_and_not_markup() {
    let contest = Contest::hold().await;
    let attack = r#"<script>alert(1)</script><img src=x onerror=alert(1)>"'&"#;
    let attack = attack.replace('\'', "''");
    let mixed = "العربية \u{202e}abc 🏀🏀";
    for statement in [
        format!("UPDATE users SET first_name = '{attack}', last_name = '{mixed}'"),
        format!("UPDATE users SET city = '{attack}'"),
        format!("UPDATE videos SET title = '{attack}'"),
    ] {
        assert!(contest.stage.app.execute(&statement).await > 0);
    }
    open_all(&contest, "markup", &[PHONE], async |_| {}).await;

    let mut visitor = contest.visitor(Who::Anybody).await;
    visitor.open("/").await;
    let title = visitor.text(".card h3").await;
    assert_eq!(
        title,
        r#"<script>alert(1)</script><img src=x onerror=alert(1)>"'&"#
    );
    visitor.end().await;
}
