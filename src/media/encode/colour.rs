//! Converts any colours to those of the clip, BT.709.

use crate::media::input::{
    colour::{Colour, Matrix, Primaries, Transfer},
    probe::Video,
};

/// How the colours of a source are converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    /// At most another matrix or range, which the scaler converts in passing.
    Scaling,
    /// Other primaries, in standard dynamic range.
    Gamut,
    /// A high dynamic range.
    ToneMapping,
}

/// All properties of a source's samples by the names of the filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Samples {
    pub conversion: Conversion,
    pub range: &'static str,
    matrix: Matrix,
    primaries: &'static str,
    transfer: &'static str,
}

impl Samples {
    pub fn of(video: &Video) -> Self {
        let colour = video.tags.colour();
        let (conversion, transfer) = match (colour.transfer, colour.primaries) {
            (Transfer::Hlg, _) => (Conversion::ToneMapping, "arib-std-b67"),
            (Transfer::Pq, _) => (Conversion::ToneMapping, "smpte2084"),
            // Every other curve stays as it is, since players show all of them alike.
            (Transfer::Sdr, Primaries::Bt709 | Primaries::Other) => (Conversion::Scaling, "bt709"),
            (Transfer::Sdr, Primaries::Bt2020 | Primaries::DisplayP3 | Primaries::DciP3) => {
                (Conversion::Gamut, "bt709")
            }
        };
        Self {
            conversion,
            range: if colour.full_range { "pc" } else { "tv" },
            matrix: matrix(colour, video.short_side()),
            primaries: primaries(colour),
            transfer,
        }
    }

    /// Returns the scaler's name of the matrix, into which it converts RGB as well.
    pub fn matrix(self) -> &'static str {
        match self.matrix {
            Matrix::Bt709 | Matrix::Rgb | Matrix::Unknown => "bt709",
            Matrix::Bt601 => "bt601",
            Matrix::Bt2020 => "bt2020",
        }
    }

    /// Returns the filter that states all properties of frames in this range. `zscale` finds no way
    /// from missing, reserved or contradictory tags.
    pub fn tags(self, range: &str) -> String {
        let matrix = match self.matrix {
            Matrix::Bt709 | Matrix::Rgb | Matrix::Unknown => "bt709",
            Matrix::Bt601 => "smpte170m",
            Matrix::Bt2020 => "bt2020nc",
        };
        let Self {
            primaries,
            transfer,
            ..
        } = self;
        format!(
            "setparams=colorspace={matrix}:color_primaries={primaries}:color_trc={transfer}:\
             range={range}"
        )
    }
}

impl Conversion {
    /// Returns the filters that convert frames with all [`Samples::tags`].
    pub fn filters(self) -> &'static str {
        match self {
            Self::Scaling => "null",
            Self::Gamut => "zscale=p=bt709:t=bt709:m=bt709:r=tv,format=yuv420p",
            // The tone mapper works in 32-bit floats. 203 cd/m² is the reference white of
            // ITU-R BT.2408. A direct conversion would clip the highlights.
            Self::ToneMapping => {
                "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,\
                 tonemap=mobius:desat=0:peak=4,zscale=t=bt709:m=bt709:r=tv,format=yuv420p"
            }
        }
    }
}

/// Returns the matrix of the samples, or into which RGB is converted before the filters.
fn matrix(colour: Colour, lines: u32) -> Matrix {
    let is_wide = colour.transfer != Transfer::Sdr || colour.primaries == Primaries::Bt2020;
    match colour.matrix {
        Matrix::Bt601 | Matrix::Bt709 | Matrix::Bt2020 => colour.matrix,
        Matrix::Rgb | Matrix::Unknown if is_wide => Matrix::Bt2020,
        Matrix::Rgb => Matrix::Bt709,
        // The assumption of media players for untagged files.
        Matrix::Unknown if lines >= 720 => Matrix::Bt709,
        Matrix::Unknown => Matrix::Bt601,
    }
}

fn primaries(colour: Colour) -> &'static str {
    match (colour.primaries, colour.transfer) {
        (Primaries::Bt709, _) | (Primaries::Other, Transfer::Sdr) => "bt709",
        (Primaries::Bt2020, _) | (Primaries::Other, Transfer::Hlg | Transfer::Pq) => "bt2020",
        (Primaries::DisplayP3, _) => "smpte432",
        (Primaries::DciP3, _) => "smpte431",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::input::colour::Tags;

    fn samples(format: &str, names: [&str; 4]) -> Samples {
        Samples::of(&Video {
            tags: Tags::new(Some(format), names.map(Some)),
            ..Video::portrait()
        })
    }

    #[test]
    fn hdr_with_any_mixture_of_missing_tags_is_that_of_bt2020() {
        let tagged = ["bt2020nc", "bt2020", "arib-std-b67", "tv"];
        let expected = samples("yuv420p10le", tagged).tags("tv");
        assert_eq!(
            expected,
            "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=arib-std-b67:range=tv"
        );
        for matrix in ["bt2020nc", "bt2020c", "reserved", "unknown", "gbr", "ictcp"] {
            for primaries in ["bt2020", "reserved", "unknown"] {
                let odd = samples("yuv420p10le", [matrix, primaries, tagged[2], "unknown"]);
                assert_eq!(odd.range, "tv");
                assert_eq!(odd.tags("tv"), expected, "{matrix} {primaries}");
            }
        }
    }

    #[test]
    fn wide_gamuts_are_converted_by_their_primaries() {
        for (primaries, tag) in [("bt2020", "bt2020"), ("smpte432", "smpte432")] {
            let samples = samples("yuv420p", ["bt709", primaries, "iec61966-2-1", "tv"]);
            assert_eq!(samples.conversion, Conversion::Gamut);
            assert!(
                samples
                    .tags("tv")
                    .contains(&format!("color_primaries={tag}:"))
            );
        }
        for primaries in ["bt709", "smpte170m", "bt470bg", "unknown"] {
            let samples = samples("yuv420p", ["bt709", primaries, "bt709", "tv"]);
            assert_eq!(samples.conversion, Conversion::Scaling);
        }
    }
}
