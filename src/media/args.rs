//! Arguments common to all invocations of `ffmpeg` and `ffprobe`.

use std::{ffi::OsString, path::Path};

/// Maximum pixels of an accepted picture (4096 x 2176); keeps decompression bombs out.
pub const MAX_PIXELS: u32 = 8_912_896;

/// Splits a line of arguments that contain no blanks.
pub fn split_args(line: &str) -> Vec<OsString> {
    line.split_ascii_whitespace().map(OsString::from).collect()
}

/// Returns options before `-i` that limit what a hostile file can make `ffmpeg` do.
///
/// They force the demuxer, so that playlists stay unread, allow only the file protocol, disable
/// references to other files, and bound pictures and allocations.
pub fn input_limits() -> Vec<OsString> {
    split_args(&format!(
        "-max_alloc 300000000 -f mov -protocol_whitelist file -enable_drefs 0 -max_pixels {MAX_PIXELS}"
    ))
}

/// Prefixes a path with `file:`, so that no part of it is read as a protocol or an option.
pub fn file_url(path: impl AsRef<Path>) -> OsString {
    let mut url = OsString::from("file:");
    url.push(path.as_ref());
    url
}
