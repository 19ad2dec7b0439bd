//! The names of what an encoding run writes: a body for each rendition, in files and in the graph.

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
