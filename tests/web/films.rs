//! The table of films: the check in the browser, the one on arrival and the worker judge alike.

use std::{collections::HashMap, fs, path::PathBuf, time::Duration};

use anb::{
    language::Language,
    media::{Error, JobReport, Media, SNIFF_BYTES, sniff},
    videos::Failure,
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{stage::Stage, support::draw, visitor::Visitor};

const TABLE: &str = include_str!("films.json");

/// The rules of the table.
const RULES: [&str; 4] = [
    "--min-input-duration=20",
    "--max-input-duration=60",
    "--min-input-height=1080",
    "--max-file-size=104857600",
];

/// A film of the table.
struct Film {
    name: String,
    suffix: String,
    bytes: Vec<u8>,
    expected: Value,
}

async fn films() -> &'static Vec<Film> {
    static FILMS: OnceCell<Vec<Film>> = OnceCell::const_new();
    FILMS.get_or_init(make_films).await
}

/// Makes all films. Many are edits of the same drawing.
async fn make_films() -> Vec<Film> {
    let table: Value = serde_json::from_str(TABLE).unwrap();
    let mut drawn: HashMap<(String, String), Vec<u8>> = HashMap::new();
    let mut films = Vec::new();
    for film in table["films"].as_array().unwrap() {
        let make = &film["make"];
        let suffix = make["suffix"].as_str().unwrap_or("mp4").to_owned();
        let mut bytes = if let Some(args) = make["ffmpeg"].as_str() {
            let key = (args.to_owned(), suffix.clone());
            if !drawn.contains_key(&key) {
                let film = draw(args, &format!("film.{suffix}")).await;
                drawn.insert(key.clone(), film);
            }
            drawn[&key].clone()
        } else if let Some(digits) = make["hex"].as_str() {
            hex::decode(digits).unwrap()
        } else {
            make["text"].as_str().unwrap().into()
        };
        for edit in film["edits"].as_array().into_iter().flatten() {
            apply(&mut bytes, edit);
        }
        films.push(Film {
            name: film["name"].as_str().unwrap().to_owned(),
            suffix,
            bytes,
            expected: film.clone(),
        });
    }
    films
}

/// Changes bytes of a box's body, or cuts the file.
fn apply(bytes: &mut Vec<u8>, edit: &Value) {
    let number = |name: &str| edit[name].as_u64().map(|it| usize::try_from(it).unwrap());
    if let Some(length) = number("cut") {
        bytes.truncate(length);
        return;
    }
    let (mut start, mut end) = (0, bytes.len());
    for kind in edit["box"].as_str().unwrap().split('/') {
        (start, end) = find_box(bytes, start, end, kind);
    }
    let start = start + number("at").unwrap();
    let new = hex::decode(edit["hex"].as_str().unwrap()).unwrap();
    assert!(start + new.len() <= end, "{edit}");
    bytes[start..start + new.len()].copy_from_slice(&new);
}

/// Returns where the body of a box begins and ends (ISO/IEC 14496-12 §4.2).
fn find_box(bytes: &[u8], mut start: usize, end: usize, kind: &str) -> (usize, usize) {
    while start < end {
        let size: [u8; 4] = bytes[start..start + 4].try_into().unwrap();
        let size = usize::try_from(u32::from_be_bytes(size)).unwrap();
        if &bytes[start + 4..start + 8] == kind.as_bytes() {
            return (start + 8, start + size);
        }
        start += size;
    }
    panic!("no {kind}");
}

async fn stage() -> Stage {
    Stage::set_with_rules(&RULES, &[]).await
}

fn save(stage: &Stage, film: &Film) -> PathBuf {
    let path = stage.app.folder.path();
    let path = path.join(format!("{}.{}", film.name, film.suffix));
    fs::write(&path, &film.bytes).unwrap();
    path
}

#[tokio::test]
async fn browser_arrival_and_worker_judge_alike() {
    let stage = stage().await;
    let table: Value = serde_json::from_str(TABLE).unwrap();
    let films = films().await;
    let launcher = PathBuf::from(env!("CARGO_BIN_EXE_anb"));
    let media = Media::prepare(&stage.app.work.media, launcher)
        .await
        .unwrap();
    let mut visitor = Visitor::of(&stage).await;
    // Only for its file field and its modules.
    visitor.open("/entrar").await;
    let check = "const { src } = document.querySelector('script[src*=\"/page.js\"]');
        window.check = import(src.replace('page.js', 'check.js'));
        window.field = document.createElement('input');
        field.type = 'file';
        field.id = 'film';
        document.querySelector('main').append(field);";
    visitor.run(check, Value::Null).await;
    let judge = "const started = performance.now();
        const judged = window.check.then(({ check }) => check(field.files[0], arguments[0]));
        return judged.then((it) => ({ ...it, ms: performance.now() - started }));";
    let (mut wrong, mut slowest) = (Vec::new(), Duration::ZERO);
    for film in films {
        let path = save(&stage, film);
        visitor.choose("#film", &path).await;
        let judged = visitor.run(judge, table["rules"].clone()).await;
        slowest = slowest.max(Duration::from_secs_f64(
            judged["ms"].as_f64().unwrap() / 1e3,
        ));
        let mut facts = judged["facts"].clone();
        let facts = facts.as_object_mut().unwrap();
        let expected = &film.expected;
        let is_as_expected = facts.iter().all(|(name, value)| {
            let wanted = &expected["facts"][name];
            ["bytes", "format"].contains(&name.as_str()) || is_near(value, wanted)
        });
        if judged["problems"] != expected["check"] || !is_as_expected {
            wrong.push(format!("{}: the browser says {judged}", film.name));
        }

        let arrived = match sniff(&film.bytes[..film.bytes.len().min(SNIFF_BYTES)]) {
            Ok(()) => "ok",
            Err(_) => "not_an_mp4",
        };
        if arrived != expected["sniff"] {
            wrong.push(format!("{}: sniffed as {arrived}", film.name));
        }
        // Other tests make clips of good films.
        if expected["verdict"].is_null() {
            continue;
        }
        let scratch = media.scratch().unwrap();
        let mut report = JobReport::default();
        let made = media
            .make_clip(&path, media.rules(), &scratch, &mut report, |_| {})
            .await;
        let verdict = match made {
            Ok(_clip) => "clip".to_owned(),
            Err(Error::Rejected(rejection)) => rejection.code().to_owned(),
            Err(error) => format!("{error:#}"),
        };
        if verdict != expected["verdict"] {
            wrong.push(format!("{}: the worker says {verdict}", film.name));
        }
    }
    visitor.end().await;
    println!("{} films, at most {slowest:?} in the browser", films.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn is_near(value: &Value, wanted: &Value) -> bool {
    match (value.as_f64(), wanted.as_f64()) {
        (Some(value), Some(wanted)) => (value - wanted).abs() < 0.05,
        (None, None) => true,
        _ => false,
    }
}

/// A wrong file of each kind costs no byte, and is refused in the server's words.
#[tokio::test]
async fn wrong_files_are_refused_before_a_byte_is_sent() {
    let stage = stage().await;
    let ana = stage.player("Ana", "Rentería", "Cali").await;
    let films = films().await;
    let named = |name: &str| films.iter().find(|film| film.name == name).unwrap();
    let heavy = stage.app.folder.path().join("heavy.mp4");
    fs::copy(save(&stage, named("good")), &heavy).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&heavy).unwrap();
    // Without occupying the disk.
    file.set_len(110 << 20).unwrap();

    let mut player = Visitor::of(&stage).await;
    player.be(&stage, &ana).await;
    player.open("/subir").await;
    for (name, failure) in [
        (
            "short",
            json!({ "code": "too_short", "seconds": 14, "min_seconds": 20 }),
        ),
        (
            "long",
            json!({ "code": "too_long", "seconds": 75, "max_seconds": 60 }),
        ),
        (
            "small",
            json!({ "code": "low_resolution", "lines": 720, "min_lines": 1080 }),
        ),
        ("sound_only", json!({ "code": "not_a_video" })),
        ("song", json!({ "code": "not_an_mp4" })),
        ("text", json!({ "code": "not_an_mp4" })),
        ("picture", json!({ "code": "not_an_mp4" })),
    ] {
        let sentence = Failure::from_row(&failure)
            .unwrap()
            .message(Language::Spanish);
        let sentence = sentence.trim_end_matches('.');
        let said = refused(&player, &save(&stage, named(name))).await;
        assert!(said.starts_with(sentence), "{name}: {said}, not {sentence}");
    }
    let said = refused(&player, &heavy).await;
    assert!(
        said.starts_with("Pesa 110 MB y el máximo es 100 MB."),
        "{said}"
    );
    let good = save(&stage, named("good_hevc"));
    player.choose("[data-file]", &good).await;
    player.until("[data-estado=listo]").await;

    let requests = player.requests().await;
    let sent = requests.iter().find(|one| one.method != "GET");
    assert!(sent.is_none(), "{sent:?}");
    player.end().await;
}

/// Chooses a file, which must be refused. Returns why.
async fn refused(player: &Visitor, file: &std::path::Path) -> String {
    player.choose("[data-file]", file).await;
    player.until("[data-estado=fallo]").await;
    let said = player.text("[data-reason]").await;
    player.click("[data-estado=fallo] [data-do=choose]").await;
    player.until("[data-estado=elegir]").await;
    said
}
