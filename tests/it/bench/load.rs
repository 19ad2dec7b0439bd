//! Load from `wrk`, and the CPU time that it costs the API and PostgreSQL.

use std::{collections::HashMap, fs, path::Path, time::Duration};

use tokio::process::Command;

use super::arena::Arena;

/// Maximum number of cores that the load generator uses.
pub const THREADS: usize = 2;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/bench/requests.lua");

/// The requests to send, and the number of connections.
pub struct Load<'a> {
    pub connections: usize,
    /// Pause of each connection between two requests (ms).
    pub pause_ms: u32,
    pub method: &'a str,
    pub paths: &'a [String],
    /// Used in rotation; if empty, requests carry no token.
    pub tokens: &'a [String],
    /// JSON, or empty for no body.
    pub body: &'a str,
}

impl Default for Load<'_> {
    fn default() -> Self {
        Self {
            connections: 1,
            pause_ms: 0,
            method: "GET",
            paths: &[],
            tokens: &[],
            body: "",
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    pub requests: f64,
    pub per_second: f64,
    /// Responses with a status below 400 per second.
    pub goodput: f64,
    /// Number of responses with a status of 400 or more.
    pub refused: f64,
    /// Number of broken connections and unanswered requests.
    pub broken: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// CPU time per 1,000 requests (s).
    pub api_cpu: f64,
    pub database_cpu: f64,
    /// Peak memory of the API so far (bytes).
    pub peak: u64,
}

impl Load<'_> {
    /// Sends requests for `span`. Repeats with a longer span if a busy machine answered none.
    pub async fn run(&self, arena: &Arena, span: Duration) -> Outcome {
        let folder = tempfile::tempdir().unwrap();
        let paths = write(folder.path(), "paths", self.paths);
        let tokens = match self.tokens {
            [] => String::new(),
            tokens => write(folder.path(), "tokens", tokens),
        };
        let mut span = span;
        loop {
            let outcome = self.run_once(arena, span, &paths, &tokens).await;
            if outcome.per_second > 0.0 {
                return outcome;
            }
            span *= 2;
            assert!(span < Duration::from_mins(1), "{outcome:?}");
        }
    }

    async fn run_once(&self, arena: &Arena, span: Duration, paths: &str, tokens: &str) -> Outcome {
        let (api, database) = (arena.serve.cpu_seconds(), arena.database_cpu_seconds());
        #[expect(clippy::disallowed_methods, reason = "tests start programs")]
        let mut wrk = Command::new("wrk");
        wrk.arg(format!("-t{THREADS}"))
            .arg(format!("-c{}", self.connections.max(THREADS)))
            .arg(format!("-d{}s", span.as_secs().max(1)))
            .args(["--timeout", "20s", "-s", SCRIPT])
            .args([&arena.serve.url, "--", self.method])
            .args([&self.pause_ms.to_string(), paths, tokens, self.body]);
        let output = wrk
            .output()
            .await
            .unwrap_or_else(|error| panic!("{error}: install wrk with .config/setup tests"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let figures = figures(&text);
        let figure = |name: &str| *figures.get(name).unwrap_or_else(|| panic!("{output:?}"));
        let requests = figure("requests");
        let thousands = requests / 1000.0;
        Outcome {
            requests,
            per_second: requests / figure("seconds"),
            goodput: (requests - figure("refused")) / figure("seconds"),
            refused: figure("refused"),
            broken: figure("broken"),
            p50_ms: figure("p50_us") / 1000.0,
            p99_ms: figure("p99_us") / 1000.0,
            api_cpu: (arena.serve.cpu_seconds() - api) / thousands,
            database_cpu: (arena.database_cpu_seconds() - database) / thousands,
            peak: arena.serve.memory("VmHWM"),
        }
    }
}

fn write(folder: &Path, name: &str, lines: &[String]) -> String {
    let path = folder.join(name);
    fs::write(&path, lines.join("\n")).unwrap();
    path.display().to_string()
}

/// Parses the line of `name=number` pairs that the script prints.
fn figures(text: &str) -> HashMap<&str, f64> {
    let line = text.lines().find(|line| line.starts_with("requests="));
    line.into_iter()
        .flat_map(str::split_whitespace)
        .filter_map(|word| {
            let (name, number) = word.split_once('=')?;
            Some((name, number.parse().ok()?))
        })
        .collect()
}
