//! Films that `ffmpeg` generates for the tests.

use std::{path::PathBuf, process::Command};

use tokio::sync::OnceCell;

/// Returns a valid film of two seconds, 320x180, with sound.
pub async fn film() -> Vec<u8> {
    static FILM: OnceCell<Vec<u8>> = OnceCell::const_new();
    FILM.get_or_init(|| draw_film(2)).await.clone()
}

/// Returns a film that occupies a worker for seconds, so that a test can interrupt it.
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

/// Generates a file with `ffmpeg`. `args` are all arguments except the output, whose format follows
/// from `name`. Runs on another thread so as not to block workers and their heartbeats.
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

/// Returns the program that generates or measures films, from `PATH`, or from `ANB_DRAWING_TOOLS`
/// when `PATH` contains the tools under test.
pub fn tool(program: &str) -> PathBuf {
    std::env::var_os("ANB_DRAWING_TOOLS")
        .map_or_else(PathBuf::new, PathBuf::from)
        .join(program)
}

/// Returns `length` bytes that start like an MP4 file. Enough for an upload, but not for a worker.
pub fn mp4(length: usize) -> Vec<u8> {
    let mut bytes = b"\0\0\0\x14ftypisom\0\0\x02\0mp42".to_vec();
    bytes.resize(length, 7);
    bytes
}

/// Returns content that differs at every position and from that of every other `seed`.
pub fn content(bytes: usize, seed: u64) -> Vec<u8> {
    let mut content = Vec::with_capacity(bytes + 8);
    let mut state = seed.wrapping_mul(2) | 1;
    while content.len() < bytes {
        // xorshift64 suffices to distinguish positions.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_le_bytes());
    }
    content.truncate(bytes);
    content
}

/// Returns the path of an installed program.
#[expect(clippy::disallowed_methods, reason = "the shell's own setting")]
pub fn found(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|place| place.exists()).unwrap()
}
