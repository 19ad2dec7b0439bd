//! The API contract as a table: every status and error code of every endpoint, requested in Spanish
//! and in English. The published document judges each response; a route, status or code without a
//! row, or without a place in the document, fails the test.

mod agreement;
mod case;
mod contests;
mod document;
mod failures;
mod fuzz;
mod general;
mod pages;
mod postman;
mod refusals;
mod resumable;
pub mod sources;
mod table;
mod world;

use std::collections::{BTreeSet, HashMap, HashSet, hash_map::Entry};

use anb::{http::Code, language::Language};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use self::{
    case::{Case, Expected},
    document::DOCUMENT,
    world::World,
};

const LANGUAGES: [Language; 2] = [Language::Spanish, Language::English];

const CONCURRENCY: usize = 24;

#[tokio::test]
async fn every_endpoint_follows_the_contract() {
    let cases = cases();
    let mut worlds = HashMap::new();
    for setting in cases.iter().map(|case| case.setting) {
        if let Entry::Vacant(place) = worlds.entry(setting) {
            place.insert(World::make(setting).await);
        }
    }
    let requests = cases.iter().flat_map(|case| {
        let world = worlds[&case.setting].as_ref();
        LANGUAGES.map(|language| async move {
            match world {
                Some(world) => Some(case.run(world, language).await),
                None => None,
            }
        })
    });
    // Boxed because hundreds of futures of this size would overflow the stack.
    let requests: Vec<_> = requests.map(Box::pin).collect();
    let results: Vec<_> = stream::iter(requests)
        .buffer_unordered(CONCURRENCY)
        .filter_map(std::future::ready)
        .collect()
        .await;
    let (answers, problems): (Vec<_>, Vec<_>) = results.into_iter().unzip();
    let problems: Vec<_> = problems.into_iter().flatten().collect();
    println!(
        "{} cases, {} requests",
        cases.len(),
        cases.len() * LANGUAGES.len()
    );
    assert!(problems.is_empty(), "{problems:#?}");
    let mut shown = BTreeSet::new();
    for answer in &answers {
        collect_members(&answer.body, &mut shown);
    }
    let documented = DOCUMENT.response_members();
    let missing: Vec<_> = documented.difference(&shown).collect();
    assert!(
        missing.is_empty(),
        "no response has the members {missing:?}"
    );
}

/// Collects the names of all members. A document in a response has members of its own.
fn collect_members(body: &Value, found: &mut BTreeSet<String>) {
    match body {
        Value::Object(members) if !members.contains_key("openapi") => {
            for (name, member) in members {
                found.insert(name.clone());
                collect_members(member, found);
            }
        }
        Value::Array(items) => {
            for item in items {
                collect_members(item, found);
            }
        }
        _ => {}
    }
}

#[test]
fn every_route_has_a_row() {
    let mut rows: Vec<_> = table::successes()
        .iter()
        .map(|case| (case.method.to_string(), case.route.to_owned()))
        .collect();
    rows.sort();
    assert_eq!(rows, sources::endpoints());
}

#[test]
fn every_route_rejects_unsupported_methods() {
    let routes: BTreeSet<_> = sources::endpoints()
        .into_iter()
        .map(|(_, route)| route)
        .collect();
    let cases = cases();
    let rejected = cases.iter().filter(|case| case.status == 405);
    let rejected: BTreeSet<_> = rejected.map(|case| case.route.to_owned()).collect();
    assert_eq!(rejected, routes);
}

#[test]
fn every_code_has_a_row_and_a_stable_name() {
    let mut covered = BTreeSet::new();
    for case in cases() {
        if let Expected::Error(code, _) = case.expected {
            let variant = format!("{code:?}");
            assert_eq!(code.name(), sources::snake_case(&variant));
            let [spanish, english] = LANGUAGES.map(|language| code.message(language));
            assert_ne!(spanish, english);
            covered.insert(variant);
        }
    }
    let all: BTreeSet<_> = Code::ALL.iter().map(|code| format!("{code:?}")).collect();
    assert_eq!(covered, all);
}

#[test]
fn rows_are_unique() {
    let mut seen = HashSet::new();
    for case in cases() {
        let row = format!("{case:?}");
        assert!(seen.insert(row), "{case:?}");
    }
}

fn cases() -> Vec<Case> {
    let successes = table::successes();
    let general = general::rows(&successes);
    [
        successes,
        table::variants(),
        contests::variants(),
        resumable::variants(),
        refusals::refusals(),
        contests::refusals(),
        resumable::refusals(),
        general,
    ]
    .concat()
}
