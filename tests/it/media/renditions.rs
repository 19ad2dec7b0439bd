//! The light rendition and the thumb, made in the same run as the clip and its poster.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{BESIDE, BLUE, BUMPERS, FLOOR, RED, SMALL, Studio, describe, is_near, pixel, run};

/// Maximum sizes of a light rendition of 34 s, of a thumb and of a poster (bytes).
const MAX_LIGHT_BYTES: u64 = 2_500_000;
const MAX_THUMB_BYTES: u64 = 16 * 1024;
const MAX_POSTER_BYTES: u64 = 40 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn light_rendition_has_the_frames_of_the_clip_and_half_its_size() {
    let studio = Studio::open(&["--encode-effort=fast"]).await;
    // Red for a second, then blue.
    let source = studio.draw(
        "-f lavfi -i color=red:s=640x360:r=30:d=1 -f lavfi -i color=blue:s=640x360:r=30:d=1.3 \
         -filter_complex concat -c:v libx264 -preset ultrafast -pix_fmt yuv420p \
         -metadata title=my-home",
    );
    let (clip, _scratch) = studio.clip(&source).await;
    let clip = clip.unwrap();
    let light = clip.light.as_ref().unwrap();

    assert_eq!(clip.frames, 69 + BUMPERS);
    let (whole, film) = (describe(&clip.video), describe(&light.video));
    assert_eq!(film["format"]["duration"], whole["format"]["duration"]);
    assert_eq!(film["format"]["size"], light.bytes.to_string());
    assert_eq!(film["streams"].as_array().unwrap().len(), 1);
    let stream = &film["streams"][0];
    assert_eq!(stream["nb_read_frames"], clip.frames.to_string());
    assert_eq!(
        (&stream["width"], &stream["height"]),
        (&640.into(), &360.into())
    );
    for (name, value) in [
        ("codec_name", "h264"),
        ("profile", "Main"),
        ("pix_fmt", "yuv420p"),
        ("sample_aspect_ratio", "1:1"),
        ("avg_frame_rate", "30/1"),
        ("color_space", "bt709"),
    ] {
        assert_eq!(stream[name], value, "{name}");
    }
    let bytes = fs::read(&light.video).unwrap();
    let find = |name: &[u8]| bytes.windows(name.len()).position(|window| window == name);
    assert_eq!(find(b"my-home"), None, "the title must be removed");
    assert!(find(b"moov") < find(b"mdat"), "the index must come first");

    for (second, expected) in [(2.9, RED), (3.1, BLUE)] {
        let seen = pixel(&light.video, &format!("-ss {second}"), 320, 180);
        assert!(is_near(seen, expected), "{second}: {seen:?}");
    }
    // Each frame, also of the bumpers, is as bright as in the clip.
    let greys = |film: &Path| {
        let args = format!(
            "-v error -i {} -vf extractplanes=y,scale=1:1:flags=area -f rawvideo",
            film.display()
        );
        run("ffmpeg", &args, Path::new("pipe:1"))
    };
    let (whole, small) = (greys(&clip.video), greys(&light.video));
    assert_eq!(whole.len(), small.len());
    for (number, (whole, small)) in whole.iter().zip(&small).enumerate() {
        assert!(whole.abs_diff(*small) < 4, "{number}: {small} for {whole}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn light_rendition_of_a_noisy_film_keeps_its_limit() {
    let studio = Studio::open(SMALL).await;
    let source = studio.draw(
        "-f lavfi -i color=gray:s=160x90:r=30:d=30,noise=alls=100:allf=t+u -c:v libx264 -crf 20 \
         -vf scale=640:360:flags=neighbor -preset ultrafast -pix_fmt yuv420p",
    );
    let (clip, _scratch) = studio.clip(&source).await;
    let clip = clip.unwrap();
    let light = clip.light.unwrap();
    assert_eq!(clip.frames, 900 + BUMPERS);
    assert!(light.bytes <= MAX_LIGHT_BYTES, "{} bytes", light.bytes);
    // The film is wild enough to need the limit.
    assert!(light.bytes > 1_800_000, "{} bytes", light.bytes);
    assert!(clip.bytes > 7 * light.bytes, "{} bytes", clip.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_any_film_keep_their_limits() {
    let studio = Studio::open(SMALL).await;
    let dots = "geq='if(gt(random(1),0.5),255,0)':'if(gt(random(2),0.5),255,0)':128";
    for picture in [
        "testsrc2=s=640x360:r=30:d=1".to_owned(),
        "testsrc2=s=640x360:r=30:d=1,noise=alls=60:allf=t".to_owned(),
        // No quality of this size fits, so pixels are given up.
        format!("color=gray:s=480x270:r=30:d=1,format=yuv444p,{dots}"),
    ] {
        let source = studio.draw(&format!(
            "-f lavfi -i {picture} -c:v libx264 -crf 10 -preset ultrafast"
        ));
        let (clip, _scratch) = studio.clip(&source).await;
        let clip = clip.unwrap();
        let thumb = &describe(&clip.thumb)["streams"][0];
        assert_eq!(thumb["codec_name"], "mjpeg");
        assert_eq!(
            (&thumb["width"], &thumb["height"]),
            (&480.into(), &270.into())
        );
        let bytes = fs::metadata(&clip.thumb).unwrap().len();
        assert!(
            (1024..=MAX_THUMB_BYTES).contains(&bytes),
            "{picture}: {bytes} bytes"
        );
        let bytes = fs::metadata(&clip.poster).unwrap().len();
        assert!(
            (1024..=MAX_POSTER_BYTES).contains(&bytes),
            "{picture}: {bytes} bytes"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thumb_and_colour_are_those_of_the_poster() {
    let studio = Studio::open(SMALL).await;
    // Black, except for the still with the most detail.
    let source = studio.draw(
        "-f lavfi -i color=black:s=640x360:r=30:d=2 -f lavfi -i color=0x00a0ff:s=640x360:r=30:d=2 \
         -filter_complex [1]drawgrid=w=8:h=8:c=0x0080e0[grid];[0][grid]overlay=enable=gt(t\\,1) \
         -c:v libx264 -preset ultrafast -pix_fmt yuv420p",
    );
    let (clip, _scratch) = studio.clip(&source).await;
    let clip = clip.unwrap();
    let poster = pixel(&clip.poster, "", 320, 172);
    let thumb = pixel(&clip.thumb, "", 240, 129);
    assert!(is_near(poster, [0, 150, 245]), "{poster:?}");
    assert!(is_near(thumb, poster), "{thumb:?} for {poster:?}");
    let colour = hex::decode(&clip.colour).unwrap();
    let colour = [colour[0], colour[1], colour[2]];
    assert!(is_near(colour, poster), "{colour:?} for {poster:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn light_rendition_can_be_switched_off() {
    let studio = Studio::open(&[SMALL, &["--light-rendition=off"]].concat()).await;
    let source =
        studio.draw("-f lavfi -i testsrc2=s=320x180:r=30:d=1 -c:v libx264 -preset ultrafast");
    let (clip, scratch) = studio.clip(&source).await;
    let clip = clip.unwrap();
    assert_eq!(clip.light, None);
    assert_eq!(clip.frames, 30 + BUMPERS);
    assert!(clip.thumb.exists());
    let files = crate::support::files_below(scratch.path());
    assert!(
        files.iter().all(|file| !file.contains("light")),
        "{files:?}"
    );
}

/// Frames per second of the films below, whose seconds begin with key frames.
const RATE: u32 = 30;

/// Draws four seconds of a blue test picture and, in the third second, `other`. H.264 of good quality.
fn draw_with(studio: &Studio, other: &str) -> PathBuf {
    studio.draw(&format!(
        "-f lavfi -i testsrc2=s=640x360:r={RATE}:d=4 -f lavfi -i {other} -filter_complex \
         [0]boxblur=2,format=gray,format=yuv420p,lutyuv=u=200:v=100[blue];[1]setpts=PTS+2/TB[other];\
         [blue][other]overlay=enable=between(t\\,2\\,2.99):eof_action=pass \
         -g {RATE} -bf 0 -c:v libx264 -preset ultrafast -crf 12 -pix_fmt yuv420p"
    ))
}

/// Returns whether the poster is a picture of the blue seconds.
async fn poster_is_blue(studio: &Studio, film: &Path) -> bool {
    let (clip, _scratch) = studio.clip(film).await;
    let clip = clip.unwrap();
    let bytes = fs::metadata(&clip.poster).unwrap().len();
    assert!((1024..=MAX_POSTER_BYTES).contains(&bytes), "{bytes} bytes");
    let colour = hex::decode(clip.colour).unwrap();
    colour[2] > colour[0] + 20
}

#[tokio::test(flavor = "multi_thread")]
async fn poster_is_neither_grain_nor_dark_nor_burnt_out() {
    let studio = Studio::open(SMALL).await;
    for other in [
        "color=0x402020:s=640x360:r=30:d=1,noise=alls=80:allf=t",
        "color=0x800000:s=640x360:r=30:d=1,noise=alls=100:allf=t+u",
        "testsrc2=s=640x360:r=30:d=1,eq=brightness=-0.6",
        "testsrc2=s=640x360:r=30:d=1,eq=brightness=0.8",
        "color=red:s=640x360:r=30:d=1",
    ] {
        let film = draw_with(&studio, other);
        assert!(poster_is_blue(&studio, &film).await, "{other}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_picture_is_no_poster() {
    let studio = Studio::open(SMALL).await;
    // The richest picture, unless it is damaged.
    let film = draw_with(
        &studio,
        "testsrc2=s=640x360:r=30:d=1,format=gray,format=yuv420p,lutyuv=u=90:v=200",
    );
    assert!(!poster_is_blue(&studio, &film).await);
    let mut bytes = fs::read(&film).unwrap();
    let args = "-v error -select_streams v -show_entries packet=pts_time,pos,size -of csv=p=0";
    let packets = run("ffprobe", args, &film);
    for packet in String::from_utf8(packets).unwrap().lines() {
        let fields: Vec<&str> = packet.split(',').collect();
        let [time, size, position, ..] = fields[..] else {
            panic!("{packet}");
        };
        if (2.05..2.2).contains(&time.parse::<f64>().unwrap()) {
            let [size, position] = [size, position].map(|number| number.parse::<usize>().unwrap());
            bytes[position + size / 2..][..40].fill(0x55);
        }
    }
    fs::write(&film, bytes).unwrap();
    assert!(poster_is_blue(&studio, &film).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn court_is_beside_films_that_do_not_fill_the_frame() {
    const KEY: [u8; 3] = [23, 56, 122];
    let near = |seen: [u8; 3], expected: [u8; 3]| {
        let distances = seen.iter().zip(expected);
        distances.map(|(one, other)| one.abs_diff(other)).max() < Some(12)
    };
    let studio = Studio::open(&["--encode-effort=fast"]).await;
    for (size, places) in [
        // Upright, 4:3, square and wide.
        ("540x960", [(10, 10, BESIDE), (170, 352, KEY)]),
        ("640x480", [(10, 10, BESIDE), (60, 300, KEY)]),
        ("480x480", [(10, 10, BESIDE), (240, 440, KEY)]),
        ("840x360", [(10, 10, BESIDE), (800, 52, FLOOR)]),
    ] {
        let film = studio.draw(&format!(
            "-f lavfi -i color=red:s={size}:r=30:d=1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p"
        ));
        let (clip, _scratch) = studio.clip(&film).await;
        let clip = clip.unwrap();
        for (x, y, expected) in places {
            for (file, seek) in [(&clip.video, "-ss 2.5"), (&clip.poster, "")] {
                let seen = pixel(file, seek, x, y);
                assert!(near(seen, expected), "{size} {x},{y}: {seen:?}");
            }
        }
        assert!(is_near(pixel(&clip.poster, "", 632, 352), RED), "{size}");
        assert_eq!(clip.frames, 30 + BUMPERS, "{size}");
    }
}
