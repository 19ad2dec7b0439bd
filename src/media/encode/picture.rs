//! The player's picture: scaled directly to its place, converted to BT.709, turned upright and
//! centred in the frame, in front of the backdrop unless it fills the frame.
//!
//! A stream may change its size or shape: a phone is turned while its screen is recorded, or films are
//! joined. `ffmpeg` would then start the graph again, which loses a frame and the watermark. So the
//! graph stays, and the scaler fits each frame anew.

use std::ffi::OsString;

use super::colour::{Conversion, Samples};
use crate::{
    config::media::Resolution,
    media::{
        args::split_args,
        input::{colour::Matrix, probe::Video, turn::Turn},
        layout::fit,
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

/// Returns the filters that make frames of this size of decoded pictures. If the picture does not
/// fill the frame, the input `backdrop` is behind it.
pub fn picture(video: &Video, frame: Resolution, backdrop: &str) -> String {
    format!("{},{DONE}", placed(video, frame, backdrop))
}

/// Returns whether the picture leaves a part of the frame to the backdrop.
pub fn needs_backdrop(video: &Video, frame: Resolution) -> bool {
    !fit(video.upright_shape(), frame).fills(frame)
}

fn placed(video: &Video, frame: Resolution, backdrop: &str) -> String {
    let upright = fit(video.upright_shape(), frame);
    let place = if video.turn.swaps_sides() {
        (upright.height, upright.width)
    } else {
        (upright.width, upright.height)
    };
    let turn = turn(video.turn);
    let samples = Samples::of(video);
    let scaler = Scaler { video, place };
    let film = match samples.conversion {
        // A picture that needs no filter afterwards may take the whole frame when its shape changes.
        Conversion::Scaling if turn.is_empty() && needs_backdrop(video, frame) => {
            scaler.scale_to_bt709(samples, (frame.width, frame.height), "yuva420p")
        }
        Conversion::Scaling => {
            let scale = scaler.scale_to_bt709(samples, place, "yuv420p");
            format!("{scale},{}{turn}", scaler.pad())
        }
        // In 10 bits this scaler is faster than the other one. It knows neither sides that chroma
        // samples do not fill nor other shapes.
        Conversion::ToneMapping if is_in_whole_chroma_samples(video) => {
            let (width, height) = place;
            let (tags, filters) = (samples.tags(samples.range), samples.conversion.filters());
            let shape = scaler.keep_shape();
            format!(
                "{shape},{tags},zscale={width}:{height}:filter=bicubic,{filters},setsar=1{turn}"
            )
        }
        Conversion::Gamut | Conversion::ToneMapping => {
            let scale = scaler.scale_unconverted(samples);
            let (tags, filters) = (samples.tags("tv"), samples.conversion.filters());
            format!("{scale},{},{tags},{filters}{turn}", scaler.pad())
        }
    };
    if needs_backdrop(video, frame) {
        in_front_of(backdrop, &film, frame)
    } else {
        film
    }
}

/// Returns the filters that centre a film in front of the backdrop, which is a single frame.
fn in_front_of(backdrop: &str, film: &str, frame: Resolution) -> String {
    let Resolution { width, height } = frame;
    format!(
        "{film},format=yuva420p[film];\
         {backdrop}scale={width}:{height}:flags=lanczos:out_color_matrix=bt709:out_range=tv,\
         format=yuv420p,setsar=1[backdrop];\
         [backdrop][film]overlay=2*floor((W-w)/4):2*floor((H-h)/4)"
    )
}

/// Scales pictures of the probed shape to `place`, and fits others into a larger area.
struct Scaler<'a> {
    video: &'a Video,
    place: (u32, u32),
}

impl Scaler<'_> {
    fn scale_to_bt709(&self, samples: Samples, bounds: (u32, u32), format: &str) -> String {
        let matrix = samples.matrix();
        let colours = format!("in_color_matrix={matrix}:out_color_matrix=bt709:out_range=tv");
        self.scale(bounds, &colours, format)
    }

    /// Limits the range, and keeps the depth for the filters that follow.
    fn scale_unconverted(&self, samples: Samples) -> String {
        let (matrix, range) = (samples.matrix(), samples.range);
        let colours = format!(
            "in_color_matrix={matrix}:out_color_matrix={matrix}:in_range={range}:out_range=tv"
        );
        self.scale(self.place, &colours, "yuv420p10le")
    }

    fn scale(&self, bounds: (u32, u32), colours: &str, format: &str) -> String {
        let (width, height) = self.place;
        let (max_width, max_height) = bounds;
        // The same size as `layout::fit` of this shape.
        let is_probed = self.is_probed();
        let fit_width = format!("min({max_width},2*max(1,ceil(floor({max_height}*dar)/2)))");
        let fit_height = format!("min({max_height},2*max(1,ceil(floor({max_width}/dar)/2)))");
        format!(
            "scale=w='if({is_probed},{width},{fit_width})':h='if({is_probed},{height},{fit_height})':\
             eval=frame:flags=bicubic:{colours},format={format},setsar=1"
        )
    }

    /// Returns the probed width and height in square pixels of any size.
    fn shape(&self) -> (u64, u64) {
        let aspect = self.video.sample_aspect;
        (
            u64::from(self.video.width) * u64::from(aspect.numerator),
            u64::from(self.video.height) * u64::from(aspect.denominator),
        )
    }

    /// Returns the expression that is 1 for pictures of the probed shape.
    fn is_probed(&self) -> String {
        let (across, down) = self.shape();
        format!("lt(abs(dar*{down}/{across}-1),0.0001)")
    }

    /// Returns the filter that gives pictures of another shape the probed one, by bars.
    fn keep_shape(&self) -> String {
        let (is_probed, (across, down)) = (self.is_probed(), self.shape());
        format!(
            "pad=w='if({is_probed},iw,2*ceil(max(iw,ih*{across}/{down}/sar)/2))':\
             h='if({is_probed},ih,2*ceil(max(ih,iw*sar*{down}/{across})/2))':\
             x=2*floor((ow-iw)/4):y=2*floor((oh-ih)/4):color=black:eval=frame"
        )
    }

    /// Returns the filter that gives all pictures the size of `place`.
    fn pad(&self) -> String {
        let (width, height) = self.place;
        format!("pad={width}:{height}:2*floor((ow-iw)/4):2*floor((oh-ih)/4):black:eval=frame")
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
