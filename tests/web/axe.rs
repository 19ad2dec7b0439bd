//! Accessibility of a page, as axe-core sees it (<https://github.com/dequelabs/axe-core>).

use std::{fs, path::Path, sync::LazyLock};

use serde_json::{Value, json};

use crate::visitor::Visitor;

/// Rules of WCAG 2.2 A and AA, and what axe holds for good practice. Colours are final after the
/// animations, of which some have no end.
const RUN: &str = "{ const ending = document.getAnimations().filter(
        ({ effect }) => effect.getComputedTiming().endTime < Infinity);
    Promise.allSettled(ending.map(({ finished }) => finished)).then(() => axe.run(document, { resultTypes: ['violations'] })).then(({ violations }) =>
    violations.map(({ id, nodes }) => [id, nodes.slice(0, 3).map(({ html, failureSummary }) =>
        `${html.slice(0, 160)} ${failureSummary.replace(/\\s+/g, ' ')}`)])) }";

/// The script, which `.config/setup tests` installs.
static SCRIPT: LazyLock<String> = LazyLock::new(|| {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join(".anb/tools/axe/lib");
    let pythons = fs::read_dir(tool).expect("run .config/setup tests");
    let mut files = pythons.map(|python| {
        let packages = python.unwrap().path().join("site-packages");
        packages.join("axe_playwright_python/axe.min.js")
    });
    fs::read_to_string(files.next().unwrap()).unwrap()
});

impl Visitor {
    /// Returns the violations of the page that is open. The script comes through the developer tools,
    /// so that the page keeps its content security policy.
    pub async fn violations(&self) -> Vec<String> {
        let load = json!({ "expression": SCRIPT.as_str() });
        self.devtools("Runtime.evaluate", load).await;
        let run = json!({ "expression": RUN, "awaitPromise": true, "returnByValue": true });
        let answer = self.devtools("Runtime.evaluate", run).await;
        let violations = answer["result"]["value"].as_array();
        let violations = violations.unwrap_or_else(|| panic!("{answer}")).iter();
        violations.map(Value::to_string).collect()
    }
}
