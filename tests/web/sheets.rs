//! Every page at two sizes, in both languages and colour schemes: accessibility, words of the other
//! language, and a picture in `target/web` for somebody to look at.

use std::{fs, path::PathBuf};

use anb::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    stage::Stage,
    support::{Player, Response, Seed, eventually},
    visitor::{LAPTOP, PHONE, Visitor},
    words::foreign_words,
};

const CITIES: [&str; 6] = ["Cali", "Bogotá", "Medellín", "Quibdó", "Tunja", "Pasto"];
const TITLES: [&str; 6] = [
    "Clavada desde media cancha",
    "Triple con tiempo muerto",
    "Asistencia sin mirar",
    "Tapón en la última jugada",
    "Cambio de mano y bandeja",
    "Rebote y canasta",
];
/// Titles of the videos of the player whose pages are shown.
const OWN_TITLES: [&str; 6] = [
    "Mi mejor entrada",
    "Contragolpe",
    "Mi mejor jugada",
    "Final del barrio",
    "Se cortó",
    "Doble ritmo",
];
/// What the sheet of parts shows of users, and why a video is hidden.
const SAMPLES: [&str; 4] = [
    "Triple sobre la bocina en la final del barrio",
    "Un motivo de prueba",
    "Al final se ve una pelea",
    "No soy yo quien pelea",
];
const NAMES: [(&str, &str); 6] = [
    ("Ana", "Rentería"),
    ("Yeison", "Mosquera"),
    ("Luz", "Ñáñez"),
    ("Kevin", "Ibargüen"),
    ("Sara", "Gómez"),
    ("Brayan", "Cuesta"),
];

/// A page of a visitor.
pub struct Sheet {
    pub name: &'static str,
    pub path: String,
    pub who: Who,
    pub status: u16,
    /// Whether the page is photographed in the dark scheme as well.
    pub is_dark_too: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Anybody,
    Player,
    Organiser,
}

/// A contest with every state of a video.
pub struct Contest {
    pub stage: Stage,
    pub ana: Player,
    pub organiser: Player,
    pub sheets: Vec<Sheet>,
}

impl Contest {
    pub async fn hold() -> Self {
        let stage = Stage::set().await;
        let ana = stage.player("Ana", "Rentería", "Cali").await;
        let organiser = stage.player("Olga", "Ruiz", "Bogotá").await;
        stage.make_organiser(&organiser).await;
        for number in 0..26 {
            let (name, last_name) = NAMES[number % NAMES.len()];
            let city = CITIES[number % CITIES.len()];
            let player = stage.player(name, last_name, city).await;
            let seed = Seed {
                title: TITLES[(number / 2) % TITLES.len()],
                votes: [1_234_567, 8_421, 8_421, 312, 1, 0][number.min(5)],
                ..Seed::PUBLIC
            };
            stage.clip(&player, seed).await;
        }
        let mut contest = Self {
            stage,
            ana,
            organiser,
            sheets: Vec::new(),
        };
        contest.add_sheets().await;
        contest
    }

    async fn add_sheets(&mut self) {
        let stage = &self.stage;
        let titled = |title| Seed {
            title,
            ..Seed::PUBLIC
        };
        let public = stage
            .clip(
                &self.ana,
                Seed {
                    votes: 54,
                    ..titled(OWN_TITLES[0])
                },
            )
            .await;
        let private = Seed {
            is_public: false,
            ..titled(OWN_TITLES[1])
        };
        let private = stage.clip(&self.ana, private).await;
        let hidden = stage
            .clip(
                &self.ana,
                Seed {
                    title: OWN_TITLES[2],
                    ..Seed::HIDDEN
                },
            )
            .await;
        for state in ["uploaded", "processing"] {
            let seed = titled(OWN_TITLES[3]).in_state(state);
            stage.app.add(&self.ana, seed).await;
        }
        let failed = titled(OWN_TITLES[4]).in_state("failed");
        let failed = stage.app.add(&self.ana, failed).await;
        let dead = titled(OWN_TITLES[5]).in_state("failed");
        let dead = stage.app.add(&self.ana, dead).await;
        stage.fail_by_our_fault(&dead).await;
        self.act(&private).await;
        let reports = self.add_reports(&public, &hidden).await;
        let upload = stage.app.create_upload(&self.ana, 1_000_000).await;
        assert!(upload.starts_with('/'));

        let add = |name, path: &str, who, status, is_dark_too| Sheet {
            name,
            path: path.to_owned(),
            who,
            status,
            is_dark_too,
        };
        let page = |name, path: &str| add(name, path, Who::Anybody, 200, false);
        let own = |name, path: &str| add(name, path, Who::Player, 200, false);
        let organise = |name, path: &str| add(name, path, Who::Organiser, 200, false);
        self.sheets = vec![
            add("gallery", "/", Who::Anybody, 200, true),
            page("city", "/?ciudad=cali"),
            page("nothing-found", "/?q=zzzz"),
            add(
                "watch",
                &format!("/videos/{public}"),
                Who::Anybody,
                200,
                true,
            ),
            add("ranking", "/clasificacion", Who::Anybody, 200, true),
            page("ranking-of-videos", "/clasificacion?por=video&ciudad=cali"),
            page("sign-up", "/registro"),
            page("sign-up-to-vote", &format!("/registro?votar={public}")),
            page("log-in", &format!("/entrar?votar={public}")),
            page("help", "/ayuda"),
            page("privacy", "/privacidad"),
            add("missing", "/no-existe", Who::Anybody, 404, false),
            add(
                "missing-clip",
                &format!("/videos/{private}"),
                Who::Anybody,
                404,
                false,
            ),
            own("account", "/cuenta"),
            add("my-videos", "/mis-videos", Who::Player, 200, true),
            own("my-video", &format!("/mis-videos/{private}")),
            own("my-failed-video", &format!("/mis-videos/{failed}")),
            own("delete", &format!("/mis-videos/{private}/eliminar")),
            own("own-vote", &format!("/voto/{public}")),
            add("upload", "/subir", Who::Player, 200, true),
            add("not-for-members", "/organizacion", Who::Player, 404, false),
            organise("organisation", "/organizacion"),
            organise("organised-videos", "/organizacion/videos"),
            organise("organised-video", &format!("/organizacion/videos/{public}")),
            organise("people", "/organizacion/personas"),
            organise("record", "/organizacion/registro"),
            organise("parts", "/organizacion/piezas"),
        ];
        self.sheets.extend(reports);
    }

    /// Lets members of staff do what the record then shows: hide and show a clip, and grant roles.
    async fn act(&self, clip: &str) {
        let app = &self.stage.app;
        for act in ["hide", "show"] {
            let path = format!("/api/moderation/videos/{clip}/{act}");
            let request = app.as_player(&self.organiser, Method::POST, &path);
            let reason = json!({"reason": SAMPLES[1]});
            Response::of(request.json(&reason)).await.ok();
        }
        for (name, last_name, role) in [
            ("Marta", "Quintero", Role::Moderator),
            ("Óscar", "Peña", Role::Operator),
        ] {
            let member = self.stage.player(name, last_name, "Cali").await;
            app.grant(&member.email, role).await;
        }
    }

    /// Lets people report the player's public clip, and the player report one clip and answer about
    /// the hidden one. Returns the pages that show it.
    async fn add_reports(&self, public: &str, hidden: &str) -> Vec<Sheet> {
        let stage = &self.stage;
        let unanswered = Seed {
            title: OWN_TITLES[2],
            ..Seed::HIDDEN
        };
        let unanswered = stage.clip(&self.ana, unanswered).await;
        let sara = stage.player("Sara", "Gómez", "Tunja").await;
        let seed = Seed {
            title: TITLES[3],
            ..Seed::PUBLIC
        };
        let reported = stage.clip(&sara, seed).await;
        let other = stage.clip(&sara, seed).await;
        let (text, answer) = (SAMPLES[2], SAMPLES[3]);
        let reports = format!(
            "INSERT INTO reports (video_id, user_id, reason, text)
             (SELECT '{public}'::uuid, id, (ARRAY['violence', 'violence', 'hate'])[1 + id % 3],
                  CASE WHEN id % 2 = 0 THEN '{text}' END
              FROM users WHERE first_name = 'Kevin' ORDER BY id LIMIT 4)
             UNION ALL
             SELECT '{reported}', id, 'other_person', NULL FROM users WHERE first_name = 'Ana'
             AND last_name = 'Rentería' AND id = (SELECT user_id FROM videos WHERE id = '{public}')"
        );
        assert_eq!(stage.app.execute(&reports).await, 5);
        let answer = format!(
            "INSERT INTO answers (moderation_id, video_id, text)
             SELECT id, video_id, '{answer}' FROM moderations WHERE video_id = '{hidden}'"
        );
        assert_eq!(stage.app.execute(&answer).await, 1);
        let page = |name, path: String, who| Sheet {
            name,
            path,
            who,
            status: 200,
            is_dark_too: name == "organised-reports",
        };
        let own = |name, path| page(name, path, Who::Player);
        let organise = |name, path| page(name, path, Who::Organiser);
        vec![
            own("my-hidden-video", format!("/mis-videos/{unanswered}")),
            own("my-answered-video", format!("/mis-videos/{hidden}")),
            own("report", format!("/reporte/{other}?motivo=hate")),
            own("reported", format!("/reporte/{reported}")),
            organise("answered-video", format!("/organizacion/videos/{hidden}")),
            organise("organised-reports", "/organizacion/reportes".to_owned()),
        ]
    }

    /// Returns a visitor who has logged in.
    pub async fn visitor(&self, who: Who) -> Visitor {
        let visitor = Visitor::of(&self.stage).await;
        match who {
            Who::Anybody => {}
            Who::Player => drop(visitor.be(&self.stage, &self.ana).await),
            Who::Organiser => drop(visitor.be(&self.stage, &self.organiser).await),
        }
        visitor
    }
}

impl Sheet {
    pub async fn open(&self, visitor: &mut Visitor) {
        if self.status >= 400 {
            visitor.expect(self.status, &self.path);
        }
        visitor.open(&self.path).await;
    }
}

/// Saves a picture of the screen.
pub async fn photograph(visitor: &Visitor, name: &str) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../web");
    fs::create_dir_all(&folder).unwrap();
    let is_drawn = "return [...document.images].every((image) => {
        const { top, bottom } = image.getBoundingClientRect();
        const isOff = bottom < 0 || top > innerHeight || !image.checkVisibility();
        return image.complete || isOff;
    })";
    eventually("the pictures on the screen are loaded", 60, async || {
        visitor.run(is_drawn, Value::Null).await == true
    })
    .await;
    let picture = visitor.picture().await;
    fs::write(folder.join(format!("{name}.png")), picture).unwrap();
}

/// Examines the page that is open, in a language: accessibility, words, a picture.
pub async fn examine(visitor: &Visitor, language: &str, name: &str, findings: &mut Vec<String>) {
    for violation in visitor.violations().await {
        findings.push(format!("{name}: {violation}"));
    }
    let department = ["Valle del Cauca"];
    let written = [&TITLES[..], &OWN_TITLES, &SAMPLES, &department].concat();
    for word in foreign_words(visitor, language, &written).await {
        findings.push(format!("{name} ({language}): {word}"));
    }
    photograph(visitor, name).await;
}

async fn all_sheets_of(who: Who) {
    let contest = Contest::hold().await;
    let mut visitor = contest.visitor(who).await;
    // The streams of pages that were left end with the next event. Then the page polls.
    visitor.allow(503, "/mis-videos/eventos");
    visitor.allow(503, "/organizacion/eventos");
    let mut findings = Vec::new();
    for sheet in contest.sheets.iter().filter(|sheet| sheet.who == who) {
        for (size, width) in [(PHONE, "360"), (LAPTOP, "1280")] {
            visitor.resize(size).await;
            sheet.open(&mut visitor).await;
            let name = format!("{}-{width}", sheet.name);
            examine(&visitor, "es", &name, &mut findings).await;
            if sheet.is_dark_too {
                visitor.prefer("dark").await;
                let name = format!("{name}-dark");
                examine(&visitor, "es", &name, &mut findings).await;
                visitor.prefer("light").await;
            }
            visitor.speak("en").await;
            sheet.open(&mut visitor).await;
            let name = format!("{name}-en");
            examine(&visitor, "en", &name, &mut findings).await;
            visitor.speak("es").await;
        }
    }
    visitor.end().await;
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[tokio::test]
async fn public_pages_are_accessible_in_both_languages() {
    all_sheets_of(Who::Anybody).await;
}

#[tokio::test]
async fn pages_of_players_are_accessible_in_both_languages() {
    all_sheets_of(Who::Player).await;
}

#[tokio::test]
async fn pages_of_organisers_are_accessible_in_both_languages() {
    all_sheets_of(Who::Organiser).await;
}
