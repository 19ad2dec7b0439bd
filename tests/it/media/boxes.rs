//! Changes the boxes of an MP4 file (ISO/IEC 14496-12 §4.2) whose index comes last, as `ffmpeg` writes it.

use std::ops::Range;

/// Returns where the body of a box is; `path` names the first of each kind.
pub fn body(bytes: &[u8], path: &str) -> Range<usize> {
    let mut place = 0..bytes.len();
    for kind in path.split('/') {
        place = child(bytes, place, kind);
    }
    place
}

/// Overwrites a number in the body of a box.
pub fn set(bytes: &mut [u8], path: &str, at: usize, number: u32) {
    let start = body(bytes, path).start + at;
    bytes[start..start + 4].copy_from_slice(&number.to_be_bytes());
}

/// Overwrites the length of the movie, of its first track and of that track's media (seconds).
pub fn set_lengths(bytes: &mut [u8], seconds: u32) {
    for (path, at) in [("moov/mvhd", 12), ("moov/trak/mdia/mdhd", 12)] {
        let start = body(bytes, path).start + at;
        let scale = u32::from_be_bytes(bytes[start..start + 4].try_into().unwrap());
        set(bytes, path, at + 4, scale * seconds);
        if path == "moov/mvhd" {
            set(bytes, "moov/trak/tkhd", 20, scale * seconds);
        }
    }
}

/// Makes the last sample of the only track last `ticks` of its time scale. All others last
/// as long as each other.
pub fn stand(bytes: &mut Vec<u8>, ticks: u32) {
    let path = "moov/trak/mdia/minf/stbl/stts";
    let place = body(bytes, path);
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let (count, each) = (number(place.start + 8), number(place.start + 12));
    let table = [0, 2, count - 1, each, 1, ticks]
        .map(u32::to_be_bytes)
        .concat();
    let more = u32::try_from(table.len() - place.len()).unwrap();
    let kinds: Vec<&str> = path.split('/').collect();
    let parents = (1..=kinds.len()).map(|depth| body(bytes, &kinds[..depth].join("/")).start - 8);
    let starts: Vec<usize> = parents.collect();
    for start in starts {
        let size = u32::from_be_bytes(bytes[start..start + 4].try_into().unwrap());
        bytes[start..start + 4].copy_from_slice(&(size + more).to_be_bytes());
    }
    bytes.splice(place, table);
    let all = (count - 1) * each + ticks;
    set(bytes, "moov/trak/mdia/mdhd", 16, all);
    let media = body(bytes, "moov/trak/mdia/mdhd").start + 12;
    let scale = u32::from_be_bytes(bytes[media..media + 4].try_into().unwrap());
    let millis = all * 10 / (scale / 100);
    set(bytes, "moov/mvhd", 16, millis);
    set(bytes, "moov/trak/tkhd", 20, millis);
    set(bytes, "moov/trak/edts/elst", 8, millis);
}

fn child(bytes: &[u8], place: Range<usize>, kind: &str) -> Range<usize> {
    let mut start = place.start;
    while start < place.end {
        let size = u32::from_be_bytes(bytes[start..start + 4].try_into().unwrap());
        let size = usize::try_from(size).unwrap();
        if &bytes[start + 4..start + 8] == kind.as_bytes() {
            return start + 8..start + size;
        }
        start += size;
    }
    panic!("no {kind}");
}
