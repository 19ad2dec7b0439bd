//! Files as phones, cameras and editors produce them. Each kind results in the correct clip.

use std::path::{Path, PathBuf};

use super::{BLUE, BUMPERS, RED, SMALL, Studio, colour, is_near, run};

const X264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p";
const X265: &str = "-c:v libx265 -preset ultrafast -x265-params log-level=error -tag:v hvc1";

/// One second of a picture that is red above and blue below.
const FLAG: &str = "-f lavfi -i color=red:s=320x90:r=30:d=1,format=rgb24 \
    -f lavfi -i color=blue:s=320x90:r=30:d=1,format=rgb24";

impl Studio {
    /// Draws the flag, converts it with `filter` and encodes it with `codec`.
    fn flag(&self, filter: &str, codec: &str) -> PathBuf {
        self.draw(&format!("{FLAG} -filter_complex vstack{filter} {codec}"))
    }

    /// Repacks a film without re-encoding it; `input` holds the input options.
    fn repack(&self, film: &Path, input: &str, output: &str, name: &str) -> PathBuf {
        let repacked = self.folder.path().join(name);
        let args = format!("-v error {input} -i {} {output}", film.display());
        run("ffmpeg", &args, &repacked);
        repacked
    }

    /// Asserts that a film becomes a one-second clip with these colours above and below.
    async fn assert_shows(&self, source: &Path, above: [u8; 3], below: [u8; 3]) {
        let (clip, _scratch) = self.clip(source).await;
        let clip = clip.unwrap();
        let frames = clip.frames - BUMPERS;
        assert!((29..=31).contains(&frames), "{frames} frames");
        for (y, expected) in [(80, above), (270, below)] {
            let seen = colour(&clip, 2.5, 320, y);
            assert!(is_near(seen, expected), "at {y}: {seen:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rotated_film_is_shown_upright() {
    let studio = Studio::open(SMALL).await;
    let flat = studio.flag("", X264);
    let turned = studio.repack(
        &flat,
        "",
        "-c copy -metadata:s:v:0 rotate=180",
        "turned.mp4",
    );
    studio.assert_shows(&turned, BLUE, RED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn films_of_any_frame_rate_keep_their_speed() {
    let studio = Studio::open(SMALL).await;
    for rate in [24, 50, 60, 120, 240] {
        // Red for half a second, then blue.
        let source = studio.draw(&format!(
            "-f lavfi -i color=red:s=320x180:r={rate}:d=0.5 \
             -f lavfi -i color=blue:s=320x180:r={rate}:d=0.5 -filter_complex concat {X264} -bf 2"
        ));
        let (clip, _scratch) = studio.clip(&source).await;
        let clip = clip.unwrap();
        assert_eq!(clip.frames, 30 + BUMPERS, "{rate}");
        for (second, expected) in [(2.4, RED), (2.6, BLUE)] {
            let seen = colour(&clip, second, 320, 180);
            assert!(is_near(seen, expected), "{rate} at {second}: {seen:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bit_depth_range_and_subsampling_keeps_its_colours() {
    let studio = Studio::open(SMALL).await;
    let bt709 = ",scale=out_color_matrix=bt709:out_range=tv";
    let tags = "-color_primaries bt709 -color_trc bt709 -colorspace bt709";
    for (filter, codec) in [
        (bt709, format!("{X265} -pix_fmt yuv420p10le {tags}")),
        (bt709, format!("{X264} -pix_fmt yuv422p {tags}")),
        (bt709, format!("{X264} -pix_fmt yuv422p10le {tags}")),
        (bt709, format!("{X265} -pix_fmt yuv444p {tags}")),
        (bt709, format!("-c:v prores_ks -pix_fmt yuv422p10le {tags}")),
        (
            ",scale=out_color_matrix=bt709:out_range=pc",
            format!("{X264} {tags} -color_range pc"),
        ),
        // A small film without colour tags is read as BT.601, as in players.
        (
            ",scale=out_color_matrix=bt601:out_range=tv",
            X264.to_owned(),
        ),
    ] {
        let source = studio.flag(filter, &format!("{codec} -f mov"));
        studio.assert_shows(&source, RED, BLUE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hdr_keeps_its_hues_and_greys() {
    let studio = Studio::open(SMALL).await;
    for (transfer, x265) in [("arib-std-b67", ""), ("smpte2084", ":hdr10=1")] {
        // Reference white, a grey and a skin tone, as a phone maps them into its HDR.
        let to_hdr = format!(
            "zscale=tin=709:min=709:pin=709:rin=tv:t={transfer}:m=2020_ncl:p=2020:r=tv:npl=203,\
             format=yuv420p10le"
        );
        let patch = |rgb: &str| {
            format!(
                "color={rgb}:s=128x180:r=30:d=1,format=gbrp,scale=out_color_matrix=bt709:out_range=tv,\
                 format=yuv420p"
            )
        };
        let source = studio.draw(&format!(
            "-f lavfi -i {} -f lavfi -i {} -f lavfi -i {} -filter_complex hstack=3,{to_hdr} \
             -c:v libx265 -preset ultrafast -x265-params log-level=error{x265} -tag:v hvc1 \
             -color_primaries bt2020 -color_trc {transfer} -colorspace bt2020nc",
            patch("0xf0f0f0"),
            patch("0x808080"),
            patch("0xc89070"),
        ));
        let (clip, _scratch) = studio.clip(&source).await;
        let clip = clip.unwrap();
        for (x, expected) in [(150, [240; 3]), (320, [128; 3]), (500, [200, 144, 112])] {
            let seen = colour(&clip, 2.5, x, 300);
            assert!(is_near(seen, expected), "{transfer} at {x}: {seen:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn film_in_4k_is_shown_from_edge_to_edge() {
    let studio = Studio::open(SMALL).await;
    let source = studio.flag(",scale=3840:2160:flags=neighbor", X264);
    studio.assert_shows(&source, RED, BLUE).await;
    let (clip, _scratch) = studio.clip(&source).await;
    let corner = colour(&clip.unwrap(), 2.5, 2, 340);
    assert!(is_near(corner, BLUE), "{corner:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn edit_list_determines_the_start_of_the_clip() {
    let studio = Studio::open(SMALL).await;
    let flag = studio.flag(
        ",tpad=start_duration=1.5:color=green",
        &format!("{X264} -g 300 -bf 2"),
    );
    // The cut is inside a group of pictures, so the frames before it are decoded but not shown.
    let cut = studio.repack(&flag, "-ss 1.5", "-c copy", "cut.mp4");
    studio.assert_shows(&cut, RED, BLUE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_index_position_and_quicktime_brands_are_accepted() {
    let studio = Studio::open(SMALL).await;
    let flag = studio.flag("", X264);
    for output in [
        "-c copy -f mp4",
        "-c copy -f mp4 -movflags +faststart",
        "-c copy -f mp4 -movflags +frag_keyframe+empty_moov",
        "-c copy -f mov",
        "-c copy -f 3gp",
    ] {
        let repacked = studio.repack(&flag, "", &format!("-y {output}"), "repacked");
        studio.assert_shows(&repacked, RED, BLUE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_enabled_video_stream_is_shown() {
    let studio = Studio::open(SMALL).await;
    let source = studio.draw(&format!(
        "{FLAG} -f lavfi -i color=green:s=640x360:r=30:d=1 -f lavfi -i sine=d=1 \
         -f lavfi -i sine=880:d=1 -filter_complex [0][1]vstack[flag] -map 3 -map [flag] -map 2 \
         -map 4 {X264} -c:a aac -timecode 01:00:00:00 -f mov"
    ));
    studio.assert_shows(&source, RED, BLUE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poster_is_neither_black_nor_blurred() {
    let studio = Studio::open(SMALL).await;
    // Two seconds of black, a blurred picture with a blue edge, and a sharp one with a red edge.
    let source = studio.draw(&format!(
        "-f lavfi -i color=black:s=640x360:r=30:d=2 -f lavfi -i testsrc2=s=640x360:r=30:d=2 \
         -f lavfi -i testsrc2=s=640x360:r=30:d=2 -filter_complex \
         [1]gblur=12,drawbox=0:320:640:40:blue:fill[blurred];[2]drawbox=0:320:640:40:red:fill[sharp];\
         [0][blurred][sharp]concat=3 {X264}"
    ));
    let (clip, _scratch) = studio.clip(&source).await;
    let poster = super::pixel(&clip.unwrap().poster, "", 320, 340);
    assert!(is_near(poster, RED), "{poster:?}");
}
