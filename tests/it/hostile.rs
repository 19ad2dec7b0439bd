//! Hostile files are rejected with a code or become a clip. None of them reaches another file.

mod atoms;
mod canary;
mod corpus;
mod mutate;
mod strangers;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anb::{
    config,
    media::{Error, JobReport, Media, SNIFF_BYTES, sniff},
};
use clap::Parser;
use futures_util::StreamExt as _;
use rustix::process::{Pid, getpgid};
use tempfile::TempDir;

use self::{canary::Canary, corpus::Case, mutate::mutate};
use crate::support::{draw, memory, processes_about};

/// Maximum CPU time of a file, and maximum memory of a program. (A program that waits without
/// working is killed, which shows in the outcome of its file.)
const LIMIT_MS: u64 = 45_000;
const LIMIT_MB: u64 = 1024;

/// Number of files processed concurrently.
const CONCURRENCY: usize = 4;

/// Default number of mutations, and the variables that set this number and the first seed.
const MUTATIONS: u64 = 200;
const MUTATIONS_VARIABLE: &str = "FUZZ_MUTATIONS";
const SEED_VARIABLE: &str = "FUZZ_SEED";

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    media: config::media::Settings,
}

/// A media service whose programs are monitored.
struct Lab {
    media: Media,
    folder: TempDir,
    files: AtomicU64,
    peak_bytes: AtomicU64,
    is_done: AtomicBool,
}

/// The result of processing a file.
struct Ran {
    name: String,
    /// `clip`, the code of a rejection, or a failure.
    outcome: String,
    time: Duration,
    cpu_ms: u64,
}

impl Lab {
    /// Opens the media service as on a kernel with all protections (`require`) or none (`off`).
    async fn open(sandbox: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let scratch = folder.path().join("scratch").display().to_string();
        let words = [
            "anb",
            "--output-resolution=256x144",
            "--scratch-path",
            &scratch,
            "--media-sandbox",
            sandbox,
        ];
        let settings = Cli::parse_from(words).media;
        let launcher = PathBuf::from(env!("CARGO_BIN_EXE_anb"));
        Self {
            media: Media::prepare(&settings, launcher).await.unwrap(),
            folder,
            files: AtomicU64::new(0),
            peak_bytes: AtomicU64::new(0),
            is_done: AtomicBool::new(false),
        }
    }

    async fn run(&self, name: String, bytes: &[u8]) -> Ran {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let source = self.folder.path().join(format!("{number}.mp4"));
        fs::write(&source, bytes).unwrap();
        let scratch = self.media.scratch().unwrap();
        let started = Instant::now();
        let mut report = JobReport::default();
        let made = self
            .media
            .make_clip(&source, self.media.rules(), &scratch, &mut report, |_| {});
        let clip = made.await;
        let time = started.elapsed();
        fs::remove_file(&source).unwrap();
        let outcome = match clip {
            Ok(_clip) => "clip".to_owned(),
            Err(Error::Rejected(rejection)) => rejection.code().to_owned(),
            Err(error) => format!("failed: {error:#}"),
        };
        let spent = [report.probing, report.making].map(|usage| usage.cpu_ms);
        let is_sniffed = sniff(&bytes[..bytes.len().min(SNIFF_BYTES)]).is_ok();
        assert_eq!(
            is_sniffed,
            outcome != "not_an_mp4",
            "{name}: upload and worker differ"
        );
        Ran {
            name,
            outcome,
            time,
            cpu_ms: spent.into_iter().flatten().sum(),
        }
    }

    /// Processes all files, some of them concurrently.
    async fn run_all(&self, files: impl Iterator<Item = (String, Vec<u8>)>) -> Vec<Ran> {
        let runs = files.map(|(name, bytes)| async move { self.run(name, &bytes).await });
        let all = futures_util::stream::iter(runs).buffered(CONCURRENCY);
        let watched = async {
            let ran = all.collect().await;
            self.is_done.store(true, Ordering::Relaxed);
            ran
        };
        tokio::join!(watched, self.watch()).0
    }

    /// Records the peak memory of the programs.
    async fn watch(&self) {
        let mut ticks = tokio::time::interval(Duration::from_millis(500));
        while !self.is_done.load(Ordering::Relaxed) {
            ticks.tick().await;
            let programs = processes_about(self.folder.path());
            let peak = programs.into_iter().filter_map(|id| memory(id, "VmHWM"));
            let peak = peak.max().unwrap_or_default();
            self.peak_bytes.fetch_max(peak, Ordering::Relaxed);
        }
    }

    /// Processes all files and checks their outcomes.
    async fn check(&self, what: &str, cases: Vec<Case>, canary: &Canary) {
        let expected: Vec<_> = cases.iter().map(|case| case.verdict).collect();
        let files = cases.into_iter().map(|case| (case.name, case.bytes));
        let ran = self.run_all(files).await;
        self.report(what, &ran, canary);
        let wrong: Vec<_> = ran
            .iter()
            .zip(expected)
            .filter(|(run, expected)| run.outcome != *expected)
            .map(|(run, expected)| format!("{}: {} instead of {expected}", run.name, run.outcome))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// Checks the limits that hold for every file, and prints the figures.
    fn report(&self, what: &str, ran: &[Ran], canary: &Canary) {
        let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
        for run in ran {
            let word = run.outcome.split(':').next().unwrap();
            *outcomes.entry(word).or_default() += 1;
        }
        let slowest = ran.iter().max_by_key(|run| run.time).unwrap();
        let touched = canary.touched();
        let dearest = ran.iter().map(|run| run.cpu_ms).max().unwrap();
        let peak_mb = self.peak_bytes.load(Ordering::Relaxed) / 1_000_000;
        println!(
            "{what}: {} files {outcomes:?}, canaries touched {touched}, at most {peak_mb} MB and \
             {dearest} ms of processor time, slowest {:.1?}: {}",
            ran.len(),
            slowest.time,
            slowest.name,
        );
        assert!(dearest < LIMIT_MS, "{dearest} ms");
        assert!(peak_mb < LIMIT_MB, "{peak_mb} MB");
        assert_eq!(touched, 0, "a file reached the canary");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_file_has_the_expected_outcome() {
    let lab = Lab::open("require").await;
    let canary = Canary::set(lab.folder.path(), &corpus::film().await);
    let cases = corpus::all(&canary).await;
    lab.check("corpus", cases, &canary).await;
}

/// Covers kernels without Landlock.
#[tokio::test(flavor = "multi_thread")]
async fn options_alone_keep_files_from_the_canary() {
    let lab = Lab::open("off").await;
    let film = corpus::film().await;
    let canary = Canary::set(lab.folder.path(), &film);
    let cases = strangers::all(&canary, &film).await;
    lab.check("references outside the sandbox", cases, &canary)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_runs_without_environment_or_privilege_in_its_own_group() {
    let lab = Lab::open("require").await;
    let source = lab.folder.path().join("film.mp4");
    let film = "-f lavfi -i testsrc2=s=1280x720:r=30:d=12 -c:v libx264 -preset ultrafast";
    fs::write(&source, draw(film, "film.mp4").await).unwrap();
    let scratch = lab.media.scratch().unwrap();
    let seen = OnceLock::new();
    let look = |_| {
        seen.get_or_init(|| Inmate::in_folder(scratch.path()));
    };
    let mut report = JobReport::default();
    let made = lab
        .media
        .make_clip(&source, lab.media.rules(), &scratch, &mut report, look);
    made.await.unwrap();
    let Inmate {
        environment,
        status,
        limits,
        leads_its_group,
    } = seen.into_inner().unwrap();
    assert_eq!(environment, "");
    assert!(leads_its_group);
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{status}");
    }
    for limit in ["cpu time", "file size", "core file size", "address space"] {
        let line = limits
            .lines()
            .find(|line| line.starts_with(&format!("Max {limit} ")));
        assert!(!line.unwrap().contains("unlimited"), "{limits}");
    }
}

/// The state of a confined program, as the kernel reports it.
struct Inmate {
    environment: String,
    status: String,
    limits: String,
    leads_its_group: bool,
}

impl Inmate {
    /// Returns the state of the only program in a job's folder.
    fn in_folder(folder: &Path) -> Self {
        let [id] = processes_about(folder)[..] else {
            panic!("not exactly one program");
        };
        let read = |file| fs::read_to_string(format!("/proc/{id}/{file}")).unwrap();
        let id = Pid::from_raw(id.try_into().unwrap());
        Self {
            environment: read("environ"),
            status: read("status"),
            limits: read("limits"),
            leads_its_group: getpgid(id).ok() == id,
        }
    }
}

#[tokio::test]
async fn file_reaches_the_canary_without_our_options() {
    let folder = tempfile::tempdir().unwrap();
    let film = corpus::film().await;
    let canary = Canary::set(folder.path(), &film);
    let path = canary.film().display().to_string();
    let playlist = format!("#EXTM3U\n#EXTINF:10,\nfile://{path}\n#EXT-X-ENDLIST\n");
    let aliased = strangers::aliased(&film, &path);
    for (options, bytes) in [
        ("-f hls", playlist.into_bytes()),
        ("-enable_drefs 1 -use_absolute_path 1", aliased),
    ] {
        let hostile = folder.path().join("hostile.mp4");
        fs::write(&hostile, bytes).unwrap();
        let mut ffprobe = Command::new("ffprobe");
        ffprobe.args(["-v", "quiet"]).args(options.split(' '));
        ffprobe.arg(&hostile).output().unwrap();
        assert_eq!(canary.touched(), 1, "{options}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_mutation_causes_a_system_failure() {
    let count = number(MUTATIONS_VARIABLE).unwrap_or(MUTATIONS);
    let first = number(SEED_VARIABLE).unwrap_or(0);
    let lab = Lab::open("require").await;
    let films = films().await;
    let canary = Canary::set(lab.folder.path(), &films[0]);
    let mutations = (first..first + count).map(|seed| {
        let film = &films[usize::try_from(seed).unwrap() % films.len()];
        (format!("seed {seed}"), mutate(film, seed))
    });
    let ran = lab.run_all(mutations).await;
    lab.report("mutations", &ran, &canary);
    let failed = ran.iter().filter(|run| run.outcome.starts_with("failed"));
    let failed: Vec<_> = failed
        .map(|run| format!("{}: {}", run.name, run.outcome))
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Returns small videos of several formats.
async fn films() -> [Vec<u8>; 4] {
    let film = async |options: &str| {
        let source = "-f lavfi -i testsrc2=s=64x48:r=10:d=1.2 -f lavfi -i sine=d=1.2";
        draw(&format!("{source} -pix_fmt yuv420p {options}"), "film.mov").await
    };
    [
        film("-c:v libx264 -preset ultrafast -bf 2 -c:a aac -movflags +faststart").await,
        film("-c:v libx264 -preset ultrafast -c:a aac -metadata:s:v rotate=90").await,
        film("-c:v libx264 -preset ultrafast -g 4 -an -movflags frag_keyframe+empty_moov").await,
        film("-c:v mjpeg -an -movflags +faststart").await,
    ]
}

fn number(variable: &str) -> Option<u64> {
    Some(std::env::var(variable).ok()?.parse().unwrap())
}
