//! The films of the benchmark, generated once: a detailed hall, a shaky hand-held camera, two
//! players and a ball, and sensor noise.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::run;

/// A film of 31 seconds.
pub struct Film {
    pub name: &'static str,
    pub rate: u32,
    /// Whether its pictures can be compared; tone mapping has no reference.
    pub is_scored: bool,
    size: &'static str,
    convert: &'static str,
    codec: &'static str,
    /// Number of repetitions of its ten seconds.
    times: u32,
    pace: Pace,
}

/// How fast the camera moves, and how much grain there is.
#[derive(Clone, Copy)]
enum Pace {
    Calm,
    /// Five times as fast, with twice the grain.
    Wild,
}

pub const FILMS: [Film; 4] = [
    Film {
        name: "a: 1080p30 H.264 12 Mbit/s",
        rate: 30,
        is_scored: true,
        size: "1920:1080",
        convert: "format=yuv420p",
        codec: "-c:v libx264 -preset veryfast -g 30 -bf 2 -b:v 12M -maxrate 15M -bufsize 12M",
        times: 3,
        pace: Pace::Calm,
    },
    Film {
        name: "b: 1080p60 HEVC",
        rate: 60,
        is_scored: true,
        size: "1920:1080",
        convert: "format=yuv420p",
        codec: "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=60 -tag:v hvc1 -b:v 14M",
        times: 3,
        pace: Pace::Calm,
    },
    Film {
        name: "c: 4K30 H.264 25 Mbit/s",
        rate: 30,
        is_scored: true,
        size: "3840:2160",
        convert: "format=yuv420p",
        codec: "-c:v libx264 -preset superfast -g 30 -bf 2 -b:v 25M -maxrate 30M -bufsize 25M",
        times: 3,
        pace: Pace::Calm,
    },
    Film {
        name: "e: 1080p30 HEVC 10 bit HLG",
        rate: 30,
        is_scored: false,
        size: "1920:1080",
        convert: "zscale=tin=709:min=709:pin=709:t=arib-std-b67:m=2020_ncl:p=2020:r=tv:npl=203,\
                  format=yuv420p10le",
        codec: "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=30 -tag:v hvc1 \
                -b:v 9M -color_primaries bt2020 -color_trc arib-std-b67 -colorspace bt2020nc",
        times: 3,
        pace: Pace::Calm,
    },
];

/// The first film, but wild.
pub const WILD: Film = Film {
    name: "w: 1080p30 H.264 12 Mbit/s, wild",
    rate: 30,
    is_scored: true,
    size: "1920:1080",
    convert: "format=yuv420p",
    codec: "-c:v libx264 -preset veryfast -g 30 -bf 2 -b:v 12M -maxrate 15M -bufsize 12M",
    times: 3,
    pace: Pace::Wild,
};

/// A typical upload: one minute, 50 MB.
pub const MINUTE: Film = Film {
    name: "f: 60 s of 1080p30, 50 MB",
    rate: 30,
    is_scored: true,
    size: "1920:1080",
    convert: "format=yuv420p",
    codec: "-c:v libx264 -preset veryfast -g 30 -bf 2 -b:v 6600k -maxrate 8M -bufsize 6M",
    times: 6,
    pace: Pace::Calm,
};

/// Four octaves of noise, the coarser the stronger, which has the spectrum of a photograph.
const HALL: &str = "color=0x808080:s=20x12,format=gbrp,noise=alls=100:all_seed=1,\
    scale=2560x1536:flags=bicubic[a];color=0x808080:s=80x48,format=gbrp,noise=alls=60:all_seed=2,\
    scale=2560x1536:flags=bicubic[b];color=0x808080:s=320x192,format=gray,noise=alls=50:all_seed=3,\
    scale=2560x1536:flags=bicubic,format=gbrp[c];color=0x808080:s=1280x768,format=gray,\
    noise=alls=40:all_seed=4,scale=2560x1536:flags=bicubic,format=gbrp[d];\
    [a][b]blend=all_mode=average[ab];[c][d]blend=all_mode=average[cd];\
    [ab][cd]blend=all_expr='clip(128+(A-128)*1.3+(B-128)*0.8,0,255)'";

/// The camera, the players and the ball in the hall.
const GAME: &str = "[0]split=4[hall][p][q][b];\
    [hall]crop=1920:1080:'320+220*sin(t/3)+9*sin(t*7)':'228+120*sin(t/4)+7*sin(t*9)'[court];\
    [p]crop=150:420:100:900,hue=h=120:s=3[red];\
    [q]crop=170:460:1900:200,hue=h=-60:s=4,eq=brightness=0.1[blue];\
    [b]crop=70:70:1200:600,eq=brightness=0.25:saturation=3[ball];\
    [court][red]overlay='960+700*sin(t*0.9)':'380+60*sin(t*5)'[x];\
    [x][blue]overlay='880+800*sin(t*1.3+2)':'420+40*sin(t*6)'[y];\
    [y][ball]overlay='900+850*sin(t*1.7)':'900-abs(700*sin(t*3.1))'";

impl Film {
    /// Returns the film, and generates it if it is missing.
    pub fn file(&self) -> PathBuf {
        let (letter, _) = self.name.split_once(':').unwrap();
        let film = folder().join(format!("{letter}.mp4"));
        if film.exists() {
            return film;
        }
        let (hall, part) = (folder().join("hall.png"), folder().join("part.mp4"));
        let (game, grain) = match self.pace {
            Pace::Calm => (GAME.to_owned(), 2),
            Pace::Wild => (GAME.replace("(t", "(5*t"), 4),
        };
        run(
            "ffmpeg",
            &format!("-v error -y -f lavfi -i {HALL} -frames:v 1"),
            &hall,
        );
        let draw = format!(
            "-v error -y -f image2 -framerate {} -loop 1 -t 10.4 -i {} -f lavfi -t 10.4 -i sine \
             -filter_complex {game},scale={}:flags=bicubic,noise=alls={grain}:allf=t,{}[film] \
             -map [film] -map 1 -c:a aac -color_primaries bt709 -color_trc bt709 -colorspace bt709 {}",
            self.rate,
            hall.display(),
            self.size,
            self.convert,
            self.codec
        );
        run("ffmpeg", &draw, &part);
        let repeat = format!(
            "-v error -y -stream_loop {} -i {} -c copy",
            self.times - 1,
            part.display()
        );
        run("ffmpeg", &repeat, &film);
        film
    }
}

/// Returns the folder that keeps the films for later runs.
pub fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-media");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Writes the watermark in the size that the earlier system expects.
pub fn mark(file: &Path) {
    let mark = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/brand/watermark.png");
    let args = format!("-v error -y -i {} -vf scale=240:-2", mark.display());
    run("ffmpeg", &args, file);
}
