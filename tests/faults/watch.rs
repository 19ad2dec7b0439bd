//! Watches the rows. A video that has ended must stay so, and another worker must soon take over
//! the job of a killed worker.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anb::ids::VideoId;
use tokio::time::sleep;

use crate::{
    history::History,
    it::processes::process::Process,
    system::{Row, System},
};

/// Time between two queries.
const INTERVAL: Duration = Duration::from_millis(250);

/// `JOB_MAX_ATTEMPTS`.
const MAX_FAILURES: i32 = 3;

/// The sweeper's limit of lease expirations.
const MAX_LOSSES: i32 = 10;

/// A job whose worker was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    video: VideoId,
    attempt: i32,
}

#[derive(Default)]
pub struct Watch {
    is_over: AtomicBool,
    rows: Mutex<BTreeMap<VideoId, Row>>,
    dead: Mutex<Vec<(Job, Instant)>>,
    recoveries: Mutex<Vec<Duration>>,
}

impl Watch {
    /// Watches until stopped.
    pub async fn look(&self, system: &System, history: &History) {
        while !self.is_over() {
            if let Some(rows) = system.rows().await {
                self.compare(rows, history);
            }
            sleep(INTERVAL).await;
        }
    }

    pub fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Returns the running jobs of a process, according to its log.
    pub fn jobs_of(&self, process: &Process) -> Vec<Job> {
        let log = process.log();
        let rows = self.rows.lock().unwrap();
        let running = rows.values().filter(|row| row.status == "processing");
        let running = running.map(|row| Job {
            video: row.id,
            attempt: row.attempt,
        });
        let dead = self.dead.lock().unwrap();
        let is_its = |job: &Job| {
            let is_known = dead.iter().any(|(dead, _)| dead == job);
            let video = format!("video={}", job.video);
            let attempt = format!("attempt={}}}", job.attempt);
            !is_known
                && log
                    .lines()
                    .any(|line| line.contains(&video) && line.contains(&attempt))
        };
        running.filter(is_its).collect()
    }

    /// Records that the worker of `jobs` was killed.
    pub fn died(&self, jobs: Vec<Job>) {
        let now = Instant::now();
        let mut dead = self.dead.lock().unwrap();
        dead.extend(jobs.into_iter().map(|job| (job, now)));
    }

    pub fn print(&self) {
        let mut all = self.recoveries.lock().unwrap().clone();
        all.sort();
        println!(
            "{} jobs lost their worker; taken over after {:?} (median), {:?} (maximum)",
            all.len(),
            all.get(all.len() / 2),
            all.last()
        );
    }

    fn compare(&self, rows: Vec<Row>, history: &History) {
        let mut before = self.rows.lock().unwrap();
        let rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.id, row)).collect();
        for (id, row) in &rows {
            if row.failures > MAX_FAILURES || row.losses > MAX_LOSSES {
                history.breach(format!("{id}: too many attempts, {row:?}"));
            }
            let Some(old) = before.get(id) else { continue };
            let has_changed = old.status != row.status || old.attempt != row.attempt;
            if (old.has_ended() && has_changed) || row.attempt < old.attempt {
                history.breach(format!("{id}: regressed from {old:?} to {row:?}"));
            }
        }
        self.dead.lock().unwrap().retain(|(job, died)| {
            let row = rows.get(&job.video);
            if row.is_some_and(|row| row.attempt > job.attempt || row.has_ended()) {
                self.recoveries.lock().unwrap().push(died.elapsed());
            }
            row.is_some_and(|row| row.attempt == job.attempt && !row.has_ended())
        });
        *before = rows;
    }
}
