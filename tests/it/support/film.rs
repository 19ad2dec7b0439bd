//! Films that `ffmpeg` draws for the tests.

use std::process::Command;

use tokio::sync::OnceCell;

/// Returns a short, valid film: two seconds of 320x180 with sound.
pub async fn film() -> Vec<u8> {
    static FILM: OnceCell<Vec<u8>> = OnceCell::const_new();
    FILM.get_or_init(|| draw("size=320x180:rate=30:duration=2"))
        .await
        .clone()
}

/// Returns a film that takes a worker some seconds, so that a test can interrupt it.
pub async fn long_film() -> Vec<u8> {
    static FILM: OnceCell<Vec<u8>> = OnceCell::const_new();
    FILM.get_or_init(|| draw("size=320x180:rate=30:duration=12"))
        .await
        .clone()
}

/// Draws on another thread: on its own, workers and their heartbeats would stand still.
async fn draw(picture: &'static str) -> Vec<u8> {
    tokio::task::spawn_blocking(move || run_ffmpeg(picture))
        .await
        .unwrap()
}

fn run_ffmpeg(picture: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    let sources = format!(
        "-v error -f lavfi -i testsrc2={picture} -f lavfi -i sine=440 -shortest \
         -c:v libx264 -preset ultrafast -pix_fmt yuv420p"
    );
    let status = Command::new("ffmpeg")
        .args(sources.split_whitespace())
        .arg(&path)
        .status();
    assert!(status.unwrap().success());
    std::fs::read(path).unwrap()
}

/// Returns `length` bytes that begin as an MP4 file does. Enough for an upload, not for a worker.
pub fn mp4(length: usize) -> Vec<u8> {
    let mut bytes = b"\0\0\0\x14ftypisom\0\0\x02\0mp42".to_vec();
    bytes.resize(length, 7);
    bytes
}
