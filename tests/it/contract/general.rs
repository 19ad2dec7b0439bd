//! Responses common to all endpoints, derived from the success row of each.

use anb::http::Code;
use reqwest::Method;

use super::{
    case::{Again, BadToken, Body, Case, Expected, Who},
    table::{ERROR_CODE, OPENAPI, SWAGGER},
    world::Setting,
};

/// Size of a JSON body above the limit (bytes).
const LARGE: usize = 70_000;

/// Endpoints that answer without their dependencies and without a rate limit.
const PROBES: [&str; 2] = ["/health", "/ready"];

/// Endpoints that need no dependency, and have a rate limit.
const STATIC: [&str; 3] = [ERROR_CODE, OPENAPI, SWAGGER];

/// Returns the general rows of all endpoints.
pub fn rows(successes: &[Case]) -> Vec<Case> {
    let mut cases = wrong_methods(successes);
    for success in successes {
        if success.who != Who::Nobody {
            cases.extend(unauthorized(success));
            cases.extend(browsers(success));
        }
        if !PROBES.contains(&success.route) {
            cases.extend(common_errors(success));
        }
        if success.route.starts_with("/api/") || PROBES.contains(&success.route) {
            cases.push(success.clone().tail("/"));
        }
        if success.has_json() {
            cases.extend(bad_bodies(success));
        }
        if success.has_body() {
            let gzipped = success.clone().header("content-encoding", "gzip");
            cases.push(gzipped.refuses(415, Code::UnsupportedEncoding));
        }
        if success.method == Method::GET {
            cases.extend(reads(success));
        }
    }
    cases
}

/// 405 for each method that a path does not support.
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

/// 401 for clients without a valid token.
fn unauthorized(success: &Case) -> Vec<Case> {
    let strangers = BadToken::ALL.map(Who::InvalidToken);
    [&[Who::Nobody], &strangers[..]]
        .concat()
        .into_iter()
        .map(|who| success.clone().by(who).refuses(401, Code::Unauthorized))
        .collect()
}

/// The session cookie of a page stands for the token. Requests that change anything must then come
/// from our own pages: 403, before a body is read.
fn browsers(success: &Case) -> Vec<Case> {
    let mut cases = vec![success.clone().by_browser("same-origin")];
    if success.method.is_safe() {
        cases.push(success.clone().by_browser("cross-site"));
        return cases;
    }
    let mut refused = success.clone();
    if success.has_body() {
        refused = refused.sends(Body::Endless("application/json", "{"));
    }
    for site in ["cross-site", "same-site"] {
        let refused = refused.clone().by_browser(site);
        cases.push(refused.refuses(403, Code::CrossOrigin));
    }
    cases
}

/// 406 if the client accepts no encoding, 429 above the address limit, 503 without the database,
/// and 500 without the tables.
fn common_errors(success: &Case) -> Vec<Case> {
    let is_about_accounts = ["/api/auth/", "/api/admin/"]
        .iter()
        .any(|folder| success.route.starts_with(folder));
    let broken = if is_about_accounts {
        Setting::NoAccounts
    } else {
        Setting::NoVideos
    };
    let mut cases = vec![
        success
            .clone()
            .header("accept-encoding", "identity;q=0")
            .refuses(406, Code::NotAcceptable),
        success
            .clone()
            .within(Setting::Crowded)
            .refuses(429, Code::TooManyRequests),
    ];
    if STATIC.contains(&success.route) || success.method == Method::OPTIONS {
        return cases;
    }
    cases.extend([
        success
            .clone()
            .within(Setting::NoDatabase)
            .refuses(503, Code::Unavailable),
        success.clone().within(broken).refuses(500, Code::Internal),
    ]);
    cases
}

/// 400 for invalid JSON, 408 for a body that never ends, and 413 for one that is too large.
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

/// `HEAD` answers as `GET` without the body. Repeated public, cacheable reads answer 304.
fn reads(success: &Case) -> Vec<Case> {
    let head = |case: Case| Case {
        method: Method::HEAD,
        ..case.answers(success.status, Expected::Nothing)
    };
    let mut cases = vec![head(success.clone())];
    if success.who == Who::Nobody && !PROBES.contains(&success.route) {
        let again = success.clone().again(Again::IfNoneMatch);
        let again = again.answers(304, Expected::Nothing);
        cases.push(Case {
            method: Method::HEAD,
            ..again.clone()
        });
        cases.push(again);
    }
    cases
}
