//! Clips that the real `ffmpeg` makes of generated videos.

mod bench;
mod boxes;
mod browser;
mod frames;
mod inputs;
mod odd;
mod renditions;
mod shapes;

use std::{
    fs,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Mutex,
};

use anb::{
    config,
    media::{Clip, Error, JobReport, Media, Progress, Rejection, Scratch},
};
use clap::Parser;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{eventually, processes_about, tool};

/// A media service with its own scratch folder.
struct Studio {
    media: Media,
    folder: TempDir,
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    media: config::media::Settings,
}

impl Studio {
    async fn open(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("scratch");
        let scratch = format!("--scratch-path={}", root.display());
        let cli = Cli::parse_from([&["anb", scratch.as_str()], options].concat());
        let launcher = PathBuf::from(env!("CARGO_BIN_EXE_anb"));
        let media = Media::prepare(&cli.media, launcher).await.unwrap();
        Self { media, folder }
    }

    /// Generates a video with `ffmpeg`; `args` are all arguments except the output.
    fn draw(&self, args: &str) -> PathBuf {
        let film = self.folder.path().join("source.mp4");
        run("ffmpeg", &format!("-v error -y {args}"), &film);
        film
    }

    async fn clip(&self, source: &Path) -> (Result<Clip, Error>, Scratch) {
        let scratch = self.media.scratch().unwrap();
        let report = &mut JobReport::default();
        let clip = self
            .media
            .make_clip(source, self.media.rules(), &scratch, report, |_| {})
            .await;
        (clip, scratch)
    }

    async fn rejection(&self, source: &Path) -> Rejection {
        match self.clip(source).await.0 {
            Err(Error::Rejected(rejection)) => rejection,
            other => panic!("not rejected: {other:?}"),
        }
    }
}

/// Runs a tool on a file and returns its standard output.
#[expect(
    clippy::disallowed_methods,
    reason = "videos are generated and measured outside the code under test"
)]
fn run(program: &str, args: &str, file: &Path) -> Vec<u8> {
    let output = std::process::Command::new(tool(program))
        .args(args.split_whitespace())
        .arg(file)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args}: {stderr}");
    output.stdout
}

fn describe(file: &Path) -> Value {
    let args = "-v error -count_frames -show_streams -show_format -of json";
    serde_json::from_slice(&run("ffprobe", args, file)).unwrap()
}

/// Returns the colour of a small square of the frame at `second`.
fn colour(clip: &Clip, second: f32, x: u32, y: u32) -> [u8; 3] {
    pixel(&clip.video, &format!("-ss {second}"), x, y)
}

/// Returns the colour of a small square of the picture that the options `seek` select.
fn pixel(file: &Path, seek: &str, x: u32, y: u32) -> [u8; 3] {
    let args = format!(
        "-v error -i {} -vf crop=16:16:{x}:{y},scale=1:1:flags=area,format=rgb24 {seek} \
         -frames:v 1 -f rawvideo",
        file.display()
    );
    let pixel = run("ffmpeg", &args, Path::new("pipe:1"));
    [pixel[0], pixel[1], pixel[2]]
}

fn is_near(actual: [u8; 3], expected: [u8; 3]) -> bool {
    actual
        .iter()
        .zip(expected)
        .all(|(actual, expected)| actual.abs_diff(expected) < 40)
}

const RED: [u8; 3] = [255, 0, 0];
const BLUE: [u8; 3] = [0, 0, 255];
const BLACK: [u8; 3] = [0, 0, 0];

/// Colours of the backdrop: beside the court, and its floor.
const BESIDE: [u8; 3] = [7, 18, 42];
const FLOOR: [u8; 3] = [11, 30, 69];

/// A tenth of the work, for tests that check frames and colours but not picture quality.
const SMALL: &[&str] = &["--output-resolution=640x360", "--encode-effort=fast"];

/// Number of frames of both bumpers together.
const BUMPERS: u64 = 120;

#[tokio::test(flavor = "multi_thread")]
async fn long_landscape_video_is_cut_to_30_seconds_between_bumpers() {
    // A third of the work; other tests check picture quality.
    let studio = Studio::open(&["--encode-effort=fast"]).await;
    let source = studio.draw(
        "-f lavfi -i testsrc2=s=640x360:r=30 -f lavfi -i sine -t 31.4 -c:v libx264 \
         -preset ultrafast -bf 2 -c:a aac -metadata location=+04.6-074.1/ -metadata title=my-home",
    );
    let reports = Mutex::new(Vec::new());
    let scratch = studio.media.scratch().unwrap();
    let note = |progress: Progress| reports.lock().unwrap().push(progress.percent);

    let mut report = JobReport::default();
    let clip = studio
        .media
        .make_clip(&source, studio.media.rules(), &scratch, &mut report, note)
        .await
        .unwrap();

    assert_eq!((clip.frames, clip.duration_ms), (900 + BUMPERS, 34_000));
    assert!(report.making.cpu_ms.unwrap() > 100);
    let film = describe(&clip.video);
    assert_eq!(film["streams"].as_array().unwrap().len(), 1);
    let stream = &film["streams"][0];
    assert_eq!(stream["nb_read_frames"], "1020");
    assert_eq!(
        (&stream["width"], &stream["height"]),
        (&1280.into(), &720.into())
    );
    assert_eq!(stream["sample_aspect_ratio"], "1:1");
    assert_eq!(stream["avg_frame_rate"], "30/1");
    assert_eq!(film["format"]["duration"], "34.000000");
    assert_eq!(film["format"]["size"], clip.bytes.to_string());

    let bytes = fs::read(&clip.video).unwrap();
    let find = |name: &[u8]| bytes.windows(name.len()).position(|window| window == name);
    assert_eq!(
        (find(b"+04.6"), find(b"my-home")),
        (None, None),
        "location and title must be removed"
    );
    assert!(find(b"moov") < find(b"mdat"), "the index must come first");

    let reports = reports.into_inner().unwrap();
    assert!(
        reports.is_sorted() && reports.last() == Some(&98),
        "{reports:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn poster_is_a_small_jpeg_with_the_dimensions_of_the_clip() {
    let studio = Studio::open(&[]).await;
    let source = studio.draw(
        "-f lavfi -i testsrc2=s=640x360:r=30:d=2,noise=alls=60:allf=t -c:v libx264 -crf 10 \
         -preset ultrafast",
    );
    let (clip, _scratch) = studio.clip(&source).await;
    let clip = clip.unwrap();
    let poster = &describe(&clip.poster)["streams"][0];
    assert_eq!(poster["codec_name"], "mjpeg");
    assert_eq!(
        (&poster["width"], &poster["height"]),
        (&1280.into(), &720.into())
    );
    let bytes = fs::metadata(&clip.poster).unwrap().len();
    assert!(bytes <= 40 * 1024, "{bytes} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn rotated_portrait_video_is_upright_with_the_watermark_on_its_picture() {
    let studio = Studio::open(&[]).await;
    // The left half is red and the right half blue, as stored by a phone held upright. The tag
    // counts counter-clockwise, so the picture is shown rotated by 90° clockwise, with red on top.
    let flat = studio.draw(
        "-f lavfi -i color=red:s=320x360:r=30:d=1 -f lavfi -i color=blue:s=320x360:r=30:d=1 \
         -filter_complex hstack -c:v libx264 -preset ultrafast -pix_fmt yuv420p",
    );
    let source = studio.folder.path().join("portrait.mp4");
    let turn = format!(
        "-v error -i {} -c copy -metadata:s:v:0 rotate=270",
        flat.display()
    );
    run("ffmpeg", &turn, &source);

    let (clip, _scratch) = studio.clip(&source).await;
    let clip = clip.unwrap();

    assert_eq!(clip.frames, 30 + BUMPERS);
    let see = |x, y| colour(&clip, 2.5, x, y);
    assert!(is_near(see(632, 180), RED), "top: {:?}", see(632, 180));
    assert!(is_near(see(632, 540), BLUE), "bottom: {:?}", see(632, 540));
    for x in [200, 1060, 1240] {
        assert!(is_near(see(x, 10), BESIDE), "at {x}: {:?}", see(x, 10));
    }
    // The picture ends at column 842; the white letters of the watermark are on it.
    let letters = see(786, 20);
    assert!(letters[1] > 90, "watermark: {letters:?}");
    let stream = &describe(&clip.video)["streams"][0];
    assert!(stream["side_data_list"].is_null(), "{stream}");
}

#[tokio::test(flavor = "multi_thread")]
async fn small_video_of_odd_dimensions_is_scaled_up() {
    let studio = Studio::open(&[]).await;
    let source = studio.draw(
        "-f lavfi -i color=red:s=201x151:r=25:d=1 -c:v libx264 -preset ultrafast -pix_fmt yuv444p",
    );
    let (clip, _scratch) = studio.clip(&source).await;
    let clip = clip.unwrap();
    assert_eq!(clip.frames, 30 + BUMPERS);
    for (x, y) in [(170, 4), (170, 700), (1100, 700), (640, 360)] {
        let seen = colour(&clip, 2.5, x, y);
        assert!(is_near(seen, RED), "{x},{y}: {seen:?}");
    }
    assert!(is_near(colour(&clip, 2.5, 100, 10), BESIDE));
}

#[tokio::test(flavor = "multi_thread")]
async fn non_square_pixels_keep_their_aspect_ratio() {
    let studio = Studio::open(&[]).await;
    // 360 stored columns of pixels twice as wide as high are shown as 720 x 360, with the
    // court above and below.
    let source = studio.draw(
        "-f lavfi -i color=red:s=360x360:r=30:d=1,setsar=2/1 -c:v libx264 -preset ultrafast \
         -pix_fmt yuv420p",
    );
    let (clip, _scratch) = studio.clip(&source).await;
    let clip = clip.unwrap();
    let see = |x, y| colour(&clip, 2.5, x, y);
    assert!(is_near(see(4, 360), RED), "{:?}", see(4, 360));
    assert!(is_near(see(1260, 360), RED), "{:?}", see(1260, 360));
    assert!(is_near(see(640, 16), BESIDE), "{:?}", see(640, 16));
}

#[tokio::test(flavor = "multi_thread")]
async fn variable_frame_rate_becomes_constant() {
    let studio = Studio::open(SMALL).await;
    let source = studio.draw(
        "-f lavfi -i testsrc2=s=320x180:r=60:d=6 -vf select=not(mod(n\\,7))+lt(mod(n\\,90)\\,30) \
         -fps_mode vfr -c:v libx264 -preset ultrafast -bf 2",
    );
    let (clip, _scratch) = studio.clip(&source).await;
    let frames = clip.unwrap().frames - BUMPERS;
    assert!((178..=181).contains(&frames), "{frames} frames");
}

#[tokio::test(flavor = "multi_thread")]
async fn video_that_changes_its_resolution_is_shown_to_the_end() {
    let studio = Studio::open(SMALL).await;
    // Annex B streams of two sizes, one after the other.
    let part = |size| {
        let args = format!("-f lavfi -i testsrc2=s={size}:r=30:d=1 -c:v libx264 -f h264");
        fs::read(studio.draw(&args)).unwrap()
    };
    let stream = studio.folder.path().join("stream.h264");
    fs::write(&stream, [part("320x180"), part("160x120")].concat()).unwrap();
    let wrap = format!("-r 30 -f h264 -i {} -c copy -f mp4", stream.display());
    let (clip, _scratch) = studio.clip(&studio.draw(&wrap)).await;
    let frames = clip.unwrap().frames - BUMPERS;
    // Two pictures precede time zero, and two have the same time where the streams meet.
    assert!((57..=58).contains(&frames), "{frames} frames");
}

#[tokio::test(flavor = "multi_thread")]
async fn different_chroma_location_does_not_prevent_bumpers() {
    let studio = Studio::open(SMALL).await;
    let source = studio.draw("-f lavfi -i testsrc2=s=320x180:r=30:d=1 -c:v mjpeg -f mov");
    let (clip, _scratch) = studio.clip(&source).await;
    assert_eq!(clip.unwrap().frames, 30 + BUMPERS);
}

#[tokio::test(flavor = "multi_thread")]
async fn clip_starts_with_a_picture_that_starts_after_the_sound() {
    let studio = Studio::open(SMALL).await;
    let source = studio.draw(
        "-f lavfi -i testsrc2=s=320x180:r=30:d=1,setpts=PTS+2/TB -f lavfi -i sine=d=3 \
         -c:v libx264 -preset ultrafast -c:a aac",
    );
    let (clip, _scratch) = studio.clip(&source).await;
    assert_eq!(clip.unwrap().frames, 30 + BUMPERS);
}

#[tokio::test(flavor = "multi_thread")]
async fn hdr_video_is_tone_mapped() {
    let studio = Studio::open(SMALL).await;
    let source = studio.draw(
        "-f lavfi -i testsrc2=s=320x180:r=30:d=1 -pix_fmt yuv420p10le -c:v libx265 \
         -preset ultrafast -x265-params log-level=error -tag:v hvc1 -color_primaries bt2020 \
         -color_trc arib-std-b67 -colorspace bt2020nc",
    );
    let (clip, _scratch) = studio.clip(&source).await;
    let clip = clip.unwrap();
    let stream = &describe(&clip.video)["streams"][0];
    assert_eq!(stream["color_transfer"], "bt709");
    assert_eq!(stream["pix_fmt"], "yuv420p");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_output_resolution_has_its_own_bumpers() {
    let studio = Studio::open(&["--output-resolution=854x480"]).await;
    let source =
        studio.draw("-f lavfi -i testsrc2=s=320x180:r=30:d=1 -c:v libx264 -preset ultrafast");
    let (clip, _scratch) = studio.clip(&source).await;
    let stream = &describe(&clip.unwrap().video)["streams"][0];
    assert_eq!(
        (&stream["width"], &stream["height"]),
        (&854.into(), &480.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn audio_alone_is_not_a_video() {
    let studio = Studio::open(SMALL).await;
    let source = studio.draw("-f lavfi -i sine=d=1 -c:a aac");
    assert_eq!(studio.rejection(&source).await, Rejection::NotAVideo);
}

#[tokio::test(flavor = "multi_thread")]
async fn disguised_playlist_reads_no_other_file() {
    let studio = Studio::open(SMALL).await;
    let secret =
        studio.draw("-f lavfi -i testsrc2=s=320x180:r=30:d=1 -c:v libx264 -preset ultrafast");
    let source = studio.folder.path().join("playlist.mp4");
    let playlist = format!("#EXTM3U\n#EXTINF:1,\nfile://{}\n", secret.display());
    fs::write(&source, &playlist).unwrap();
    assert_eq!(studio.rejection(&source).await, Rejection::NotAnMp4);
    // With a head that passes for an MP4, the forced demuxer rejects it.
    fs::write(&source, format!("\0\0\0\x10ftypisom\0\0\0\0{playlist}")).unwrap();
    assert_eq!(studio.rejection(&source).await, Rejection::Corrupt);
}

#[tokio::test(flavor = "multi_thread")]
async fn video_without_its_index_is_corrupt() {
    let studio = Studio::open(SMALL).await;
    let source =
        studio.draw("-f lavfi -i testsrc2=s=320x180:r=30:d=2 -c:v libx264 -preset ultrafast");
    let bytes = fs::read(&source).unwrap();
    fs::write(&source, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(studio.rejection(&source).await, Rejection::Corrupt);
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_video_is_accepted_if_half_of_it_decodes() {
    let studio = Studio::open(SMALL).await;
    let source = studio.draw(
        "-f lavfi -i testsrc2=s=320x180:r=30:d=4 -c:v libx264 -preset ultrafast -g 15 \
         -movflags +faststart",
    );
    let bytes = fs::read(&source).unwrap();

    fs::write(&source, &bytes[..bytes.len() * 8 / 10]).unwrap();
    let (clip, _scratch) = studio.clip(&source).await;
    let frames = clip.unwrap().frames - BUMPERS;
    assert!((75..115).contains(&frames), "{frames} frames");

    fs::write(&source, &bytes[..bytes.len() * 3 / 10]).unwrap();
    assert_eq!(studio.rejection(&source).await, Rejection::Corrupt);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejections_state_the_measured_and_the_required_value() {
    let studio = Studio::open(&["--min-input-duration=20", "--min-input-height=180"]).await;
    let source =
        studio.draw("-f lavfi -i testsrc2=s=320x180:r=30:d=2 -c:v libx264 -preset ultrafast");
    assert_eq!(
        studio.rejection(&source).await,
        Rejection::TooShort {
            seconds: 2,
            min_seconds: 20
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn picture_beyond_4k_is_too_complex() {
    let studio = Studio::open(SMALL).await;
    let source =
        studio.draw("-f lavfi -i color=red:s=5000x2000:r=5:d=0.4 -c:v libx264 -preset ultrafast");
    assert_eq!(studio.rejection(&source).await, Rejection::TooComplex);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_future_kills_ffmpeg_and_leaves_no_file() {
    let studio = Studio::open(&[]).await;
    let source =
        studio.draw("-f lavfi -i testsrc2=s=1280x720:r=30:d=20 -c:v libx264 -preset ultrafast");
    let scratch = studio.media.scratch().unwrap();
    let folder = scratch.path().to_owned();
    let started = tokio::sync::Notify::new();
    let note = |_: Progress| started.notify_one();
    let mut report = JobReport::default();

    // Boxed with `Send`, as the task of a worker requires.
    let clip: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(studio.media.make_clip(
        &source,
        studio.media.rules(),
        &scratch,
        &mut report,
        note,
    ));

    tokio::select! {
        clip = clip => panic!("too fast: {clip:?}"),
        () = started.notified() => {}
    }
    eventually("ffmpeg has ended", 60, async || {
        processes_about(&folder).is_empty()
    })
    .await;
    drop(scratch);
    assert!(!folder.exists());
}
