//! Films that `ffmpeg` draws for the tests.

use std::{path::PathBuf, process::Command};

use tokio::sync::OnceCell;

/// Returns a short, valid film: two seconds of 320x180 with sound.
pub async fn film() -> Vec<u8> {
    static FILM: OnceCell<Vec<u8>> = OnceCell::const_new();
    FILM.get_or_init(|| draw_film(2)).await.clone()
}

/// Returns a film that takes a worker some seconds, so that a test can interrupt it.
pub async fn long_film() -> Vec<u8> {
    static FILM: OnceCell<Vec<u8>> = OnceCell::const_new();
    FILM.get_or_init(|| draw_film(12)).await.clone()
}

async fn draw_film(seconds: u32) -> Vec<u8> {
    let args = format!(
        "-f lavfi -i testsrc2=size=320x180:rate=30:duration={seconds} -f lavfi -i sine=440 \
         -shortest -c:v libx264 -preset ultrafast -pix_fmt yuv420p"
    );
    draw(&args, "film.mp4").await
}

/// Draws a file with `ffmpeg`; `args` are all but the output, whose name tells its format. On another
/// thread: on its own, workers and their heartbeats would stand still.
pub async fn draw(args: &str, name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let mut ffmpeg = Command::new(tool("ffmpeg"));
    ffmpeg.args(["-v", "error"]).args(args.split_whitespace());
    ffmpeg.arg(&path);
    let drawn = tokio::task::spawn_blocking(move || ffmpeg.status().unwrap());
    assert!(drawn.await.unwrap().success(), "{args}");
    std::fs::read(path).unwrap()
}

/// Returns the program that draws or measures a film: the one on `PATH`, or in `ANB_DRAWING_TOOLS` while the
/// program under test is another.
pub fn tool(program: &str) -> PathBuf {
    std::env::var_os("ANB_DRAWING_TOOLS")
        .map_or_else(PathBuf::new, PathBuf::from)
        .join(program)
}

/// Returns `length` bytes that begin as an MP4 file does. Enough for an upload, not for a worker.
pub fn mp4(length: usize) -> Vec<u8> {
    let mut bytes = b"\0\0\0\x14ftypisom\0\0\x02\0mp42".to_vec();
    bytes.resize(length, 7);
    bytes
}
