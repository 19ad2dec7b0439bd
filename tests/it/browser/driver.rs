//! Chromium, driven through `chromedriver` with `WebDriver` (<https://www.w3.org/TR/webdriver2/>).

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{ChildStdout, Command, Stdio},
    sync::mpsc,
    thread::{self, JoinHandle},
};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::support::{eventually, signal_all};

/// A host name of this machine. Its pages are no secure contexts, unlike those of `127.0.0.1`.
pub const INSECURE_HOST: &str = "insecure.test";

/// A browser with its own profile, killed when it is dropped.
pub struct Browser {
    /// Address of the `WebDriver` session.
    session: String,
    /// Its connections belong to the runtime that made them.
    pub client: reqwest::Client,
    _chromium: Program,
    _profile: TempDir,
}

impl Browser {
    pub async fn start() -> Self {
        Self::start_with(tempfile::tempdir().unwrap(), &[], &Value::Null).await
    }

    /// Starts it with an empty profile, more arguments of Chromium, and what `chromedriver` logs.
    pub async fn start_with(profile: TempDir, arguments: &[&str], logs: &Value) -> Self {
        static CHROMEDRIVER: OnceCell<String> = OnceCell::const_new();
        let chromedriver = CHROMEDRIVER.get_or_init(async || chromedriver()).await;
        let chromium = chromium(profile.path(), arguments);
        let port_file = profile.path().join("DevToolsActivePort");
        let mut port = None;
        let what = "chromium starts; run .config/setup tests if it is missing";
        eventually(what, 60, async || {
            let text = fs::read_to_string(&port_file).unwrap_or_default();
            // A second line shows that the first is complete.
            port = text.split_once('\n').map(|(port, _)| port.to_owned());
            port.is_some()
        })
        .await;
        let mut browser = Self {
            session: format!("{chromedriver}/session"),
            client: reqwest::Client::new(),
            _chromium: chromium,
            _profile: profile,
        };
        let options = json!({ "debuggerAddress": format!("127.0.0.1:{}", port.unwrap()) });
        let mut capabilities = json!({ "goog:chromeOptions": options });
        if !logs.is_null() {
            capabilities["goog:loggingPrefs"] = logs.clone();
        }
        let capabilities = json!({ "alwaysMatch": capabilities });
        let session = browser.send("", json!({ "capabilities": capabilities }));
        let session = session.await["sessionId"].as_str().unwrap().to_owned();
        browser.session = format!("{}/{session}", browser.session);
        browser
    }

    /// Sends a command, which must succeed. Returns its result.
    pub async fn send(&self, command: &str, parameters: Value) -> Value {
        let result = self.try_send(command, parameters).await;
        result.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Sends a command that may fail. Returns its result or its error.
    pub async fn try_send(&self, command: &str, parameters: Value) -> Result<Value, Value> {
        let command = format!("{}{command}", self.session);
        let response = self.client.post(command).json(&parameters).send().await;
        value(response.unwrap()).await
    }

    /// Asks for something that has no parameters.
    pub async fn get(&self, command: &str) -> Value {
        let command = format!("{}{command}", self.session);
        let response = self.client.get(command).send().await.unwrap();
        value(response).await.unwrap()
    }

    /// Sends a command of the Chrome `DevTools` Protocol. Returns its result.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let command = json!({ "cmd": command, "params": parameters });
        self.send("/goog/cdp/execute", command).await
    }

    pub async fn open(&self, url: &str) {
        self.send("/url", json!({ "url": url })).await;
    }

    pub async fn reload(&self) {
        self.send("/refresh", json!({})).await;
    }

    /// Opens `url` in a new tab. The other methods then apply to this tab.
    pub async fn open_tab(&self, url: &str) {
        let tab = self.send("/window/new", json!({ "type": "tab" })).await;
        self.switch_to(&tab["handle"]).await;
        self.open(url).await;
    }

    /// Returns the tab that the methods apply to.
    pub async fn tab(&self) -> Value {
        self.get("/window").await
    }

    pub async fn switch_to(&self, tab: &Value) {
        self.send("/window", json!({ "handle": tab })).await;
    }

    /// Chooses a file, as a user does.
    pub async fn choose(&self, file: &Path) {
        let by = json!({ "using": "css selector", "value": "input" });
        let input = self.send("/element", by).await;
        // An object with one field (section 12.4, "web element identifier").
        let input = input.as_object().unwrap().values().next().unwrap();
        let command = format!("/element/{}/value", input.as_str().unwrap());
        self.send(&command, json!({ "text": file })).await;
    }

    /// Runs the body of a function in the page. Returns its result, also of a promise.
    pub async fn run(&self, script: &str, argument: Value) -> Value {
        let script = json!({ "script": script, "args": [argument] });
        self.send("/execute/sync", script).await
    }

    /// Returns what the page has logged under `name`.
    pub async fn logged(&self, name: &str) -> Value {
        self.run("return log[arguments[0]]", name.into()).await
    }

    /// Waits until the page has logged something under `name`, and returns it.
    pub async fn until(&self, name: &str) -> Value {
        let mut value = Value::Null;
        eventually(name, 60, async || {
            value = self.logged(name).await;
            !value.is_null()
        })
        .await;
        value
    }

    /// Waits until an upload of the page was in `state`.
    pub async fn until_state(&self, state: &str) {
        eventually(state, 60, async || {
            let states = self.logged("states").await;
            states.as_array().unwrap().contains(&state.into())
        })
        .await;
    }

    /// Takes the network away, or gives it back.
    pub async fn set_offline(&self, offline: bool) {
        let conditions = json!({
            "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
        });
        self.devtools("Network.emulateNetworkConditions", conditions)
            .await;
    }
}

/// Returns the result of a command, or its error.
async fn value(response: reqwest::Response) -> Result<Value, Value> {
    let mut response: Value = response.json().await.unwrap();
    let result = response["value"].take();
    if result["stacktrace"].is_null() {
        Ok(result)
    } else {
        Err(result)
    }
}

/// A process that ends with this one.
struct Program {
    id: u32,
    waiting: Option<JoinHandle<()>>,
}

impl Program {
    /// Spawns it from a thread that lasts as long as the process, since the kernel ends the process
    /// with the thread.
    fn spawn(mut command: Command) -> (Self, Option<ChildStdout>) {
        let (sender, receiver) = mpsc::channel();
        let waiting = thread::spawn(move || {
            let mut child = command.spawn().unwrap();
            sender.send((child.id(), child.stdout.take())).unwrap();
            child.wait().unwrap();
        });
        let (id, stdout) = receiver.recv().unwrap();
        let waiting = Some(waiting);
        (Self { id, waiting }, stdout)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        signal_all(self.id, Signal::KILL);
        self.waiting.take().unwrap().join().unwrap();
    }
}

fn chromium(profile: &Path, arguments: &[&str]) -> Program {
    let mut command = bound("chromium");
    command
        .args(["--headless=new", "--disable-gpu", "--disable-breakpad"])
        // Neither root nor a container has the namespaces of the sandbox.
        .arg("--no-sandbox")
        // Containers have little shared memory.
        .arg("--disable-dev-shm-usage")
        .arg("--remote-debugging-port=0")
        .arg(format!(
            "--host-resolver-rules=MAP {INSECURE_HOST} 127.0.0.1"
        ))
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(arguments)
        // Debian's start page is another site.
        .arg("about:blank");
    Program::spawn(command).0
}

/// Starts `chromedriver` for all tests. Returns its address.
fn chromedriver() -> String {
    let mut command = bound("chromedriver");
    command.arg("--port=0").stdout(Stdio::piped());
    let (program, stdout) = Program::spawn(command);
    std::mem::forget(program);
    let mut lines = BufReader::new(stdout.unwrap())
        .lines()
        .map_while(Result::ok);
    let port = lines.find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        port.trim_end_matches('.').parse::<u16>().ok()
    });
    // Reads on, so that it can write.
    thread::spawn(|| lines.for_each(drop));
    let port = port.unwrap_or_else(|| panic!("no chromedriver: run .config/setup tests"));
    format!("http://127.0.0.1:{port}")
}

/// Returns the command of a program that the kernel ends when the thread that spawned it ends.
#[expect(clippy::disallowed_methods, reason = "starts the browser")]
fn bound(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig=KILL", "--", program])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
