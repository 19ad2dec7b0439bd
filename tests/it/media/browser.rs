//! Playback of a clip in Chromium, the browser engine of most users.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::Studio;

/// Plays the film in its folder and reports the result.
const PAGE: &str = r#"<video muted autoplay src="clip.mp4"></video><script>
    const video = document.querySelector("video");
    let stalls = 0, back = 0, last = 0;
    video.onwaiting = () => { if (video.currentTime > 0 && !video.ended) stalls++; };
    video.ontimeupdate = () => { if (video.currentTime < last) back++; last = video.currentTime; };
    const report = (error) => console.log("PLAYED " + JSON.stringify({
        error, stalls, back, at: video.currentTime, duration: video.duration,
        width: video.videoWidth, height: video.videoHeight,
        frames: video.getVideoPlaybackQuality().totalVideoFrames,
    }));
    video.onended = () => report(null);
    video.onerror = () => report(video.error.message);
</script>"#;

/// A process that is killed on drop.
struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium-headless-shell: make bench-media"]
async fn chromium_plays_a_clip_to_its_end_without_a_stall() {
    let studio = Studio::open(&[]).await;
    let source = studio.draw(
        "-f lavfi -i testsrc2=s=1280x720:r=60:d=6 -vf select=not(mod(n\\,7))+lt(mod(n\\,90)\\,30) \
         -fps_mode vfr -c:v libx264 -preset ultrafast -pix_fmt yuv420p",
    );
    let (clip, _scratch) = studio.clip(&source).await;
    let clip = clip.unwrap();
    let folder = studio.folder.path();
    fs::copy(&clip.video, folder.join("clip.mp4")).unwrap();
    fs::write(folder.join("page.html"), PAGE).unwrap();

    let mut chromium = Command::new("chromium-headless-shell");
    chromium
        .args(["--no-sandbox", "--disable-gpu", "--enable-logging=stderr"])
        .args([
            "--autoplay-policy=no-user-gesture-required",
            "--remote-debugging-port=0",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .arg(format!("file://{}", folder.join("page.html").display()))
        .stderr(Stdio::piped());
    let mut browser = Browser(chromium.spawn().unwrap());
    let lines = BufReader::new(browser.0.stderr.take().unwrap()).lines();
    let result = lines.map_while(Result::ok).find_map(|line| {
        let (_, result) = line.split_once("PLAYED ")?;
        let (result, _) = result.rsplit_once('"')?;
        Some(serde_json::from_str::<Value>(result).unwrap())
    });
    let result = result.expect("the page reports the result");
    println!("{result}");
    assert_eq!(result["error"], Value::Null);
    assert_eq!(
        (&result["stalls"], &result["back"]),
        (&0.into(), &0.into()),
        "{result}"
    );
    let end = f64::from(u32::try_from(clip.duration_ms).unwrap()) / 1000.0;
    for what in ["at", "duration"] {
        let seconds = result[what].as_f64().unwrap();
        assert!((seconds - end).abs() < 0.05, "{result}");
    }
    assert_eq!(
        (&result["width"], &result["height"]),
        (&1280.into(), &720.into())
    );
}
