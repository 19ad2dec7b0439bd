//! Looks at the rows all the time: a video that has ended never goes back, and a job whose worker died is
//! soon with another.

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
    town::{Row, Town},
};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// `JOB_MAX_ATTEMPTS`, and the sweeper's limit of losses.
const MOST: (i32, i32) = (3, 10);

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
    /// Looks until it is stopped.
    pub async fn look(&self, town: &Town, history: &History) {
        while !self.is_over() {
            if let Some(rows) = town.rows().await {
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

    /// Returns the jobs that a process runs, by what it says.
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

    /// Notes that the worker of `jobs` is dead now.
    pub fn died(&self, jobs: Vec<Job>) {
        let now = Instant::now();
        let mut dead = self.dead.lock().unwrap();
        dead.extend(jobs.into_iter().map(|job| (job, now)));
    }

    pub fn print(&self) {
        let mut all = self.recoveries.lock().unwrap().clone();
        all.sort();
        println!(
            "{} jobs lost their worker; with another again after {:?} (median), {:?} (worst)",
            all.len(),
            all.get(all.len() / 2),
            all.last()
        );
    }

    fn compare(&self, rows: Vec<Row>, history: &History) {
        let mut before = self.rows.lock().unwrap();
        let rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.id, row)).collect();
        for (id, row) in &rows {
            if row.failures > MOST.0 || row.losses > MOST.1 {
                history.breach(format!("{id}: tried too often, {row:?}"));
            }
            let Some(old) = before.get(id) else { continue };
            let has_changed = old.status != row.status || old.attempt != row.attempt;
            if (old.has_ended() && has_changed) || row.attempt < old.attempt {
                history.breach(format!("{id}: went back, from {old:?} to {row:?}"));
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
