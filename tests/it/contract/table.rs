//! The rows: for each endpoint its success, from which [`super::general`] derives what every endpoint
//! answers, and its own refusals.

use anb::http::Code;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    case::{
        Body, Case,
        Expected::{self, File, List, Nothing, Object, Sentence, Strings},
        Part, Video, Who,
    },
    world::Setting,
};
use crate::support::{PASSWORD, Seed, mp4};

const SIGN_UP: &str = "/api/auth/signup";
const LOG_IN: &str = "/api/auth/login";
const CHANGE_PASSWORD: &str = "/api/auth/password";
const LOG_OUT: &str = "/api/auth/logout";
const PROFILE: &str = "/api/auth/profile";
const UPLOAD: &str = "/api/videos/upload";
const VIDEOS: &str = "/api/videos";
const VIDEO: &str = "/api/videos/{video_id}";
const PUBLISH: &str = "/api/videos/{video_id}/publish";
const PUBLIC_VIDEOS: &str = "/api/public/videos";
const VOTE: &str = "/api/public/videos/{video_id}/vote";
const RANKINGS: &str = "/api/public/rankings";
const MY_VOTES: &str = "/api/user/votes";
const MEDIA: &str = "/media/{key:.*}";

/// A clip of a processed video.
const CLIP: &str = "processed/{id}/1.mp4";

/// Keys of a video of one's own; those of a single one add `original_url`.
const OWN: [&str; 10] = [
    "video_id",
    "title",
    "status",
    "uploaded_at",
    "processed_at",
    "processed_url",
    "poster_url",
    "is_public",
    "votes",
    "original_url",
];
const OWN_LISTED: &[&str] = OWN.split_last().unwrap().1;

fn sign_up_form() -> Value {
    json!({
        "first_name": "Ana", "last_name": "Prueba", "email": "nueva{n}@example.com",
        "password1": PASSWORD, "password2": PASSWORD, "city": "Cali", "country": "Colombia",
    })
}

fn password_form() -> Value {
    json!({"current": PASSWORD, "password1": "tablero-2027", "password2": "tablero-2027"})
}

fn changed(mut form: Value, field: &str, value: &str) -> Value {
    form[field] = value.into();
    form
}

fn film() -> (&'static str, Part) {
    ("video_file", Part::File(mp4(5000)))
}

const TITLE: (&str, Part) = ("title", Part::Text("Mi mejor jugada"));

fn public(method: Method, route: &'static str, expected: Expected) -> Case {
    Case::new(method, route, 200, expected)
}

fn own(method: Method, route: &'static str, expected: Expected) -> Case {
    Case::new(method, route, 200, expected).by(Who::Owner)
}

/// One row for each endpoint, with everything as it should be.
pub fn successes() -> Vec<Case> {
    let listed = List(&[
        "video_id",
        "title",
        "username",
        "city",
        "votes",
        "processed_url",
        "poster_url",
        "uploaded_at",
        "processed_at",
    ]);
    let ranked = List(&[
        "position",
        "username",
        "city",
        "votes",
        "video_id",
        "title",
        "video_url",
    ]);
    let profile = Object(&[
        "id",
        "first_name",
        "last_name",
        "email",
        "city",
        "country",
        "created_at",
    ]);
    let signed_up = Sentence("Usuario creado exitosamente.", "User created.", &[]);
    let uploaded = Sentence(
        "Video subido correctamente. Procesamiento en curso.",
        "Video uploaded. It is being processed.",
        &["task_id"],
    );
    let deleted = Sentence(
        "El video ha sido eliminado exitosamente.",
        "The video was deleted.",
        &["video_id"],
    );
    let voted = Sentence("Voto registrado exitosamente.", "Vote counted.", &[]);
    let password_changed = Sentence(
        "Contraseña cambiada exitosamente. Inicia sesión de nuevo.",
        "Password changed. Log in again.",
        &[],
    );
    let logged_out = Sentence("Sesión cerrada exitosamente.", "Logged out.", &[]);
    vec![
        Case::new(Method::POST, SIGN_UP, 201, signed_up).json(sign_up_form()),
        public(
            Method::POST,
            LOG_IN,
            Object(&["access_token", "token_type", "expires_in"]),
        )
        .json(json!({"email": "eva@example.com", "password": PASSWORD})),
        own(Method::POST, CHANGE_PASSWORD, password_changed)
            .by(Who::Newcomer)
            .json(password_form()),
        own(Method::POST, LOG_OUT, logged_out),
        own(Method::GET, PROFILE, profile),
        Case::new(Method::POST, UPLOAD, 201, uploaded)
            .by(Who::Owner)
            .form(vec![TITLE, film()]),
        own(Method::GET, VIDEOS, List(OWN_LISTED)).within(Setting::Still),
        own(Method::GET, VIDEO, Object(&OWN)),
        own(Method::PATCH, VIDEO, Object(&OWN)).json(json!({"title": "Otro título"})),
        own(Method::DELETE, VIDEO, deleted),
        own(Method::POST, PUBLISH, Object(&OWN)),
        own(Method::PUT, PUBLISH, Object(&OWN)),
        public(Method::GET, PUBLIC_VIDEOS, listed).within(Setting::Still),
        public(Method::POST, VOTE, voted)
            .by(Who::Fan)
            .about(Video::Fresh(Seed::PUBLIC)),
        public(Method::GET, RANKINGS, ranked).within(Setting::Still),
        public(Method::GET, MY_VOTES, Strings)
            .by(Who::Fan)
            .within(Setting::Still),
        public(Method::GET, MEDIA, File)
            .key(CLIP)
            .about(Video::Fresh(Seed::PUBLIC)),
        public(
            Method::GET,
            "/health",
            Object(&["status", "timestamp", "version"]),
        ),
        public(Method::GET, "/ready", Object(&["status"])),
    ]
}

/// What an endpoint refuses for reasons of its own.
pub fn refusals() -> Vec<Case> {
    [accounts(), uploads(), videos(), votes(), lists(), files()].concat()
}

fn post(route: &'static str) -> Case {
    Case::new(Method::POST, route, 200, Nothing)
}

fn get(route: &'static str) -> Case {
    Case::new(Method::GET, route, 200, Nothing)
}

fn accounts() -> Vec<Case> {
    let sign_up = |field, value, problems| {
        post(SIGN_UP)
            .json(changed(sign_up_form(), field, value))
            .refuses_fields(400, Code::ValidationFailed, problems)
    };
    let change = |field, value| {
        let case = post(CHANGE_PASSWORD).by(Who::Newcomer);
        case.json(changed(password_form(), field, value))
    };
    let log_in = |email: &str, password: &str| {
        post(LOG_IN).json(json!({"email": email, "password": password}))
    };
    vec![
        change("current", "otra").refuses(401, Code::WrongCredentials),
        change("current", "").refuses_fields(
            400,
            Code::ValidationFailed,
            &[("current", "required")],
        ),
        change("password1", "corta").refuses_fields(
            400,
            Code::ValidationFailed,
            &[("password1", "too_short"), ("password2", "mismatch")],
        ),
        change("current", "otra")
            .by(Who::Owner)
            .within(Setting::Limited)
            .refuses(429, Code::TooManyRequests),
        sign_up("first_name", "", &[("first_name", "required")]),
        sign_up("last_name", " ", &[("last_name", "required")]),
        sign_up("email", "ana", &[("email", "invalid")]),
        sign_up("password2", "otra-clave", &[("password2", "mismatch")]),
        sign_up("city", "...", &[("city", "invalid")]),
        sign_up("country", "", &[("country", "required")]),
        post(SIGN_UP)
            .json(json!({}))
            .refuses_fields(400, Code::ValidationFailed, ALL_FIELDS),
        post(SIGN_UP)
            .json(changed(sign_up_form(), "email", "EVA@example.com"))
            .refuses_fields(400, Code::EmailTaken, &[("email", "taken")]),
        log_in("eva@example.com", "otra").refuses(401, Code::WrongCredentials),
        log_in("nadie@example.com", PASSWORD).refuses(401, Code::WrongCredentials),
        log_in("eva@example.com", PASSWORD)
            .within(Setting::Limited)
            .refuses(429, Code::TooManyRequests),
        post(LOG_IN)
            .json(json!({"email": "eva@example.com"}))
            .refuses(400, Code::InvalidJson),
        post(LOG_IN)
            .json(json!(["eva@example.com", PASSWORD]))
            .refuses(400, Code::InvalidJson),
    ]
}

const ALL_FIELDS: &[(&str, &str)] = &[
    ("first_name", "required"),
    ("last_name", "required"),
    ("email", "required"),
    ("password1", "required"),
    ("city", "required"),
    ("country", "required"),
];

fn uploads() -> Vec<Case> {
    let upload = |parts| post(UPLOAD).by(Who::Owner).form(parts);
    let titled = |title, problems| {
        upload(vec![("title", Part::Text(title)), film()]).refuses_fields(
            400,
            Code::ValidationFailed,
            problems,
        )
    };
    let song = b"\0\0\0\x1cftypM4A \0\0\0\0M4A mp42isom".to_vec();
    vec![
        upload(vec![TITLE]).refuses(400, Code::MissingFile),
        upload(vec![TITLE, ("file", Part::File(b"hola".to_vec()))]).refuses(400, Code::NotAnMp4),
        upload(vec![TITLE, ("file", Part::File(song))]).refuses(400, Code::NotAnMp4),
        titled("cuat", &[("title", "too_short")]),
        titled("", &[("title", "required")]),
        upload(vec![film()]).refuses_fields(400, Code::ValidationFailed, &[("title", "required")]),
        upload(vec![TITLE, film(), ("is_public", Part::Text("maybe"))]).refuses_fields(
            400,
            Code::ValidationFailed,
            &[("is_public", "invalid")],
        ),
        upload(vec![TITLE, film(), film()]).refuses(400, Code::InvalidForm),
        post(UPLOAD)
            .by(Who::Owner)
            .json(json!({}))
            .refuses(400, Code::InvalidForm),
        upload(vec![TITLE, ("video_file", Part::File(mp4(6001)))])
            .within(Setting::Strict)
            .refuses(400, Code::FileTooLarge),
        upload(vec![TITLE, film()])
            .within(Setting::Limited)
            .refuses(429, Code::TooManyRequests),
        upload(vec![TITLE, film()])
            .within(Setting::Full)
            .refuses(503, Code::StorageFull),
        post(UPLOAD)
            .by(Who::Owner)
            .within(Setting::Strict)
            .sends(Body::Endless(
                "multipart/form-data; boundary=b",
                "--b\r\ncontent-disposition: form-data; name=\"video_file\"\r\n\r\n",
            ))
            .refuses(408, Code::BodyTooSlow),
    ]
}

fn videos() -> Vec<Case> {
    let failed = Video::Fresh(Seed {
        status: "failed",
        ..Seed::PRIVATE
    });
    let patch = |change: Value| {
        Case::new(Method::PATCH, VIDEO, 200, Nothing)
            .by(Who::Owner)
            .json(change)
    };
    let mut cases = vec![
        patch(json!({"title": "cuat"})).refuses_fields(
            400,
            Code::ValidationFailed,
            &[("title", "too_short")],
        ),
        patch(json!({"is_public": true}))
            .about(failed)
            .refuses(400, Code::NotPublishable),
        patch(json!({"is_public": "true"})).refuses(400, Code::InvalidJson),
        patch(json!(["Otro título", true])).refuses(400, Code::InvalidJson),
        Case::new(Method::DELETE, VIDEO, 200, Nothing)
            .by(Who::Owner)
            .about(Video::Fresh(Seed::PUBLIC))
            .refuses(400, Code::PublishedVideo),
    ];
    for case in successes() {
        if ![VIDEO, PUBLISH].contains(&case.route) {
            continue;
        }
        cases.push(case.clone().by(Who::Fan).refuses(403, Code::Forbidden));
        for video in [Video::Unknown, Video::Malformed] {
            cases.push(case.clone().about(video).refuses(404, Code::NotFound));
        }
        if case.method != Method::GET {
            let limited = case.clone().within(Setting::Limited);
            cases.push(limited.refuses(429, Code::TooManyRequests));
        }
        if case.route == PUBLISH {
            cases.push(case.about(failed).refuses(400, Code::NotPublishable));
        }
    }
    cases
}

fn votes() -> Vec<Case> {
    let vote = |video| post(VOTE).by(Who::Fan).about(video);
    let public = Video::Fresh(Seed::PUBLIC);
    let waiting = Seed {
        status: "uploaded",
        ..Seed::PUBLIC
    };
    let voted = Video::Voted(Seed::PUBLIC);
    vec![
        vote(voted).refuses(400, Code::AlreadyVoted),
        // Whatever the limit says.
        vote(voted)
            .within(Setting::Limited)
            .refuses(400, Code::AlreadyVoted),
        vote(public).by(Who::Owner).refuses(400, Code::OwnVideo),
        vote(Video::Fresh(Seed::PRIVATE)).refuses(404, Code::NotFound),
        vote(Video::Fresh(waiting)).refuses(404, Code::NotFound),
        vote(Video::Unknown).refuses(404, Code::NotFound),
        vote(Video::Malformed).refuses(404, Code::NotFound),
        vote(public)
            .within(Setting::Limited)
            .refuses(429, Code::TooManyRequests),
    ]
}

fn lists() -> Vec<Case> {
    let mut cases = Vec::new();
    for (query, problems) in [
        ("?page=0", &[("page", "out_of_range")][..]),
        ("?page=-1", &[("page", "out_of_range")]),
        ("?page=x", &[("page", "out_of_range")]),
        ("?limit=0", &[("limit", "out_of_range")]),
        ("?limit=101", &[("limit", "out_of_range")]),
        (
            "?page=0&limit=0",
            &[("page", "out_of_range"), ("limit", "out_of_range")],
        ),
    ] {
        for (route, who) in [
            (RANKINGS, Who::Nobody),
            (PUBLIC_VIDEOS, Who::Nobody),
            (VIDEOS, Who::Owner),
            (MY_VOTES, Who::Fan),
        ] {
            cases.push(get(route).query(query).by(who).refuses_fields(
                400,
                Code::ValidationFailed,
                problems,
            ));
        }
    }
    let invalid = |route, query, problems| {
        get(route)
            .query(query)
            .refuses_fields(400, Code::ValidationFailed, problems)
    };
    cases.push(invalid(RANKINGS, "?by=city", &[("by", "invalid")]));
    for route in [RANKINGS, PUBLIC_VIDEOS] {
        cases.push(invalid(route, "?city=...", &[("city", "invalid")]));
        // What cannot be read names no field.
        cases.push(invalid(route, "?page=1&page=2", &[]));
    }
    cases
}

fn files() -> Vec<Case> {
    let file = |key| get(MEDIA).key(key).about(Video::Fresh(Seed::PUBLIC));
    vec![
        file(CLIP)
            .about(Video::Fresh(Seed::PRIVATE))
            .refuses(403, Code::MediaNotSigned),
        file("uploads/{id}.mp4").refuses(403, Code::MediaNotSigned),
        file(CLIP)
            .query("?expires=1&signature=00")
            .refuses(403, Code::MediaNotSigned),
        file("processed/{id}/2.mp4").refuses(403, Code::MediaNotSigned),
        file(CLIP)
            .about(Video::Unknown)
            .refuses(404, Code::NotFound),
        file("processed/%2e%2e/x").refuses(404, Code::NotFound),
        file("").refuses(404, Code::NotFound),
        file(CLIP).header("range", "bytes=0-3").answers(206, File),
        file(CLIP)
            .header("range", "bytes=10-")
            .answers(416, Nothing),
        get("/ready")
            .within(Setting::Away)
            .answers(503, Object(&["status", "failing"])),
    ]
}
