//! `make bench-media` compares this pipeline with the earlier system's commands on the same films.

mod films;
mod light;
mod sweep;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anb::media::JobReport;

use self::films::{FILMS, Film};
use super::{BUMPERS, Studio, run};
use crate::support::{Share, cpu_seconds, memory};

/// The settings that are compared, with their options. The earlier system made no light rendition.
const SETTINGS: [(&str, &[&str]); 4] = [
    ("balanced", &[]),
    ("balanced, no light", &["--light-rendition=off"]),
    ("fast", &["--encode-effort=fast"]),
    ("best", &["--encode-effort=best"]),
];

/// Seconds of the source that are kept.
const KEPT: f64 = 30.0;

/// Resource usage and output size of a run.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// CPU time of all programs, for [`KEPT`] seconds.
    cpu: f64,
    /// Size of the output, for [`KEPT`] seconds.
    bytes: f64,
    /// Peak memory of a single program.
    peak: f64,
}

/// Similarity of a film to its source.
#[derive(Debug, Clone, Copy)]
struct Score {
    ssim: f64,
    vmaf: f64,
}

/// The output of one of the systems, and the position of the source's frames in it.
struct Made {
    video: PathBuf,
    cost: Cost,
    /// Frames before the first one of the source.
    skipped: u64,
    /// The first frame of the source that is shown, a whole number.
    first: f64,
    frames: u64,
    /// CPU time of the `ffmpeg` and `ffprobe` commands of a job alone.
    bare: Option<f64>,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half an hour: make bench-media"]
async fn comparison_with_the_earlier_system() {
    println!("| film | system | CPU s | | MB | | SSIM-Y | | VMAF | | peak MB | job / bare |");
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for film in &FILMS {
        let source = film.file();
        let mut studios = Vec::new();
        for (name, options) in SETTINGS {
            studios.push((name, Studio::open(options).await, Vec::new()));
        }
        let (mut floor, mut before) = (Vec::new(), Vec::new());
        // Alternating, so that all see the same load of the machine.
        for _ in 0..rounds() {
            floor.push(decode(&source));
            before.push(earlier(&source, film));
            for (name, studio, results) in &mut studios {
                results.push(ours(studio, &source, name).await);
            }
        }
        let floor = median_of(floor);
        println!(
            "| {} | decode only | {floor:.1} | | | | | | | | | |",
            film.name
        );
        let earlier = median_run(before);
        let score_before = film.is_scored.then(|| score(&earlier, &source, film.rate));
        print_row(
            film,
            "earlier",
            &earlier,
            None,
            (score_before, score_before),
        );
        for (name, _, results) in studios {
            let made = median_run(results);
            let after = film.is_scored.then(|| score(&made, &source, 30));
            print_row(film, name, &made, Some(earlier.cost), (after, score_before));
        }
    }
}

/// Returns the run with the median of CPU time.
fn median_run(mut all: Vec<Made>) -> Made {
    all.sort_by(|one, other| one.cost.cpu.total_cmp(&other.cost.cpu));
    all.swap_remove(all.len() / 2)
}

/// Returns the CPU time of decoding alone, the minimum of any pipeline.
fn decode(source: &Path) -> f64 {
    let args = format!(
        "-v error -threads 1 -t 30 -i {} -map 0:v:0 -f null",
        source.display()
    );
    let (_, cpu) = timed(|| watch("ffmpeg", &args, Path::new("-")));
    cpu
}

/// Runs the earlier system's commands, which probe, cut, remove the sound, scale and encode.
fn earlier(source: &Path, film: &Film) -> Made {
    let folder = films::folder();
    films::mark(&folder.join("mark.png"));
    let place = |name: &str| folder.join(name);
    let [cut, silent, video] = ["cut.mp4", "silent.mp4", "earlier.mp4"].map(place);
    let graph = "[0:v]scale='min(1280,iw)':'min(720,ih)':force_original_aspect_ratio=decrease,\
         pad=1280:720:(ow-iw)/2:(oh-ih)/2[v];[v][1:v]overlay=main_w-overlay_w-10:10";
    let encode = format!(
        "-v error -y -i {} -i {} -filter_complex {graph} -c:v libx264 -preset ultrafast -crf 28 \
         -tune fastdecode -threads 0 -movflags +faststart -an",
        silent.display(),
        place("mark.png").display()
    );
    let mut peak = 0;
    let ((), cpu) = timed(|| {
        run("ffprobe", "-v error -show_entries format=duration", source);
        let copy = format!("-v error -y -i {} -ss 0 -t 30 -c copy", source.display());
        run("ffmpeg", &copy, &cut);
        run(
            "ffmpeg",
            &format!("-v error -y -i {} -c copy -an", cut.display()),
            &silent,
        );
        peak = watch("ffmpeg", &encode, &video);
    });
    let frames = count_frames(&video);
    // Copying drops the pictures before the second key frame and keeps the other timestamps.
    let first = (start(&cut) * f64::from(film.rate)).round();
    let share = KEPT * f64::from(film.rate) / float(frames);
    Made {
        cost: Cost {
            cpu: cpu * share,
            bytes: float(size(&video)) * share,
            peak: float(peak),
        },
        video,
        skipped: 0,
        first,
        frames,
        bare: None,
    }
}

/// Runs this pipeline.
async fn ours(studio: &Studio, source: &Path, name: &str) -> Made {
    let before = own_cpu();
    let scratch = studio.media.scratch().unwrap();
    let mut report = JobReport::default();
    let clip = studio
        .media
        .make_clip(source, studio.media.rules(), &scratch, &mut report, |_| {})
        .await
        .unwrap();
    let cpu = own_cpu() - before;
    let video = films::folder().join(format!("{}.mp4", name.replace(' ', "-")));
    fs::copy(&clip.video, &video).unwrap();
    let usage = report.making;
    Made {
        cost: Cost {
            cpu,
            bytes: float(clip.bytes),
            peak: float(usage.peak_bytes.unwrap()),
        },
        bare: Some(float(usage.cpu_ms.unwrap()) / 1000.0),
        video,
        skipped: BUMPERS / 2,
        first: 0.0,
        frames: clip.frames - BUMPERS,
    }
}

/// Compares frames by number, below the watermark, with an `ffmpeg` build that has VMAF.
fn score(made: &Made, source: &Path, rate: u32) -> Score {
    let Made {
        skipped,
        first,
        frames,
        ..
    } = made;
    let graph = format!(
        "[0:v]trim=start_frame={skipped}:end_frame={},settb=1/30,setpts=N,crop=1280:540:0:180,\
         split[a][b];[1:v]fps={rate}:start_time=0,trim=start_frame={first}:end_frame={},settb=1/30,\
         setpts=N,scale=1280:720:flags=lanczos,format=yuv420p,crop=1280:540:0:180,split[c][d];\
         [a][c]libvmaf=n_subsample=3:shortest=1;[b][d]ssim=shortest=1",
        skipped + frames,
        first + float(*frames),
    );
    let args = format!(
        "-hide_banner -nostats -i {} -i {} -lavfi {graph} -f null -",
        made.video.display(),
        source.display()
    );
    let output = Command::new(quality_ffmpeg())
        .args(args.split_whitespace())
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    let number = |name: &str| {
        let (_, rest) = log
            .split_once(name)
            .unwrap_or_else(|| panic!("{name}: {log}"));
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    Score {
        ssim: number("SSIM Y:"),
        vmaf: number("VMAF score:"),
    }
}

fn print_row(
    film: &Film,
    system: &str,
    made: &Made,
    earlier: Option<Cost>,
    (score, before): (Option<Score>, Option<Score>),
) {
    let Cost { cpu, bytes, peak } = made.cost;
    let times = |ours: f64, theirs: fn(Cost) -> f64| {
        earlier.map_or(String::new(), |earlier| {
            format!("×{:.2}", ours / theirs(earlier))
        })
    };
    let (score, before) = (score.unwrap_or(NONE), before.unwrap_or(NONE));
    println!(
        "| {} | {system} | {cpu:.1} | {} | {:.1} | {} | {:.4} | {:+.4} | {:.1} | {:+.1} | {:.0} | {} |",
        film.name,
        times(cpu, |earlier| earlier.cpu),
        bytes / 1e6,
        times(bytes, |earlier| earlier.bytes),
        score.ssim,
        score.ssim - before.ssim,
        score.vmaf,
        score.vmaf - before.vmaf,
        peak / 1e6,
        made.bare
            .map_or(String::new(), |bare| format!("{:.3}", cpu / bare)),
    );
}

const NONE: Score = Score {
    ssim: f64::NAN,
    vmaf: f64::NAN,
};

/// Runs a program and returns its peak memory.
fn watch(program: &str, args: &str, file: &Path) -> u64 {
    let mut command = Command::new(program);
    command
        .args(args.split_whitespace())
        .arg(file)
        .stdin(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut peak = 0;
    loop {
        peak = peak.max(memory(child.id(), "VmHWM").unwrap_or_default());
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{program} {args}");
            return peak;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Runs `work` and returns its CPU time, including child processes.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let before = own_cpu();
    let result = work();
    (result, own_cpu() - before)
}

fn own_cpu() -> f64 {
    cpu_seconds(std::process::id(), Share::WithChildren).unwrap()
}

fn median_of(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Number of rounds of each measurement; the median counts.
fn rounds() -> usize {
    env::var("BENCH_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap())
}

/// Returns the time of the first picture (s).
fn start(video: &Path) -> f64 {
    probe(video, "start_time").parse().unwrap()
}

fn count_frames(video: &Path) -> u64 {
    probe(video, "nb_frames").parse().unwrap()
}

/// Queries a property of the video stream with `ffprobe`.
fn probe(video: &Path, entry: &str) -> String {
    let args = format!("-v error -select_streams v -show_entries stream={entry} -of csv=p=0");
    let output = String::from_utf8(run("ffprobe", &args, video)).unwrap();
    output.trim().to_owned()
}

/// Returns the path of the `ffmpeg` of `.config/quality.txt`.
fn quality_ffmpeg() -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join(".anb/tools/quality");
    let find = format!("find {} -path */binaries/ffmpeg-* -type f", tools.display());
    let found = Command::new("sh").args(["-c", &find]).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    let found = found.lines().next();
    assert!(found.is_some(), "run `.config/setup benches` first");
    PathBuf::from(found.unwrap())
}

fn size(file: &Path) -> u64 {
    fs::metadata(file).unwrap().len()
}

fn float(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}
