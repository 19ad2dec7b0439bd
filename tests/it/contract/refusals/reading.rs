//! Lists, files and unknown paths.

use anb::http::Code;

use super::get;
use crate::{
    contract::{
        case::{
            Case,
            Expected::{File, Object},
            Video, Who,
        },
        contests::CONTESTS,
        table::{
            CITIES, CLIP, ERROR_CODE, FILM, MEDIA, MY_VOTES, PUBLIC_VIDEOS, RANKINGS, REPORTS,
            SWAGGER, VIDEOS,
        },
        world::Setting,
    },
    support::Seed,
};

pub fn lists() -> Vec<Case> {
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

pub fn files() -> Vec<Case> {
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
pub fn unknown_paths() -> Vec<Case> {
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
