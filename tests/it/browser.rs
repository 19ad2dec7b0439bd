//! `web/assets/upload.js` in Chromium: on a page of another origin, through a gateway that fails.

mod driver;
mod faults;
mod gateway;
mod site;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use self::{
    driver::{Browser, INSECURE_HOST},
    gateway::{Fault, Gateway},
    site::{Listener, module},
};
use crate::support::{Player, TestApp, content, eventually, mp4, seconds, sign};

const CHUNK: usize = 5 << 20;
/// Two chunks and a part of a third.
const FILE: usize = 12 << 20;
/// Bytes at the start of a file that make it an MP4.
const HEAD: usize = 64;
/// Maximum size of the module when it is sent (gzip).
const MAX_MODULE_BYTES: usize = 6 * 1024;

/// A page with the module, a gateway from it to the API, and a player.
struct Stage {
    app: TestApp,
    ana: Player,
    gateway: Gateway,
    browser: Browser,
    site: Listener,
}

impl Stage {
    async fn set() -> Self {
        Self::set_with(async |flags| TestApp::spawn_with(flags, &[]).await).await
    }

    async fn set_on_aws() -> Self {
        Self::set_with(async |flags| TestApp::spawn_on_aws_with(flags, &[]).await).await
    }

    async fn set_with(start: impl AsyncFnOnce(&[&str]) -> TestApp) -> Self {
        let site = site::serve().await;
        let port = site.address.port();
        let origins = format!("http://{},http://{INSECURE_HOST}:{port}", site.address);
        let app = start(&["--cors-allowed-origins", &origins]).await;
        let ana = app.insert_user("Ana", "Cali").await;
        let gateway = Gateway::to(&app.url).await;
        let browser = Browser::start().await;
        browser.open(&format!("http://{}/", site.address)).await;
        Self {
            app,
            ana,
            gateway,
            browser,
            site,
        }
    }

    /// Writes a file that a player could choose.
    fn file(&self, name: &str, seed: u64) -> PathBuf {
        let mut bytes = mp4(HEAD);
        bytes.extend(content(FILE - HEAD, seed));
        let path = self.app.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn options(&self) -> Value {
        json!({
            "endpoint": format!("{}/api/uploads", self.gateway.url),
            "tokens": [self.ana.token],
            "metadata": { "title": "Mi mejor jugada ñ", "is_public": true },
        })
    }

    /// Chooses a file on the page and uploads it with more `options`.
    async fn start_with(&self, file: &Path, options: Value) {
        let mut all = self.options();
        let options = options.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(options);
        self.browser.choose(file).await;
        self.browser.run("start(arguments[0])", all).await;
    }

    async fn start(&self, file: &Path) {
        self.start_with(file, json!({})).await;
    }

    /// Starts an upload that hangs with one chunk at the server.
    async fn start_and_hang(&self, file: &Path) {
        let before = self.gateway.count("PATCH 5242880");
        self.gateway.fail("PATCH 5242880", Fault::Hang);
        self.start(file).await;
        self.gateway.until("PATCH 5242880", before + 1).await;
    }

    /// Waits for the end of an upload. Asserts that its video is the only one, and that the stored
    /// original is `file`.
    async fn assert_uploaded(&self, file: &Path) {
        let id = self.browser.until("video").await;
        let id = id.as_str().unwrap();
        let upload = format!("/api/uploads/{id}");
        let is_equal = self.app.uploaded_bytes(&upload).await == fs::read(file).unwrap();
        assert!(is_equal, "the stored original differs");
        let videos = self.app.call(&self.ana, Method::GET, "/api/videos").await;
        let videos = videos.ok();
        assert_eq!(videos.as_array().unwrap().len(), 1, "{videos}");
        assert_eq!(videos[0]["video_id"], id);
        assert_eq!(self.open_uploads().await, json!([]));
    }

    async fn open_uploads(&self) -> Value {
        let uploads = self.app.call(&self.ana, Method::GET, "/api/uploads").await;
        uploads.ok()
    }
}

#[test]
fn module_is_small_and_imports_nothing() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let module = module();
    gzip.write_all(module.as_bytes()).unwrap();
    let bytes = gzip.finish().unwrap().len();
    assert!(bytes <= MAX_MODULE_BYTES, "{bytes}");
    assert!(!module.lines().any(|line| line.starts_with("import")));
    assert!(!module.contains("import("));
}

#[tokio::test]
async fn file_is_uploaded_in_checked_chunks_from_another_origin() {
    let stage = Stage::set().await;
    let file = stage.file("jugada.mp4", 1);
    stage.start(&file).await;
    stage.assert_uploaded(&file).await;

    let expected = ["POST", "PATCH 0", "PATCH 5242880", "PATCH 10485760"];
    assert_eq!(stage.gateway.requests(), expected);
    assert_eq!(stage.gateway.checksums(), 3);
    let progress = stage.browser.logged("progress").await;
    assert_eq!(
        progress,
        json!({ "sent": FILE, "stored": FILE, "total": FILE })
    );
    assert_eq!(stage.browser.logged("wakeLocks").await, 1);
    let videos = stage.app.call(&stage.ana, Method::GET, "/api/videos").await;
    assert_eq!(videos.body[0]["title"], "Mi mejor jugada ñ");

    // A player who sends a file once more wants another video.
    stage.start(&file).await;
    stage.gateway.until("POST", 2).await;
}

#[tokio::test]
async fn upload_continues_when_the_network_is_back() {
    let stage = Stage::set().await;
    let file = stage.file("jugada.mp4", 1);
    stage.start_and_hang(&file).await;
    stage.browser.set_offline(true).await;
    stage.browser.until_state("waiting unreachable").await;
    stage.browser.set_offline(false).await;
    stage.assert_uploaded(&file).await;

    let expected = [
        "POST",
        "PATCH 0",
        "PATCH 5242880",
        "HEAD",
        "PATCH 5242880",
        "PATCH 10485760",
    ];
    assert_eq!(stage.gateway.requests(), expected);
}

#[tokio::test]
async fn upload_continues_after_a_reload_with_the_same_file() {
    reload_and_continue(&Stage::set().await).await;
}

#[tokio::test]
async fn upload_to_s3_continues_after_a_reload_with_the_same_file() {
    reload_and_continue(&Stage::set_on_aws().await).await;
}

async fn reload_and_continue(stage: &Stage) {
    let file = stage.file("jugada.mp4", 1);
    stage.start_and_hang(&file).await;
    stage.browser.reload().await;
    let first = stage.gateway.requests().len();
    stage.start(&file).await;
    stage.assert_uploaded(&file).await;
    let expected = ["HEAD", "PATCH 5242880", "PATCH 10485760"];
    assert_eq!(stage.gateway.requests()[first..], expected);
}

#[tokio::test]
async fn another_file_begins_another_upload() {
    let stage = Stage::set().await;
    stage.start_and_hang(&stage.file("jugada.mp4", 1)).await;
    stage.browser.reload().await;
    let first = stage.gateway.requests().len();
    let other = stage.file("otra.mp4", 2);

    // Neither by the entry that the player wants to continue …
    let open = stage.open_uploads().await;
    let listed =
        "return module.openUploads({ ...arguments[0], token: () => arguments[0].tokens[0] })";
    assert_eq!(stage.browser.run(listed, stage.options()).await, open);
    assert_eq!(open[0]["offset"], CHUNK);
    let resume = json!({ "resume": open[0] });
    stage.start_with(&other, resume).await;
    assert_eq!(stage.browser.until("error").await["code"], "different_file");
    assert_eq!(stage.gateway.requests().len(), first + 1);

    // … nor by what the browser remembers.
    stage.start(&other).await;
    stage.browser.until("video").await;
    let requests = &stage.gateway.requests()[first + 1..];
    assert_eq!(
        requests,
        ["POST", "PATCH 0", "PATCH 5242880", "PATCH 10485760"]
    );
    assert_eq!(stage.open_uploads().await, open);
}

#[tokio::test]
async fn listed_upload_continues_in_a_browser_that_does_not_know_it() {
    let stage = Stage::set().await;
    let file = stage.file("jugada.mp4", 1);
    stage.start_and_hang(&file).await;
    stage.browser.run("localStorage.clear()", json!(null)).await;
    stage.browser.reload().await;
    let first = stage.gateway.requests().len();
    let open = stage.open_uploads().await;
    stage.start_with(&file, json!({ "resume": open[0] })).await;
    stage.assert_uploaded(&file).await;
    let expected = ["HEAD", "PATCH 5242880", "PATCH 10485760"];
    assert_eq!(stage.gateway.requests()[first..], expected);
}

#[tokio::test]
async fn expired_session_asks_for_another_token_and_continues() {
    let stage = Stage::set().await;
    let file = stage.file("jugada.mp4", 1);
    let user = stage.app.user_id(&stage.ana).await;
    let secret = stage.app.serve.auth.jwt_secret.expose_secret();
    let expired = sign(user, secret, seconds() - 1);
    let first = sign(user, secret, seconds() + 600);
    let tokens = json!([expired, first, stage.ana.token]);
    stage.gateway.fail("PATCH 5242880", Fault::Hang);
    stage.start_with(&file, json!({ "tokens": tokens })).await;
    stage.gateway.until("PATCH 5242880", 1).await;

    let player = Player {
        token: first.clone(),
        ..stage.ana.clone()
    };
    let logout = stage.app.call(&player, Method::POST, "/api/auth/logout");
    logout.await.ok();
    eventually("the token is revoked", 60, async || {
        let uploads = stage.app.call(&player, Method::GET, "/api/uploads").await;
        uploads.status == 401
    })
    .await;
    stage.gateway.cut();
    stage.assert_uploaded(&file).await;
    let refused = stage.browser.logged("refused").await;
    assert_eq!(refused, json!([expired, first]));
}

#[tokio::test]
async fn two_tabs_with_the_same_file_make_one_video() {
    let stage = Stage::set().await;
    let file = stage.file("jugada.mp4", 1);
    stage.start_and_hang(&file).await;
    let first = stage.browser.tab().await;
    let url = format!("http://{}/", stage.site.address);
    stage.browser.open_tab(&url).await;
    stage.start(&file).await;
    stage.browser.until_state("queued").await;
    stage.gateway.cut();
    stage.assert_uploaded(&file).await;
    let second = stage.browser.logged("video").await;
    stage.browser.switch_to(&first).await;
    assert_eq!(stage.browser.until("video").await, second);
    let expected = [
        "POST",
        "PATCH 0",
        "PATCH 5242880",
        "HEAD",
        "PATCH 5242880",
        "PATCH 10485760",
    ];
    assert_eq!(stage.gateway.requests(), expected);
}

#[tokio::test]
async fn changed_and_removed_files_are_errors() {
    let stage = Stage::set().await;
    let file = stage.file("jugada.mp4", 1);
    stage.start_and_hang(&file).await;
    fs::write(&file, mp4(FILE - 1)).unwrap();
    stage.gateway.cut();
    let error = stage.browser.until("error").await;
    assert_eq!(error["code"], "file_unreadable");

    let file = stage.file("otra.mp4", 2);
    stage.browser.reload().await;
    stage.start_and_hang(&file).await;
    fs::remove_file(&file).unwrap();
    stage.gateway.cut();
    let error = stage.browser.until("error").await;
    assert_eq!(error["code"], "file_unreadable");
}

#[tokio::test]
async fn rejections_reach_the_page_in_its_language() {
    let stage = Stage::set().await;
    let file = stage.file("jugada.mp4", 1);
    let title = json!({ "metadata": { "title": "cuat", "is_public": true } });
    stage.start_with(&file, title).await;
    let error = stage.browser.until("error").await;
    assert_eq!(error["problem"]["fields"][0]["field"], "title", "{error}");

    let text = stage.app.folder.path().join("texto.mp4");
    fs::write(&text, "Not a film. ".repeat(1000)).unwrap();
    stage.browser.reload().await;
    stage.start(&text).await;
    let error = stage.browser.until("error").await;
    assert_eq!(error["code"], "not_an_mp4");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("El archivo no es un video MP4"),
        "{message}"
    );
}

#[tokio::test]
async fn cancelled_upload_leaves_nothing() {
    let stage = Stage::set().await;
    let file = stage.file("jugada.mp4", 1);
    stage.start_and_hang(&file).await;
    stage.browser.run("cancel()", json!(null)).await;
    let error = stage.browser.until("error").await;
    assert_eq!(error["code"], "AbortError");
    assert_eq!(stage.open_uploads().await, json!([]));
    assert_eq!(stage.app.files(), [""; 0]);
    let count = "return localStorage.length";
    assert_eq!(stage.browser.run(count, json!(null)).await, 0);

    // From the list, after the page was left.
    stage.start_and_hang(&file).await;
    stage.browser.reload().await;
    let cancel = "const [endpoint, token, id] = arguments[0];
        return module.cancelUpload(id, { endpoint, token: () => token }).then(() => true)";
    let options = stage.options();
    let id = &stage.open_uploads().await[0]["video_id"];
    let arguments = json!([options["endpoint"], options["tokens"][0], id]);
    stage.browser.run(cancel, arguments).await;
    assert_eq!(stage.open_uploads().await, json!([]));
}

/// Without `crypto.subtle`, locks and wake locks.
#[tokio::test]
async fn insecure_origin_uploads_and_continues_after_a_reload() {
    let stage = Stage::set().await;
    let file = stage.file("jugada.mp4", 1);
    let url = format!("http://{INSECURE_HOST}:{}/", stage.site.address.port());
    stage.browser.open(&url).await;
    let is_secure = stage.browser.run("return isSecureContext", json!(null));
    assert_eq!(is_secure.await, false);
    stage.start_and_hang(&file).await;
    stage.browser.reload().await;
    stage.start(&file).await;
    stage.assert_uploaded(&file).await;
    let expected = [
        "POST",
        "PATCH 0",
        "PATCH 5242880",
        "HEAD",
        "PATCH 5242880",
        "PATCH 10485760",
    ];
    assert_eq!(stage.gateway.requests(), expected);
    assert_eq!(stage.gateway.checksums(), 0);
}
