//! What a tool says when database or broker cannot be reached: one line with the variable, the address and the
//! cause, each once.

use std::{collections::BTreeSet, fs, process::Output};

use crate::{processes::process::House, support::Place};

/// The tools that need the database: all but `queue peek`.
const TOOLS: [&str; 8] = [
    "migrate",
    "migrate --dry-run",
    "migrate revert",
    "queue stats",
    "queue redrive",
    "fsck",
    "admin grant organiser ana@example.com",
    "admin reset-password ana@example.com",
];

/// Those that ask the broker when they have asked the database.
const TOOLS_OF_THE_QUEUE: [&str; 3] = ["queue stats", "queue peek", "fsck"];

/// Makes a house with the two folders that `anb fsck` asks for first.
fn house(database_url: &str, redis_url: &str) -> House {
    let house = House::at(database_url, redis_url);
    for folder in ["uploads", "processed"] {
        fs::create_dir(house.folder().join(folder)).unwrap();
    }
    house
}

/// Asserts that a run failed with one line that holds each of `words`, no password, and nothing twice.
fn assert_line(ran: &Output, words: &[&str]) {
    let said = String::from_utf8(ran.stderr.clone()).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(ran.stdout.is_empty(), "{ran:?}");
    for word in words {
        assert_eq!(said.matches(word).count(), 1, "{word}: {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
    let parts: Vec<_> = said.trim_end().split(": ").collect();
    let different: BTreeSet<_> = parts.iter().collect();
    assert_eq!(parts.len(), different.len(), "said twice: {said}");
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_named_once() {
    let place = Place::make().await;
    let (base, query) = place.database_url.split_once('?').unwrap();
    let (server, _) = base.rsplit_once('/').unwrap();
    let unknown_database = format!("{server}/nowhere?{query}");
    let unknown_user = format!("{base}?{query}").replace("user=postgres", "user=stranger");
    for (url, words) in [
        (
            "postgres://ana:hunter2@127.0.0.1:1/anb",
            &["DATABASE_URL", "(127.0.0.1:1/anb)", "Connection refused"][..],
        ),
        (
            "postgres:///anb?host=/nowhere&user=ana&password=hunter2",
            &[
                "DATABASE_URL",
                "(/nowhere/.s.PGSQL.5432/anb)",
                "No such file",
            ],
        ),
        (
            &unknown_database,
            &["DATABASE_URL", "/nowhere)", "\"nowhere\" does not exist"],
        ),
        (&unknown_user, &["DATABASE_URL", "\"stranger\""]),
    ] {
        for tool in TOOLS {
            let house = house(url, &place.redis_url);
            assert_line(&house.output(tool).await, words);
        }
    }
}

#[tokio::test]
async fn without_a_url_the_single_variables_are_named() {
    let place = Place::make().await;
    let mut house = house("", &place.redis_url);
    for (variable, value) in [
        ("DB_HOST", "127.0.0.1"),
        ("DB_PORT", "1"),
        ("DB_PASSWORD", "hunter2"),
    ] {
        house.set(variable, value);
    }
    for tool in TOOLS {
        let words = [
            "DB_HOST, DB_PORT, DB_NAME",
            "(127.0.0.1:1/anb)",
            "Connection refused",
        ];
        assert_line(&house.output(tool).await, &words);
    }
}

#[tokio::test]
async fn a_broker_that_cannot_be_reached_is_named_once() {
    let place = Place::make().await;
    let (socket, _) = place.redis_url.split_once('?').unwrap();
    let path = socket.strip_prefix("redis+unix://").unwrap();
    let wrong_password = format!("{socket}?user=ana&pass=hunter2");
    for (url, words) in [
        (
            "redis://:hunter2@127.0.0.1:1",
            ["REDIS_URL", "(127.0.0.1:1)", "Connection refused"],
        ),
        (
            "redis+unix:///nowhere?pass=hunter2",
            ["REDIS_URL", "(/nowhere)", "No such file"],
        ),
        (
            &wrong_password,
            ["REDIS_URL", path, "authentication failed"],
        ),
    ] {
        for tool in TOOLS_OF_THE_QUEUE {
            let house = house(&place.database_url, url);
            assert_line(&house.output(tool).await, &words);
        }
    }
}
