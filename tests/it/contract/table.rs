//! Rows for successful requests: one per endpoint, from which [`super::general`] derives the common
//! responses, and rows for further valid inputs.

use anb::reports::Reason;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    case::{
        Case,
        Expected::{self, Empty, File, List, Nothing, Object, Sentence},
        Part, Video, Who,
    },
    contests, resumable,
    world::Setting,
};
use crate::support::{PASSWORD, Seed, mp4};

pub const SIGN_UP: &str = "/api/auth/signup";
pub const LOG_IN: &str = "/api/auth/login";
pub const CHANGE_PASSWORD: &str = "/api/auth/password";
pub const LOG_OUT: &str = "/api/auth/logout";
pub const PROFILE: &str = "/api/auth/profile";
pub const UPLOAD: &str = "/api/videos/upload";
pub const VIDEOS: &str = "/api/videos";
pub const VIDEO: &str = "/api/videos/{video_id}";
pub const PUBLISH: &str = "/api/videos/{video_id}/publish";
pub const PUBLIC_VIDEOS: &str = "/api/public/videos";
pub const VOTE: &str = "/api/public/videos/{video_id}/vote";
pub const RANKINGS: &str = "/api/public/rankings";
pub const CITIES: &str = "/api/public/cities";
pub const HIDE: &str = "/api/moderation/videos/{video_id}/hide";
pub const REPORT: &str = "/api/videos/{video_id}/report";
pub const ANSWER: &str = "/api/videos/{video_id}/answer";
pub const REPORTS: &str = "/api/moderation/reports";
pub const DISMISS: &str = "/api/moderation/videos/{video_id}/dismiss";
pub const SHOW: &str = "/api/moderation/videos/{video_id}/show";
pub const AUDIT: &str = "/api/admin/audit";
pub const ROLES: &str = "/api/admin/roles";
pub const RULES: &str = "/api/rules";
pub const MY_VOTES: &str = "/api/user/votes";
pub const MEDIA: &str = "/media/{key:.*}";

pub const ERROR_CODE: &str = "/errors/{code}";
pub const OPENAPI: &str = "/openapi.json";
pub const SWAGGER: &str = "/swagger/{file:.*}";

/// Content type of clips.
pub const FILM: &str = "video/mp4";

/// A clip of a processed video.
pub const CLIP: &str = "processed/{id}/1.mp4";

/// Its poster.
const POSTER: &str = "processed/{id}/1.jpg";

pub fn sign_up_form() -> Value {
    json!({
        "first_name": "Ana", "last_name": "Prueba", "email": "nueva{n}@example.com",
        "password1": PASSWORD, "password2": PASSWORD, "city": "Cali", "country": "Colombia",
    })
}

pub fn password_form() -> Value {
    json!({"current": PASSWORD, "password1": "tablero-2027", "password2": "tablero-2027"})
}

pub fn hide_form() -> Value {
    json!({"reason": "Se ven datos personales."})
}

pub fn grant_form() -> Value {
    json!({"email": "mia@example.com", "role": "moderator"})
}

pub fn report_form() -> Value {
    json!({"reason": "personal_data", "text": "Se ve un número de teléfono al final."})
}

pub fn answer_form() -> Value {
    json!({"text": "El número es de la cancha,\nno es mío."})
}

pub fn changed(mut form: Value, field: &str, value: &str) -> Value {
    form[field] = value.into();
    form
}

pub fn film() -> (&'static str, Part) {
    ("video_file", Part::File(mp4(5000)))
}

pub const TITLE: (&str, Part) = ("title", Part::Text("Mi mejor jugada"));

fn public(method: Method, route: &'static str, expected: Expected) -> Case {
    Case::new(method, route, 200, expected)
}

fn own(method: Method, route: &'static str, expected: Expected) -> Case {
    Case::new(method, route, 200, expected).by(Who::Owner)
}

/// Returns one successful row per endpoint.
pub fn successes() -> Vec<Case> {
    let signed_up = Sentence("Usuario creado exitosamente.", "User created.");
    let uploaded = Sentence(
        "Video subido correctamente. Procesamiento en curso.",
        "Video uploaded. It is being processed.",
    );
    let deleted = Sentence(
        "El video ha sido eliminado exitosamente.",
        "The video was deleted.",
    );
    let voted = Sentence("Voto registrado exitosamente.", "Vote counted.");
    let password_changed = Sentence(
        "Contraseña cambiada exitosamente. Inicia sesión de nuevo.",
        "Password changed. Log in again.",
    );
    let hidden = Sentence("El video está oculto.", "The clip is hidden.");
    let shown = Sentence(
        "El video ya no está oculto.",
        "The clip is no longer hidden.",
    );
    let granted = Sentence("El rol está asignado.", "The role is granted.");
    let reported = Sentence(
        "Gracias. La organización va a revisar este video.",
        "Thank you. The organisers will look at this video.",
    );
    let dismissed = Sentence("El video queda como está.", "The clip stays as it is.");
    let logged_out = Sentence("Sesión cerrada exitosamente.", "Logged out.");
    let mut cases = vec![
        Case::new(Method::POST, SIGN_UP, 201, signed_up).json(sign_up_form()),
        public(Method::POST, LOG_IN, Object)
            .json(json!({"email": "eva@example.com", "password": PASSWORD})),
        own(Method::POST, CHANGE_PASSWORD, password_changed)
            .by(Who::Newcomer)
            .json(password_form()),
        own(Method::POST, LOG_OUT, logged_out),
        own(Method::GET, PROFILE, Object),
        Case::new(Method::POST, UPLOAD, 201, uploaded)
            .by(Who::Owner)
            .form(vec![TITLE, film()]),
        own(Method::GET, VIDEOS, List).within(Setting::Still),
        own(Method::GET, VIDEO, Object),
        own(Method::PATCH, VIDEO, Object).json(json!({"title": "Otro título"})),
        own(Method::DELETE, VIDEO, deleted),
        own(Method::POST, PUBLISH, Object),
        own(Method::PUT, PUBLISH, Object),
        own(Method::POST, ANSWER, Object)
            .about(Video::Fresh(Seed::HIDDEN))
            .json(answer_form()),
        public(Method::POST, REPORT, reported)
            .by(Who::Uploader)
            .about(Video::Fresh(Seed::PUBLIC))
            .json(report_form()),
        public(Method::GET, REPORTS, List)
            .by(Who::Organiser)
            .within(Setting::Still),
        public(Method::POST, DISMISS, dismissed)
            .by(Who::Organiser)
            .about(Video::Reported(Seed::PUBLIC)),
        public(Method::POST, HIDE, hidden)
            .by(Who::Organiser)
            .about(Video::Fresh(Seed::PUBLIC))
            .json(hide_form()),
        public(Method::POST, SHOW, shown)
            .by(Who::Organiser)
            .about(Video::Fresh(Seed::HIDDEN)),
        public(Method::GET, AUDIT, List)
            .by(Who::Organiser)
            .within(Setting::Still),
        public(Method::PUT, ROLES, granted)
            .by(Who::Organiser)
            .json(grant_form()),
        public(Method::GET, RULES, Object),
        public(Method::GET, PUBLIC_VIDEOS, List).within(Setting::Still),
        public(Method::POST, VOTE, voted)
            .by(Who::Fan)
            .about(Video::Fresh(Seed::PUBLIC)),
        public(Method::GET, RANKINGS, List).within(Setting::Still),
        public(Method::GET, CITIES, List),
        public(Method::GET, MY_VOTES, List)
            .by(Who::Fan)
            .within(Setting::Still),
        public(Method::GET, MEDIA, File(FILM))
            .key(CLIP)
            .about(Video::Fresh(Seed::PUBLIC)),
        public(Method::GET, ERROR_CODE, Object).key("already_voted"),
        public(Method::GET, OPENAPI, Object),
        public(Method::GET, SWAGGER, File("text/html")),
        public(Method::GET, "/health", Object),
        public(Method::GET, "/ready", Object),
    ];
    cases.extend(resumable::successes());
    cases.extend(contests::successes());
    cases
}

/// Returns rows for further valid inputs.
pub fn variants() -> Vec<Case> {
    let mut cases = Vec::new();
    let flag = || ("is_public", Part::Text("true"));
    let alias = || ("file", film().1);
    for parts in [
        vec![film(), TITLE, flag()],
        vec![flag(), film(), TITLE],
        vec![alias(), flag(), TITLE],
        vec![TITLE, ("user_id", Part::Text("7")), alias()],
    ] {
        cases.push(success(&Method::POST, UPLOAD).form(parts));
    }
    for bytes in [8, 80, 128] {
        let password = "x".repeat(bytes);
        let form = changed(sign_up_form(), "password1", &password);
        let form = changed(form, "password2", &password);
        cases.push(success(&Method::POST, SIGN_UP).json(form));
    }
    for route in [VIDEOS, MY_VOTES] {
        let list = success(&Method::GET, route).answers(200, Empty);
        cases.push(list.clone().by(Who::Newcomer));
        cases.push(list.tail("?page=2"));
    }
    for route in [PUBLIC_VIDEOS, RANKINGS] {
        let list = success(&Method::GET, route).answers(200, Empty);
        cases.push(list.clone().tail("?city=Leticia"));
        cases.push(list.tail("?page=2"));
    }
    let places = success(&Method::GET, CITIES);
    cases.push(places.clone().tail("?q=la%20uni%C3%B3n"));
    cases.push(places.answers(200, Empty).tail("?q=Atlantis"));
    for status in ["uploaded", "processing", "failed"] {
        let seed = Seed {
            status,
            ..Seed::PRIVATE
        };
        let video = Video::Fresh(seed);
        cases.push(success(&Method::GET, VIDEO).about(video));
    }
    cases.push(success(&Method::GET, VIDEO).about(Video::Fresh(Seed::HIDDEN)));
    cases.push(success(&Method::GET, VIDEO).about(Video::Answered));
    for reason in Reason::ALL {
        let form = json!({"reason": reason.name()});
        cases.push(success(&Method::POST, REPORT).json(form));
    }
    let text = "x".repeat(500);
    let report = changed(report_form(), "text", &text);
    cases.push(success(&Method::POST, REPORT).json(report));
    cases.push(success(&Method::POST, ANSWER).json(json!({ "text": text })));
    cases.push(success(&Method::POST, DISMISS).about(Video::Answered));
    let reports = success(&Method::GET, REPORTS).answers(200, Empty);
    cases.push(reports.tail("?page=2"));
    cases.push(success(&Method::GET, RULES).within(Setting::Still));
    for length in [5, 200] {
        let reason = changed(hide_form(), "reason", &"x".repeat(length));
        cases.push(success(&Method::POST, HIDE).json(reason));
    }
    let record = success(&Method::GET, AUDIT);
    cases.push(record.clone().tail("?limit=1"));
    cases.push(record.answers(200, Empty).tail("?before=1"));
    for role in ["player", "operator"] {
        let role = changed(grant_form(), "role", role);
        cases.push(success(&Method::PUT, ROLES).json(role));
    }
    for (file, content_type) in [
        ("index.html", "text/html"),
        ("init.js", "text/javascript"),
        ("swagger-ui-bundle.js", "text/javascript"),
        ("swagger-ui.css", "text/css"),
    ] {
        let page = success(&Method::GET, SWAGGER).key(file);
        cases.push(page.answers(200, File(content_type)));
    }
    cases.push(
        success(&Method::GET, MEDIA)
            .key(POSTER)
            .answers(200, File("image/jpeg")),
    );
    cases.push(
        success(&Method::GET, MEDIA)
            .header("range", "bytes=0-3")
            .answers(206, File(FILM)),
    );
    cases.push(
        success(&Method::GET, MEDIA)
            .within(Setting::Bucket)
            .answers(302, Nothing),
    );
    cases
}

fn success(method: &Method, route: &str) -> Case {
    let mut all = successes().into_iter();
    all.find(|case| case.method == *method && case.route == route)
        .unwrap()
}
