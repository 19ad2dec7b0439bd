//! Moderation, reports and answers, and what organisers administer.

use anb::http::Code;
use serde_json::json;

use super::{get, post, put};
use crate::{
    contract::{
        case::{Body, Case, Video, Who},
        table::{
            ANSWER, AUDIT, DISMISS, HIDE, REPORT, REPORTS, ROLES, SHOW, answer_form, changed,
            grant_form, hide_form, report_form, successes,
        },
        world::Setting,
    },
    support::Seed,
};

pub fn moderation() -> Vec<Case> {
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
pub fn administration() -> Vec<Case> {
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

pub fn reports() -> Vec<Case> {
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

pub fn answers() -> Vec<Case> {
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
