//! Rows for the errors that are specific to an endpoint.

use anb::http::Code;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    case::{
        Body, Case,
        Expected::{File, Nothing, Object},
        Part, Video, Who,
    },
    contests::CONTESTS,
    table::{
        ANSWER, AUDIT, CHANGE_PASSWORD, CITIES, CLIP, DISMISS, ERROR_CODE, FILM, HIDE, LOG_IN,
        MEDIA, MY_VOTES, PUBLIC_VIDEOS, PUBLISH, RANKINGS, REPORT, REPORTS, ROLES, SHOW, SIGN_UP,
        SWAGGER, TITLE, UPLOAD, VIDEO, VIDEOS, VOTE, answer_form, changed, film, grant_form,
        hide_form, password_form, report_form, sign_up_form, successes,
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
        moderation(),
        administration(),
        reports(),
        answers(),
        lists(),
        files(),
        unknown_paths(),
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

fn moderation() -> Vec<Case> {
    let reason = |reason: &str, problem| {
        post(HIDE)
            .by(Who::Organiser)
            .json(changed(hide_form(), "reason", reason))
            .refuses_fields(400, Code::ValidationFailed, problem)
    };
    let mut cases = vec![
        reason("", &[("reason", "required")]),
        reason("cuat", &[("reason", "too_short")]),
        reason(&"x".repeat(201), &[("reason", "too_long")]),
        reason("dos\nlíneas", &[("reason", "invalid")]),
        post(HIDE)
            .by(Who::Organiser)
            .json(json!({}))
            .refuses(400, Code::InvalidJson),
        post(HIDE)
            .by(Who::Organiser)
            .about(Video::Fresh(Seed::HIDDEN))
            .json(hide_form())
            .refuses(409, Code::AlreadyHidden),
        post(SHOW)
            .by(Who::Organiser)
            .about(Video::Fresh(Seed::PUBLIC))
            .refuses(409, Code::NotHidden),
        // Other users get 404 whatever they send.
        post(HIDE)
            .by(Who::Owner)
            .sends(Body::Raw("text/plain", "{".to_owned()))
            .refuses(404, Code::NotFound),
    ];
    for case in successes() {
        if case.route == REPORTS {
            for who in [Who::Owner, Who::Fan] {
                cases.push(case.clone().by(who).refuses(404, Code::NotFound));
            }
        }
        if [HIDE, SHOW, DISMISS].contains(&case.route) {
            for who in [Who::Owner, Who::Fan] {
                cases.push(case.clone().by(who).refuses(404, Code::NotFound));
            }
            for video in [Video::Unknown, Video::Malformed] {
                cases.push(case.clone().about(video).refuses(404, Code::NotFound));
            }
        }
    }
    cases
}

/// Other users get 404 whatever they send.
fn administration() -> Vec<Case> {
    let read = |query, problem| {
        let read = get(AUDIT).by(Who::Organiser).tail(query);
        read.refuses_fields(400, Code::ValidationFailed, problem)
    };
    let grant = |field, value: &str, problem| {
        let form = changed(grant_form(), field, value);
        let grant = put(ROLES).by(Who::Organiser).json(form);
        grant.refuses_fields(400, Code::ValidationFailed, problem)
    };
    let mut cases = vec![
        read("?limit=0", &[("limit", "out_of_range")]),
        read("?limit=101", &[("limit", "out_of_range")]),
        read("?before=0", &[("before", "invalid")]),
        read("?before=x", &[("before", "invalid")]),
        grant("email", "", &[("email", "required")]),
        grant("email", "mia\0@example.com", &[("email", "invalid")]),
        grant("email", &"x".repeat(255), &[("email", "too_long")]),
        grant("email", "nadie@example.com", &[("email", "unknown")])
            .beyond_schema("no account has it"),
        grant("role", "", &[("role", "required")]),
        grant("role", "king", &[("role", "invalid")]),
        put(ROLES)
            .by(Who::Organiser)
            .json(json!({"email": "mia@example.com"}))
            .refuses(400, Code::InvalidJson),
        put(ROLES)
            .by(Who::Organiser)
            .json(json!({"email": "Nora@example.com", "role": "moderator"}))
            .refuses(409, Code::LastOrganiser),
        put(ROLES)
            .by(Who::Owner)
            .sends(Body::Raw("text/plain", "{".to_owned()))
            .refuses(404, Code::NotFound),
        get(AUDIT)
            .by(Who::Owner)
            .tail("?limit=0")
            .refuses(404, Code::NotFound),
    ];
    for case in successes() {
        if [AUDIT, ROLES].contains(&case.route) {
            for who in [Who::Owner, Who::Fan] {
                cases.push(case.clone().by(who).refuses(404, Code::NotFound));
            }
        }
    }
    cases
}

fn reports() -> Vec<Case> {
    let report = |video| post(REPORT).by(Who::Fan).about(video).json(report_form());
    let public = Video::Fresh(Seed::PUBLIC);
    let field = |field: &str, value: &str, problem| {
        report(public)
            .json(changed(report_form(), field, value))
            .refuses_fields(400, Code::ValidationFailed, problem)
    };
    let waiting = Seed {
        status: "uploaded",
        ..Seed::PUBLIC
    };
    let mut cases = vec![
        field("reason", "spam", &[("reason", "invalid")]),
        field("text", &"x".repeat(501), &[("text", "too_long")]),
        field("text", "al\u{202e}revés", &[("text", "invalid")]),
        report(public)
            .json(json!({"text": "Sin motivo."}))
            .refuses(400, Code::InvalidJson),
        report(public)
            .json(json!({"reason": "other", "text": null}))
            .refuses(400, Code::InvalidJson),
        report(Video::Reported(Seed::PUBLIC)).refuses(400, Code::AlreadyReported),
        report(public).by(Who::Owner).refuses(400, Code::OwnReport),
        report(public)
            .by(Who::BusyReporter)
            .refuses(429, Code::TooManyReports),
        report(public)
            .within(Setting::Limited)
            .refuses(429, Code::TooManyRequests),
        post(DISMISS)
            .by(Who::Organiser)
            .about(public)
            .refuses(409, Code::AlreadySettled),
    ];
    for video in [
        Video::Fresh(Seed::PRIVATE),
        Video::Fresh(Seed::HIDDEN),
        Video::Fresh(waiting),
        Video::Unknown,
        Video::Malformed,
    ] {
        cases.push(report(video).refuses(404, Code::NotFound));
    }
    cases
}

fn answers() -> Vec<Case> {
    let answer = |video| post(ANSWER).by(Who::Owner).about(video).json(answer_form());
    let hidden = Video::Fresh(Seed::HIDDEN);
    let text = |text: &str, problem| {
        answer(hidden).json(json!({ "text": text })).refuses_fields(
            400,
            Code::ValidationFailed,
            problem,
        )
    };
    let mut cases = vec![
        text("", &[("text", "required")]),
        text(" \n ", &[("text", "required")]),
        text(&"x".repeat(501), &[("text", "too_long")]),
        text("al\u{202e}revés", &[("text", "invalid")]),
        answer(hidden)
            .json(json!({}))
            .refuses(400, Code::InvalidJson),
        answer(Video::Answered).refuses(400, Code::AlreadyAnswered),
        answer(Video::Fresh(Seed::PUBLIC)).refuses(409, Code::NotHidden),
        answer(hidden).by(Who::Fan).refuses(403, Code::Forbidden),
        answer(hidden)
            .within(Setting::Limited)
            .refuses(429, Code::TooManyRequests),
    ];
    for video in [Video::Unknown, Video::Malformed] {
        cases.push(answer(video).refuses(404, Code::NotFound));
    }
    cases
}

fn lists() -> Vec<Case> {
    let mut cases = Vec::new();
    for (query, problems) in [
        ("?page=0", &[("page", "out_of_range")][..]),
        ("?page=-1", &[("page", "out_of_range")]),
        ("?page=x", &[("page", "out_of_range")]),
        ("?page=9223372036854775807", &[("page", "out_of_range")]),
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
            (CONTESTS, Who::Organiser),
            (REPORTS, Who::Organiser),
        ] {
            cases.push(get(route).tail(query).by(who).refuses_fields(
                400,
                Code::ValidationFailed,
                problems,
            ));
        }
    }
    let invalid = |route, query, problems| {
        get(route)
            .tail(query)
            .refuses_fields(400, Code::ValidationFailed, problems)
    };
    cases.push(invalid(RANKINGS, "?by=city", &[("by", "invalid")]));
    for route in [PUBLIC_VIDEOS, CITIES] {
        cases.push(invalid(route, "?q=%FF", &[("q", "invalid")]).beyond_schema("not UTF-8"));
    }
    cases.push(invalid(PUBLIC_VIDEOS, "?after=1", &[("after", "invalid")]));
    for route in [RANKINGS, PUBLIC_VIDEOS] {
        cases.push(
            invalid(route, "?city=...", &[("city", "invalid")])
                .beyond_schema("without letters and digits"),
        );
        cases.push(
            invalid(route, "?city=Cali%FF", &[("city", "invalid")]).beyond_schema("not UTF-8"),
        );
        // The error for an unparsable query names no field.
        cases.push(invalid(route, "?page=1&page=2", &[]).beyond_schema("a repeated parameter"));
    }
    cases
}

fn files() -> Vec<Case> {
    let file = |key| get(MEDIA).key(key).about(Video::Fresh(Seed::PUBLIC));
    vec![
        file(CLIP)
            .about(Video::Fresh(Seed::PRIVATE))
            .refuses(403, Code::MediaNotSigned),
        file(CLIP)
            .about(Video::Fresh(Seed::HIDDEN))
            .refuses(403, Code::MediaNotSigned),
        file("uploads/{id}.mp4").refuses(403, Code::MediaNotSigned),
        file(CLIP)
            .tail("?expires=1&signature=00")
            .refuses(403, Code::MediaNotSigned),
        file("processed/{id}/2.mp4").refuses(403, Code::MediaNotSigned),
        file(CLIP)
            .about(Video::Unknown)
            .refuses(404, Code::NotFound),
        file("processed/%2e%2e/x").refuses(404, Code::NotFound),
        file(CLIP)
            .tail("?expires=1&expires=2")
            .refuses_fields(400, Code::ValidationFailed, &[])
            .beyond_schema("a repeated parameter"),
        file("").refuses(404, Code::NotFound),
        file(CLIP)
            .header("range", "bytes=10-")
            .refuses(416, Code::RangeNotSatisfiable),
        file(CLIP)
            .header("range", "bytes=ñ")
            .answers(200, File(FILM)),
        file(CLIP)
            .header("if-match", "\"another\"")
            .refuses(412, Code::PreconditionFailed),
        get("/ready")
            .within(Setting::NoDatabase)
            .answers(503, Object),
    ]
}

/// Paths without an endpoint, and unknown keys. Metrics are served to operators by another listener.
fn unknown_paths() -> Vec<Case> {
    let mut cases = [
        "/nothing",
        "/api",
        "/api/",
        "/api/nothing",
        "/api//videos",
        "/api/videos//",
        "/openapi.json/",
        "/metrics",
    ]
    .map(|address| get(address).refuses(404, Code::NotFound))
    .to_vec();
    for route in [ERROR_CODE, SWAGGER] {
        cases.push(get(route).key("nothing").refuses(404, Code::NotFound));
    }
    cases
}
