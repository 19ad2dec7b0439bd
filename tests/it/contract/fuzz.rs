//! Schemathesis generates requests from the published document and checks each response against it.
//! `tests/api` has its settings.

use std::{env, fs, path::Path, time::Instant};

use anb::auth::Role;
use tokio::process::Command;

use super::document::DOCUMENT;
use crate::support::{Seed, TestApp};

/// Generated requests per operation and phase. 30 take half a minute.
const EXAMPLES: &str = "30";

/// A fixed seed, so that a run of the tests depends on nothing but the code.
const SEED: &str = "2026";

#[tokio::test(flavor = "multi_thread")]
async fn generated_requests_find_no_deviation_from_the_document() {
    let limits = [
        ["--login-rate", "off"],
        ["--signup-rate", "off"],
        ["--write-rate", "off"],
        ["--max-open-uploads", "60000"],
        ["--max-resumable-uploads", "60000"],
    ];
    let app = TestApp::spawn_with(&limits.concat(), &[]).await;
    for name in ["Uno", "Dos"] {
        let player = app.sign_up(name, "Cali").await;
        for seed in [Seed::PRIVATE, Seed::PUBLIC, Seed::PUBLIC] {
            let id = app.add(&player, seed).await;
            app.add_files(&id);
        }
    }
    // Otherwise hiding is 404 whatever is sent.
    app.grant("uno@example.com", Role::Organiser).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Schemathesis reads its settings from the working directory, and writes caches there.
    for name in ["schemathesis.toml", "hooks.py", "users.yaml"] {
        fs::copy(
            root.join("tests/api").join(name),
            app.folder.path().join(name),
        )
        .unwrap();
    }
    let program = root.join(".anb/tools/fuzz/bin/schemathesis");
    let variable = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let started = Instant::now();
    let output = Command::new(&program)
        .current_dir(app.folder.path())
        .arg("run")
        .arg(root.join("api/openapi.json"))
        .args(["--url", &app.url])
        .args(["--seed", &variable("FUZZ_SEED", SEED)])
        .args(["--max-examples", &variable("FUZZ_EXAMPLES", EXAMPLES)])
        .output()
        .await
        .unwrap_or_else(|error| panic!("{program:?}: {error}: run .config/setup tests"));
    let report = String::from_utf8_lossy(&output.stdout);
    println!("{report}\n{:.0} s", started.elapsed().as_secs_f64());
    assert!(output.status.success(), "the report is above");
    // An invalid configuration would test nothing.
    let count = DOCUMENT.operations().len();
    assert!(report.contains(&format!("{count} selected / {count} total")));
}
