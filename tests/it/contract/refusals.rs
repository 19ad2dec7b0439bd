//! Rows for the errors that are specific to an endpoint.

mod reading;
mod staff;

use anb::http::Code;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    case::{Body, Case, Expected::Nothing, Part, Video, Who},
    table::{
        CHANGE_PASSWORD, LOG_IN, PUBLISH, SIGN_UP, TITLE, UPLOAD, VIDEO, VOTE, changed, film,
        password_form, sign_up_form, successes,
    },
    world::Setting,
};
use crate::support::{PASSWORD, Seed, mp4};

/// Returns the rows for endpoint-specific errors and for unknown paths.
pub fn refusals() -> Vec<Case> {
    [
        accounts(),
        uploads(),
        videos(),
        votes(),
        staff::moderation(),
        staff::administration(),
        staff::reports(),
        staff::answers(),
        reading::lists(),
        reading::files(),
        reading::unknown_paths(),
    ]
    .concat()
}

fn post(route: &'static str) -> Case {
    Case::new(Method::POST, route, 200, Nothing)
}

fn put(route: &'static str) -> Case {
    Case::new(Method::PUT, route, 200, Nothing)
}

fn get(route: &'static str) -> Case {
    Case::new(Method::GET, route, 200, Nothing)
}

fn accounts() -> Vec<Case> {
    let long = "x".repeat(300);
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
        sign_up("first_name", "A\0na", &[("first_name", "invalid")]),
        sign_up("first_name", &long, &[("first_name", "too_long")]),
        sign_up("last_name", &long, &[("last_name", "too_long")]),
        sign_up("email", "ana\0@example.com", &[("email", "invalid")]),
        sign_up("city", &long, &[("city", "too_long")]),
        sign_up("country", "Colom\0bia", &[("country", "invalid")]),
        sign_up("last_name", " ", &[("last_name", "required")]),
        sign_up("email", "ana", &[("email", "invalid")]),
        sign_up("password2", "otra-clave", &[("password2", "mismatch")])
            .beyond_schema("the passwords differ"),
        sign_up(
            "password1",
            &"x".repeat(129),
            &[("password1", "too_long"), ("password2", "mismatch")],
        ),
        sign_up("city", "...", &[("city", "invalid")]).beyond_schema("without letters and digits"),
        sign_up("country", "", &[("country", "required")]),
        post(SIGN_UP)
            .json(json!({}))
            .refuses_fields(400, Code::ValidationFailed, ALL_FIELDS),
        post(SIGN_UP)
            .json(changed(sign_up_form(), "email", "EVA@example.com"))
            .refuses_fields(400, Code::EmailTaken, &[("email", "taken")]),
        post(SIGN_UP)
            .json(sign_up_form())
            .within(Setting::Limited)
            .refuses(429, Code::TooManyRequests),
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
    let none =
        |bytes| upload(vec![TITLE, ("file", Part::File(bytes))]).refuses(400, Code::NotAnMp4);
    let photo = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec();
    let song = b"\0\0\0\x1cftypM4A \0\0\0\0M4A mp42isom".to_vec();
    vec![
        upload(vec![TITLE]).refuses(400, Code::MissingFile),
        none(Vec::new()),
        none(b"hola".to_vec()),
        none(photo),
        none(song),
        titled("cuat", &[("title", "too_short")]),
        titled("ma\0la mala", &[("title", "invalid")]),
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
            .within(Setting::Waiting)
            .refuses(429, Code::TooManyWaitingVideos),
        upload(vec![TITLE, film()])
            .by(Who::Fan)
            .within(Setting::Waiting)
            .refuses(429, Code::TooManyOpenUploads),
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
    let titled = |title, code| {
        patch(json!({ "title": title })).refuses_fields(400, Code::ValidationFailed, code)
    };
    let long = "x".repeat(300);
    let mut cases = vec![
        titled("cuat", &[("title", "too_short")]),
        titled("ma\0la mala", &[("title", "invalid")]),
        titled(&long, &[("title", "too_long")]),
        patch(json!({"is_public": true}))
            .about(failed)
            .refuses(400, Code::NotPublishable),
        patch(json!({"is_public": true}))
            .about(Video::Fresh(Seed::HIDDEN))
            .refuses(400, Code::HiddenVideo),
        patch(json!({"is_public": "true"})).refuses(400, Code::InvalidJson),
        patch(json!({"is_public": null})).refuses(400, Code::InvalidJson),
        patch(json!({"title": null, "is_public": true})).refuses(400, Code::InvalidJson),
        patch(json!({})).refuses(400, Code::NothingToChange),
        patch(json!({"titel": "Otro título"}))
            .refuses(400, Code::NothingToChange)
            .beyond_schema("no known member"),
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
            let hidden = case.clone().about(Video::Fresh(Seed::HIDDEN));
            cases.push(hidden.refuses(400, Code::HiddenVideo));
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
        // Reported even above the limit.
        vote(voted)
            .within(Setting::Limited)
            .refuses(400, Code::AlreadyVoted),
        vote(public).by(Who::Owner).refuses(400, Code::OwnVideo),
        vote(Video::Fresh(Seed::PRIVATE)).refuses(404, Code::NotFound),
        vote(Video::Fresh(waiting)).refuses(404, Code::NotFound),
        vote(Video::Fresh(Seed::HIDDEN)).refuses(404, Code::NotFound),
        vote(Video::Unknown).refuses(404, Code::NotFound),
        vote(Video::Malformed).refuses(404, Code::NotFound),
        vote(public)
            .within(Setting::Limited)
            .refuses(429, Code::TooManyRequests),
    ]
}
