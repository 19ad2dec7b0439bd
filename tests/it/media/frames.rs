//! Frame-by-frame checks of the kept part of the source and of the fading bumpers.

use super::{BUMPERS, SMALL, Studio, run};
use anb::media::Clip;
use std::path::Path;

/// Returns the luma (16 to 235) of each frame, averaged over a part of the picture.
fn luma(clip: &Clip, part: &str) -> Vec<u8> {
    let args = format!(
        "-v error -i {} -vf extractplanes=y,{part},scale=1:1:flags=area -f rawvideo",
        clip.video.display()
    );
    run("ffmpeg", &args, Path::new("pipe:1"))
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_frames_of_the_first_30_seconds_are_kept() {
    let studio = Studio::open(SMALL).await;
    // Five greys in rotation.
    let source = studio.draw(
        "-f lavfi -i color=black:s=64x36:r=30:d=31.4,format=yuv420p,geq=40+40*mod(N\\,5):128:128 \
         -c:v libx264 -preset ultrafast -bf 2",
    );
    let (clip, _scratch) = studio.clip(&source).await;
    let clip = clip.unwrap();
    let greys = luma(&clip, "crop=64:64:0:200");
    assert_eq!(greys.len(), 900 + usize::try_from(BUMPERS).unwrap());
    for (number, grey) in greys[60..960].iter().enumerate() {
        let expected = 40 + 40 * u8::try_from(number % 5).unwrap();
        assert!(
            grey.abs_diff(expected) < 15,
            "{number}: {grey} for {expected}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bumpers_fade_in_from_black_and_out_to_black() {
    let studio = Studio::open(SMALL).await;
    let source = studio.draw(
        "-f lavfi -i color=white:s=320x180:r=30:d=1 -c:v libx264 -preset ultrafast \
         -pix_fmt yuv420p",
    );
    let (clip, _scratch) = studio.clip(&source).await;
    let greys = luma(&clip.unwrap(), "null");
    let bumper = usize::try_from(BUMPERS / 2).unwrap();
    let (opening, rest) = greys.split_at(bumper);
    let (body, closing) = rest.split_at(rest.len() - bumper);
    assert!(body.iter().all(|grey| *grey > 180), "{body:?}");
    for bumper in [opening, closing] {
        assert!(bumper[0] < 20 && bumper[59] < 24, "{bumper:?}");
        assert!(bumper[..12].is_sorted(), "{bumper:?}");
        assert!(bumper[48..].iter().rev().is_sorted(), "{bumper:?}");
        let held = &bumper[14..46];
        let (low, high) = (held.iter().min().unwrap(), held.iter().max().unwrap());
        assert!(*low > 24 && high - low <= 2, "{bumper:?}");
    }
}
