//! A clip in the browser of most people.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::Studio;

/// Plays the film beside it and tells how it went.
const PAGE: &str = r#"<video muted autoplay src="clip.mp4"></video><script>
    const video = document.querySelector("video");
    let stalls = 0, back = 0, last = 0;
    video.onwaiting = () => { if (video.currentTime > 0 && !video.ended) stalls++; };
    video.ontimeupdate = () => { if (video.currentTime < last) back++; last = video.currentTime; };
    const tell = (error) => console.log("PLAYED " + JSON.stringify({
        error, stalls, back, at: video.currentTime, duration: video.duration,
        width: video.videoWidth, height: video.videoHeight,
        frames: video.getVideoPlaybackQuality().totalVideoFrames,
    }));
    video.onended = () => tell(null);
    video.onerror = () => tell(video.error.message);
</script>"#;

/// Killed when it is dropped.
struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium-headless-shell: make bench-media"]
async fn chromium_plays_a_clip_from_start_to_end_without_a_stall() {
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
    let told = lines.map_while(Result::ok).find_map(|line| {
        let (_, told) = line.split_once("PLAYED ")?;
        let (told, _) = told.rsplit_once('"')?;
        Some(serde_json::from_str::<Value>(told).unwrap())
    });
    let told = told.expect("the page tells how it went");
    println!("{told}");
    assert_eq!(told["error"], Value::Null);
    assert_eq!(
        (&told["stalls"], &told["back"]),
        (&0.into(), &0.into()),
        "{told}"
    );
    let end = f64::from(u32::try_from(clip.duration_ms).unwrap()) / 1000.0;
    for what in ["at", "duration"] {
        let seconds = told[what].as_f64().unwrap();
        assert!((seconds - end).abs() < 0.05, "{told}");
    }
    assert_eq!(
        (&told["width"], &told["height"]),
        (&1280.into(), &720.into())
    );
}
