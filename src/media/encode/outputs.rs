//! What an encoding run writes: a body for each rendition, and stills in several qualities, among
//! which the poster and the thumb are chosen later.

use crate::media::target::{Quality, Rendition};

/// File names of a rendition in the job's folder, in which a run works. Muxers, filters and lists
/// interpret `%` and `?`, so none of their arguments contains an arbitrary path.
#[derive(Debug)]
pub struct Names {
    pub opening: &'static str,
    pub body: &'static str,
    pub closing: &'static str,
    pub join_list: &'static str,
    pub clip: &'static str,
}

/// Returns the file names of a rendition.
pub fn names(rendition: Rendition) -> &'static Names {
    match rendition.quality {
        Quality::Full(_) => &Names {
            opening: "opening.mp4",
            body: "out/body.mp4",
            closing: "closing.mp4",
            join_list: "join.ffconcat",
            clip: "out/clip.mp4",
        },
        Quality::Light => &Names {
            opening: "light-opening.mp4",
            body: "out/light-body.mp4",
            closing: "light-closing.mp4",
            join_list: "light-join.ffconcat",
            clip: "out/light-clip.mp4",
        },
    }
}

/// Returns the filter graph's name for the frames of a rendition.
pub fn label(rendition: Rendition) -> &'static str {
    match rendition.quality {
        Quality::Full(_) => "body",
        Quality::Light => "light",
    }
}

/// A quality in which each still is written.
#[derive(Debug)]
pub struct StillQuality {
    /// The filter graph's name for its pictures.
    pub label: &'static str,
    /// JPEG quantiser, from 2 (fine) to 31 (coarse).
    pub quantiser: u32,
    /// File name, with `%d` for the number of the still, from 1.
    pub pattern: &'static str,
}

const fn quality(label: &'static str, quantiser: u32, pattern: &'static str) -> StillQuality {
    StillQuality {
        label,
        quantiser,
        pattern,
    }
}

/// The qualities of a poster, finest first.
pub const POSTERS: [StillQuality; 3] = [
    quality("p0", 4, "out/fine-%d.jpg"),
    quality("p1", 10, "out/middle-%d.jpg"),
    quality("p2", 31, "out/coarse-%d.jpg"),
];

/// The qualities of a thumb, finest first. A third of the pixels in each direction makes the last
/// one: even black and white dots at random fit into 16 KB then (13.8 KB).
pub const THUMBS: [StillQuality; 5] = [
    quality("t0", 4, "out/thumb-fine-%d.jpg"),
    quality("t1", 9, "out/thumb-middle-%d.jpg"),
    quality("t2", 16, "out/thumb-coarse-%d.jpg"),
    quality("t3", 31, "out/thumb-coarsest-%d.jpg"),
    quality("t4", 31, "out/thumb-smooth-%d.jpg"),
];

/// Pixels of a thumb for each pixel of its last quality, in each direction.
pub const SMOOTH: u32 = 3;

/// The average colour of each still: three bytes, red, green and blue.
pub const COLOURS: &str = "out/colours.rgb";
