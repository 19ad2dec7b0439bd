//! Enforces the layering rule of the crate documentation, and that no dependencies form a cycle.

mod cycles;
mod paths;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use self::{
    cycles::{cycles, dependencies},
    paths::Module,
};
use crate::support::files_below;

/// The layers, lowest first. A module may use modules of lower layers.
const LAYERS: [&[&str]; 8] = [
    &[
        "config",
        "aws",
        "ids",
        "keyset",
        "language",
        "city",
        "validate",
        "version",
        "telemetry",
        "metric",
        "shutdown",
        "batch",
        "causes",
        "open_files",
        "csv",
    ],
    &[
        "auth", "db", "queue", "job", "storage", "media", "confine", "ec2",
    ],
    &["app"],
    &["http"],
    &[
        "users", "videos", "votes", "reports", "listing", "cities", "contests", "audit", "contract",
    ],
    &["web"],
    &["server", "worker", "monitoring", "dev"],
    &["cli", "commands"],
];

/// The dependencies allowed within a layer: a module and the module that it may use.
const WITHIN_LAYER: [(&str, &str); 21] = [
    ("aws", "config"),
    ("telemetry", "config"),
    ("telemetry", "metric"),
    ("validate", "language"),
    ("keyset", "ids"),
    ("batch", "shutdown"),
    ("queue", "job"),
    ("auth", "db"),
    ("media", "confine"),
    ("votes", "videos"),
    ("reports", "audit"),
    ("reports", "videos"),
    ("listing", "videos"),
    ("videos", "users"),
    ("videos", "contests"),
    ("users", "audit"),
    ("contests", "audit"),
    ("videos", "audit"),
    ("server", "monitoring"),
    ("worker", "monitoring"),
    ("commands", "cli"),
];

/// The dependencies that are part of a cycle. In each, a type of the parent has some of its methods,
/// or their parts, in a file of their own.
const CYCLES: [&str; 4] = [
    "storage::s3::objects uses storage::s3::Bucket",
    "storage::s3::resume uses storage::s3::Bucket",
    "storage::s3::upload uses storage::s3::Bucket",
    "worker::environment_failures uses worker::Worker",
];

#[test]
fn modules_do_not_depend_on_higher_layers() {
    let mut wrong = Vec::new();
    for file in sources() {
        let module = module_of(&file);
        let Some(level) = level(&module) else {
            assert!(
                ["main", "lib"].contains(&module.as_str()),
                "{module} has no layer: {file:?}"
            );
            continue;
        };
        for used in used(&file) {
            let allowed = used == module
                || level > self::level(&used).unwrap_or_else(|| panic!("{used} has no layer"))
                || WITHIN_LAYER.contains(&(module.as_str(), used.as_str()));
            if !allowed {
                wrong.push(format!("{}: {module} uses {used}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_handlers_of_a_slice_use_http() {
    for file in sources() {
        let path = file.display().to_string();
        let is_slice = level(&module_of(&file)) == level("videos");
        if is_slice && !path.contains("handlers") {
            assert!(!used(&file).contains("http"), "{path} uses http");
        }
    }
}

#[test]
fn queries_take_a_connection_and_open_no_transaction() {
    for file in sources() {
        let path = file.display().to_string();
        if path.contains("queries") {
            let text = fs::read_to_string(&file).unwrap();
            assert!(!text.contains("transaction("), "{path} opens a transaction");
            assert!(!text.contains("Db,"), "{path} uses the pool");
        }
    }
}

#[test]
fn statements_are_in_queries() {
    for file in sources() {
        let path = file.display().to_string();
        let text = fs::read_to_string(&file).unwrap();
        if !path.contains("/queries") && module_of(&file) != "db" {
            for sql in ["RunQueryDsl", "sql_query(", "prepared("] {
                assert!(!text.contains(sql), "{path} runs a statement: {sql}");
            }
        }
        if path.contains("/handlers") {
            assert!(!text.contains("queries"), "{path} bypasses its slice");
        }
    }
}

#[test]
fn metrics_are_named_by_the_list() {
    let mut calls = 0;
    for file in sources() {
        let path = file.display().to_string();
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("use metrics::"), "{path} hides the macros");
        if path.ends_with("src/metric.rs") {
            continue;
        }
        for rest in text.split("metrics::").skip(1) {
            let name = |letter: char| letter.is_alphanumeric() || letter == '_';
            if let Some(call) = rest.trim_start_matches(name).strip_prefix("!(") {
                assert!(
                    call.trim_start().starts_with("metric::"),
                    "{path}: a metric that is not in metric.rs: {call:.40}"
                );
                calls += 1;
            }
        }
    }
    assert!(calls > 5, "{calls}");
}

/// Modules of a folder use each other in one direction, and no item of their parent that uses them.
/// The rule holds for each folder: a module and all modules below it count as one. Re-exports lead to
/// the module that defines the item. Tests are exempt.
#[test]
fn dependencies_form_no_cycle() {
    let modules: Vec<_> = sources().iter().map(|file| parse(file).0).collect();
    let mut found = dependencies(&modules);
    for known in CYCLES {
        let before = found.len();
        found.retain(|(from, to)| format!("{from} uses {to}") != known);
        assert!(found.len() < before, "no longer true: {known}");
    }
    let cycles = cycles(&found);
    assert!(cycles.is_empty(), "{cycles:#?}");
}

fn sources() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = files_below(&folder).into_iter();
    let mut found: Vec<_> = files.map(|file| folder.join(file)).collect();
    found.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    assert!(found.len() > 50, "{found:?}");
    found
}

/// Returns the top-level module that a file belongs to.
fn module_of(file: &Path) -> String {
    module_path(file)[0].clone()
}

fn module_path(file: &Path) -> paths::Path {
    let below = file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let below = below.unwrap().with_extension("");
    let segments = below.iter().map(|segment| segment.to_str().unwrap());
    segments.map(str::to_owned).collect()
}

fn level(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Parses a file without its tests, and its tests.
fn parse(file: &Path) -> (Module, Module) {
    let text = fs::read_to_string(file).unwrap();
    let (code, tests) = text.split_once("\nmod tests {\n").unwrap_or((&text, ""));
    let path = module_path(file);
    let of_tests = paths::joined(&path, &["tests"]);
    (Module::parse(path, code), Module::parse(of_tests, tests))
}

/// Returns the top-level modules that a file uses.
fn used(file: &Path) -> BTreeSet<String> {
    let (module, tests) = parse(file);
    let used = module.used().chain(tests.used());
    used.filter_map(|path| path.first().cloned()).collect()
}
