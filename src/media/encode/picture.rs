//! The player's picture: scaled directly to its place, converted to BT.709, turned upright and
//! centred in the frame.
//!
//! A stream may change its size or shape: a phone is turned while its screen is recorded, or films are
//! joined. `ffmpeg` would then start the graph again, which loses a frame and the watermark. So the
//! graph stays, and the scaler fits each frame anew.

use std::ffi::OsString;

use super::{
    colour::{Conversion, Samples},
    layout::fit,
};
use crate::{
    config::media::Resolution,
    media::{
        args::split_args,
        input::{colour::Matrix, probe::Video, turn::Turn},
    },
};

/// Makes frames say what they are by now. Later versions of `ffmpeg` would write the source's matrix
/// and missing colour tags into the clip.
const DONE: &str = "sidedata=mode=delete:type=DISPLAYMATRIX,\
    setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv";

/// Returns the options of the source that precede `-i`.
pub fn input_options(video: &Video) -> Vec<OsString> {
    let options = match (video.turn, video.interlaced) {
        // The filters for odd angles and for fields cannot change their size.
        (Turn::Oblique, _) => "",
        (_, true) => "-noautorotate",
        (_, false) => "-noautorotate -reinit_filter 0",
    };
    split_args(options)
}

/// Returns the filters that make pictures of this frame size from decoded ones.
pub fn picture(video: &Video, frame: Resolution) -> String {
    format!("{},{DONE}", placed(video, frame))
}

fn placed(video: &Video, frame: Resolution) -> String {
    let upright = fit(video.upright_shape(), frame);
    let place = if video.turn.swaps_sides() {
        (upright.height, upright.width)
    } else {
        (upright.width, upright.height)
    };
    let turn = turn(video.turn);
    let Resolution { width, height } = frame;
    let bars = if (upright.width, upright.height) == (width, height) {
        String::new()
    } else {
        format!(",pad={width}:{height}:{}:{}:black", upright.x, upright.y)
    };
    let samples = Samples::of(video);
    let scaler = Scaler { video, place };
    match samples.conversion {
        // A picture that needs no filter afterwards may take the whole frame when its shape changes.
        Conversion::Scaling if turn.is_empty() => scaler.fit_to_bt709(samples, (width, height)),
        Conversion::Scaling => {
            let scale = scaler.fit_to_bt709(samples, place);
            format!("{scale}{turn}{bars}")
        }
        // In 10 bits this scaler is faster than the other one. It knows neither sides that chroma
        // samples do not fill nor other shapes, which no camera records in HDR.
        Conversion::ToneMapping if is_in_whole_chroma_samples(video) => {
            let (width, height) = place;
            let (tags, filters) = (samples.tags(samples.range), samples.conversion.filters());
            format!("{tags},zscale={width}:{height}:filter=bicubic,{filters},setsar=1{turn}{bars}")
        }
        Conversion::Gamut | Conversion::ToneMapping => {
            let scale = scaler.fit_unconverted(samples, place);
            let (tags, filters) = (samples.tags("tv"), samples.conversion.filters());
            format!("{scale},{tags},{filters}{turn}{bars}")
        }
    }
}

/// Scales pictures of the probed shape to `place`, and fits others into a canvas with bars.
struct Scaler<'a> {
    video: &'a Video,
    place: (u32, u32),
}

impl Scaler<'_> {
    fn fit_to_bt709(&self, samples: Samples, canvas: (u32, u32)) -> String {
        let matrix = samples.matrix();
        let colours = format!("in_color_matrix={matrix}:out_color_matrix=bt709:out_range=tv");
        self.fit(canvas, &colours, "yuv420p")
    }

    /// Limits the range, and keeps the depth for the filters that follow.
    fn fit_unconverted(&self, samples: Samples, canvas: (u32, u32)) -> String {
        let (matrix, range) = (samples.matrix(), samples.range);
        let colours = format!(
            "in_color_matrix={matrix}:out_color_matrix={matrix}:in_range={range}:out_range=tv"
        );
        self.fit(canvas, &colours, "yuv420p10le")
    }

    fn fit(&self, canvas: (u32, u32), colours: &str, format: &str) -> String {
        let (width, height) = self.place;
        let (full_width, full_height) = canvas;
        let aspect = self.video.sample_aspect;
        let across = u64::from(self.video.width) * u64::from(aspect.numerator);
        let down = u64::from(self.video.height) * u64::from(aspect.denominator);
        // The same size as `layout::fit` of this shape.
        let is_probed = format!("lt(abs(dar*{down}/{across}-1),0.0001)");
        let fit_width = format!("min({full_width},2*max(1,ceil(floor({full_height}*dar)/2)))");
        let fit_height = format!("min({full_height},2*max(1,ceil(floor({full_width}/dar)/2)))");
        format!(
            "scale=w='if({is_probed},{width},{fit_width})':h='if({is_probed},{height},{fit_height})':\
             eval=frame:flags=bicubic:{colours},format={format},setsar=1,\
             pad={full_width}:{full_height}:2*floor((ow-iw)/4):2*floor((oh-ih)/4):black:eval=frame"
        )
    }
}

fn is_in_whole_chroma_samples(video: &Video) -> bool {
    let is_rgb = video.tags.colour().matrix == Matrix::Rgb;
    video.width.is_multiple_of(2) && video.height.is_multiple_of(2) && !is_rgb
}

/// Returns the filters that turn the picture upright; it is small by then.
fn turn(turn: Turn) -> &'static str {
    match turn {
        // `ffmpeg` rotates by odd angles itself, within the frame.
        Turn::Upright | Turn::Oblique => "",
        Turn::Clockwise => ",transpose=clock",
        Turn::ClockwiseMirrored => ",transpose=clock_flip",
        Turn::Counterclockwise => ",transpose=cclock",
        Turn::CounterclockwiseMirrored => ",transpose=cclock_flip",
        Turn::Half => ",hflip,vflip",
        Turn::MirroredAcross => ",hflip",
        Turn::MirroredDown => ",vflip",
    }
}
