//! Films whose size or shape changes in the stream.

use std::{fs, path::PathBuf};

use super::{BESIDE, BLACK, BLUE, BUMPERS, FLOOR, RED, SMALL, Studio, colour, is_near, odd::X264};

/// H.264 in 10 bits, HLG.
const HLG: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p10le -color_primaries bt2020 \
    -color_trc arib-std-b67 -colorspace bt2020nc";

/// Joins raw streams of these sizes and pixel shapes into one track of a second each.
fn joined(studio: &Studio, parts: [(&str, &str, &str); 2], encode: &str, output: &str) -> PathBuf {
    let streams = parts.map(|(colour, size, shape)| {
        let args = format!(
            "-f lavfi -i color={colour}:s={size}:r=30:d=1,setsar={shape} {encode} -bf 0 -f h264"
        );
        fs::read(studio.draw(&args)).unwrap()
    });
    let stream = studio.folder.path().join("stream.h264");
    fs::write(&stream, streams.concat()).unwrap();
    studio.draw(&format!(
        "-r 30 -f h264 -i {} -c copy -tag:v avc3 -bsf:v setts=pts=N*512:dts=N*512 \
         -video_track_timescale 15360 {output}",
        stream.display()
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_part_keeps_its_shape_when_the_size_changes() {
    let studio = Studio::open(SMALL).await;
    let (wide, tall) = (("red", "320x180", "1"), ("blue", "180x320", "1"));
    // Columns 10 and 200 of 640 are beside the picture where it is tall. The backdrop is there if the
    // film begins with a picture that does not fill the frame.
    for (parts, is_tall, bars) in [
        ([wide, tall], [false, true], [BLACK, BLACK]),
        ([tall, wide], [true, false], [BESIDE, FLOOR]),
    ] {
        let (clip, _scratch) = studio.clip(&joined(&studio, parts, X264, "-f mp4")).await;
        let clip = clip.unwrap();
        assert_eq!(clip.frames, 60 + BUMPERS, "{parts:?}");
        for (second, part, is_tall) in [(2.5, parts[0], is_tall[0]), (3.5, parts[1], is_tall[1])] {
            let own = if part.0 == "red" { RED } else { BLUE };
            let see = |x| colour(&clip, second, x, 172);
            assert!(
                is_near(see(312), own),
                "{parts:?} at {second}: {:?}",
                see(312)
            );
            for (x, bar) in [10, 200].into_iter().zip(bars) {
                let expected = if is_tall { bar } else { own };
                assert!(
                    is_near(see(x), expected),
                    "{parts:?} at {second}: {:?}",
                    see(x)
                );
            }
        }
        // The watermark is there in both parts.
        let mark = |second| {
            (0..640).step_by(8).any(|x| {
                let [red, green, blue] = colour(&clip, second, x, 16);
                green > 60 && red.max(blue) > 100
            })
        };
        assert!(mark(2.5) && mark(3.5), "{parts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_an_hdr_film_keep_their_shape() {
    let studio = Studio::open(SMALL).await;
    let (wide, tall) = (("white", "320x180", "1"), ("white", "180x320", "1"));
    let source = joined(&studio, [wide, tall], HLG, "-f mp4");
    let (clip, _scratch) = studio.clip(&source).await;
    let clip = clip.unwrap();
    assert_eq!(clip.frames, 60 + BUMPERS);
    // The tall part is 202 of 640 pixels wide.
    for (second, x, is_white) in [
        (2.5, 8, true),
        (2.5, 200, true),
        (3.5, 8, false),
        (3.5, 200, false),
        (3.5, 232, true),
        (3.5, 312, true),
        (3.5, 424, false),
    ] {
        let [red, green, blue] = colour(&clip, second, x, 172);
        let is_bright = red.min(green).min(blue) > 150;
        assert_eq!(
            is_bright, is_white,
            "at {second}, {x}: {red} {green} {blue}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn turned_film_keeps_its_shape_when_the_size_changes() {
    let studio = Studio::open(SMALL).await;
    let parts = [("red", "320x180", "1"), ("blue", "320x320", "1")];
    let source = joined(&studio, parts, X264, "-metadata:s:v:0 rotate=90 -f mp4");
    let (clip, _scratch) = studio.clip(&source).await;
    let clip = clip.unwrap();
    assert_eq!(clip.frames, 60 + BUMPERS);
    // The first part is 202 x 360, in which the second one is 202 x 202.
    for (second, y, expected) in [
        (2.5, 20, RED),
        (2.5, 330, RED),
        (3.5, 172, BLUE),
        (3.5, 20, BLACK),
        (3.5, 330, BLACK),
    ] {
        let seen = colour(&clip, second, 250, y);
        assert!(is_near(seen, expected), "at {second}, {y}: {seen:?}");
    }
}
