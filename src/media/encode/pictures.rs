//! The run that makes poster and thumb of the chosen still, each in several qualities, of which the
//! finest that fits is kept.

use std::ffi::OsString;

use crate::{
    config::media::Resolution,
    media::{
        args::{file_url, split_args},
        target::{RATE, Target},
    },
};

/// File of the chosen still in the job's folder, in the format of the stills.
pub const STILL: &str = "still.yuv";

/// Options of the scaler that convert to the colours of JPEG.
const TO_JPEG: &str = "in_color_matrix=bt709:out_color_matrix=bt601:out_range=pc";

/// A quality of a picture.
#[derive(Debug)]
pub struct PictureQuality {
    /// JPEG quantiser, from 2 (fine) to 31 (coarse).
    quantiser: u32,
    /// Side of the squares that are averaged before the picture is compressed (pixels).
    square: u32,
    /// File name in the job's folder.
    pub file: &'static str,
}

const fn quality(quantiser: u32, file: &'static str) -> PictureQuality {
    PictureQuality {
        quantiser,
        square: 1,
        file,
    }
}

/// The qualities of a poster, finest first. Even black and white dots at random fit into 40 KB in the
/// last one (32.9 KB).
pub const POSTERS: [PictureQuality; 5] = [
    quality(5, "out/poster-fine.jpg"),
    quality(10, "out/poster-middle.jpg"),
    quality(20, "out/poster-coarse.jpg"),
    quality(31, "out/poster-coarsest.jpg"),
    PictureQuality {
        square: 8,
        ..quality(20, "out/poster-smooth.jpg")
    },
];

/// The qualities of a thumb, finest first. The same dots fit into 16 KB (13.8 KB).
pub const THUMBS: [PictureQuality; 5] = [
    quality(4, "out/thumb-fine.jpg"),
    quality(9, "out/thumb-middle.jpg"),
    quality(16, "out/thumb-coarse.jpg"),
    quality(31, "out/thumb-coarsest.jpg"),
    PictureQuality {
        square: 3,
        ..quality(31, "out/thumb-smooth.jpg")
    },
];

/// Returns the arguments of the run.
pub fn pictures(target: Target) -> Vec<OsString> {
    let Resolution { width, height } = target.frame;
    let mut args = split_args("-nostdin -hide_banner -loglevel error");
    args.extend(split_args(&format!(
        "-f rawvideo -pixel_format yuv420p -video_size {width}x{height} -framerate {RATE} -i"
    )));
    args.extend([
        file_url(STILL),
        "-filter_complex".into(),
        graph(target).into(),
    ]);
    for (kind, qualities) in [("poster", &POSTERS), ("thumb", &THUMBS)] {
        for (number, quality) in qualities.iter().enumerate() {
            args.extend(split_args(&format!(
                "-map [{kind}{number}] -frames:v 1 -map_metadata -1 -c:v mjpeg -threads 1 -q:v {} \
                 -f image2 -update 1",
                quality.quantiser
            )));
            args.push(file_url(quality.file));
        }
    }
    args
}

fn graph(target: Target) -> String {
    let Resolution { width, height } = target.thumb();
    format!(
        "[0]scale={TO_JPEG},format=yuvj420p,setsar=1,split[whole][large];\
         [large]scale={width}:{height}:flags=bicubic,setsar=1[small];{};{}",
        versions("whole", "poster", target.frame, &POSTERS),
        versions("small", "thumb", target.thumb(), &THUMBS),
    )
}

/// Returns the filters that make the pictures of all qualities of the one under `input`.
fn versions(
    input: &str,
    kind: &str,
    Resolution { width, height }: Resolution,
    qualities: &[PictureQuality],
) -> String {
    let label = |number: usize, quality: &PictureQuality| {
        let raw = if quality.square > 1 { "raw" } else { "" };
        format!("[{kind}{number}{raw}]")
    };
    let numbered = || qualities.iter().enumerate();
    let outputs: Vec<_> = numbered()
        .map(|(number, quality)| label(number, quality))
        .collect();
    let smooth = numbered().filter(|(_, quality)| quality.square > 1);
    let smooth: Vec<_> = smooth
        .map(|(number, quality)| {
            format!(
                ";{}scale={}:{}:flags=area,\
                 scale={width}:{height}:flags=bicubic,setsar=1[{kind}{number}]",
                label(number, quality),
                (width / quality.square).max(1),
                (height / quality.square).max(1),
            )
        })
        .collect();
    format!(
        "[{input}]split={}{}{}",
        qualities.len(),
        outputs.concat(),
        smooth.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_quality_is_one_output() {
        let args = pictures(Target::DEFAULT)
            .join(" ".as_ref())
            .into_string()
            .unwrap();
        for quality in POSTERS.iter().chain(&THUMBS) {
            assert_eq!(args.matches(quality.file).count(), 1, "{args}");
        }
        assert!(
            args.contains("scale=160:90:flags=area,scale=480:270:flags=bicubic"),
            "{args}"
        );
        assert!(args.contains("[whole]split=5[poster0][poster1][poster2][poster3][poster4raw];"));
    }
}
