//! Uploads over bad links: what they cost, what the page shows meanwhile, and a session that ends on
//! the way.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    stage::Stage,
    support::{
        PASSWORD, content, eventually, film, free_port,
        link::{Link, Quality, Resets},
    },
    visitor::Visitor,
};

/// Chunk of an upload, of which a break may cost one.
const CHUNK: usize = 5 << 20;

/// Rules for videos, so that a short film may have a large file.
const RULES: [&str; 3] = [
    "--min-input-duration=2",
    "--max-input-duration=8",
    "--max-file-size=60000000",
];

/// Notes what the page shows of an upload: its state, percent and sentence, each with the time.
const WATCH: &str = "
    window.shown = [];
    const note = () => {
        const part = document.querySelector('[data-estado]:not([hidden])');
        const percent = part?.querySelector('[data-progress]')?.value ?? null;
        const sent = part?.querySelector('[data-sent]')?.textContent ?? '';
        const last = shown.at(-1);
        const { estado: state } = part.dataset;
        if (last?.state === state && last.percent === percent && last.sent === sent) return;
        shown.push({ state, percent, sent, at: performance.now() });
    };
    new MutationObserver(note).observe(document.querySelector('[data-upload]'), {
        subtree: true, childList: true, characterData: true, attributes: true,
        attributeFilter: ['hidden', 'value'],
    });";

/// What the page showed at a time.
#[derive(Debug, serde::Deserialize)]
struct Shown {
    state: String,
    percent: Option<f64>,
    sent: String,
    /// Milliseconds since the page was opened.
    at: f64,
}

/// Returns a film with a box of free space, which makes its file as large as that of a long film
/// (ISO 14496-12, section 8.1.2).
async fn film_of(bytes: usize) -> Vec<u8> {
    let mut file = film().await;
    let length = bytes - file.len();
    file.extend(u32::try_from(length).unwrap().to_be_bytes());
    file.extend(b"free");
    file.extend(content(length - 8, 19));
    file
}

/// Starts an API at the end of a link.
async fn behind(quality: Quality) -> (Stage, Link) {
    let port = free_port();
    let link = Link::to(&format!("http://127.0.0.1:{port}"), quality).await;
    let port = format!("--port={port}");
    let url = format!("--public-url={}", link.url());
    let stage = Stage::set_with_rules(&RULES, &[&port, &url]).await;
    (stage, link)
}

async fn shown(player: &Visitor) -> Vec<Shown> {
    let shown = player.run("return window.shown", Value::Null).await;
    serde_json::from_value(shown).unwrap()
}

fn state(name: &str) -> String {
    format!("[data-estado={name}]")
}

/// Chooses a file, writes a title and begins to send.
async fn begin(player: &Visitor, file: &std::path::Path) {
    player.choose("[data-file]", file).await;
    player.until(&state("listo")).await;
    let title = format!("{} [data-title]", state("listo"));
    player.fill(&title, "Mi gran clavada").await;
    let start = format!("{} [data-do=start]", state("listo"));
    player.click(&start).await;
}

/// Waits until the page shows that so much was sent.
async fn until_percent(player: &Visitor, percent: f64) {
    let bar = "const bar = document.querySelector('[data-estado=subiendo] [data-progress]');
        return bar.closest('[data-estado]').hidden ? -1 : bar.value;";
    eventually("the upload goes on", 300, async || {
        player.run(bar, Value::Null).await.as_f64().unwrap() >= percent
    })
    .await;
}

/// Checks that a displayed percentage of an upload never falls by more than a chunk.
fn assert_no_step_back(shown: &[Shown], file: usize) {
    let chunk = u32::try_from(100 * CHUNK / file).unwrap() + 1;
    let states = ["subiendo", "pausada", "sin-conexion"];
    let sending = shown
        .iter()
        .filter(|one| states.contains(&one.state.as_str()));
    let percents: Vec<f64> = sending.filter_map(|one| one.percent).collect();
    for pair in percents.windows(2) {
        let [before, after] = pair else { continue };
        assert!(
            before - after <= f64::from(chunk),
            "{before} % fell to {after} %: {percents:?}"
        );
    }
}

#[tokio::test]
async fn broken_link_costs_little_and_the_percentage_stays() {
    const FILE: usize = 50_000_000;
    /// In bytes per second.
    const RATE: u32 = 3_000_000;
    let offsets = [3, 12, 19, 33, 46].map(|millions: u64| millions * 1_000_000);
    let quality = Quality {
        rate: Some(RATE),
        round_trip: Duration::from_millis(60),
        resets: Resets::At(offsets.into()),
        ..Quality::default()
    };
    let (mut stage, link) = behind(quality).await;
    stage.work().await;
    let file = stage.file("jugada.mp4", &film_of(FILE).await);
    let ana = stage.player("Ana", "Rentería", "Cali").await;
    let mut player = Visitor::at(&link.url()).await;
    player.be(&stage, &ana).await;
    // The browser itself repeats requests, also those that the server has received.
    player.allow(409, "/api/uploads/");
    player.open("/subir").await;
    player.run(WATCH, Value::Null).await;
    begin(&player, &file).await;

    until_percent(&player, 25.0).await;
    let mut seen = shown(&player).await;
    // At once: what judges a page takes seconds, in which the upload goes on.
    player.browser().reload().await;
    player.run(WATCH, Value::Null).await;
    player.until("[data-open-uploads] [data-do=resume]").await;
    player.click("[data-open-uploads] [data-do=resume]").await;
    player.choose("[data-file]", &file).await;

    until_percent(&player, 50.0).await;
    player.set_offline(true).await;
    player.until(&state("sin-conexion")).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    player.set_offline(false).await;
    player.until_within(&state("listo-clip"), 300).await;
    seen.extend(shown(&player).await);
    assert_no_step_back(&seen, FILE);
    assert_eq!(link.resets(), 5);
    let ratio = link.sent() * 100 / u64::try_from(FILE).unwrap();
    println!("sent {ratio} % of the file over 5 resets, an outage and a reload");
    assert!(ratio <= 115, "sent {ratio} % of the file");
    assert_eq!(stage.app.number("SELECT count(*) FROM videos").await, 1);
    let open = "SELECT count(*) FROM uploads WHERE length IS NOT NULL";
    assert_eq!(stage.app.number(open).await, 0);
    player.end().await;
}

#[tokio::test]
async fn time_left_is_right_on_a_steady_link() {
    const FILE: usize = 15_000_000;
    const RATE: u32 = 500_000;
    /// From then on the figures are to be right (ms).
    const SETTLED: f64 = 10_000.0;
    let quality = Quality {
        rate: Some(RATE),
        round_trip: Duration::from_millis(60),
        ..Quality::default()
    };
    let (stage, link) = behind(quality).await;
    let file = stage.file("jugada.mp4", &film_of(FILE).await);
    let ana = stage.player("Ana", "Rentería", "Cali").await;
    let mut player = Visitor::at(&link.url()).await;
    player.be(&stage, &ana).await;
    player.open("/subir").await;
    player.run(WATCH, Value::Null).await;
    begin(&player, &file).await;
    player.until_within(&state("en-fila"), 300).await;

    let shown = shown(&player).await;
    let began = shown.iter().find(|one| one.state == "subiendo").unwrap().at;
    let ended = shown.iter().find(|one| one.state == "en-fila").unwrap().at;
    let mut errors = Vec::new();
    for one in shown.iter().filter(|one| one.state == "subiendo") {
        let left = (ended - one.at) / 1000.0;
        let Some(told) = seconds_left(&one.sent) else {
            continue;
        };
        if one.at - began >= SETTLED {
            errors.push((told / left - 1.0).abs());
        }
    }
    errors.sort_by(f64::total_cmp);
    let median = errors[errors.len() / 2];
    println!("{} figures, median error {median:.2}", errors.len());
    assert!(median <= 0.25, "{errors:?}");
    player.end().await;
}

/// Sends a file over a link that is not there: `rate` bytes a second, and a buffer that the browser
/// fills in 400 ms. Returns the error of each figure from the tenth to the last second but ten, or
/// null where there is none.
const SIMULATION: &str = "
    const [{ rate, buffer, total }] = arguments;
    const { href } = document.querySelector('link[href*=\"pace.js\"]');
    const chunk = 5 << 20;
    return import(href).then(({ Pace }) => {
        const pace = new Pace();
        const errors = [];
        const end = (total / rate) * 1000;
        for (let now = 0; now < end - 10_000; now += 50) {
            const arrived = (rate * now) / 1000;
            const stored = arrived - (arrived % chunk);
            const age = (1000 * (arrived - stored)) / rate;
            const buffered = buffer * Math.min(1, age / 400);
            pace.add(now, Math.min(total, stored + chunk, arrived + buffered), stored);
            const left = pace.secondsLeft(now, total);
            const truth = (end - now) / 1000;
            if (now >= 10_000 && now % 1000 === 0) errors.push(left ? left / truth - 1 : null);
        }
        return errors;
    });";

#[tokio::test]
async fn time_left_is_right_whatever_the_network_buffers() {
    let stage = Stage::set().await;
    let ana = stage.player("Ana", "Rentería", "Cali").await;
    let mut player = Visitor::of(&stage).await;
    player.be(&stage, &ana).await;
    player.open("/subir").await;
    for rate in [50_000, 200_000, 625_000, 1_500_000] {
        for buffer in [16 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20] {
            let link = json!({ "rate": rate, "buffer": buffer, "total": 50_000_000 });
            let errors = player.run(SIMULATION, link.clone()).await;
            let errors = errors.as_array().unwrap();
            let told: Vec<f64> = errors.iter().filter_map(Value::as_f64).collect();
            let worst = told
                .iter()
                .fold(0_f64, |worst, error| worst.max(error.abs()));
            println!(
                "{link}: {} of {} seconds, worst {worst:.2}",
                told.len(),
                errors.len()
            );
            assert!(worst <= 0.25, "{link}");
            assert!(2 * told.len() >= errors.len(), "{link}");
        }
    }
    player.end().await;
}

/// Returns the time left that a sentence tells, in seconds.
fn seconds_left(sentence: &str) -> Option<f64> {
    let (_, left) = sentence.split_once("faltan unos ")?;
    let mut words = left.split_whitespace();
    let number: f64 = words.next()?.parse().ok()?;
    Some(if words.next()?.starts_with("min") {
        60.0 * number
    } else {
        number
    })
}

#[tokio::test]
async fn session_that_ends_on_the_way_costs_a_login_and_no_bytes() {
    const FILE: usize = 18_000_000;
    let (stage, link) = behind(Quality::default()).await;
    let file = stage.file("jugada.mp4", &film_of(FILE).await);
    let ana = stage.app.sign_up("Ana", "Cali").await;
    let mut player = Visitor::at(&link.url()).await;
    let session = player.be(&stage, &ana).await;
    player.open("/subir").await;
    player.run(WATCH, Value::Null).await;
    player.expect(401, "/api/uploads/");
    // So slow that the session ends long before the last chunk begins.
    player.throttle(0, -1, 600_000).await;
    begin(&player, &file).await;
    until_percent(&player, 10.0).await;

    // The player logs out in another browser that has the same session.
    let log_out = stage.app.request(reqwest::Method::POST, "/salir");
    let log_out = log_out.header("cookie", format!("anb={session}"));
    let answer = log_out.header("sec-fetch-site", "same-origin").send().await;
    assert!(!answer.unwrap().status().is_client_error());
    player.until("dialog[data-login][open]").await;
    player.throttle(0, -1, -1).await;
    crate::sheets::photograph(&player, "upload-login-360").await;
    let received = "SELECT received FROM uploads WHERE length IS NOT NULL";
    let kept = stage.app.number(received).await;
    assert!(kept >= i64::try_from(CHUNK).unwrap(), "{kept} bytes");

    player.fill("#login-email", &ana.email).await;
    player.fill("#login-password", "no-es-esta").await;
    player.expect(401, "/entrar");
    player.click("dialog[data-login] button").await;
    player.until("dialog[data-login] [data-problem]").await;
    player.fill("#login-password", PASSWORD).await;
    player.click("dialog[data-login] button").await;
    player.until_within(&state("en-fila"), 300).await;

    assert_no_step_back(&shown(&player).await, FILE);
    let begun =
        |one: &&crate::traffic::Request| one.method == "POST" && one.url.ends_with("/api/uploads");
    assert_eq!(player.requests().await.iter().filter(begun).count(), 1);
    // The request that was refused may have sent a chunk.
    let extra = link.sent().saturating_sub(u64::try_from(FILE).unwrap());
    println!("{extra} bytes sent again");
    assert!(
        extra <= u64::try_from(CHUNK + CHUNK / 4).unwrap(),
        "{extra} bytes"
    );
    assert_eq!(stage.app.number("SELECT count(*) FROM videos").await, 1);
    player.end().await;
}
