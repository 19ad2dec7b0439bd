//! What visitors see of errors: each status as a page, in both languages and at both sizes.

use crate::{
    sheets::examine,
    stage::Stage,
    visitor::{LAPTOP, PHONE, Visitor},
};

/// Examines the page of an error, which `open` opens.
async fn examine_error(
    visitor: &mut Visitor,
    status: u16,
    path: &str,
    open: impl AsyncFn(&mut Visitor),
) {
    visitor.expect(status, path);
    let mut findings = Vec::new();
    for (size, width) in [(PHONE, 360), (LAPTOP, 1280)] {
        visitor.resize(size).await;
        for language in ["es", "en"] {
            visitor.speak(language).await;
            open(visitor).await;
            assert_eq!(visitor.text(".score-board").await, status.to_string());
            let suffix = if language == "en" { "-en" } else { "" };
            let name = format!("error-{status}-{width}{suffix}");
            examine(visitor, language, &name, &mut findings).await;
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[tokio::test]
async fn requests_of_other_sites_are_refused_with_a_page() {
    let stage = Stage::set().await;
    let mut visitor = Visitor::of(&stage).await;
    // A form of another site.
    let form = format!(
        "data:text/html,<form method=post action='{}/entrar'><button>Enviar</button></form>",
        stage.app.url
    );
    let other_site = async |visitor: &mut Visitor| {
        visitor.open_elsewhere(&form).await;
        visitor.follow("button").await;
    };
    examine_error(&mut visitor, 403, "/entrar", other_site).await;
    visitor.end().await;
}

#[tokio::test]
async fn too_many_requests_are_a_page() {
    let stage = Stage::set_with_rules(&[], &["--address-rate=1/h"]).await;
    let mut visitor = Visitor::of(&stage).await;
    visitor.open("/ayuda").await;
    let open = async |visitor: &mut Visitor| visitor.open("/clasificacion").await;
    examine_error(&mut visitor, 429, "/clasificacion", open).await;
    assert_eq!(visitor.text(".lead").await, "Wait 60 min and try again.");
    visitor.end().await;
}

#[tokio::test]
async fn faults_of_the_program_and_outages_are_pages() {
    let stage = Stage::set().await;
    let mut visitor = Visitor::of(&stage).await;
    let open = async |visitor: &mut Visitor| visitor.open("/clasificacion").await;
    let broken = "ALTER TABLE standings RENAME TO elsewhere";
    stage.app.execute(broken).await;
    examine_error(&mut visitor, 500, "/clasificacion", open).await;
    stage.app.place.close_database().await;
    examine_error(&mut visitor, 503, "/clasificacion", open).await;
    visitor.end().await;
}
