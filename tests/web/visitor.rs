//! A visitor: a browser on a phone, whose every page is judged before it is left.
//!
//! Nothing may be in the console (which also has uncaught exceptions and violations of the content
//! security policy), no request may fail unless the test names it, none may leave the site, no page
//! may scroll sideways, have an id twice, or move what it shows.

mod judging;

use std::{path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    it::browser::driver::Browser,
    shared,
    stage::Stage,
    support::{Player, eventually},
    traffic::{Request, Traffic},
};

/// Size of a cheap phone, and of a laptop.
pub const PHONE: (u32, u32) = (360, 740);
pub const LAPTOP: (u32, u32) = (1280, 800);

/// Browsers that run at once. Each of them needs a core.
const MAX_BROWSERS: usize = 2;

static BROWSERS: Semaphore = Semaphore::const_new(MAX_BROWSERS);

/// Responses that the test expects to fail.
struct Named {
    status: u16,
    path: String,
    is_required: bool,
    is_seen: bool,
}

pub struct Visitor {
    /// None once the visit has ended.
    browser: Option<Browser>,
    site: String,
    width: u32,
    has_script: bool,
    is_offline: bool,
    /// Whether a page is open.
    is_inside: bool,
    named: Vec<Named>,
    traffic: Traffic,
    /// Number of requests that were judged.
    judged: usize,
    findings: Vec<String>,
    _permit: SemaphorePermit<'static>,
}

impl Visitor {
    /// Starts a visit with a phone.
    pub async fn of(stage: &Stage) -> Self {
        Self::at(&stage.app.url).await
    }

    /// Starts a visit of any site.
    pub async fn at(site: &str) -> Self {
        let permit = BROWSERS.acquire().await.unwrap();
        Self::with(site, permit).await
    }

    /// Starts two visits. One by one, tests could wait for each other.
    pub async fn pair(stage: &Stage) -> [Self; 2] {
        let mut permit = BROWSERS.acquire_many(2).await.unwrap();
        let second = permit.split(1).unwrap();
        [
            Self::with(&stage.app.url, permit).await,
            Self::with(&stage.app.url, second).await,
        ]
    }

    async fn with(site: &str, permit: SemaphorePermit<'static>) -> Self {
        let mut visitor = Self {
            browser: Some(shared::take().await),
            site: site.to_owned(),
            width: 0,
            has_script: true,
            is_offline: false,
            is_inside: false,
            named: Vec::new(),
            traffic: Traffic::default(),
            judged: 0,
            findings: Vec::new(),
            _permit: permit,
        };
        visitor.resize(PHONE).await;
        visitor
    }

    /// Ends the visit. Panics with everything that was wrong with its pages.
    pub async fn end(self) {
        let findings = self.findings().await;
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    }

    /// Ends the visit. Returns everything that was wrong with its pages.
    pub async fn findings(mut self) -> Vec<String> {
        self.judge().await;
        for named in &self.named {
            if named.is_required && !named.is_seen {
                let line = format!("expected {} of {}", named.status, named.path);
                self.findings.push(line);
            }
        }
        shared::give_back(self.browser.take().unwrap()).await;
        std::mem::take(&mut self.findings)
    }

    pub fn browser(&self) -> &Browser {
        self.browser.as_ref().unwrap()
    }

    // The browser's settings.

    /// Leaves the page that is open, since its content moves with the size.
    pub async fn resize(&mut self, (width, height): (u32, u32)) {
        self.leave().await;
        self.browser().open("about:blank").await;
        self.is_inside = false;
        self.width = width;
        let is_phone = width < 700;
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", size)
            .await;
        let touch = json!({ "enabled": is_phone });
        self.devtools("Emulation.setTouchEmulationEnabled", touch)
            .await;
    }

    pub async fn prefer(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        )
        .await;
    }

    pub async fn disable_script(&mut self) {
        self.has_script = false;
        self.devtools(
            "Emulation.setScriptExecutionDisabled",
            json!({ "value": true }),
        )
        .await;
    }

    /// Sets the cookie of the language, as the link in the footer does.
    pub async fn speak(&self, language: &str) {
        self.set_cookie("idioma", language).await;
    }

    /// Sets the cookies of a session. Returns its token.
    pub async fn be(&self, stage: &Stage, player: &Player) -> String {
        let token = stage.session(player).await;
        self.set_cookie("anb", &token).await;
        self.set_cookie("anb_dentro", "1").await;
        token
    }

    pub async fn set_cookie(&self, name: &str, value: &str) {
        let cookie = json!({ "name": name, "value": value, "url": self.site });
        self.devtools("Network.setCookie", cookie).await;
    }

    /// Takes the network away, or gives it back. From now on requests may break.
    pub async fn set_offline(&mut self, is_offline: bool) {
        self.is_offline = true;
        self.browser().set_offline(is_offline).await;
    }

    /// Limits the link, in milliseconds and bytes per second.
    pub async fn throttle(&self, latency: u32, down: i64, up: i64) {
        let link = json!({
            "offline": false, "latency": latency, "downloadThroughput": down,
            "uploadThroughput": up,
        });
        self.devtools("Network.emulateNetworkConditions", link)
            .await;
    }

    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.browser().devtools(command, parameters).await
    }

    /// Names a response that must fail with `status`, whose path begins with `path`.
    pub fn expect(&mut self, status: u16, path: &str) {
        self.name(status, path, true);
    }

    /// Names responses that may fail.
    pub fn allow(&mut self, status: u16, path: &str) {
        self.name(status, path, false);
    }

    fn name(&mut self, status: u16, path: &str, is_required: bool) {
        self.named.push(Named {
            status,
            path: path.to_owned(),
            is_required,
            is_seen: false,
        });
    }

    // What a visitor does.

    /// Opens a page of the site, and waits until it has loaded.
    pub async fn open(&mut self, path: &str) {
        self.leave().await;
        let url = format!("{}{path}", self.site);
        self.browser().open(&url).await;
        self.is_inside = true;
    }

    /// Opens a page that is not of the site, and is not judged.
    pub async fn open_elsewhere(&mut self, url: &str) {
        self.leave().await;
        self.browser().open(url).await;
        self.is_inside = false;
    }

    pub async fn reload(&mut self) {
        self.leave().await;
        self.browser().reload().await;
    }

    /// Clicks an element in the middle of the screen. Nothing may cover it.
    pub async fn click(&self, selector: &str) {
        let into_view = "document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })";
        self.run(into_view, selector.into()).await;
        let element = self.element(selector).await;
        let command = format!("/element/{element}/click");
        self.browser().send(&command, json!({})).await;
    }

    /// Clicks an element that leads to another page, and waits for that page.
    pub async fn follow(&mut self, selector: &str) {
        self.leave().await;
        self.run("window.isLeft = true", Value::Null).await;
        self.click(selector).await;
        self.until_arrived().await;
        self.is_inside = true;
    }

    /// Waits until a page that [`Self::run`] has marked with `isLeft` is gone.
    pub async fn until_arrived(&self) {
        let arrived = json!({
            "script": "return !window.isLeft && document.readyState === 'complete'", "args": [],
        });
        eventually("another page", 60, async || {
            // Fails while the page changes.
            let arrived = self.browser().try_send("/execute/sync", arrived.clone());
            arrived.await.is_ok_and(|arrived| arrived == true)
        })
        .await;
    }

    /// Writes into a field, in place of what it has.
    pub async fn fill(&self, selector: &str, text: &str) {
        let element = self.element(selector).await;
        let clear = format!("/element/{element}/clear");
        self.browser().send(&clear, json!({})).await;
        let write = format!("/element/{element}/value");
        self.browser().send(&write, json!({ "text": text })).await;
    }

    /// Chooses a file of a field, which may be hidden.
    pub async fn choose(&self, selector: &str, file: &Path) {
        let element = self.element(selector).await;
        let command = format!("/element/{element}/value");
        self.browser().send(&command, json!({ "text": file })).await;
    }

    async fn element(&self, selector: &str) -> String {
        let by = json!({ "using": "css selector", "value": selector });
        let element = self.browser().send("/element", by).await;
        // An object with one field (`WebDriver`, "web element identifier").
        let id = element.as_object().unwrap().values().next().unwrap();
        id.as_str().unwrap().to_owned()
    }

    /// Presses and releases a key (`WebDriver`, "keyboard actions").
    pub async fn press(&self, key: &str) {
        let presses = ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key }));
        let actions = json!([{ "type": "key", "id": "keyboard", "actions": presses }]);
        let actions = json!({ "actions": actions });
        self.browser().send("/actions", actions).await;
    }

    // What a visitor sees.

    /// Runs the body of a function in the page.
    pub async fn run(&self, script: &str, argument: Value) -> Value {
        self.browser().run(script, argument).await
    }

    /// Returns what an element shows, without line breaks and with plain spaces.
    pub async fn text(&self, selector: &str) -> String {
        let text = "return document.querySelector(arguments[0])?.innerText ?? 'NOTHING'";
        let text = self.run(text, selector.into()).await;
        let words = text.as_str().unwrap().split_whitespace();
        words.collect::<Vec<_>>().join(" ")
    }

    /// Returns whether an element is there and visible.
    pub async fn sees(&self, selector: &str) -> bool {
        let is_visible = "return document.querySelector(arguments[0])?.checkVisibility() ?? false";
        self.run(is_visible, selector.into()).await == true
    }

    pub async fn until(&self, selector: &str) {
        self.until_within(selector, 60).await;
    }

    pub async fn until_within(&self, selector: &str, seconds: u64) {
        eventually(selector, seconds, async || self.sees(selector).await).await;
    }

    /// Waits until an element shows a text.
    pub async fn until_text(&self, selector: &str, text: &str) {
        let mut shown = String::new();
        let deadline = std::time::Instant::now() + Duration::from_mins(1);
        while !shown.contains(text) {
            assert!(
                std::time::Instant::now() < deadline,
                "{selector} shows {shown:?}, not {text:?}"
            );
            shown = self.text(selector).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns the address of the page, without the site.
    pub async fn path(&self) -> String {
        let path = "return location.pathname + location.search";
        let path = self.run(path, Value::Null).await;
        path.as_str().unwrap().to_owned()
    }

    /// Returns a picture of the screen (PNG).
    pub async fn picture(&self) -> Vec<u8> {
        let picture = self.browser().get("/screenshot").await;
        BASE64.decode(picture.as_str().unwrap()).unwrap()
    }

    /// Returns the requests since the visit began.
    pub async fn requests(&mut self) -> &[Request] {
        self.read_traffic().await;
        &self.traffic.requests
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        let is_unfinished = self.browser.is_some() && !std::thread::panicking();
        assert!(
            !is_unfinished,
            "the visit was not ended, so nobody judged it"
        );
    }
}
