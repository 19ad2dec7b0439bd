//! The browsers of the test process. A test takes one and gives it back empty.

use std::{fs, path::Path, sync::Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::it::browser::driver::Browser;

/// Prefix of the profiles' folders. The id of their process follows.
const PROFILE: &str = "chromium-";

/// Browsers that no test uses.
static IDLE: Mutex<Vec<Browser>> = Mutex::new(Vec::new());

/// Returns a browser of a visitor from Colombia.
pub async fn take() -> Browser {
    let idle = IDLE.lock().unwrap().pop();
    if let Some(mut browser) = idle {
        browser.client = reqwest::Client::new();
        return browser;
    }
    let logs = json!({ "browser": "ALL", "performance": "ALL" });
    Browser::start_with(profile(), &["--accept-lang=es-CO,es"], &logs).await
}

/// Creates a profile. It outlives the process, since nothing drops the browsers that remain in the
/// end; so this removes those of earlier processes.
fn profile() -> TempDir {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let owner = name
            .strip_prefix(PROFILE)
            .and_then(|rest| rest.split_once('-'));
        if owner.is_some_and(|(id, _)| !Path::new("/proc").join(id).exists()) {
            fs::remove_dir_all(entry.path()).unwrap();
        }
    }
    let prefix = format!("{PROFILE}{}-", std::process::id());
    tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir_in(folder)
        .unwrap()
}

/// Takes back a browser. Its tabs, whose settings end with them, are replaced by an empty one.
pub async fn give_back(browser: Browser) {
    let used = browser.get("/window/handles").await;
    let fresh = browser.send("/window/new", json!({ "type": "tab" })).await;
    for tab in used.as_array().unwrap() {
        browser.switch_to(tab).await;
        // Leaving a page that is sending asks a question.
        drop(browser.try_send("/alert/accept", json!({})).await);
        let closed = json!({ "targetId": tab });
        browser.devtools("Target.closeTarget", closed).await;
    }
    browser.switch_to(&fresh["handle"]).await;
    for forget in ["Network.clearBrowserCookies", "Network.clearBrowserCache"] {
        browser.devtools(forget, json!({})).await;
    }
    for log in ["browser", "performance"] {
        let _old: Value = browser.send("/se/log", json!({ "type": log })).await;
    }
    IDLE.lock().unwrap().push(browser);
}
