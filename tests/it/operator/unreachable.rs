//! Error output of the tools when database or broker is unreachable: one line that contains the
//! variable, the address and the cause once each.

use std::{collections::BTreeSet, fs, process::Output};

use crate::{processes::process::SystemUnderTest, support::Place};

/// Commands that use the database, which are all except `queue peek`.
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

/// Commands that use the broker.
const QUEUE_TOOLS: [&str; 3] = ["queue stats", "queue peek", "fsck"];

/// Returns an environment with the two folders that `anb fsck` checks first.
fn system(database_url: &str, redis_url: &str) -> SystemUnderTest {
    let system = SystemUnderTest::at(database_url, redis_url);
    for folder in ["uploads", "processed"] {
        fs::create_dir(system.folder().join(folder)).unwrap();
    }
    system
}

/// Asserts a one-line error that contains each of `words` once, no password and no repeated part.
fn assert_line(ran: &Output, words: &[&str]) {
    let message = String::from_utf8(ran.stderr.clone()).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(ran.stdout.is_empty(), "{ran:?}");
    for word in words {
        assert_eq!(message.matches(word).count(), 1, "{word}: {message}");
    }
    assert!(!message.contains("hunter2"), "{message}");
    let parts: Vec<_> = message.trim_end().split(": ").collect();
    let different: BTreeSet<_> = parts.iter().collect();
    assert_eq!(parts.len(), different.len(), "repeated part: {message}");
}

#[tokio::test]
async fn unreachable_database_is_reported_in_one_line() {
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
            let system = system(url, &place.redis_url);
            assert_line(&system.output(tool).await, words);
        }
    }
}

#[tokio::test]
async fn unreachable_database_without_url_is_reported_with_its_variables() {
    let place = Place::make().await;
    let mut system = system("", &place.redis_url);
    for (variable, value) in [
        ("DB_HOST", "127.0.0.1"),
        ("DB_PORT", "1"),
        ("DB_PASSWORD", "hunter2"),
    ] {
        system.set(variable, value);
    }
    for tool in TOOLS {
        let words = [
            "DB_HOST, DB_PORT, DB_NAME",
            "(127.0.0.1:1/anb)",
            "Connection refused",
        ];
        assert_line(&system.output(tool).await, &words);
    }
}

#[tokio::test]
async fn unreachable_broker_is_reported_in_one_line() {
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
        for tool in QUEUE_TOOLS {
            let system = system(&place.database_url, url);
            assert_line(&system.output(tool).await, &words);
        }
    }
}
