//! Which statuses each endpoint promises: no more and no fewer have rows.

use std::collections::{BTreeMap, BTreeSet};

use super::{cases, sources, table};

/// Of every endpoint, the probes apart: those answer although their dependencies are away.
const GENERAL: &[u16] = &[406, 429, 500, 503];

/// Of every endpoint that reads JSON.
const JSON: &[u16] = &[400, 408, 413, 415];

/// Of every action on a video of one's own.
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
fn every_promised_status_has_a_row_and_every_row_a_promise() {
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
fn every_route_refuses_a_wrong_method() {
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
