//! Films whose headers or tags are odd, as some phones and editors write them. Each becomes
//! the clip that a browser would show.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anb::media::{Clip, Rejection};

use super::{BUMPERS, RED, SMALL, Studio, boxes, colour, is_near, run};

pub const X264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p";

/// Converts a test picture to HDR, but for its transfer curve.
const TO_HDR: &str = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,\
    zscale=tin=709:min=709:pin=709:rin=tv:m=2020_ncl:p=2020:r=tv:npl=203";

impl Studio {
    /// Draws a second of HDR with all tags.
    fn hdr(&self, transfer: &str, filter: &str, codec: &str) -> PathBuf {
        self.draw(&format!(
            "-f lavfi -i testsrc2=s=320x180:r=30:d=1 -vf {TO_HDR}:t={transfer},\
             format=yuv420p10le{filter} {codec} -color_primaries bt2020 -color_trc {transfer} \
             -colorspace bt2020nc"
        ))
    }

    fn edit(&self, film: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
        let mut bytes = fs::read(film).unwrap();
        change(&mut bytes);
        let edited = self.folder.path().join(name);
        fs::write(&edited, bytes).unwrap();
        edited
    }

    fn repacked(&self, film: &Path, output: &str, name: &str) -> PathBuf {
        let repacked = self.folder.path().join(name);
        let args = format!("-v error -y -i {} -c copy {output}", film.display());
        run("ffmpeg", &args, &repacked);
        repacked
    }

    async fn frames(&self, source: &Path) -> u64 {
        self.clip(source).await.0.unwrap().frames - BUMPERS
    }
}

/// Returns the lowest structural similarity of two clips in any frame.
fn similarity(clip: &Clip, reference: &Clip) -> f64 {
    let args = format!(
        "-v error -i {} -i {} -lavfi ssim=stats_file=- -f null",
        clip.video.display(),
        reference.video.display()
    );
    let report = String::from_utf8(run("ffmpeg", &args, Path::new("-"))).unwrap();
    let all = report.lines().filter_map(|line| {
        let (_, all) = line.split_once("All:")?;
        all.split_whitespace().next()?.parse::<f64>().ok()
    });
    all.fold(f64::INFINITY, f64::min)
}

const X265: &str = "-c:v libx265 -preset ultrafast -x265-params log-level=none -tag:v hvc1";

#[tokio::test(flavor = "multi_thread")]
async fn hdr_with_missing_or_reserved_tags_looks_as_with_all_tags() {
    let studio = Studio::open(SMALL).await;
    for transfer in ["arib-std-b67", "smpte2084"] {
        let tagged = studio.hdr(transfer, "", X265);
        let (reference, _kept) = studio.clip(&tagged).await;
        let reference = reference.unwrap();
        // RGB, unspecified, reserved, and BT.2020 with constant luminance.
        for (matrix, primaries) in [(0, 9), (2, 2), (3, 0), (10, 9)] {
            let tags = format!("matrix_coefficients={matrix}:colour_primaries={primaries}");
            let odd = studio.repacked(&tagged, &format!("-bsf:v hevc_metadata={tags}"), "odd.mp4");
            let (clip, _scratch) = studio.clip(&odd).await;
            let similarity = similarity(&clip.unwrap(), &reference);
            assert!(similarity > 0.99, "{transfer}, {tags}: {similarity}");
        }
        let unspecified = "colour_primaries=2:transfer_characteristics=2:matrix_coefficients=2";
        let output = format!("-bsf:v hevc_metadata={unspecified} -movflags write_colr");
        let only_container = studio.repacked(&tagged, &output, "container.mp4");
        let (clip, _scratch) = studio.clip(&only_container).await;
        let similarity = similarity(&clip.unwrap(), &reference);
        assert!(
            similarity > 0.99,
            "{transfer} in the container: {similarity}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hdr_with_odd_sides_looks_as_with_even_sides() {
    let studio = Studio::open(SMALL).await;
    let vp9 = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 2M";
    let even = studio.hdr("arib-std-b67", "", vp9);
    let (reference, _kept) = studio.clip(&even).await;
    let crop = ",crop=319:179:0:0:exact=1";
    let (clip, _scratch) = studio.clip(&studio.hdr("arib-std-b67", crop, vp9)).await;
    let (clip, reference) = (clip.unwrap(), reference.unwrap());
    assert_eq!(clip.frames, 30 + BUMPERS);
    for (x, y) in [(120, 60), (320, 180), (560, 300)] {
        let seen = [&clip, &reference].map(|clip| colour(clip, 2.5, x, y));
        assert!(is_near(seen[0], seen[1]), "{x},{y}: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wide_gamuts_are_converted_by_their_primaries() {
    const ORANGE: [u8; 3] = [255, 110, 0];
    let studio = Studio::open(SMALL).await;
    for (primaries, matrix, transfer) in [
        ("bt2020", "bt2020nc", "bt2020-10"),
        ("smpte432", "bt709", "bt709"),
        ("smpte432", "smpte170m", "iec61966-2-1"),
    ] {
        let source = studio.draw(&format!(
            "-f lavfi -i color=0xff6e00:s=320x180:r=30:d=1,format=gbrp,zscale=min=gbr:pin=709:tin=709:\
             rin=pc:p={primaries}:t=709,scale=out_color_matrix={scaler}:out_range=tv,format=yuv420p \
             {X264} -crf 5 -color_primaries {primaries} -colorspace {matrix} -color_trc {transfer}",
            scaler = matrix.trim_end_matches("nc"),
        ));
        let (clip, _scratch) = studio.clip(&source).await;
        let seen = colour(&clip.unwrap(), 2.5, 320, 180);
        let off = seen
            .iter()
            .zip(ORANGE)
            .map(|(seen, right)| seen.abs_diff(right));
        assert!(off.max() < Some(20), "{primaries} {matrix}: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn last_picture_stands_to_the_end() {
    let studio = Studio::open(SMALL).await;
    let film = studio.draw(&format!(
        "-f lavfi -i testsrc2=s=320x180:r=30:d=2 {X264} -bf 2 -video_track_timescale 15360"
    ));
    for seconds in [1, 4] {
        let standing = studio.edit(&film, "standing.mp4", |bytes| {
            boxes::stand(bytes, seconds * 15_360);
        });
        let frames = studio.frames(&standing).await;
        assert_eq!(frames, 59 + 30 * u64::from(seconds), "{seconds}");
    }
    let single = studio.draw(&format!(
        "-f lavfi -i testsrc2=s=320x180:r=30:d=1 {X264} -frames:v 1 -video_track_timescale 15360"
    ));
    let standing = studio.edit(&single, "single.mp4", |bytes| {
        boxes::set(bytes, "moov/trak/mdia/minf/stbl/stts", 12, 3 * 15_360);
        boxes::set_lengths(bytes, 3);
        boxes::set(bytes, "moov/trak/edts/elst", 8, 3_000);
    });
    assert_eq!(studio.frames(&standing).await, 90);
}

#[tokio::test(flavor = "multi_thread")]
async fn last_picture_of_a_truncated_film_does_not_stand() {
    let studio = Studio::open(SMALL).await;
    let film = studio.draw(&format!(
        "-f lavfi -i testsrc2=s=320x180:r=30:d=4 {X264} -bf 2 -video_track_timescale 15360"
    ));
    let standing = studio.edit(&film, "standing.mp4", |bytes| {
        boxes::stand(bytes, 2 * 15_360);
    });
    let streamed = studio.repacked(&standing, "-movflags +faststart", "streamed.mp4");
    let cut = |percent| {
        studio.edit(&streamed, "cut.mp4", |bytes| {
            bytes.truncate(bytes.len() * percent / 100);
        })
    };
    let frames = studio.frames(&cut(85)).await;
    assert!((90..110).contains(&frames), "{frames} frames");
    assert_eq!(studio.rejection(&cut(30)).await, Rejection::Corrupt);
}

#[tokio::test(flavor = "multi_thread")]
async fn length_is_that_of_the_sample_tables() {
    let studio = Studio::open(&[SMALL, &["--min-input-duration=2"]].concat()).await;
    let film = studio.draw(&format!(
        "-f lavfi -i testsrc2=s=320x180:r=30:d=3 {X264} -bf 2"
    ));
    for seconds in [0, 1, 60] {
        let wrong = studio.edit(&film, "wrong.mp4", |bytes| {
            boxes::set_lengths(bytes, seconds);
        });
        assert_eq!(studio.frames(&wrong).await, 90, "{seconds}");
    }
    // An edit list is no mistake.
    let edited = studio.edit(&film, "edited.mp4", |bytes| {
        boxes::set_lengths(bytes, 1);
        boxes::set(bytes, "moov/trak/edts/elst", 8, 1_000);
    });
    let too_short = Rejection::TooShort {
        seconds: 1,
        min_seconds: 2,
    };
    assert_eq!(studio.rejection(&edited).await, too_short);
}

#[tokio::test(flavor = "multi_thread")]
async fn track_that_a_player_shows_becomes_the_clip() {
    let studio = Studio::open(SMALL).await;
    let draw = |other: &str, options: &str| {
        studio.draw(&format!(
            "-f lavfi -i color=green:s={other} -f lavfi -i color=red:s=320x180:r=30:d=1 \
             -map 0 -map 1 {options} {X264}"
        ))
    };
    for (what, other, options) in [
        (
            "first is disabled",
            "640x360:r=2:d=1",
            "-disposition:v:0 0 -disposition:v:1 default",
        ),
        (
            "first is smaller",
            "160x90:r=30:d=1",
            "-disposition:v default",
        ),
        (
            "first is a single picture",
            "640x360:r=1:d=1",
            "-disposition:v default",
        ),
    ] {
        let (clip, _scratch) = studio.clip(&draw(other, options)).await;
        let seen = colour(&clip.unwrap(), 2.5, 320, 180);
        assert!(is_near(seen, RED), "{what}: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn film_with_many_tracks_of_other_kinds_is_accepted() {
    let studio = Studio::open(SMALL).await;
    let titles = studio.folder.path().join("titles.srt");
    fs::write(&titles, "1\n00:00:00,000 --> 00:00:01,000\nHola\n").unwrap();
    let source = studio.draw(&format!(
        "-f lavfi -i testsrc2=s=320x180:r=30:d=1 -i {} -map 0 {} {X264} -c:s mov_text",
        titles.display(),
        "-map 1 ".repeat(24)
    ));
    assert_eq!(studio.frames(&source).await, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn interlaced_film_shows_no_comb() {
    let studio = Studio::open(SMALL).await;
    // A bar moves so fast that it is elsewhere in each field.
    let draw = |combine: &str, codec: &str| {
        studio.draw(&format!(
            "-f lavfi -i color=black:s=640x360:r=50:d=1 -f lavfi -i color=white:s=48x360:r=50:d=1 \
             -filter_complex [0][1]overlay=x=mod(n*24\\,640):y=0{combine} -r 25 {codec}"
        ))
    };
    let tff = ",tinterlace=interleave_top,fieldorder=tff";
    let bff = ",tinterlace=interleave_bottom,fieldorder=bff";
    for (combine, codec) in [
        (tff, format!("{X264} -flags +ilme+ildct -x264-params tff=1")),
        (bff, format!("{X264} -flags +ilme+ildct -x264-params bff=1")),
        (tff, "-c:v prores_ks -flags +ildct -top 1 -f mov".to_owned()),
    ] {
        let (clip, _scratch) = studio.clip(&draw(combine, &codec)).await;
        let clip = clip.unwrap();
        assert_eq!(clip.frames, 30 + BUMPERS, "{codec}");
        let comb = comb(&clip);
        assert!(comb < 1.5, "{codec}: {comb}");
    }
}

/// Returns how much lines differ from the mean of their neighbours in the body of a clip, on average.
fn comb(clip: &Clip) -> f64 {
    let args = format!(
        "-v error -ss 2 -t 1 -i {} -vf format=gray -f rawvideo",
        clip.video.display()
    );
    let luma = run("ffmpeg", &args, Path::new("pipe:1"));
    let mut sum = 0;
    for frame in luma.chunks_exact(640 * 360) {
        for (number, grey) in frame.iter().enumerate().take(640 * 359).skip(640) {
            let around = [frame[number - 640], frame[number + 640]].map(u64::from);
            sum += (around[0] + around[1]).abs_diff(2 * u64::from(*grey));
        }
    }
    let samples = u32::try_from(luma.len()).unwrap();
    f64::from(u32::try_from(sum).unwrap()) / 2.0 / f64::from(samples)
}

#[tokio::test(flavor = "multi_thread")]
async fn matrices_are_applied_as_ffmpeg_applies_them() {
    let studio = Studio::open(SMALL).await;
    let film = studio.draw(&format!(
        "-f lavfi -i testsrc2=s=320x180:r=30:d=1 {X264} -crf 10"
    ));
    for (a, b, c, d) in [
        (0.0, 1.0, -1.0, 0.0),
        (0.0, -1.0, -1.0, 0.0),
        (0.0, 1.0, 1.0, 0.0),
        (-1.0, 0.0, 0.0, 1.0),
        (1.0, 0.0, 0.0, -1.0),
        // 89 and 89.7 degrees.
        (0.017_45, 0.999_85, -0.999_85, 0.017_45),
        (0.005_24, 0.999_99, -0.999_99, 0.005_24),
    ] {
        #[expect(
            clippy::as_conversions,
            clippy::cast_possible_truncation,
            reason = "fixed point"
        )]
        let fixed = |number: f64| ((number * 65_536.0).round() as i32).cast_unsigned();
        let turned = studio.edit(&film, "turned.mp4", |bytes| {
            for (at, number) in [(40, a), (44, b), (52, c), (56, d)] {
                boxes::set(bytes, "moov/trak/tkhd", at, fixed(number));
            }
        });
        // `ffmpeg` turns this copy by itself.
        let upright = studio.folder.path().join("upright.mp4");
        let args = format!("-v error -y -i {} {X264} -crf 10", turned.display());
        run("ffmpeg", &args, &upright);
        let (clip, _scratch) = studio.clip(&turned).await;
        let (reference, _kept) = studio.clip(&upright).await;
        let similarity = similarity(&clip.unwrap(), &reference.unwrap());
        assert!(similarity > 0.95, "{a} {b} {c} {d}: {similarity}");
    }
}
