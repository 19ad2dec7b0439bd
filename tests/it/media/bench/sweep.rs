//! Clips per minute of the real worker, with one, two and four concurrent jobs.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use super::films::MINUTE;
use crate::{
    processes::process::{Role, SystemUnderTest},
    support::{LARGE, TestApp, eventually},
};

const CLIPS: u32 = 4;

/// Number of clips of a row in which all slots are always busy.
const STEADY_CLIPS: i64 = 14;

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

/// Clips of a worker that never lacks a job, counted from the first clips to the last, and how much
/// of the processors nobody used meanwhile.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make bench-media"]
async fn clips_per_minute_without_a_pause() {
    let film = std::fs::read(MINUTE.file()).unwrap();
    println!(
        "| slots | clips per minute | CPU s per clip | clips × CPU s, of one processor | processors idle |"
    );
    println!("|---|---|---|---|---|");
    for slots in [1, 2, 2, 1] {
        let app = TestApp::spawn().await;
        let mut system = SystemUnderTest::of(&app);
        system.set("OUTPUT_RESOLUTION", LARGE);
        system.set("WORKER_CONCURRENCY", &slots.to_string());
        for _ in 0..STEADY_CLIPS {
            app.add_video(&film).await;
        }
        let mut worker = system.start(Role::Work);
        worker.until_ready().await;
        let made = "SELECT count(*) FROM videos WHERE status = 'processed'";
        let until = async |clips| {
            eventually("clips are made", 1200, async || {
                app.number(made).await >= clips
            })
            .await;
            (Instant::now(), idle_seconds())
        };
        let (begun, idle) = until(slots).await;
        let (ended, idle_until) = until(STEADY_CLIPS - slots + 1).await;
        let seconds = (ended - begun).as_secs_f64();
        let clips = f64::from(i32::try_from(app.number(made).await - slots).unwrap());
        let cpu = "SELECT avg((report->>'cpu_ms')::bigint) FROM videos WHERE status = 'processed'";
        let cpu = f64::from(i32::try_from(app.number(cpu).await).unwrap()) / 1000.0;
        println!(
            "| {slots} | {:.2} | {cpu:.1} | {:.3} | {:.1} % |",
            clips * 60.0 / seconds,
            clips * cpu / seconds,
            100.0 * (idle_until - idle) / (2.0 * seconds),
        );
    }
}

/// Returns the time that all processors have been idle or waited for disks so far (s).
fn idle_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    let all: Vec<f64> = stat
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .skip(1)
        .map(|ticks| ticks.parse().unwrap())
        .collect();
    (all[3] + all[4]) / 100.0
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
