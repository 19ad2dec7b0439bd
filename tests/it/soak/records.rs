//! What the people were answered: times and failures of all requests, accepted votes and uploads.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    io::Write as _,
    path::Path,
    sync::Mutex,
    time::{Duration, Instant},
};

/// Maximum length of the response that is kept of a failed request, in bytes.
const KEPT_BYTES: usize = 300;

/// The outcomes of one kind of request since the last sample.
#[derive(Default)]
pub struct Outcomes {
    pub times: Vec<Duration>,
    pub failures: usize,
}

/// An upload whose last byte was acknowledged.
#[derive(Debug, Clone)]
pub struct Upload {
    pub video: String,
    pub is_deleted: bool,
}

pub struct Records {
    begun: Instant,
    recent: Mutex<BTreeMap<&'static str, Outcomes>>,
    totals: Mutex<BTreeMap<&'static str, Outcomes>>,
    failures: Mutex<Vec<String>>,
    file: Mutex<File>,
    /// E-mail address and video of each vote that was answered as counted.
    pub votes: Mutex<HashSet<(String, String)>>,
    pub uploads: Mutex<Vec<Upload>>,
    /// Events that are no failures.
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Records {
    /// Creates records that note failures in a file of `folder` as they happen.
    pub fn new(folder: &Path) -> Self {
        Self {
            begun: Instant::now(),
            recent: Mutex::default(),
            totals: Mutex::default(),
            failures: Mutex::default(),
            file: Mutex::new(File::create(folder.join("failures.txt")).unwrap()),
            votes: Mutex::default(),
            uploads: Mutex::default(),
            counts: Mutex::default(),
        }
    }

    /// Returns the minutes since the start.
    pub fn minutes(&self) -> f64 {
        self.begun.elapsed().as_secs_f64() / 60.0
    }

    pub fn answered(&self, kind: &'static str, took: Duration) {
        for outcomes in [&self.recent, &self.totals] {
            let mut outcomes = outcomes.lock().unwrap();
            outcomes.entry(kind).or_default().times.push(took);
        }
    }

    /// Records a failure of a request or of a promise, such as a video that is never processed.
    pub fn failed(&self, kind: &'static str, what: &str) {
        for outcomes in [&self.recent, &self.totals] {
            let mut outcomes = outcomes.lock().unwrap();
            outcomes.entry(kind).or_default().failures += 1;
        }
        let kept: String = what.chars().take(KEPT_BYTES).collect();
        let line = format!("minute {:.2}: {kind}: {kept}", self.minutes());
        writeln!(self.file.lock().unwrap(), "{}", line.replace('\n', " ")).unwrap();
        self.failures.lock().unwrap().push(line);
    }

    /// Counts events that are no failures.
    pub fn count(&self, what: &'static str, number: u64) {
        *self.counts.lock().unwrap().entry(what).or_default() += number;
    }

    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().unwrap().clone()
    }

    /// Returns the outcomes since the last call.
    pub fn take(&self) -> BTreeMap<&'static str, Outcomes> {
        std::mem::take(&mut self.recent.lock().unwrap())
    }

    /// Returns the outcomes of the whole run.
    pub fn totals(&self) -> BTreeMap<&'static str, Outcomes> {
        std::mem::take(&mut self.totals.lock().unwrap())
    }

    pub fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap().clone()
    }
}
