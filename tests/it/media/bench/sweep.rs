//! Clips per minute of the real worker, with one, two and four concurrent jobs.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::films::MINUTE;
use crate::{
    processes::process::{Role, SystemUnderTest},
    support::{LARGE, TestApp, eventually},
};

const CLIPS: u32 = 4;

/// Pause between two looks at the clips. This process and PostgreSQL use the processors that the
/// worker is measured on: looking every 20 ms took 12 % of one.
const PAUSE: Duration = Duration::from_millis(500);

/// Number of measured clips of a row in which all slots are always busy. Even, because two slots may
/// finish their clips at the same times.
const STEADY_CLIPS: i64 = 8;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make bench-media"]
async fn clips_per_minute() {
    let source = MINUTE.file();
    let film = std::fs::read(&source).unwrap();
    println!(
        "Two bare encoders at once: ×{:.2} of one.",
        2.0 * bare(&source, 1) / bare(&source, 2)
    );
    println!(
        "| jobs added at once, slots | clips per minute | × one | CPU s per clip | worker MB | ffmpeg MB |"
    );
    println!("|---|---|---|---|---|---|");
    let mut alone = None;
    // With two slots, each job has one thread, so two such jobs are compared with one.
    for (slots, at_once) in [("2", 1), ("2", 4), ("2", 2), ("1", 1), ("4", 4)] {
        let app = TestApp::spawn().await;
        let mut system = SystemUnderTest::of(&app);
        system.set("OUTPUT_RESOLUTION", LARGE);
        system.set("WORKER_CONCURRENCY", slots);
        let mut worker = system.start(Role::Work);
        worker.until_ready().await;
        let started = Instant::now();
        let missing = "SELECT count(*) FROM videos WHERE status <> 'processed'";
        for added in 1..=CLIPS {
            app.add_video(&film).await;
            if added % at_once == 0 {
                eventually("all clips are made", 1200, async || {
                    tokio::time::sleep(PAUSE).await;
                    app.number(missing).await == 0
                })
                .await;
            }
        }
        let rate = f64::from(CLIPS) * 60.0 / started.elapsed().as_secs_f64();
        let alone = *alone.get_or_insert(rate);
        let average = |fact| format!("SELECT avg((report->>'{fact}')::bigint) FROM videos");
        let peak = app.number("SELECT max((report->>'peak_bytes')::bigint) FROM videos");
        println!(
            "| {at_once}, {slots} | {rate:.2} | ×{:.2} | {} ms | {} | {} |",
            rate / alone,
            app.number(&average("cpu_ms")).await,
            worker.memory("VmHWM") / 1_000_000,
            peak.await / 1_000_000,
        );
    }
}

/// Clips of a worker that never lacks a job, and what the processors did meanwhile. The clips before
/// and after those measured keep all slots busy.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make bench-media"]
async fn clips_per_minute_without_a_pause() {
    let film = std::fs::read(MINUTE.file()).unwrap();
    println!(
        "| slots | clips per minute | CPU s per clip | clips | their CPU | all programs | idle | stolen |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for slots in [1, 2, 1, 2] {
        let app = TestApp::spawn().await;
        let mut system = SystemUnderTest::of(&app);
        system.set("OUTPUT_RESOLUTION", LARGE);
        system.set("WORKER_CONCURRENCY", &slots.to_string());
        for _ in 0..slots + STEADY_CLIPS + slots {
            app.add_video(&film).await;
        }
        let mut worker = system.start(Role::Work);
        worker.until_ready().await;
        let last = slots + STEADY_CLIPS;
        let begun = until_made(&app, slots).await;
        let ended = until_made(&app, last).await;
        let moment = "(SELECT processed_at FROM videos ORDER BY processed_at LIMIT 1 OFFSET";
        let seconds = format!(
            "SELECT (extract(epoch FROM {moment} {}) - {moment} {})) * 1000)::bigint",
            last - 1,
            slots - 1
        );
        let seconds = number(&app, &seconds).await / 1000.0;
        let cpu = "SELECT avg((report->>'cpu_ms')::bigint) FROM videos WHERE status = 'processed'";
        let cpu = number(&app, cpu).await / 1000.0;
        let clips = f64::from(i32::try_from(STEADY_CLIPS).unwrap());
        let percent = |part: f64| 100.0 * part / begun.until(&ended, |times| times.all);
        println!(
            "| {slots} | {:.2} | {cpu:.1} | {clips} | {:.1} % | {:.1} % | {:.1} % | {:.1} % |",
            clips * 60.0 / seconds,
            100.0 * clips * cpu / seconds / PROCESSORS,
            percent(begun.until(&ended, |times| times.all - times.idle - times.stolen)),
            percent(begun.until(&ended, |times| times.idle)),
            percent(begun.until(&ended, |times| times.stolen)),
        );
    }
}

/// The shares of the table are shares of so many processors.
const PROCESSORS: f64 = 2.0;

/// Waits until `clips` are made.
async fn until_made(app: &TestApp, clips: i64) -> ProcessorTimes {
    let made = "SELECT count(*) FROM videos WHERE status = 'processed'";
    eventually("clips are made", 1200, async || {
        tokio::time::sleep(PAUSE).await;
        app.number(made).await >= clips
    })
    .await;
    ProcessorTimes::now()
}

async fn number(app: &TestApp, query: &str) -> f64 {
    f64::from(i32::try_from(app.number(query).await).unwrap())
}

/// Times of all processors since the start of the machine (in ticks; `proc_stat(5)`).
struct ProcessorTimes {
    all: f64,
    /// Idle, or waiting for disks.
    idle: f64,
    /// Used by other virtual machines.
    stolen: f64,
}

impl ProcessorTimes {
    fn now() -> Self {
        let stat = std::fs::read_to_string("/proc/stat").unwrap();
        let times = stat.lines().next().unwrap().split_whitespace().skip(1);
        // The last two are contained in the first two.
        let times: Vec<f64> = times.take(8).map(|ticks| ticks.parse().unwrap()).collect();
        Self {
            all: times.iter().sum(),
            idle: times[3] + times[4],
            stolen: times[7],
        }
    }

    fn until(&self, later: &Self, time: impl Fn(&Self) -> f64) -> f64 {
        time(later) - time(self)
    }
}

/// Returns the time that `count` concurrent encoders take, each on one thread. Two processors that
/// share caches, memory and power are not twice as fast as one, whatever the worker does.
fn bare(film: &Path, count: usize) -> f64 {
    let started = Instant::now();
    let encoder = || {
        Command::new("ffmpeg")
            .args(["-v", "error", "-filter_threads", "1", "-threads", "1", "-i"])
            .arg(film)
            .args("-t 30 -an -vf scale=1280:720 -c:v libx264 -preset superfast".split(' '))
            .args(["-threads", "1", "-f", "null", "-"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    };
    let running: Vec<_> = (0..count).map(|_| encoder()).collect();
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
    started.elapsed().as_secs_f64()
}
