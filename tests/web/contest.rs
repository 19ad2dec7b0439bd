//! The contest in the browser: the countdown, votes that are not taken, and a picture of each page.

use anb::{
    audit::By,
    contests::{self, Plan},
};
use serde_json::Value;

use crate::{
    sheets::{Contest, Who, examine},
    stage::Stage,
    support::{Player, Seed},
    visitor::{LAPTOP, PHONE, Visitor},
};

/// Votes of each hour of the last 400, with nights and a peak.
const HOURS: &str = "INSERT INTO vote_hours (hour, slot, votes)
    SELECT date_trunc('hour', now()) - make_interval(hours => n), 0,
        (40 + 35 * sin((extract(hour FROM now()) - n + 14) * pi() / 12) + (n * 7) % 23
         + 300.0 / (1 + n))::bigint
    FROM generate_series(0, 399) AS n";

/// Everybody votes for about half of the clips.
const VOTES: &str = "INSERT INTO votes (user_id, video_id)
    SELECT users.id, videos.id FROM users JOIN videos ON videos.user_id <> users.id
    WHERE videos.is_public AND videos.status = 'processed'
        AND (users.id * 7 + videos.user_id * 5) % 11 < 5";

/// Scrolls to the plot, where there is one.
const TO_PLOT: &str = "document.querySelector('.plot-panel')?.scrollIntoView({ block: 'center' })";

/// Creates a contest. Its voting opens and closes at these times.
async fn create(stage: &Stage, voting_open: &str, voting_close: &str) {
    let plan = Plan {
        name: Some("ANB Rising Stars 2026".to_owned()),
        submissions_open_at: Some("2020-01-01".parse().unwrap()),
        voting_open_at: Some(voting_open.parse().unwrap()),
        voting_close_at: Some(voting_close.parse().unwrap()),
        votes_per_day: Some(5),
        min_account_age_seconds: Some(0),
        ..Plan::default()
    };
    contests::create(&stage.app.db, &By::command("test"), "anb-2026", &plan)
        .await
        .unwrap();
}

async fn clip_of(stage: &Stage) -> (Player, String) {
    let ana = stage.player("Ana", "Rentería", "Cali").await;
    let clip = stage
        .clip(
            &ana,
            Seed {
                votes: 54,
                ..Seed::PUBLIC
            },
        )
        .await;
    (ana, clip)
}

#[tokio::test]
async fn page_counts_down_and_shows_the_next_phase_by_itself() {
    let stage = Stage::set().await;
    let (_, clip) = clip_of(&stage).await;
    create(&stage, "2998-01-01", "2999-01-01").await;
    // A browser may need long to start.
    let mut fan = Visitor::of(&stage).await;
    fan.open("/privacidad").await;
    let soon = "UPDATE contests SET voting_open_at = clock_timestamp() + interval '20 s'";
    stage.app.execute(soon).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    fan.open(&format!("/videos/{clip}")).await;
    let left = fan.text("[data-countdown]").await;
    assert!(left.starts_with("0:"), "{left}");
    assert!(fan.sees(".star-button[data-state=closed]").await);
    // Within the countdown and three seconds, and what caches keep.
    fan.until_within(".star-button[data-state=none]", 60).await;
    assert!(fan.text(".contest").await.contains("La votación cierra el"));
    fan.end().await;
}

#[tokio::test]
async fn playing_clip_is_not_interrupted_by_a_new_phase() {
    let stage = Stage::set().await;
    let (_, clip) = clip_of(&stage).await;
    create(&stage, "2998-01-01", "2999-01-01").await;
    let soon = "UPDATE contests SET voting_open_at = clock_timestamp() + interval '4 s'";
    stage.app.execute(soon).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let mut fan = Visitor::of(&stage).await;
    fan.open(&format!("/videos/{clip}")).await;
    fan.click("a.play").await;
    fan.until("video").await;
    // The film is shorter than the countdown.
    fan.run("document.querySelector('video').loop = true", Value::Null)
        .await;
    tokio::time::sleep(std::time::Duration::from_secs(9)).await;
    assert!(fan.sees("video").await, "the page was reloaded");
    fan.run("document.querySelector('video').pause()", Value::Null)
        .await;
    fan.until_within(".star-button[data-state=none]", 30).await;
    fan.end().await;
}

#[tokio::test]
async fn star_says_when_votes_are_taken() {
    let stage = Stage::set().await;
    let (_, clip) = clip_of(&stage).await;
    create(&stage, "2992-12-03 20:30", "2993-01-01").await;
    let mut fan = Visitor::of(&stage).await;
    fan.open("/").await;
    assert_eq!(fan.text(".star-button [data-label]").await, "Aún no");
    // Nobody is sent to log in for nothing.
    fan.click(".star-button").await;
    let sentence = "La votación abre el 3 de diciembre de 2992, 8:30 p. m. (hora de Colombia).";
    fan.until_text(".card [data-status]", sentence).await;

    // A vote that the rules refuse says from when it counts.
    let luz = stage.player("Luz", "Ñáñez", "Cali").await;
    stage
        .app
        .execute(
            "UPDATE contests SET voting_open_at = '2020-01-01', min_account_age_seconds = 86400",
        )
        .await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    fan.be(&stage, &luz).await;
    fan.open(&format!("/videos/{clip}")).await;
    fan.expect(400, "/api/public/videos/");
    fan.click("form.vote button").await;
    fan.until("form.vote [data-status]:not(:empty)").await;
    let told = fan.text("form.vote [data-status]").await;
    assert!(
        told.starts_with("Tu cuenta es demasiado nueva") && told.contains("Podrás votar desde el "),
        "{told}"
    );
    fan.end().await;
}

/// Looks at pages in both sizes, schemes and languages.
async fn look(visitor: &mut Visitor, pages: &[(&str, String)], findings: &mut Vec<String>) {
    for (size, width) in [(PHONE, "360"), (LAPTOP, "1280")] {
        visitor.resize(size).await;
        for (name, path) in pages {
            visitor.open(path).await;
            visitor.run(TO_PLOT, Value::Null).await;
            let name = format!("contest-{name}-{width}");
            examine(visitor, "es", &name, findings).await;
            visitor.prefer("dark").await;
            examine(visitor, "es", &format!("{name}-dark"), findings).await;
            visitor.prefer("light").await;
            visitor.speak("en").await;
            visitor.open(path).await;
            examine(visitor, "en", &format!("{name}-en"), findings).await;
            visitor.speak("es").await;
        }
    }
}

#[tokio::test]
async fn pages_of_every_phase_are_accessible_in_both_languages() {
    let contest = Contest::hold().await;
    let stage = &contest.stage;
    let watch = contest
        .sheets
        .iter()
        .find(|sheet| sheet.name == "watch")
        .unwrap();
    let watch = watch.path.clone();
    let page = |name: &'static str, path: &str| (name, path.to_owned());
    let mut findings = Vec::new();
    let mut boss = contest.visitor(Who::Organiser).await;
    boss.allow(409, "/organizacion/concurso");
    look(
        &mut boss,
        &[page("create", "/organizacion/concurso")],
        &mut findings,
    )
    .await;

    create(stage, "2998-12-03 08:00", "2999-01-01").await;
    let upload_closed = "UPDATE contests SET submissions_close_at = '2020-02-01'";
    stage.app.execute(upload_closed).await;
    stage.app.execute("DELETE FROM uploads").await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let waiting = [
        page("waiting", "/"),
        page("waiting-watch", &watch),
        page("no-upload", "/subir"),
    ];
    look(&mut boss, &waiting, &mut findings).await;

    let voting = "UPDATE contests SET submissions_close_at = now() + interval '1 day',
        voting_open_at = now() - interval '17 days',
        voting_close_at = now() + interval '2 days 4 hours'";
    stage.app.execute(voting).await;
    stage.app.execute(VOTES).await;
    let first = "INSERT INTO vote_hours VALUES (date_trunc('hour', now()), 0, 12)";
    stage.app.execute(first).await;
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    let one_hour = [page("one-hour", "/organizacion/concurso")];
    look(&mut boss, &one_hour, &mut findings).await;
    stage.app.execute("DELETE FROM vote_hours").await;
    stage.app.execute(HOURS).await;
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    let voting = [
        page("voting", "/"),
        page("voting-watch", &watch),
        page("voting-ranking", "/clasificacion"),
        page("help", "/ayuda"),
        page("organise", "/organizacion/concurso"),
        page("remove", "/organizacion/concurso/eliminar"),
    ];
    look(&mut boss, &voting, &mut findings).await;

    let over = "UPDATE contests SET submissions_close_at = now(), voting_close_at = now()";
    stage.app.execute(over).await;
    contests::freeze(&stage.app.db, &By::command("test"), "anb-2026", false)
        .await
        .unwrap();
    let frozen = [
        page("frozen", "/organizacion/concurso"),
        page("preview", "/organizacion/concurso/resultado"),
    ];
    look(&mut boss, &frozen, &mut findings).await;
    contests::publish(&stage.app.db, &By::command("test"), "anb-2026")
        .await
        .unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let published = [
        page("published", "/clasificacion"),
        page("result", "/resultados/anb-2026"),
        page("result-of-city", "/resultados/anb-2026?ciudad=cali"),
        page("record", "/resultados/anb-2026/acta?ciudad=cali"),
    ];
    look(&mut boss, &published, &mut findings).await;
    boss.end().await;
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}
