//! Enforces the layering rule of the crate documentation by reading `crate::` paths.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The layers, lowest first. A module may use modules of lower layers.
const LAYERS: [&[&str]; 7] = [
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
    ],
    &[
        "auth", "db", "queue", "job", "storage", "media", "confine", "ec2",
    ],
    &["app"],
    &["http"],
    &["users", "videos", "votes", "listing"],
    &["server", "worker", "monitoring", "dev"],
    &["cli", "commands"],
];

/// The dependencies allowed within a layer: a module and the module that it may use.
const WITHIN_LAYER: [(&str, &str); 14] = [
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
    ("videos", "users"),
    ("server", "monitoring"),
    ("worker", "monitoring"),
    ("commands", "cli"),
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
        for used in used(&fs::read_to_string(&file).unwrap()) {
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
            let text = fs::read_to_string(&file).unwrap();
            assert!(
                !used(&text).contains(&"http".to_owned()),
                "{path} uses http"
            );
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
            if let Some(call) = rest[head(rest).len()..].strip_prefix("!(") {
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

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 50, "{found:?}");
    found
}

/// Returns the top-level module that a file belongs to.
fn module_of(file: &Path) -> String {
    let below = file
        .strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
        .unwrap();
    let first = below
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_str()
        .unwrap();
    first.trim_end_matches(".rs").to_owned()
}

fn level(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Returns the top-level modules that a source names after `crate::`, in a path or in a group.
fn used(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut modules = Vec::new();
    for (start, _) in code.match_indices("crate::") {
        let rest = &code[start + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            modules.extend(heads_of_group(group));
        } else {
            modules.push(head(rest));
        }
    }
    modules
}

/// Returns the first path segment of each entry of `{…}`, ignoring nested groups.
fn heads_of_group(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let (mut depth, mut at_entry) = (0, true);
    for (index, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_entry = true,
            _ if depth == 0 && at_entry && letter.is_alphabetic() => {
                heads.push(head(&group[index..]));
                at_entry = false;
            }
            _ => {}
        }
    }
    heads
}

fn head(path: &str) -> String {
    path.chars()
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect()
}

#[test]
fn uses_are_found_in_paths_and_groups() {
    let text = "use crate::db::Db;\nuse crate::{\n    app::App,\n    http::{Code, page::Page},\n    ids,\n};\n\
                // crate::nowhere\nfn f() { crate::media::x() }";
    assert_eq!(used(text), ["db", "app", "http", "ids", "media"]);
}
