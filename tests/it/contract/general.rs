//! What every endpoint answers besides its own row, derived from its success.

use anb::http::Code;
use reqwest::Method;

use super::{
    case::{BadToken, Body, Case, Expected, Who},
    world::Setting,
};

/// Beyond what a JSON body may have.
const LARGE: usize = 70_000;

/// Answer although their dependencies are away, and however often: that is what they are for.
const PROBES: [&str; 2] = ["/health", "/ready"];

/// Returns the general rows of all endpoints.
pub fn rows(successes: &[Case]) -> Vec<Case> {
    let mut cases = wrong_methods(successes);
    for success in successes {
        if success.who != Who::Nobody {
            cases.extend(strangers(success));
        }
        if !PROBES.contains(&success.route) {
            cases.extend(troubles(success));
        }
        if success.route.starts_with("/api/") {
            cases.push(success.clone().tail("/"));
        }
        if success.has_json() {
            cases.extend(bad_bodies(success));
        }
        if success.has_body() {
            let packed = success.clone().header("content-encoding", "gzip");
            cases.push(packed.refuses(415, Code::UnsupportedEncoding));
        }
        if success.method == Method::GET {
            cases.extend(reads(success));
        }
    }
    cases
}

/// 405 for each path and each method that it does not have.
fn wrong_methods(successes: &[Case]) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for success in successes {
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ] {
            let is_taken = |case: &Case| case.route == success.route && case.method == method;
            if !successes.iter().any(is_taken) && !cases.iter().any(is_taken) {
                let wrong = Case {
                    method: method.clone(),
                    ..success.clone()
                };
                let wrong = wrong.by(Who::Nobody).sends(Body::None);
                cases.push(wrong.refuses(405, Code::MethodNotAllowed));
            }
        }
    }
    cases
}

/// 401 for who has no token, or one that is not good.
fn strangers(success: &Case) -> Vec<Case> {
    let strangers = BadToken::ALL.map(Who::Stranger);
    [&[Who::Nobody], &strangers[..]]
        .concat()
        .into_iter()
        .map(|who| success.clone().by(who).refuses(401, Code::Unauthorized))
        .collect()
}

/// 406 for who takes no encoding; 429 for an address that asks too often; 503 without the database; 500 where it has not what it
/// should have.
fn troubles(success: &Case) -> Vec<Case> {
    let broken = if success.route.starts_with("/api/auth/") {
        Setting::NoAccounts
    } else {
        Setting::NoVideos
    };
    vec![
        success
            .clone()
            .header("accept-encoding", "identity;q=0")
            .refuses(406, Code::NotAcceptable),
        success
            .clone()
            .within(Setting::Crowded)
            .refuses(429, Code::TooManyRequests),
        success
            .clone()
            .within(Setting::Away)
            .refuses(503, Code::Unavailable),
        success.clone().within(broken).refuses(500, Code::Internal),
    ]
}

/// 400, 408 and 413 for JSON that is none, that does not end, and that is too large.
fn bad_bodies(success: &Case) -> Vec<Case> {
    let json = "application/json";
    let raw = |content_type, text: &str| {
        let body = Body::Raw(content_type, text.to_owned());
        success.clone().sends(body)
    };
    vec![
        raw(json, "{").refuses(400, Code::InvalidJson),
        raw(json, "").refuses(400, Code::InvalidJson),
        raw(json, "[]").refuses(400, Code::InvalidJson),
        raw("text/plain", "{}").refuses(400, Code::JsonExpected),
        raw(json, &" ".repeat(LARGE)).refuses(413, Code::BodyTooLarge),
        success
            .clone()
            .sends(Body::Endless(json, "{"))
            .refuses(408, Code::BodyTooSlow),
    ]
}

/// `HEAD` as `GET` without the body; 304 for public reads that can be kept.
fn reads(success: &Case) -> Vec<Case> {
    let head = |case: Case| Case {
        method: Method::HEAD,
        ..case.answers(success.status, Expected::Nothing)
    };
    let mut cases = vec![head(success.clone())];
    if success.who == Who::Nobody && !PROBES.contains(&success.route) {
        let again = Case {
            is_repeated: true,
            ..success.clone().answers(304, Expected::Nothing)
        };
        cases.push(Case {
            method: Method::HEAD,
            ..again.clone()
        });
        cases.push(again);
    }
    cases
}
