//! The statuses that each endpoint promises. The table has rows for exactly these.

use std::collections::{BTreeMap, BTreeSet};

use super::{cases, sources, table};

/// Statuses of every endpoint except the probes, which answer without their dependencies.
const GENERAL: &[u16] = &[406, 429, 500, 503];

/// Statuses of every endpoint that reads JSON.
const JSON: &[u16] = &[400, 408, 413, 415];

/// Statuses of every action on the client's own video.
const OWN: &[u16] = &[200, 401, 403, 404];

/// Method, route and statuses of each endpoint.
const PROMISES: [(&str, &str, &[&[u16]]); 19] = [
    ("POST", table::SIGN_UP, &[&[201], JSON, GENERAL]),
    ("POST", table::LOG_IN, &[&[200, 401], JSON, GENERAL]),
    (
        "POST",
        table::CHANGE_PASSWORD,
        &[&[200, 401], JSON, GENERAL],
    ),
    ("POST", table::LOG_OUT, &[&[200, 401], GENERAL]),
    ("GET", table::PROFILE, &[&[200, 401], GENERAL]),
    (
        "POST",
        table::UPLOAD,
        &[&[201, 400, 401, 408, 415], GENERAL],
    ),
    ("GET", table::VIDEOS, &[&[200, 400, 401], GENERAL]),
    ("GET", table::VIDEO, &[OWN, GENERAL]),
    ("PATCH", table::VIDEO, &[OWN, JSON, GENERAL]),
    ("DELETE", table::VIDEO, &[OWN, &[400], GENERAL]),
    ("POST", table::PUBLISH, &[OWN, &[400], GENERAL]),
    ("PUT", table::PUBLISH, &[OWN, &[400], GENERAL]),
    ("GET", table::PUBLIC_VIDEOS, &[&[200, 304, 400], GENERAL]),
    ("POST", table::VOTE, &[&[200, 400, 401, 404], GENERAL]),
    ("GET", table::RANKINGS, &[&[200, 304, 400], GENERAL]),
    ("GET", table::MY_VOTES, &[&[200, 400, 401], GENERAL]),
    (
        "GET",
        table::MEDIA,
        &[&[200, 206, 304, 403, 404, 412, 416], GENERAL],
    ),
    ("GET", "/health", &[&[200]]),
    ("GET", "/ready", &[&[200, 503]]),
];

#[test]
fn rows_cover_exactly_the_promised_statuses() {
    let promised: BTreeMap<_, BTreeSet<u16>> = PROMISES
        .iter()
        .map(|(method, route, statuses)| {
            let statuses = statuses.concat().into_iter().collect();
            (((*method).to_owned(), (*route).to_owned()), statuses)
        })
        .collect();
    let endpoints: BTreeSet<_> = sources::endpoints().into_iter().collect();
    assert!(promised.keys().eq(&endpoints), "{endpoints:#?}");

    let mut found: BTreeMap<_, BTreeSet<u16>> = BTreeMap::new();
    for case in cases() {
        let endpoint = (case.method.to_string(), case.route.to_owned());
        if endpoints.contains(&endpoint) {
            found.entry(endpoint).or_default().insert(case.status);
        }
    }
    assert_eq!(found, promised);
    let pairs: usize = promised.values().map(BTreeSet::len).sum();
    println!("{pairs} pairs of endpoint and status");
}

#[test]
fn every_route_rejects_unsupported_methods() {
    let routes: BTreeSet<_> = sources::endpoints()
        .into_iter()
        .map(|(_, route)| route)
        .collect();
    let refused: BTreeSet<_> = cases()
        .iter()
        .filter(|case| case.status == 405)
        .map(|case| case.route.to_owned())
        .collect();
    assert_eq!(refused, routes);
}
