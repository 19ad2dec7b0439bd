//! The filter graph of an encoding run: frames at a constant rate, the picture in its place, the
//! watermark, and all that is made of that frame.

use std::time::Duration;

use super::picture::picture;
use crate::media::{
    input::probe::Video,
    layout::{fit, watermark},
    stills::Stills,
    target::{RATE, Rendition, Target},
};

/// Returns the graph of a run that makes `frames` frames.
pub fn graph(video: &Video, target: Target, frames: u64) -> String {
    let mark = watermark(fit(video.upright_shape(), target.frame), target.frame);
    let (split, light) = match target.light() {
        None => ("split[body][still]", String::new()),
        Some(Rendition { frame, .. }) => (
            "split=3[body][whole][still]",
            format!(
                "[whole]scale={}:{}:flags=bicubic,setsar=1[light];",
                frame.width, frame.height
            ),
        ),
    };
    format!(
        "[0:{index}]{shift}{fields},fps={RATE}:start_time=0{stand},{picture}[picture];\
         [1:v]scale={mark_width}:{mark_height}:flags=lanczos:out_color_matrix=bt709:out_range=tv,\
         format=yuva420p[mark];\
         [picture][mark]overlay={mark_x}:{mark_y},{split};{light}\
         [still]{stills}[stills]",
        index = video.index,
        shift = shift(video.start, target.max_seconds),
        fields = fields(video),
        stand = stand(video.stand),
        picture = picture(video, target.frame, "[2:v]"),
        mark_width = mark.width,
        mark_height = mark.height,
        mark_x = mark.x,
        mark_y = mark.y,
        stills = Stills::of(frames).filter(),
    )
}

/// Moves the first frame to time zero and clamps later timestamps to just after the clip's end.
/// Otherwise `fps` would fill a gap of a month with frames that are then dropped.
fn shift(start: Duration, max_seconds: u32) -> String {
    let start = match start.as_micros() {
        0 => String::new(),
        micros => format!("-{micros}/(1000000*TB)"),
    };
    format!("setpts=min(PTS{start}\\,{}/TB)", max_seconds + 1)
}

/// Makes a frame of each field, so that motion stays smooth; progressive frames pass unchanged.
fn fields(video: &Video) -> &'static str {
    if video.interlaced {
        ",bwdif=mode=send_field:deint=interlaced"
    } else {
        ""
    }
}

/// Repeats the last picture. `fps` does so itself only if the decoder knows its duration, which
/// is lost when B-frames are reordered.
fn stand(time: Duration) -> String {
    match time.as_millis() * u128::from(RATE) {
        0 => String::new(),
        thousandths => format!(",tpad=stop_mode=clone:stop={}", thousandths.div_ceil(1000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::input::turn::Turn;

    const TARGET: Target = Target::DEFAULT;

    fn video() -> Video {
        Video {
            turn: Turn::Upright,
            ..Video::portrait()
        }
    }

    #[test]
    fn late_picture_is_moved_to_the_start() {
        let late = Video {
            start: Duration::from_millis(1500),
            ..video()
        };
        let graph = graph(&late, TARGET, 900);
        assert!(graph.starts_with(r"[0:0]setpts=min(PTS-1500000/(1000000*TB)\,31/TB),fps=30:"));
    }

    #[test]
    fn only_films_that_may_be_interlaced_are_deinterlaced() {
        assert!(!graph(&video(), TARGET, 900).contains("bwdif"));
        let interlaced = Video {
            interlaced: true,
            ..video()
        };
        let graph = graph(&interlaced, TARGET, 900);
        assert!(graph.contains("/TB),bwdif=mode=send_field:deint=interlaced,fps=30:"));
    }

    #[test]
    fn last_picture_is_repeated_where_it_stands() {
        assert!(!graph(&video(), TARGET, 900).contains("tpad"));
        let standing = Video {
            stand: Duration::from_millis(4001),
            ..video()
        };
        let graph = graph(&standing, TARGET, 900);
        assert!(graph.contains("start_time=0,tpad=stop_mode=clone:stop=121,"));
    }
}
